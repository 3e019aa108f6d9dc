//! Fills holes from the log: what the bus has lost, is late with, or could not carry.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::mpsc;

use super::{Hub, Room};
use crate::Error;

/// How long a hole may be mere lateness of the bus.
const PATIENCE: Duration = Duration::from_millis(10);
/// How often heads are compared with the log, which finds lost tails: with the reading of what is missing it is within a second.
const COMPARE_EVERY: Duration = Duration::from_millis(900);
/// Bytes of events that a replica keeps in memory, of all rooms together.
const MEMORY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Events read from the log at a time.
const PAGE: u32 = 256;
/// Rooms repaired at the same time.
const AT_ONCE: usize = 4;

impl Hub {
    /// Fills the holes of the rooms that come in, for ever.
    pub(crate) async fn repair(&self, mut with_holes: mpsc::UnboundedReceiver<Arc<Room>>) {
        let mut rooms = Vec::new();
        while with_holes.recv_many(&mut rooms, usize::MAX).await > 0 {
            tokio::time::sleep(PATIENCE).await;
            let repairs = futures_util::stream::iter(rooms.drain(..)).for_each_concurrent(AT_ONCE, |room| async move {
                room.untell();
                if let Err(error) = self.fill(&room).await {
                    // Comparing heads finds the hole again, within a second.
                    tracing::warn!(%error, room = room.name.as_str(), "a hole could not be filled yet");
                }
            });
            repairs.await;
        }
    }

    /// Compares the heads of all rooms with the log, about every second and when the bus says that it lost something, for ever; and
    /// tells the other replicas of the heads here.
    pub(crate) async fn compare(&self) {
        loop {
            let _ = tokio::time::timeout(COMPARE_EVERY, self.suspicion.notified()).await;
            self.trim(MEMORY_BYTES_MAX);
            self.teller.heads();
            if let Err(error) = self.compare_heads().await {
                tracing::warn!(%error, "heads could not be compared with the log");
            }
        }
    }

    /// Keeps the events of all rooms together within `bytes_max`, about: where it is too much, each room has an equal share.
    pub(super) fn trim(&self, bytes_max: usize) {
        let rooms: Vec<_> = self.rooms().values().cloned().collect();
        let bytes: usize = rooms.iter().map(|room| room.bytes()).sum();
        if bytes > bytes_max {
            let share = bytes_max / rooms.len();
            rooms.iter().for_each(|room| room.trim(share));
        }
    }

    async fn compare_heads(&self) -> Result<(), Error> {
        let rooms: Vec<_> = self.rooms().values().cloned().collect();
        if rooms.is_empty() {
            return Ok(());
        }
        // Before the log is asked: what is delivered was committed by then, so the log cannot be behind it.
        let delivered: Vec<u64> = rooms.iter().map(|room| room.head()).collect();
        let heads = self.store.list_heads(rooms.iter().map(|room| room.name.clone()).collect()).await?;
        for ((room, head), delivered) in rooms.iter().zip(heads).zip(delivered) {
            if head < delivered {
                tracing::error!(room = room.name.as_str(), delivered, head, "the log is behind what was delivered: starting over");
                room.start_over(head);
            } else {
                self.mind_hole(room, room.hear_of(head));
            }
        }
        Ok(())
    }

    /// Reads what is missing in a room, page by page.
    pub(super) async fn fill(&self, room: &Room) -> Result<(), Error> {
        while let Some(head) = room.hole() {
            let events = self.store.list_events_after(room.name.clone(), head, PAGE).await?;
            if events.is_empty() {
                // Heard of, but not in the log: never from us, since we tell after the commit.
                if let Some(left_out) = self.ahead.is_time() {
                    tracing::error!(room = room.name.as_str(), head, left_out, "the log ends before an event that was heard of");
                }
                room.forget_beyond(head);
                break;
            }
            metrics::counter!("chat_events_repaired_total").increment(events.len() as u64);
            room.fill(events);
        }
        Ok(())
    }
}
