//! A client's connection, from its first byte to its last: one request after the other.

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use pingora_core::protocols::Stream;
use pingora_core::protocols::l4::stream::Stream as TcpStream;

use super::alarm::Alarm;
use super::body::Framing;
use super::buffer::Inbox;
use super::head::{self, FIELDS_MAX, Head, Scan, Scanned};
use super::tunnel::{self, Opened};
use super::worker::DrainSignal;
use super::{answer, carry, forward};
use crate::answer::Answer;
use crate::connections::{self, Admitted};
use crate::exchange::{Ask, Exchange, Protocol};
use crate::observe::Why;
use crate::problem::Problem;
use crate::{Gateway, request_id, trace};

/// What an HTTP/2 client says first (RFC 9113, section 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection that another engine goes on with.
pub(super) struct HandedOver {
    pub(super) stream: Stream,
    /// The client's, as text.
    pub(super) address: Option<Arc<str>>,
    pub(super) admitted: Admitted,
}

/// A client's connection and what it needs.
pub(super) struct Connection {
    pub(super) gateway: Gateway,
    pub(super) client: Stream,
    /// The client's address, as text.
    pub(super) address: Option<Arc<str>>,
    pub(super) inbox: Inbox,
    /// The head for a replica, and its body where that is short and complete. Used again for each request.
    pub(super) outbox: Vec<u8>,
    pub(super) alarm: Alarm,
    pub(super) admitted: Option<Admitted>,
    /// When the last request ended, where somebody looked.
    pub(super) last_ended: Option<Instant>,
    drain: DrainSignal,
}

/// What comes after a request.
pub(super) enum After {
    /// The next one.
    Next,
    /// The end, at once.
    Close,
    /// The end, once the client has had time to read what it was told.
    Linger,
    /// It has become a WebSocket.
    Socket(Box<Opened>),
}

/// What a request needs besides its head.
pub(super) struct Plan {
    pub(super) framing: Framing,
    pub(super) keeps_alive: bool,
    pub(super) is_http_11: bool,
    pub(super) expects_continue: bool,
}

/// What was found where the next head should be.
enum Found {
    /// Its length, when its first byte came, and its last.
    Head {
        length: usize,
        began: Instant,
        complete: Instant,
    },
    Malformed(Problem, Instant),
    TooSlow(Instant),
    Http2,
    /// The client is done, or has been idle for long, or the door is closing.
    End,
}

/// Serves a connection to its end; another engine may have to go on with it.
pub(super) async fn serve(gateway: &Gateway, stream: Stream) -> Option<HandedOver> {
    let address = stream
        .get_socket_digest()
        .and_then(|digest| digest.peer_addr().and_then(|peer| peer.as_inet().map(|peer| peer.ip().to_canonical())));
    let admitted = connections::admit(gateway, address);
    let mut connection = Connection {
        gateway: gateway.clone(),
        client: stream,
        address: address.map(|address| address.to_string().into()),
        inbox: Inbox::default(),
        outbox: Vec::new(),
        alarm: Alarm::at(Instant::now() + gateway.config().header_timeout()),
        admitted: None,
        last_ended: None,
        drain: DrainSignal::default(),
    };
    match admitted {
        Ok(admitted) => connection.admitted = Some(admitted),
        Err(connections::TooMany) => {
            metrics::counter!("gateway_connections_refused_total").increment(1);
            connection.refuse(Problem::TooManyConnections, Instant::now()).await;
            return None;
        }
    }
    let mut is_first = true;
    loop {
        let after = match connection.find_head(is_first).await {
            Found::Head { length, began, complete } => connection.answer(length, began, complete).await,
            Found::Malformed(problem, began) => connection.refuse(problem, began).await,
            Found::TooSlow(began) => connection.refuse(Problem::RequestTimeout, began).await,
            Found::Http2 => return connection.hand_over(),
            Found::End => After::Close,
        };
        match after {
            After::Next => {}
            After::Linger => {
                answer::linger(&mut connection).await;
                return None;
            }
            After::Close => return None,
            After::Socket(opened) => {
                let Connection { client, inbox, admitted, .. } = connection;
                tunnel::spawn(client, inbox, admitted, *opened);
                return None;
            }
        }
        is_first = false;
        let now = connection.last_ended.take().unwrap_or_else(Instant::now);
        connection.alarm.set(now + connection.gateway.config().keepalive());
    }
}

impl Connection {
    /// Waits for a complete head.
    async fn find_head(&mut self, is_first: bool) -> Found {
        let mut scan = Scan::default();
        let mut began = None;
        if !self.inbox.is_empty() {
            let now = Instant::now();
            began = Some(now);
            if let Some(found) = self.look(&mut scan, now, now, is_first) {
                return found;
            }
            if let Err(problem) = self.check_beginning(is_first) {
                return Found::Malformed(problem, now);
            }
            self.alarm.set(now + self.gateway.config().header_timeout());
        }
        poll_fn(|cx| self.poll_head(&mut scan, &mut began, is_first, cx)).await
    }

    fn poll_head(&mut self, scan: &mut Scan, began: &mut Option<Instant>, is_first: bool, cx: &mut Context<'_>) -> Poll<Found> {
        loop {
            match self.inbox.poll_fill(Pin::new(&mut self.client), cx) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Ok(_) | Err(_)) => {
                    let is_half = !self.inbox.is_empty();
                    return Poll::Ready(match began {
                        Some(began) if is_half => Found::Malformed(Problem::BadRequest("the request ends within its head"), *began),
                        _ => Found::End,
                    });
                }
                Poll::Pending => break,
            }
            let is_new = began.is_none();
            let now = Instant::now();
            let first = *began.get_or_insert(now);
            if let Some(found) = self.look(scan, first, now, is_first) {
                return Poll::Ready(found);
            }
            if is_new {
                if !is_first {
                    self.alarm.set(now + self.gateway.config().header_timeout());
                }
                if let Err(problem) = self.check_beginning(is_first) {
                    return Poll::Ready(Found::Malformed(problem, now));
                }
            }
        }
        self.inbox.park();
        if self.drain.is_on(&self.gateway, cx) && began.is_none() {
            return Poll::Ready(Found::End);
        }
        match (self.alarm.poll_due(cx), &*began) {
            (Poll::Pending, _) => Poll::Pending,
            (Poll::Ready(()), Some(began)) => Poll::Ready(Found::TooSlow(*began)),
            (Poll::Ready(()), None) => Poll::Ready(Found::End),
        }
    }

    /// Only the first words on a connection say that it is HTTP/2.
    fn may_be_http2(&self, is_first: bool) -> bool {
        let bytes = self.inbox.filled();
        let beginning = bytes.get(..HTTP2_PREFACE.len()).unwrap_or(bytes);
        is_first && !bytes.is_empty() && HTTP2_PREFACE.starts_with(beginning)
    }

    fn check_beginning(&self, is_first: bool) -> Result<(), Problem> {
        if self.may_be_http2(is_first) { Ok(()) } else { head::check_beginning(self.inbox.filled()) }
    }

    /// Looks whether what is there is a head.
    fn look(&mut self, scan: &mut Scan, began: Instant, now: Instant, is_first: bool) -> Option<Found> {
        let bytes = self.inbox.filled();
        if self.may_be_http2(is_first) {
            return (bytes.len() >= HTTP2_PREFACE.len()).then_some(Found::Http2);
        }
        let most = self.gateway.config().header_bytes_max;
        match scan.find_end(bytes) {
            Scanned::Complete(length) if length <= most => Some(Found::Head { length, began, complete: now }),
            Scanned::Partial if bytes.len() <= most && !self.inbox.is_full() => None,
            Scanned::BareLf => Some(Found::Malformed(Problem::BadRequest("a line does not end as it must"), began)),
            Scanned::Complete(_) | Scanned::Partial => Some(Found::Malformed(Problem::HeadTooLarge { bytes_max: most }, began)),
        }
    }

    /// Answers the request whose head is there.
    async fn answer(&mut self, length: usize, began: Instant, complete: Instant) -> After {
        // It goes from one state to the next, and is large.
        let mut exchange = Box::new(Exchange::begin(&self.gateway, self.address.clone(), Protocol::Http11, began));
        exchange.times.tried_at = complete;
        let (plan, own) = match self.judge(length, &mut exchange) {
            Ok(judged) => judged,
            Err(problem) => {
                let refused = exchange.refuse(problem);
                self.inbox.consume(length);
                answer::send(self, &mut exchange, refused, false).await;
                return After::Linger;
            }
        };
        self.inbox.consume(length);
        match own {
            Some(own) => answer::send_own(self, &mut exchange, own, &plan).await,
            None => carry::carry(self, exchange, plan).await,
        }
    }

    /// Reads the head, decides, and writes the head for a replica.
    fn judge(&mut self, length: usize, exchange: &mut Exchange) -> Result<(Plan, Option<Answer>), Problem> {
        let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
        let head = head::read(self.inbox.filled().get(..length).unwrap_or_default(), &mut fields)?;
        if !head.is_http_11 {
            exchange.protocol = Protocol::Http10;
        }
        let own = exchange.judge(&ask(&head));
        let plan = Plan {
            framing: head.framing,
            keeps_alive: head.keeps_alive && !self.gateway.is_draining(),
            is_http_11: head.is_http_11,
            expects_continue: head.expects_continue,
        };
        if own.is_none() {
            if exchange.is_socket && head.framing != Framing::None {
                return Err(Problem::BadRequest("a request for a socket has no body"));
            }
            self.outbox.clear();
            forward::write(&mut self.outbox, &head, exchange);
        }
        Ok((plan, own))
    }

    /// Refuses what is no request.
    async fn refuse(&mut self, problem: Problem, began: Instant) -> After {
        let mut exchange = Exchange::begin(&self.gateway, self.address.clone(), Protocol::Http11, began);
        let refused = exchange.refuse(problem);
        answer::send(self, &mut exchange, refused, false).await;
        After::Linger
    }

    /// Gives the connection to the engine that speaks HTTP/2, with what was read of it.
    fn hand_over(self) -> Option<HandedOver> {
        let Connection { client, address, inbox, admitted, .. } = self;
        let mut stream = client.into_any().downcast::<TcpStream>().ok()?;
        stream.rewind(inbox.filled());
        Some(HandedOver { stream, address, admitted: admitted? })
    }

    /// A connection is not kept once the door is closing.
    pub(super) fn keeps_alive(&self, plan: &Plan) -> bool {
        plan.keeps_alive && !self.gateway.is_draining()
    }
}

fn ask<'a>(head: &'a Head<'a>) -> Ask<'a> {
    Ask {
        method: &head.method,
        target: head.target,
        content_length: match head.framing {
            Framing::Length(length) => Some(length),
            _ => None,
        },
        is_upgrade: head.is_upgrade,
        accept: head.field("accept"),
        request_id: head.field(request_id::HEADER),
        traceparent: head.field(trace::HEADER),
        header: head,
    }
}

impl crate::exchange::Fields for Head<'_> {
    fn all(&self, name: &str) -> Vec<&[u8]> {
        self.fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value).collect()
    }
}

impl Exchange {
    /// The client saw the whole answer, or did not.
    pub(super) fn note_sent(&mut self, bytes: u64, is_complete: bool) {
        self.bytes_out += bytes;
        if !is_complete {
            self.why = Why::ClientLeft;
        }
    }
}
