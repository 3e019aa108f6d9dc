//! The newest events of a room, written once for all sockets.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::frames;
use crate::model::{ClientId, Event, UserName};

/// Bytes of frames a room keeps at most, however few events that is.
const BYTES_MAX: usize = 128 * 1024;
/// Bytes of frames that a socket takes at once.
const STEP_BYTES: usize = 64 * 1024;

/// An event as it is sent. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Delivered(Arc<Written>);

#[derive(Debug)]
struct Written {
    seq: u64,
    user: UserName,
    id: Option<ClientId>,
    frame: Utf8Bytes,
}

impl Delivered {
    pub(crate) fn new(event: Event) -> Self {
        let frame = frames::message(&event).into();
        Self(Arc::new(Written { seq: event.seq, user: event.user, id: event.id, frame }))
    }

    pub(crate) fn seq(&self) -> u64 {
        self.0.seq
    }

    pub(crate) fn user(&self) -> &UserName {
        &self.0.user
    }

    /// The frame as this user gets it: its sender also sees his own id of it.
    pub(crate) fn frame_for(&self, user: &UserName) -> Utf8Bytes {
        match &self.0.id {
            Some(id) if *user == self.0.user => frames::with_id(&self.0.frame, id).into(),
            _ => self.0.frame.clone(),
        }
    }
}

/// The last events up to `head`, without holes.
#[derive(Debug)]
pub(super) struct Ring {
    head: u64,
    events: VecDeque<Delivered>,
    events_max: usize,
    bytes: usize,
}

impl Ring {
    pub(super) fn new(events_max: usize) -> Self {
        Self { head: 0, events: VecDeque::new(), events_max, bytes: 0 }
    }

    /// The seq of the newest event, also where the ring is empty.
    pub(super) fn head(&self) -> u64 {
        self.head
    }

    /// Starts after `head`.
    pub(super) fn start_at(&mut self, head: u64) {
        self.head = head;
        self.events.clear();
        self.bytes = 0;
    }

    /// Takes the event that follows the head.
    pub(super) fn push(&mut self, event: Event) {
        debug_assert_eq!(event.seq, self.head + 1);
        let event = Delivered::new(event);
        self.head = event.seq();
        self.bytes += event.0.frame.len();
        self.events.push_back(event);
        while self.events.len() > self.events_max {
            self.pop();
        }
        self.trim(BYTES_MAX);
    }

    /// Bytes of the frames that are here.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keeps at most so many bytes, but always the newest event.
    pub(super) fn trim(&mut self, bytes_max: usize) {
        while self.bytes > bytes_max && self.events.len() > 1 {
            self.pop();
        }
    }

    fn pop(&mut self) {
        let oldest = self.events.pop_front();
        self.bytes -= oldest.map_or(0, |oldest| oldest.0.frame.len());
    }

    /// The seq of the oldest event that is still here; where there is none, the one that will come next.
    pub(super) fn first(&self) -> u64 {
        self.head + 1 - self.events.len() as u64
    }

    /// At most `limit` events after `cursor`, which must not lie before the ring; fewer when they are large.
    pub(super) fn after(&self, cursor: u64, limit: usize) -> Vec<Delivered> {
        let skip = usize::try_from(cursor + 1 - self.first()).unwrap_or(usize::MAX);
        let mut bytes = 0;
        let is_small = |event: &&Delivered| {
            let fits = bytes < STEP_BYTES;
            bytes += event.0.frame.len();
            fits
        };
        self.events.iter().skip(skip).take(limit).take_while(is_small).cloned().collect()
    }
}
