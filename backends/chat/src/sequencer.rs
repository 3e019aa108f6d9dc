//! How `seq` is given: drafts queue here, go into their room's log batch by batch, and are told to the world after the commit.
//!
//! Of each room one batch is under way at a time; what comes in meanwhile is the next. So a commit is shared by many messages when
//! there are many, and a single message does not wait for company, nor for another room. The order across replicas is the
//! database's.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use kit::bus::Bus;
use kit::database;
use kit::happening::Happening;
use tokio::sync::{mpsc, oneshot};

use crate::hub::Hub;
use crate::model::{Draft, Event, RoomName};
use crate::store::{Appended, Store};

/// Drafts that may wait to be looked at; more are told `Busy`.
const QUEUE: usize = 1024;
/// Drafts that may wait for their room's turn.
const WAITING_MAX: usize = 4096;
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

/// Works until every [`Sequencer`] is gone and its drafts are settled.
pub(crate) async fn run(mut drafts: Drafts, store: Arc<dyn Store>, hub: Arc<Hub>, bus: Arc<dyn Bus>) {
    let mut waiting = Waiting::default();
    let mut under_way = FuturesUnordered::new();
    let mut new = Vec::with_capacity(BATCH);
    let mut is_open = true;
    while is_open || !under_way.is_empty() {
        while under_way.len() < store.appends_at_once()
            && let Some((room, jobs)) = waiting.next_batch()
        {
            under_way.push(append(&*store, room, jobs));
        }
        tokio::select! {
            count = drafts.0.recv_many(&mut new, BATCH), if is_open && waiting.count < WAITING_MAX => {
                is_open = count > 0;
                new.drain(..).for_each(|job| waiting.push(job));
            }
            Some((room, jobs, outcome)) = under_way.next() => {
                settle(jobs, outcome, &hub, &*bus);
                waiting.done(room);
            }
        }
    }
}

async fn append(store: &dyn Store, room: RoomName, jobs: Vec<Job>) -> (RoomName, Vec<Job>, Result<Vec<Appended>, database::Error>) {
    let batch = jobs.iter().map(|job| job.draft.clone()).collect();
    let outcome = store.append_events(room.clone(), batch).await;
    (room, jobs, outcome)
}

fn settle(jobs: Vec<Job>, outcome: Result<Vec<Appended>, database::Error>, hub: &Hub, bus: &dyn Bus) {
    match outcome {
        Ok(appended) => {
            for (job, appended) in jobs.into_iter().zip(appended) {
                // Before the world hears of it, so that a sender has his ack before his message comes round. He may have
                // gone; his message stays.
                let _ = job.answer.send(Ok(appended));
                if !appended.duplicate {
                    tell(job.draft, appended, hub, bus);
                }
            }
        }
        Err(error) => {
            for job in jobs {
                let _ = job.answer.send(Err(error.clone()));
            }
        }
    }
}

/// Drafts that wait for their room's turn.
#[derive(Default)]
struct Waiting {
    /// Rooms with drafts, or with a batch under way.
    rooms: HashMap<RoomName, Queue>,
    /// Rooms with drafts and no batch under way; who waits longest is first.
    ready: VecDeque<RoomName>,
    count: usize,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    is_under_way: bool,
}

impl Waiting {
    fn push(&mut self, job: Job) {
        let queue = self.rooms.entry(job.draft.room.clone()).or_default();
        if queue.jobs.is_empty() && !queue.is_under_way {
            self.ready.push_back(job.draft.room.clone());
        }
        queue.jobs.push_back(job);
        self.count += 1;
    }

    /// The drafts of a room whose turn it is; no more of it until they are [`Waiting::done`].
    fn next_batch(&mut self) -> Option<(RoomName, Vec<Job>)> {
        let room = self.ready.pop_front()?;
        let queue = self.rooms.get_mut(&room)?;
        let jobs: Vec<Job> = queue.jobs.drain(..queue.jobs.len().min(BATCH)).collect();
        queue.is_under_way = true;
        self.count -= jobs.len();
        Some((room, jobs))
    }

    fn done(&mut self, room: RoomName) {
        let Some(queue) = self.rooms.get_mut(&room) else { return };
        queue.is_under_way = false;
        if queue.jobs.is_empty() {
            self.rooms.remove(&room);
        } else {
            self.ready.push_back(room);
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
