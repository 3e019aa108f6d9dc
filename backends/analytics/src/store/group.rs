//! Batches that arrive together and are written as one: a transaction costs the server a sync of its disk, and all of them count
//! in the same rows, where they would wait for each other.

use kit::clock::Timestamp;
use kit::database::Error;
use tokio::sync::{mpsc, oneshot};

use super::Inserted;
use crate::model::Event;

/// Batches that may wait; more are told `Busy`.
const QUEUE: usize = 4096;
/// Events after which a group takes no more batches.
const EVENTS: usize = 4000;

/// A batch on its way.
pub(super) struct Batch {
    pub(super) events: Vec<Event>,
    /// When it came in.
    pub(super) now: Timestamp,
    answer: oneshot::Sender<Result<Inserted, Error>>,
}

/// The way to whoever writes.
pub(super) struct Batches {
    queue: mpsc::Sender<Batch>,
}

/// Where batches wait; who writes takes them from here.
pub(super) struct Waiting {
    queue: mpsc::Receiver<Batch>,
}

pub(super) fn channel() -> (Batches, Waiting) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (Batches { queue: sender }, Waiting { queue: receiver })
}

impl Batches {
    /// Queues a batch and waits until it is committed.
    pub(super) async fn write(&self, events: Vec<Event>, now: Timestamp) -> Result<Inserted, Error> {
        let (answer, answered) = oneshot::channel();
        self.queue.try_send(Batch { events, now, answer }).map_err(|_| Error::Busy)?;
        answered.await.map_err(|_| Error::Unavailable("the writer has ended".to_owned()))?
    }
}

impl Waiting {
    /// What waits, at least one batch; `None` when nobody can send any more.
    pub(super) async fn group(&mut self) -> Option<Vec<Batch>> {
        let mut group = vec![self.queue.recv().await?];
        let mut events = group[0].events.len();
        while events < EVENTS
            && let Ok(batch) = self.queue.try_recv()
        {
            events += batch.events.len();
            group.push(batch);
        }
        Some(group)
    }
}

/// Tells each batch what became of it.
pub(super) fn answer(group: Vec<Batch>, outcome: Result<Vec<Inserted>, Error>) {
    match outcome {
        Ok(inserted) => {
            for (batch, inserted) in group.into_iter().zip(inserted) {
                // Who asked may have gone; his events stay.
                let _ = batch.answer.send(Ok(inserted));
            }
        }
        Err(error) => {
            for batch in group {
                let _ = batch.answer.send(Err(error.clone()));
            }
        }
    }
}
