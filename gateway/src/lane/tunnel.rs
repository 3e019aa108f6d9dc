//! An open WebSocket: bytes in both directions, without buffers of its own, in a task as small as possible.
//!
//! Of what the replica sends, the frames are counted (RFC 6455, section 5.2), so that a Close frame can be put between two of
//! them: nobody's socket ends without one, unless it breaks in the middle of a frame.

pub(super) mod frames;

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use pingora_core::protocols::Stream;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use self::frames::Frames;
use super::alarm::Alarm;
use super::buffer::Inbox;
use super::worker::DrainSignal;
use crate::balance::scatter;
use crate::connections::Admitted;
use crate::exchange::Exchange;
use crate::observe::Why;
use crate::ticks;

/// How long a client has to answer a Close frame.
const CLOSE_ANSWER: Duration = Duration::from_secs(2);
/// Sockets that are told to go in a second, when the door closes: they all come back somewhere.
const GOODBYES_PER_SECOND: u32 = 200;
/// Chat says goodbye itself when it stops as well, and says when to come back; so it goes first.
const CHAT_FIRST: Duration = Duration::from_millis(1500);

/// Close codes (RFC 6455, section 7.4, and the registry it opened).
const GOING_AWAY: u16 = 1001;
const SERVICE_RESTART: u16 = 1012;

/// A socket that has just been opened: who it is for, its replica, and what the client already got of it.
pub(super) struct Opened {
    pub(super) exchange: Box<Exchange>,
    pub(super) replica: TcpStream,
    pub(super) first: Vec<u8>,
}

/// Carries a socket from now on, in a task of its own.
pub(super) fn spawn(client: Stream, from_client: Inbox, admitted: Option<Admitted>, opened: Opened) {
    let Opened { exchange, replica, first } = opened;
    let mut frames = Frames::default();
    frames.pass(&first);
    let now = Instant::now();
    let idle = exchange.gateway.config().websocket_idle();
    let tunnel = Tunnel {
        client,
        replica,
        up: Half { inbox: from_client, ..Half::default() },
        down: Half::default(),
        frames,
        heard: now,
        alarm: Alarm::at(now + idle),
        idle,
        phase: Phase::Open,
        is_replica_deaf: false,
        drain: DrainSignal::default(),
        exchange,
        _admitted: admitted,
    };
    tokio::spawn(run(tunnel));
}

struct Tunnel {
    client: Stream,
    replica: TcpStream,
    /// From the client to the replica, and back.
    up: Half,
    down: Half,
    frames: Frames,
    /// When something was last heard from either side.
    heard: Instant,
    alarm: Alarm,
    idle: Duration,
    phase: Phase,
    /// The replica reads no more.
    is_replica_deaf: bool,
    drain: DrainSignal,
    exchange: Box<Exchange>,
    _admitted: Option<Admitted>,
}

/// One direction.
#[derive(Default)]
struct Half {
    inbox: Inbox,
    bytes: u64,
    has_ended: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// The door is closing: a Close frame is due then.
    Goodbye(Instant),
    /// A Close frame of ours is on its way to the client; then so much of it is left to write.
    Closing {
        frame: [u8; 4],
        left: usize,
    },
    /// The client has the Close frame and may answer it.
    Closed,
}

async fn run(mut tunnel: Tunnel) {
    poll_fn(|cx| tunnel.poll(cx)).await;
    tunnel.exchange.bytes_in += tunnel.up.bytes;
    tunnel.exchange.bytes_out += tunnel.down.bytes;
}

impl Tunnel {
    /// Ready when it is over.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (up_before, down_before) = (self.up.bytes, self.down.bytes);
        let up = match self.is_replica_deaf {
            false => self.up.poll(Pin::new(&mut self.client), Pin::new(&mut self.replica), cx, None),
            true => self.up.poll_discard(Pin::new(&mut self.client), cx),
        };
        let is_leaving = matches!(self.phase, Phase::Goodbye(at) if Instant::now() >= at);
        let down = match self.phase {
            Phase::Open | Phase::Goodbye(_) => {
                let watch = Watch { frames: &mut self.frames, is_leaving };
                self.down.poll(Pin::new(&mut self.replica), Pin::new(&mut self.client), cx, Some(watch))
            }
            Phase::Closing { .. } | Phase::Closed => self.down.poll_discard(Pin::new(&mut self.replica), cx),
        };
        // While the rest of a frame is awaited, it does not matter what the client says.
        if self.down.bytes != down_before || (self.up.bytes != up_before && !is_leaving) {
            self.heard = Instant::now();
        }
        if down == Flowed::Broken {
            return Poll::Ready(());
        }
        if up == Flowed::Broken {
            // What it said before is still to be passed on. What the client says goes nowhere, but is read: closing on unread
            // bytes would make the client's kernel throw away a Close frame that is on its way.
            self.is_replica_deaf = true;
            cx.waker().wake_by_ref();
        }
        if up == Flowed::Ended {
            // The client is done; the replica learns it, and its last words are still passed on.
            let _ = Pin::new(&mut self.replica).poll_shutdown(cx);
            let is_over = self.down.has_ended || self.phase == Phase::Closed || self.frames.saw_close();
            if is_over {
                return Poll::Ready(());
            }
        }
        let is_ours_to_end = matches!(self.phase, Phase::Open | Phase::Goodbye(_));
        if down == Flowed::Ended && is_ours_to_end {
            self.is_replica_deaf = true;
            if self.frames.saw_close() || !self.frames.is_between() {
                self.phase = Phase::Closed;
                self.alarm.set(Instant::now() + CLOSE_ANSWER);
            } else {
                self.exchange.why = Why::ReplicaBroke;
                self.close(SERVICE_RESTART);
            }
            cx.waker().wake_by_ref();
        }
        self.poll_goodbye(cx)
    }

    fn close(&mut self, code: u16) {
        let [high, low] = code.to_be_bytes();
        self.phase = Phase::Closing { frame: [0x88, 2, high, low], left: 4 };
        // Once: a replica that goes on talking wakes us again and again.
        self.alarm.set(Instant::now() + CLOSE_ANSWER);
    }

    /// Sees to it that the socket ends when it must: by a Close frame.
    fn poll_goodbye(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match self.phase {
                Phase::Open => {
                    if self.drain.is_on(&self.exchange.gateway, cx) {
                        self.phase = Phase::Goodbye(self.goodbye_at());
                        continue;
                    }
                    self.alarm.set(self.heard + self.idle);
                    ready!(self.alarm.poll_due(cx));
                    self.exchange.why = Why::Idle;
                    if !self.frames.is_between() || self.frames.saw_close() {
                        return Poll::Ready(());
                    }
                    self.close(GOING_AWAY);
                }
                Phase::Goodbye(at) => {
                    self.alarm.set(at);
                    ready!(self.alarm.poll_due(cx));
                    if !self.frames.is_between() {
                        // In the middle of a frame: its rest wakes us. One that stands still is cut in the end.
                        self.alarm.set(self.heard.max(at) + CLOSE_ANSWER);
                        return self.alarm.poll_due(cx);
                    }
                    if self.frames.saw_close() {
                        self.phase = Phase::Closed;
                        self.alarm.set(Instant::now() + CLOSE_ANSWER);
                        continue;
                    }
                    self.exchange.why = Why::Drained;
                    self.close(GOING_AWAY);
                }
                Phase::Closing { frame, left } => {
                    let rest = frame.get(frame.len() - left..).unwrap_or_default();
                    match Pin::new(&mut self.client).poll_write(cx, rest) {
                        Poll::Ready(Ok(written @ 1..)) if written < left => self.phase = Phase::Closing { frame, left: left - written },
                        Poll::Ready(Ok(1..)) => {
                            self.phase = Phase::Closed;
                            self.alarm.set(Instant::now() + CLOSE_ANSWER);
                        }
                        Poll::Ready(_) => return Poll::Ready(()),
                        Poll::Pending => return self.alarm.poll_due(cx),
                    }
                }
                Phase::Closed => {
                    // The client learns that no more will come, and closes.
                    let _ = Pin::new(&mut self.client).poll_shutdown(cx);
                    return self.alarm.poll_due(cx);
                }
            }
        }
    }

    /// Spread, so that not all come back at the same moment; and the more there are, the longer.
    fn goodbye_at(&self) -> Instant {
        let now = Instant::now();
        let gateway = &self.exchange.gateway;
        let drain = gateway.config().drain();
        let sockets = u32::try_from(gateway.in_flight()).unwrap_or(u32::MAX);
        let window = (Duration::from_secs(1) * sockets / GOODBYES_PER_SECOND).min(drain / 2);
        let chance = scatter(ticks::at(now) ^ self.exchange.endpoint().map_or(0, |endpoint| endpoint.id) ^ u64::from(self.client_port()));
        let share = (chance >> 11) as f64 / (1_u64 << 53) as f64;
        now + CHAT_FIRST.min(drain / 4) + window.mul_f64(share)
    }

    fn client_port(&self) -> u16 {
        let digest = self.client.get_socket_digest();
        digest.and_then(|digest| digest.peer_addr().and_then(|peer| peer.as_inet().map(std::net::SocketAddr::port))).unwrap_or_default()
    }
}

/// Counts the frames of a direction.
struct Watch<'a> {
    frames: &'a mut Frames,
    /// Only the frame under way is still carried; what comes behind it stays where it is.
    is_leaving: bool,
}

/// What a direction did.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flowed {
    Waiting,
    /// Its source has ended, and all of it is written.
    Ended,
    /// Its sink takes nothing any more.
    Broken,
}

impl Half {
    /// Carries on as far as it can.
    fn poll(
        &mut self,
        mut from: Pin<&mut (impl AsyncRead + ?Sized)>,
        mut to: Pin<&mut (impl AsyncWrite + ?Sized)>,
        cx: &mut Context<'_>,
        mut watch: Option<Watch<'_>>,
    ) -> Flowed {
        loop {
            while !self.inbox.is_empty() {
                let mut bytes = self.inbox.filled();
                if let Some(Watch { frames, is_leaving: true }) = &watch {
                    bytes = bytes.get(..frames.rest_of_frame(bytes)).unwrap_or_default();
                }
                if bytes.is_empty() {
                    return Flowed::Waiting;
                }
                match to.as_mut().poll_write(cx, bytes) {
                    Poll::Ready(Ok(written @ 1..)) => {
                        if let Some(Watch { frames, .. }) = &mut watch {
                            frames.pass(bytes.get(..written).unwrap_or_default());
                        }
                        self.bytes += written as u64;
                        self.inbox.consume(written);
                    }
                    Poll::Ready(_) => return Flowed::Broken,
                    Poll::Pending => {
                        self.inbox.park();
                        return Flowed::Waiting;
                    }
                }
            }
            if self.has_ended {
                return Flowed::Ended;
            }
            if watch.as_ref().is_some_and(|watch| watch.is_leaving && watch.frames.is_between()) {
                return Flowed::Waiting;
            }
            match self.inbox.poll_fill(from.as_mut(), cx) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Ok(_) | Err(_)) => {
                    self.inbox.release();
                    self.has_ended = true;
                }
                Poll::Pending => return Flowed::Waiting,
            }
        }
    }

    /// Throws away what comes.
    fn poll_discard(&mut self, mut from: Pin<&mut (impl AsyncRead + ?Sized)>, cx: &mut Context<'_>) -> Flowed {
        self.inbox = Inbox::default();
        while !self.has_ended {
            match self.inbox.poll_fill(from.as_mut(), cx) {
                Poll::Ready(Ok(read @ 1..)) => self.inbox.consume(read),
                Poll::Ready(_) => self.has_ended = true,
                Poll::Pending => return Flowed::Waiting,
            }
        }
        Flowed::Ended
    }
}
