//! How `seq` is given: drafts queue here, go into the log batch by batch, and are told to the world after the commit.
//!
//! One batch is under way at a time; what comes in meanwhile is the next. So a commit is shared by many messages when there
//! are many, and a single message does not wait for company. The order across replicas is the database's.

use std::sync::Arc;

use kit::bus::Bus;
use kit::database;
use kit::happening::Happening;
use tokio::sync::{mpsc, oneshot};

use crate::hub::Hub;
use crate::model::{Draft, Event};
use crate::store::{Appended, Store};

/// Drafts that may wait; more are told `Busy`.
const QUEUE: usize = 4096;
/// Drafts that share one commit at most.
const BATCH: usize = 256;

/// What became of a draft, or why nothing did.
pub(crate) type Outcome = Result<Appended, database::Error>;

struct Job {
    draft: Draft,
    answer: oneshot::Sender<Outcome>,
}

/// The way into the log. Clones share the queue; the sequencer ends when all are gone.
#[derive(Clone)]
pub(crate) struct Sequencer {
    queue: mpsc::Sender<Job>,
}

/// Where drafts wait.
pub(crate) struct Drafts(mpsc::Receiver<Job>);

impl Sequencer {
    pub(crate) fn new() -> (Self, Drafts) {
        let (queue, drafts) = mpsc::channel(QUEUE);
        (Self { queue }, Drafts(drafts))
    }

    /// Queues a draft. The answer comes after the commit; drafts of one caller keep their order.
    pub(crate) fn submit(&self, draft: Draft) -> Result<oneshot::Receiver<Outcome>, database::Error> {
        let (answer, answered) = oneshot::channel();
        match self.queue.try_send(Job { draft, answer }) {
            Ok(()) => Ok(answered),
            Err(mpsc::error::TrySendError::Full(_)) => Err(database::Error::Busy),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(ended()),
        }
    }

    /// Queues a draft and waits for what becomes of it.
    pub(crate) async fn append(&self, draft: Draft) -> Outcome {
        self.submit(draft)?.await.unwrap_or_else(|_| Err(ended()))
    }
}

pub(crate) fn ended() -> database::Error {
    database::Error::Unavailable("the replica is stopping".to_owned())
}

/// Works until every [`Sequencer`] is gone.
pub(crate) async fn run(mut drafts: Drafts, store: Arc<dyn Store>, hub: Arc<Hub>, bus: Arc<dyn Bus>) {
    let mut jobs = Vec::with_capacity(BATCH);
    while drafts.0.recv_many(&mut jobs, BATCH).await > 0 {
        let batch = jobs.iter().map(|job| job.draft.clone()).collect();
        match store.append_events(batch).await {
            Ok(appended) => {
                for (job, appended) in jobs.drain(..).zip(appended) {
                    // Before the world hears of it, so that a sender has his ack before his message comes round. He may have
                    // gone; his message stays.
                    let _ = job.answer.send(Ok(appended));
                    if !appended.duplicate {
                        tell(job.draft, appended, &hub, &*bus);
                    }
                }
            }
            Err(error) => {
                for job in jobs.drain(..) {
                    let _ = job.answer.send(Err(error.clone()));
                }
            }
        }
    }
}

fn tell(draft: Draft, appended: Appended, hub: &Hub, bus: &dyn Bus) {
    let Draft { room, user, text, id, .. } = draft;
    let properties = serde_json::json!({ "room": room });
    let happening = Happening::new("chat.message_sent", appended.at, Some(user.as_str().to_owned()), Some(properties));
    let event = Event { room, seq: appended.seq, user, text, at: appended.at, id };
    hub.tell(&event);
    hub.deliver(event);
    happening.publish(bus);
    metrics::counter!("chat_messages_sent_total").increment(1);
}
