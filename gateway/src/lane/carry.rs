//! Brings one request to a replica, and its answer back.
//!
//! A short body is gathered first, so that a replica is not kept waiting by a slow client, and so that the request can be sent
//! again. A long one flows through. Both directions are carried at the same time: a replica may answer before it has heard all.

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use http::Method;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;

use super::answer;
use super::body::Framing;
use super::buffer::Inbox;
use super::connection::{After, Connection, Plan};
use super::flow::{Flow, Stopped};
use super::head::FIELDS_MAX;
use super::replica::{self, Replica};
use super::reply::{self, Terms};
use super::tunnel::Opened;
use super::worker;
use crate::endpoint::Endpoint;
use crate::exchange::{Exchange, Next, Progress};
use crate::failure::Failure;
use crate::observe::Why;
use crate::pace::Pace;
use crate::problem::Problem;

/// A body up to this size is gathered before a replica is asked, if it comes at once.
const GATHERED_MAX: u64 = 16 * 1024;
const GATHER_WAIT: Duration = Duration::from_millis(100);
/// A head for a replica that is larger than this does not keep its memory for the next one.
const OUTBOX_KEPT_MAX: usize = 4 * 1024;
/// Answers before the answer; more are an attempt to keep us busy.
const INTERIM_MAX: usize = 16;

/// One request and where it is.
struct Carried<'a> {
    connection: &'a mut Connection,
    exchange: Box<Exchange>,
    plan: Plan,
    /// The body from the client, as far as it is not in the outbox.
    upload: Flow,
    /// Of the outbox, what the replica has.
    sent: usize,
    /// How fast the body comes.
    pace: Pace,
    /// The client waits for a 100 before it sends the body.
    is_asking: bool,
    /// The replica takes no more of the body.
    is_upload_broken: bool,
}

/// Why a try, or the whole request, ended without an answer that was carried.
enum Ended {
    /// The replica's fault.
    Failed(Failure),
    /// The client is told this.
    Refused(Problem),
    /// There is nobody to tell.
    ClientGone(Why),
    /// The replica said "not now", and another one is asked.
    Elsewhere,
}

/// Serves one request with the help of a replica.
pub(super) async fn carry(connection: &mut Connection, exchange: Box<Exchange>, plan: Plan) -> After {
    let limit = exchange.body_bytes_max as u64;
    let upload = Flow::new(plan.framing, plan.framing == Framing::Chunked, limit);
    let pace = Pace::begin(exchange.times.tried_at);
    let is_asking = plan.expects_continue && !upload.is_done();
    let mut carried = Carried { connection, exchange, plan, upload, sent: 0, pace, is_asking, is_upload_broken: false };
    let after = match carried.gather().await {
        Ok(()) => carried.serve().await,
        Err(ended) => Served::End(carried.end(ended).await),
    };
    let Carried { connection, mut exchange, upload, .. } = carried;
    exchange.bytes_in += upload.payload();
    if connection.outbox.capacity() > OUTBOX_KEPT_MAX {
        connection.outbox = Vec::new();
    }
    match after {
        Served::End(after) => after,
        Served::Socket { replica, first } => After::Socket(Box::new(Opened { exchange, replica, first })),
    }
}

/// What has become of a request.
enum Served {
    End(After),
    Socket { replica: TcpStream, first: Vec<u8> },
}

impl Carried<'_> {
    /// Gives a short body a moment to arrive, and puts what has come behind the head. The rest, if any, flows.
    async fn gather(&mut self) -> Result<(), Ended> {
        let Framing::Length(length @ ..=GATHERED_MAX) = self.plan.framing else { return Ok(()) };
        if self.plan.expects_continue {
            return Ok(());
        }
        let mut left = usize::try_from(length).unwrap_or_default();
        let mut is_waiting = false;
        poll_fn(|cx| {
            loop {
                let bytes = self.connection.inbox.filled();
                let count = bytes.len().min(left);
                self.connection.outbox.extend_from_slice(bytes.get(..count).unwrap_or_default());
                self.connection.inbox.consume(count);
                self.exchange.bytes_in += count as u64;
                left -= count;
                if left == 0 {
                    return Poll::Ready(Ok(()));
                }
                match self.connection.inbox.poll_fill(Pin::new(&mut self.connection.client), cx) {
                    Poll::Ready(Ok(1..)) => {}
                    Poll::Ready(_) => return Poll::Ready(Err(Ended::ClientGone(Why::ClientLeft))),
                    Poll::Pending => break,
                }
            }
            if !std::mem::replace(&mut is_waiting, true) {
                self.connection.alarm.set(Instant::now() + GATHER_WAIT);
            }
            self.connection.alarm.poll_due(cx).map(Ok)
        })
        .await?;
        if is_waiting {
            self.exchange.times.tried_at = Instant::now();
        }
        let rest = if left == 0 { Framing::None } else { Framing::Length(left as u64) };
        self.upload = Flow::new(rest, false, left as u64);
        Ok(())
    }

    /// The body is to come now: the client was told to go on, or did so by itself. Until then it was not slow.
    fn go_on(&mut self) {
        if std::mem::take(&mut self.is_asking) {
            self.pace = Pace::begin(Instant::now());
        }
    }

    /// By when more of the body must have come.
    fn body_due(&mut self) -> Instant {
        self.pace.note(self.upload.payload());
        self.pace.due(self.connection.gateway.config())
    }

    /// Asks replicas until one answers, or none is left to ask.
    async fn serve(&mut self) -> Served {
        if let Err(problem) = self.exchange.admit(!self.upload.is_done()).await {
            return Served::End(self.end(Ended::Refused(problem)).await);
        }
        loop {
            let endpoint = match self.exchange.pick() {
                Ok(endpoint) => endpoint,
                Err(problem) => return Served::End(self.end(Ended::Refused(problem)).await),
            };
            let (ended, is_kept) = match replica::reach(&endpoint, &mut self.exchange).await {
                Ok(replica) => {
                    let is_kept = replica.is_kept;
                    match self.ask(&endpoint, replica).await {
                        Ok(served) => return served,
                        Err(ended) => (ended, is_kept),
                    }
                }
                Err(failure) => (Ended::Failed(failure), false),
            };
            match ended {
                Ended::Failed(failure) => match self.next_after(failure, is_kept, &endpoint) {
                    Next::Retry(pause) if pause.is_zero() => {}
                    Next::Retry(pause) => tokio::time::sleep(pause).await,
                    Next::Fail(problem) => return Served::End(self.end(Ended::Refused(problem)).await),
                },
                Ended::Elsewhere => {}
                ended => return Served::End(self.end(ended).await),
            }
            self.sent = 0;
            self.is_upload_broken = false;
        }
    }

    fn next_after(&mut self, failure: Failure, is_kept_connection: bool, endpoint: &Endpoint) -> Next {
        if is_kept_connection && failure == Failure::Broken {
            // Its neighbours were closed with it, most likely.
            worker::forget(endpoint.id);
        }
        let progress = Progress { is_complete: self.is_repeatable(), is_kept_connection, is_answered: false };
        self.exchange.failed(failure, progress)
    }

    /// Nothing of the body has gone anywhere that is not in the outbox.
    fn is_repeatable(&self) -> bool {
        self.upload.written() == 0 && self.upload.payload() == 0
    }

    /// Sends the request to a replica and brings its answer back.
    async fn ask(&mut self, endpoint: &Endpoint, replica: Replica) -> Result<Served, Ended> {
        let mut stream = replica.stream;
        let mut reply = Inbox::default();
        let mut interims = 0;
        let tried_at = self.exchange.times.tried_at;
        loop {
            self.wait_for_reply(&mut stream, &mut reply, tried_at).await?;
            loop {
                match self.read_reply(&mut reply)? {
                    Reply::Partial => break,
                    Reply::Interim { head, is_continue } => {
                        interims += 1;
                        if interims > INTERIM_MAX {
                            return Err(Ended::Failed(Failure::InvalidAnswer));
                        }
                        let written = answer::write_all(self.connection, &head).await;
                        if written < head.len() {
                            return Err(Ended::ClientGone(Why::ClientLeft));
                        }
                        if is_continue {
                            self.go_on();
                        }
                    }
                    Reply::Elsewhere => return Err(Ended::Elsewhere),
                    Reply::Socket(head) => return Ok(self.become_socket(stream, reply, &head).await),
                    Reply::Final(answer) => {
                        let mut download = Flow::new(answer.framing, answer.terms.is_chunked, u64::MAX);
                        // What is wrong from the start can still be told.
                        let begun = download.begin(&mut reply, &answer.head);
                        begun.map_err(|_| Ended::Failed(Failure::InvalidAnswer))?;
                        return Ok(Served::End(self.bring_back(endpoint, stream, reply, answer, download).await));
                    }
                }
            }
        }
    }

    /// Sends what is to be sent, and waits for something of an answer.
    async fn wait_for_reply(&mut self, stream: &mut TcpStream, reply: &mut Inbox, tried_at: Instant) -> Result<(), Ended> {
        let mut armed_for = None;
        poll_fn(|cx| {
            let is_sending = self.poll_send(stream, cx)?.is_pending();
            match reply.poll_fill(Pin::new(&mut *stream), cx) {
                Poll::Ready(Ok(1..)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(_) | Err(_)) => return Poll::Ready(Err(Ended::Failed(Failure::Broken))),
                Poll::Pending => {}
            }
            let is_replica_deaf = self.upload.is_blocked() || self.sent < self.connection.outbox.len();
            if self.upload.payload() > 0 {
                self.go_on();
            }
            let due = match (is_sending, is_replica_deaf || self.is_asking) {
                (false, _) => self.exchange.answer_due(tried_at, self.is_repeatable()),
                // Taking the request, or saying that it takes it, it has as long as for an answer.
                (true, true) => tried_at + self.connection.gateway.config().request_timeout(),
                (true, false) => self.body_due(),
            };
            if armed_for != Some(due) {
                armed_for = Some(due);
                self.connection.alarm.set(due);
            }
            ready!(self.connection.alarm.poll_due(cx));
            Poll::Ready(Err(match (is_sending, is_replica_deaf) {
                // Each waits for the other: who does not know 100 is not ill, and who believes in it is not slow.
                (true, false) if self.is_asking => Ended::Refused(Problem::GatewayTimeout),
                (true, false) => slow_body(),
                (true, true) | (false, _) => Ended::Failed(Failure::Timeout),
            }))
        })
        .await
    }

    /// Ready when the whole request is sent, or as much as the replica takes.
    fn poll_send(&mut self, stream: &mut TcpStream, cx: &mut Context<'_>) -> Result<Poll<()>, Ended> {
        if self.is_upload_broken {
            return Ok(Poll::Ready(()));
        }
        while let Some(rest @ [_, ..]) = self.connection.outbox.get(self.sent..) {
            match Pin::new(&mut *stream).poll_write(cx, rest) {
                Poll::Ready(Ok(count @ 1..)) => self.sent += count,
                Poll::Ready(Ok(_) | Err(_)) => return Ok(self.break_upload()),
                Poll::Pending => return Ok(Poll::Pending),
            }
        }
        if !self.upload.is_done() {
            let connection = &mut *self.connection;
            match self.upload.poll(&mut connection.inbox, Pin::new(&mut connection.client), Pin::new(stream), cx) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(Ok(())) => {
                    self.exchange.times.tried_at = Instant::now();
                }
                Poll::Ready(Err(Stopped::SinkClosed)) => return Ok(self.break_upload()),
                Poll::Ready(Err(Stopped::SourceClosed)) => return Err(Ended::ClientGone(Why::ClientLeft)),
                Poll::Ready(Err(Stopped::TooLarge)) => {
                    return Err(Ended::Refused(Problem::BodyTooLarge { bytes_max: self.exchange.body_bytes_max }));
                }
                Poll::Ready(Err(Stopped::Invalid(invalid))) => return Err(Ended::Refused(Problem::BadRequest(invalid.0))),
            }
        }
        let tried_at = self.exchange.times.tried_at;
        self.exchange.start_deadline(tried_at);
        Ok(Poll::Ready(()))
    }

    /// The replica has closed its ear; it may have answered before.
    fn break_upload(&mut self) -> Poll<()> {
        self.is_upload_broken = true;
        Poll::Ready(())
    }

    /// Reads the head of an answer, and decides what becomes of it.
    fn read_reply(&mut self, reply: &mut Inbox) -> Result<Reply, Ended> {
        let is_answer_to_head = self.exchange.method == Method::HEAD;
        let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
        let malformed = Err(Ended::Failed(Failure::InvalidAnswer));
        if reply.is_empty() {
            return Ok(Reply::Partial);
        }
        let head = match reply::read(reply.filled(), &mut fields, is_answer_to_head) {
            Ok(Some(head)) => head,
            Ok(None) if reply.is_full() => return malformed,
            Ok(None) => return Ok(Reply::Partial),
            Err(reply::Malformed) => return malformed,
        };
        let mut bytes = Vec::with_capacity(head.length + 128);
        if head.is_interim() {
            if self.plan.is_http_11 {
                head.write_interim(&mut bytes);
            }
            let (length, is_continue) = (head.length, head.status == 100);
            reply.consume(length);
            return Ok(Reply::Interim { head: bytes, is_continue });
        }
        let is_switch = head.status == 101;
        if is_switch && !self.exchange.is_socket {
            return malformed;
        }
        self.exchange.answered(head.status);
        if self.exchange.asks_elsewhere(head.status, self.is_repeatable()) {
            return Ok(Reply::Elsewhere);
        }
        let is_chunked = self.plan.is_http_11 && matches!(head.framing, Framing::Chunked | Framing::UntilClose);
        let ends_by_close = !self.plan.is_http_11 && matches!(head.framing, Framing::Chunked | Framing::UntilClose);
        let is_request_complete = self.upload.is_done() && !self.is_upload_broken;
        let terms = Terms { keeps_alive: self.connection.keeps_alive(&self.plan) && is_request_complete && !ends_by_close, is_chunked };
        head.write(&mut bytes, &self.exchange, &terms);
        let status = head.status;
        let (length, framing, replica_keeps) = (head.length, head.framing, head.keeps_alive);
        let is_event_stream = head.is_event_stream;
        reply.consume(length);
        if is_switch {
            return Ok(Reply::Socket(bytes));
        }
        Ok(Reply::Final(Answer { status, head: bytes, framing, terms, replica_keeps, is_event_stream }))
    }

    /// Carries the answer to the client.
    async fn bring_back(
        &mut self,
        endpoint: &Endpoint,
        mut stream: TcpStream,
        mut reply: Inbox,
        answer: Answer,
        mut download: Flow,
    ) -> After {
        let ended = self.carry_both(&mut stream, &mut reply, &mut download, answer.is_event_stream).await;
        // Of what was written, the head is no body, and chunks have frames.
        self.exchange.bytes_out += download.written().saturating_sub(answer.head.len() as u64).min(download.payload());
        if download.written() > 0 {
            self.exchange.status = answer.status;
        }
        if let Err(why) = ended {
            // The client sees that something is missing: the connection ends in the middle.
            self.exchange.why = why;
            return After::Close;
        }
        self.exchange.why = Why::Done;
        let now = Instant::now();
        self.exchange.times.ended = Some(now);
        self.connection.last_ended = Some(now);
        let is_request_complete = self.upload.is_done() && !self.is_upload_broken;
        // What comes after an answer belongs to nobody; it must not meet the next request.
        if answer.replica_keeps && is_request_complete && reply.is_empty() {
            worker::keep(endpoint.id, stream, now);
        }
        match (answer.terms.keeps_alive, is_request_complete) {
            (true, _) => After::Next,
            (false, true) if self.connection.inbox.is_empty() => After::Close,
            (false, _) => After::Linger,
        }
    }

    /// Carries the answer, and what is left of the request, until the answer is complete.
    async fn carry_both(
        &mut self,
        stream: &mut TcpStream,
        reply: &mut Inbox,
        download: &mut Flow,
        is_event_stream: bool,
    ) -> Result<(), Why> {
        let (mut progress, mut blocked_since) = (0, None);
        let (mut moved, mut moved_at) = ((0, 0), Instant::now());
        poll_fn(|cx| {
            let connection = &mut *self.connection;
            match download.poll(reply, Pin::new(&mut *stream), Pin::new(&mut connection.client), cx) {
                Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
                Poll::Ready(Err(Stopped::SinkClosed)) => return Poll::Ready(Err(Why::ClientLeft)),
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Why::ReplicaBroke)),
                Poll::Pending => {}
            }
            if !self.upload.is_done() && self.poll_send(stream, cx).is_err() {
                // Whatever is wrong with the rest of the request: the answer has begun already.
                self.is_upload_broken = true;
            }
            let now = Instant::now();
            if !download.is_blocked() || download.written() != progress {
                (progress, blocked_since) = (download.written(), Some(now));
            }
            if (download.written(), self.upload.payload()) != moved {
                (moved, moved_at) = ((download.written(), self.upload.payload()), now);
            }
            let config = self.connection.gateway.config();
            let write_due = download.is_blocked().then(|| blocked_since.unwrap_or(now) + config.write_timeout());
            let total_due = match self.exchange.times.deadline {
                Some(deadline) if !is_event_stream => deadline,
                // A stream may last, but not in silence; nor may an answer that waits for the rest of its request.
                _ => moved_at + config.request_timeout(),
            };
            let due = write_due.map_or(total_due, |due| due.min(total_due));
            self.connection.alarm.set(due);
            ready!(self.connection.alarm.poll_due(cx));
            Poll::Ready(Err(if write_due == Some(due) { Why::ClientSlow } else { Why::Deadline }))
        })
        .await
    }

    /// The connection becomes a tunnel. The first frames, if they are there, go out with the head.
    async fn become_socket(&mut self, replica: TcpStream, reply: Inbox, head: &[u8]) -> Served {
        let first = reply.filled().to_vec();
        let bytes = [head, &first].concat();
        let written = answer::write_all(self.connection, &bytes).await;
        self.exchange.bytes_out += written.saturating_sub(head.len()) as u64;
        if written < bytes.len() {
            self.exchange.why = Why::ClientLeft;
            return Served::End(After::Close);
        }
        self.exchange.status = 101;
        self.exchange.why = Why::Done;
        Served::Socket { replica, first }
    }

    /// Tells the client how it ended, if there is anybody to tell.
    async fn end(&mut self, ended: Ended) -> After {
        let problem = match ended {
            Ended::Refused(problem) => problem,
            Ended::Failed(failure) => failure.problem(),
            Ended::Elsewhere => Problem::Unavailable,
            Ended::ClientGone(why) => {
                self.exchange.why = why;
                return After::Close;
            }
        };
        let answer = self.exchange.refuse(problem);
        let is_request_complete = self.upload.is_done();
        let keeps_alive = self.connection.keeps_alive(&self.plan) && is_request_complete && problem != Problem::RequestTimeout;
        let is_sent = answer::send(self.connection, &mut self.exchange, answer, keeps_alive).await;
        match (is_sent, keeps_alive) {
            (false, _) => After::Close,
            (true, true) => After::Next,
            (true, false) => After::Linger,
        }
    }
}

/// What the head of an answer is.
enum Reply {
    Partial,
    /// One before the answer, as the client gets it; whether it says that the body may come.
    Interim {
        head: Vec<u8>,
        is_continue: bool,
    },
    /// It says "not now"; somebody else is asked.
    Elsewhere,
    /// A socket is open; the head for the client.
    Socket(Vec<u8>),
    Final(Answer),
}

/// An answer whose head has been read.
struct Answer {
    status: u16,
    /// For the client.
    head: Vec<u8>,
    framing: Framing,
    terms: Terms,
    replica_keeps: bool,
    is_event_stream: bool,
}

fn slow_body() -> Ended {
    Ended::Refused(Problem::RequestTimeout)
}
