//! Messages of one client that wait for their commit.
//!
//! Rooms go into the log side by side, so a message is not told later because one in another room takes its time. Those of one
//! room are told in their order.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use tokio::sync::oneshot;

use crate::model::{ClientId, RoomName};
use crate::sequencer::{self, Outcome};

/// Messages that wait at most; until one is done, no more of the client's frames are read.
const WAITING_MAX: usize = 64;

/// The messages, in the order in which they came.
#[derive(Default)]
pub(super) struct Acks {
    waiting: VecDeque<Waiting>,
}

/// A message on its way into the log, or there.
struct Waiting {
    room: RoomName,
    id: Option<ClientId>,
    outcome: State,
}

enum State {
    Unknown(oneshot::Receiver<Outcome>),
    Known(Outcome),
}

/// A message of which it is known what became.
pub(super) struct Done {
    pub(super) room: RoomName,
    pub(super) id: Option<ClientId>,
    pub(super) outcome: Outcome,
}

impl Acks {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= WAITING_MAX
    }

    pub(super) fn push(&mut self, room: RoomName, id: Option<ClientId>, outcome: oneshot::Receiver<Outcome>) {
        self.waiting.push_back(Waiting { room, id, outcome: State::Unknown(outcome) });
    }

    /// Waits until it is known what became of one of them; for ever when there is none. Dropping the future loses nothing.
    pub(super) async fn known(&mut self) {
        poll_fn(|cx| self.poll(cx, None)).await;
    }

    /// The first of which it is known what became, if there is one.
    pub(super) fn take_known(&mut self) -> Option<Done> {
        let index = self.waiting.iter().position(|waiting| matches!(waiting.outcome, State::Known(_)));
        index.or_else(|| poll_fn(|cx| self.poll(cx, None)).now_or_never()).and_then(|index| self.remove(index))
    }

    /// The first of this room, once it is known what became of it; `None` when none waits.
    pub(super) async fn next_of(&mut self, room: &RoomName) -> Option<Done> {
        if !self.waiting.iter().any(|waiting| waiting.room == *room) {
            return None;
        }
        let index = poll_fn(|cx| self.poll(cx, Some(room))).await;
        self.remove(index)
    }

    /// The first of which it is known what became, in this room or in any.
    fn poll(&mut self, cx: &mut Context<'_>, only: Option<&RoomName>) -> Poll<usize> {
        for index in 0..self.waiting.len() {
            let room = &self.waiting[index].room;
            let is_first = self.waiting.iter().take(index).all(|earlier| earlier.room != *room);
            if !is_first || only.is_some_and(|only| only != room) {
                continue;
            }
            let outcome = &mut self.waiting[index].outcome;
            if let State::Unknown(receiver) = outcome
                && let Poll::Ready(known) = receiver.poll_unpin(cx)
            {
                *outcome = State::Known(known.unwrap_or_else(|_| Err(sequencer::ended())));
            }
            if matches!(outcome, State::Known(_)) {
                return Poll::Ready(index);
            }
        }
        Poll::Pending
    }

    fn remove(&mut self, index: usize) -> Option<Done> {
        let Waiting { room, id, outcome } = self.waiting.remove(index)?;
        match outcome {
            State::Known(outcome) => Some(Done { room, id, outcome }),
            State::Unknown(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Appended;
    use crate::store::contract::room;

    fn appended(seq: u64) -> Outcome {
        Ok(Appended { seq, at: kit::clock::Timestamp::from_millis(0), duplicate: false })
    }

    #[tokio::test]
    async fn one_room_does_not_wait_for_another_and_each_is_told_in_order() {
        let mut acks = Acks::default();
        let mut answers = Vec::new();
        for name in ["slow", "a", "a"] {
            let (answer, outcome) = oneshot::channel();
            acks.push(room(name), None, outcome);
            answers.push(answer);
        }
        assert!(acks.take_known().is_none());
        answers.pop().unwrap().send(appended(2)).unwrap();
        assert!(acks.take_known().is_none(), "the first of the room comes first");
        answers.pop().unwrap().send(appended(1)).unwrap();
        acks.known().await;
        // Cut off here, nothing is lost.
        acks.known().await;
        assert_eq!(acks.take_known().map(|done| done.outcome.unwrap().seq), Some(1));
        assert_eq!(acks.next_of(&room("a")).await.map(|done| done.outcome.unwrap().seq), Some(2));
        assert!(acks.next_of(&room("a")).await.is_none() && acks.take_known().is_none());
        drop(answers);
        assert!(acks.next_of(&room("slow")).await.is_some_and(|done| done.outcome.is_err()));
        assert!(acks.is_empty());
    }
}
