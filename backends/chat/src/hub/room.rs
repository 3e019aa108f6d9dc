//! A room on one replica: its newest events, and the members who want to hear of them.
//!
//! Each member keeps a cursor of his own (see `socket`), so a room holds no queue per member, however slow he reads.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OnceCell};

use super::ring::{Delivered, Ring};
use crate::model::{Event, RoomName};

/// Events that wait behind a hole at most; those beyond are read from the log again.
const WAITING_MAX: usize = 1024;

/// A room that sockets of this replica are in.
pub(crate) struct Room {
    pub(crate) name: RoomName,
    /// Set once the head is read from the log; until then nothing is delivered.
    pub(super) loaded: OnceCell<()>,
    state: Mutex<State>,
}

struct State {
    is_loaded: bool,
    ring: Ring,
    /// Events behind a hole, by seq.
    waiting: BTreeMap<u64, Event>,
    /// The greatest seq that was ever heard of.
    heard_of: u64,
    /// The repairer knows of the hole.
    is_told: bool,
    members: HashMap<u64, Arc<Notify>>,
    beginnings: u64,
}

/// What a member finds after his cursor.
pub(crate) enum Read {
    /// Nothing new.
    Nothing,
    /// The next events, in order.
    Events(Vec<Delivered>),
    /// He is behind what is kept in memory, which begins at `first`; what is before it is in the log.
    Behind {
        /// The oldest seq that is kept in memory.
        first: u64,
    },
}

impl Room {
    pub(super) fn new(name: RoomName, ring_events: usize) -> Self {
        let state = State {
            is_loaded: false,
            ring: Ring::new(ring_events),
            waiting: BTreeMap::new(),
            heard_of: 0,
            is_told: false,
            members: HashMap::new(),
            beginnings: 0,
        };
        Self { name, loaded: OnceCell::new(), state: Mutex::new(state) }
    }

    /// The seq of the newest event that members have heard of.
    pub(crate) fn head(&self) -> u64 {
        self.state().ring.head()
    }

    /// At most `limit` events after `cursor`.
    pub(crate) fn read(&self, cursor: u64, limit: usize) -> Read {
        let state = self.state();
        match () {
            () if cursor >= state.ring.head() => Read::Nothing,
            () if cursor + 1 < state.ring.first() => Read::Behind { first: state.ring.first() },
            () => Read::Events(state.ring.after(cursor, limit)),
        }
    }

    /// Bytes of events that are kept in memory.
    pub(super) fn bytes(&self) -> usize {
        self.state().ring.bytes()
    }

    /// Keeps at most so many bytes of events in memory; who needs the others is given them from the log.
    pub(super) fn trim(&self, bytes_max: usize) {
        self.state().ring.trim(bytes_max);
    }

    pub(super) fn enter(&self, member: u64, news: Arc<Notify>) {
        self.state().members.insert(member, news);
    }

    /// Returns how many members remain.
    pub(super) fn leave(&self, member: u64) -> usize {
        let mut state = self.state();
        state.members.remove(&member);
        state.members.len()
    }

    /// Sets the head as it is in the log; what was heard meanwhile follows. Returns whether there is a new hole.
    pub(super) fn load(&self, head: u64) -> bool {
        let mut state = self.state();
        state.is_loaded = true;
        state.ring.start_at(head);
        state.heard_of = state.heard_of.max(head);
        state.settle()
    }

    /// Goes back to `head`: the log is not, or no longer, as far as what was delivered (a restored database, a forged message).
    /// Members have seen what is not there; they have to come again.
    pub(super) fn start_over(&self, head: u64) {
        let mut state = self.state();
        state.ring.start_at(head);
        state.waiting.clear();
        state.heard_of = head;
        state.beginnings += 1;
        state.tell_members();
    }

    /// How often the room has begun anew.
    pub(crate) fn beginnings(&self) -> u64 {
        self.state().beginnings
    }

    /// Takes an event from the sequencer, the bus or the log. Returns whether there is a new hole.
    pub(super) fn deliver(&self, event: Event) -> bool {
        let mut state = self.state();
        state.heard_of = state.heard_of.max(event.seq);
        if event.seq > state.ring.head() && state.waiting.len() < WAITING_MAX {
            state.waiting.insert(event.seq, event);
        }
        state.settle()
    }

    /// Takes events that the log gave, which begin right after the head that was asked for.
    pub(super) fn fill(&self, events: Vec<Event>) {
        let mut state = self.state();
        for event in events {
            if event.seq == state.ring.head() + 1 {
                state.ring.push(event);
            }
        }
        // Whether something is still missing is the next look of whoever fills.
        state.advance();
        state.tell_members();
    }

    /// Nothing after `head` is in the log: what was heard of it was wrong.
    pub(super) fn forget_beyond(&self, head: u64) {
        let mut state = self.state();
        if state.ring.head() == head {
            state.heard_of = head;
            state.waiting.clear();
        }
    }

    /// Notes that the log goes as far as `seq`. Returns whether that is a new hole.
    pub(super) fn hear_of(&self, seq: u64) -> bool {
        let mut state = self.state();
        state.heard_of = state.heard_of.max(seq);
        state.settle()
    }

    /// The head, when something after it is known to be missing.
    pub(super) fn hole(&self) -> Option<u64> {
        let state = self.state();
        (state.is_loaded && state.ring.head() < state.heard_of).then(|| state.ring.head())
    }

    /// The repairer has looked: from now on a hole is told again.
    pub(super) fn untell(&self) {
        self.state().is_told = false;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while it is held would be a defect of ours; the log has everything, so going on loses nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Moves what follows the head into the ring. Returns whether a hole remains that nobody was told of.
    fn settle(&mut self) -> bool {
        if !self.is_loaded {
            return false;
        }
        if self.advance() {
            self.tell_members();
        }
        let has_hole = self.ring.head() < self.heard_of;
        let is_new = has_hole && !self.is_told;
        self.is_told |= has_hole;
        is_new
    }

    /// Moves what follows the head into the ring. Returns whether there was any.
    fn advance(&mut self) -> bool {
        let head = self.ring.head();
        while let Some(next) = self.waiting.first_entry() {
            match next.key().cmp(&(self.ring.head() + 1)) {
                Ordering::Less => drop(next.remove()),
                Ordering::Equal => self.ring.push(next.remove()),
                Ordering::Greater => break,
            }
        }
        self.ring.head() > head
    }

    fn tell_members(&self) {
        for news in self.members.values() {
            news.notify_one();
        }
    }
}
