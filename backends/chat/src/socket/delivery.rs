//! What a client is sent of its rooms: each event once, in order, from where its cursor stands.
//!
//! A reader that is a little behind is served from memory, one further behind from the log, and one that is hopelessly
//! behind is told `gap` and goes on from what is in memory. A client that resumes is never told `gap` on its way to the head
//! it was promised.

use std::time::{Duration, Instant};

use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::Socket;
use super::close::End;
use crate::Error;
use crate::frames::{ErrorFrame, ServerFrame};
use crate::hub::{Delivered, Member, Read, Room};

/// Events sent from memory in one turn, per room.
const STEP: usize = 64;
/// Events read from the log in one turn, per room.
const PAGE: u32 = 16;
/// How long to wait for a log that could not be read.
const REFILL_PAUSE: Duration = Duration::from_millis(500);

/// A room the client is in, and how far it has been sent.
pub(super) struct Joined {
    member: Member,
    /// The last seq the client was sent.
    cursor: u64,
    /// The room's head when it was joined.
    head: u64,
    /// Until here the client resumes: everything is read from the log, however much.
    resumes_to: u64,
    /// How often the room had begun anew by then.
    beginnings: u64,
}

impl Joined {
    /// Live, or from `after`; what lies beyond the head is taken as the head.
    pub(super) fn new(member: Member, after: Option<u64>) -> Self {
        let head = member.room().head();
        let beginnings = member.room().beginnings();
        Self { member, cursor: after.unwrap_or(head).min(head), head, resumes_to: after.map_or(0, |_| head), beginnings }
    }

    pub(super) fn room(&self) -> &std::sync::Arc<Room> {
        self.member.room()
    }

    pub(super) fn head(&self) -> u64 {
        self.head
    }

    pub(super) fn cursor(&self) -> u64 {
        self.cursor
    }
}

impl Socket {
    /// Sends some of what is new in each room. Returns whether there is more.
    pub(super) async fn deliver(&mut self) -> Result<bool, End> {
        let mut has_more = false;
        for index in 0..self.rooms.len() {
            let Some(joined) = self.rooms.get(index) else { break };
            if joined.beginnings != joined.room().beginnings() {
                return Err(End::StartedOver);
            }
            has_more |= match joined.room().read(joined.cursor, STEP) {
                Read::Nothing => false,
                Read::Events(events) => self.deliver_events(index, &events).await?,
                // Boxed: rare and large, and every socket would carry its size all its life.
                Read::Behind { first } => Box::pin(self.refill(index, first)).await?,
            };
        }
        Ok(has_more)
    }

    /// Sends events that follow the cursor, and moves it.
    async fn deliver_events(&mut self, index: usize, events: &[Delivered]) -> Result<bool, End> {
        let Some(last) = events.last() else { return Ok(false) };
        // The room may have read the client's own message from the log before its outcome has come here.
        if let Some(own) = events.iter().rev().find(|event| *event.user() == self.user) {
            self.tell_outcomes_up_to(index, own.seq()).await?;
        }
        let has_batches = self.takes_batches && events.len() > 1;
        if has_batches {
            let lines: Vec<Utf8Bytes> = events.iter().map(|event| event.frame_for(&self.user)).collect();
            let lines = lines.iter().map(Utf8Bytes::as_str).collect::<Vec<_>>().join("\n");
            self.feed_text(lines.into()).await?;
        } else {
            for event in events {
                let frame = event.frame_for(&self.user);
                self.feed_text(frame).await?;
            }
        }
        metrics::counter!("chat_messages_delivered_total").increment(events.len() as u64);
        if let Some(joined) = self.rooms.get_mut(index) {
            joined.cursor = last.seq();
        }
        Ok(true)
    }

    /// Brings a reader nearer to what is kept in memory, which begins at `first`.
    async fn refill(&mut self, index: usize, first: u64) -> Result<bool, End> {
        if self.refill_at.is_some() {
            return Ok(false);
        }
        let Some(joined) = self.rooms.get(index) else { return Ok(false) };
        let is_resuming = joined.cursor < joined.resumes_to;
        let is_near = joined.room().head() - joined.cursor <= self.replica.config.refill_events_max;
        if is_resuming || is_near {
            let (name, cursor) = (joined.room().name.clone(), joined.cursor);
            match self.replica.store.list_events_after(name, cursor, PAGE).await {
                Ok(events) if !events.is_empty() => {
                    self.is_log_away = false;
                    let events: Vec<_> = events.into_iter().map(Delivered::new).collect();
                    return self.deliver_events(index, &events).await;
                }
                // What was in the log is no longer there: that is a gap.
                Ok(_) => self.is_log_away = false,
                // The cursor stays where it is; nothing is lost by waiting for the database.
                Err(error) => return self.wait_for_the_log(error).await,
            }
        }
        let Some(joined) = self.rooms.get_mut(index) else { return Ok(false) };
        let (from, to) = (joined.cursor + 1, first - 1);
        joined.cursor = to;
        let room = joined.room().clone();
        metrics::counter!("chat_gaps_total").increment(1);
        self.send(&ServerFrame::Gap { room: &room.name, from, to }).await?;
        Ok(true)
    }

    /// The log cannot be read: the client is told, once, and it is tried again a little later.
    async fn wait_for_the_log(&mut self, error: kit::database::Error) -> Result<bool, End> {
        self.refill_at = Some(Instant::now() + REFILL_PAUSE);
        if !std::mem::replace(&mut self.is_log_away, true) {
            self.send(&ServerFrame::Error(ErrorFrame::new(Error::Store(error), None))).await?;
        }
        Ok(false)
    }
}
