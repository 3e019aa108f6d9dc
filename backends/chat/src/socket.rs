//! One client's WebSocket: a single task that reads frames, sends events, and keeps a cursor per room.
//!
//! There is no queue per socket: what is new in a room stays in the room's ring, or in the log, until the client has taken
//! what came before. Each turn of the loop does a bounded piece of work and flushes once.
//!
//! - `acks`: his messages that wait for their commit;
//! - `greeting`: what the client wants, from the query of `/ws`;
//! - `requests`: what his frames do;
//! - `delivery`: what he is sent of his rooms;
//! - `lifeline`: when it was last heard of;
//! - `close`: how it ends.

mod acks;
mod close;
mod delivery;
mod greeting;
mod lifeline;
mod requests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{FutureExt, SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use kit::http::Query;
use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};

use crate::Error;
use crate::frames::{ErrorFrame, ServerFrame};
use crate::limits::{self, Rate};
use crate::model::{RoomName, UserName};
use crate::replica::Shared;

use acks::{Acks, Done};
use close::End;
use delivery::Joined;
use greeting::Greeting;
use lifeline::{LastHeard, Lifeline};

/// Frames of one client that are handled in one turn at most.
const FRAMES_PER_TURN: usize = 32;

type Stream = WebSocketStream<Lifeline<TokioIo<Upgraded>>>;

struct Socket {
    stream: Stream,
    replica: Shared,
    user: UserName,
    /// The room of plain lines, given at connect.
    home: RoomName,
    /// The client takes several events in one text message, a line each.
    takes_batches: bool,
    rooms: Vec<Joined>,
    acks: Acks,
    /// The log could not be read for a client who is behind, and he was told.
    is_log_away: bool,
    /// When it is tried again.
    refill_at: Option<Instant>,
    /// Told when there is something new in a room.
    news: Arc<Notify>,
    rate: Rate,
    last_heard: LastHeard,
}

/// What wakes a socket.
enum Turn {
    Incoming(Option<Result<Message, tungstenite::Error>>),
    Acked,
    News,
    Refill,
    Heartbeat,
}

/// Serves a client until either side ends it.
pub(crate) async fn run(connection: Upgraded, query: Query, replica: Shared) {
    let last_heard = LastHeard::now();
    let connection = Lifeline::new(TokioIo::new(connection), last_heard.clone());
    let limits = limits::frame_limits(&replica.config);
    let mut stream = WebSocketStream::from_raw_socket(connection, Role::Server, Some(limits)).await;
    let greeting = match Greeting::parse(&query) {
        Ok(greeting) => greeting,
        Err(error) => return close::refuse(&mut stream, error).await,
    };
    replica.tell_socket_opened(&greeting.user);
    let mut socket = Socket {
        stream,
        user: greeting.user.clone(),
        home: greeting.room.clone(),
        takes_batches: greeting.batch,
        rooms: Vec::new(),
        acks: Acks::default(),
        is_log_away: false,
        refill_at: None,
        news: Arc::new(Notify::new()),
        rate: Rate::new(&replica.config, Instant::now()),
        last_heard,
        replica,
    };
    let end = match socket.open(greeting).await {
        Ok(()) => socket.work().await,
        Err(end) => end,
    };
    // Boxed: rare and large, and every socket would carry its size all its life.
    Box::pin(socket.close(end)).await;
}

impl Socket {
    async fn open(&mut self, greeting: Greeting) -> Result<(), End> {
        let replica = self.replica.clone();
        let heartbeat_s = replica.config.heartbeat_s.get();
        self.send(&ServerFrame::Welcome { user: &greeting.user, replica: &replica.name, heartbeat_s }).await?;
        if let Err(error) = Box::pin(self.join(greeting.room, greeting.after)).await? {
            self.send(&ServerFrame::Error(ErrorFrame::new(error, None))).await?;
            self.flush().await?;
            // Outside of the room it came for, a socket is of no use.
            return Err(End::Unavailable);
        }
        self.flush().await
    }

    async fn work(&mut self) -> End {
        let replica = self.replica.clone();
        let mut leaving = std::pin::pin!(replica.leaving.cancelled());
        let mut silent = std::pin::pin!(silence(self.last_heard.clone(), replica.config.silence()));
        let heartbeat = replica.config.heartbeat();
        let mut heartbeats = tokio::time::interval_at(tokio::time::Instant::now() + heartbeat, heartbeat);
        heartbeats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut has_more = true;
        loop {
            let turn = tokio::select! {
                () = &mut leaving => return End::Goodbye,
                () = &mut silent => return End::Silent,
                incoming = self.stream.next(), if !self.acks.is_full() => Turn::Incoming(incoming),
                () = self.acks.known(), if !self.acks.is_empty() => Turn::Acked,
                () = self.news.notified() => Turn::News,
                () = std::future::ready(()), if has_more => Turn::News,
                () = until(self.refill_at), if self.refill_at.is_some() => Turn::Refill,
                _ = heartbeats.tick() => Turn::Heartbeat,
            };
            let taken = tokio::select! {
                taken = self.take(turn) => taken,
                // A turn may be cut anywhere: each frame is handed over whole or not at all.
                () = &mut leaving => return End::Goodbye,
                () = &mut silent => return End::Silent,
            };
            match taken {
                Ok(more) => has_more = more,
                Err(end) => return end,
            }
        }
    }

    /// Does one turn's work and sends what came of it. Returns whether there is more to deliver at once.
    async fn take(&mut self, turn: Turn) -> Result<bool, End> {
        match turn {
            Turn::Incoming(incoming) => {
                self.take_incoming(incoming).await?;
                for _ in 1..FRAMES_PER_TURN {
                    if self.acks.is_full() {
                        break;
                    }
                    let Some(incoming) = self.stream.next().now_or_never() else { break };
                    self.take_incoming(incoming).await?;
                }
            }
            Turn::Acked => self.tell_outcomes().await?,
            Turn::News => {}
            Turn::Refill => self.refill_at = None,
            Turn::Heartbeat => self.beat().await?,
        }
        let has_more = self.deliver().await?;
        self.flush().await?;
        Ok(has_more)
    }

    /// Asks whether the client is there, and tells how far its rooms are.
    async fn beat(&mut self) -> Result<(), End> {
        self.feed(Message::Ping(tungstenite::Bytes::new())).await?;
        if self.rooms.is_empty() {
            return Ok(());
        }
        let heads = self.rooms.iter().map(|joined| (joined.room().name.as_str(), joined.room().head())).collect();
        let heads = ServerFrame::Heads { rooms: heads }.to_text();
        self.feed_text(heads.into()).await
    }

    /// Tells what became of the messages that wait, as far as it is known.
    async fn tell_outcomes(&mut self) -> Result<(), End> {
        while let Some(done) = self.acks.take_known() {
            self.tell_outcome(done).await?;
        }
        Ok(())
    }

    /// Tells what became of the messages that wait, up to the one with this place in a room, so that its ack goes before it.
    async fn tell_outcomes_up_to(&mut self, index: usize, seq: u64) -> Result<(), End> {
        let Some(room) = self.rooms.get(index).map(|joined| joined.room().name.clone()) else { return Ok(()) };
        while let Some(done) = self.acks.next_of(&room).await {
            let is_reached = done.outcome.as_ref().is_ok_and(|appended| appended.seq >= seq);
            self.tell_outcome(done).await?;
            if is_reached {
                break;
            }
        }
        Ok(())
    }

    async fn tell_outcome(&mut self, Done { room, id, outcome }: Done) -> Result<(), End> {
        match outcome {
            Ok(appended) => self.send(&ServerFrame::ack(&room, id.as_ref(), appended)).await,
            Err(error) => {
                let id = id.map(|id| id.as_str().to_owned());
                self.send(&ServerFrame::Error(ErrorFrame::new(Error::Store(error), id))).await
            }
        }
    }

    async fn send(&mut self, frame: &ServerFrame<'_>) -> Result<(), End> {
        self.feed_text(frame.to_text().into()).await
    }

    async fn feed_text(&mut self, text: Utf8Bytes) -> Result<(), End> {
        self.feed(Message::Text(text)).await
    }

    /// Hands a message to the connection, once the connection has room.
    async fn feed(&mut self, message: Message) -> Result<(), End> {
        Ok(self.stream.feed(message).await?)
    }

    async fn flush(&mut self) -> Result<(), End> {
        Ok(self.stream.flush().await?)
    }
}

/// Returns when nothing was heard of the client for `limit`.
async fn silence(last_heard: LastHeard, limit: Duration) {
    loop {
        let until = last_heard.at() + limit;
        if Instant::now() >= until {
            return;
        }
        tokio::time::sleep_until(until.into()).await;
    }
}

/// Returns then; never, when there is no such time.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}
