//! The one thread that writes to a SQLite file, several works per commit.
//!
//! A commit costs a sync of the disk; works that arrive while one is under way share the next. Each work runs in a savepoint
//! of its own, and its answer goes out after the commit.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use rusqlite::{Connection, DropBehavior, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::{Error, locked};

/// Works that may wait; more are told `Busy`.
const QUEUE: usize = 4096;
/// Works that share one commit at most.
const GROUP: usize = 256;

/// The way to the writing thread; it ends when this is dropped.
pub(super) struct Writer {
    queue: mpsc::Sender<Box<dyn Work>>,
    trouble: Arc<Mutex<Option<String>>>,
}

impl Writer {
    /// Starts the thread; it takes the connection.
    pub(super) fn start(name: &str, connection: Connection) -> Result<Self, Error> {
        let (queue, works) = mpsc::channel(QUEUE);
        let trouble = Arc::new(Mutex::new(None));
        let seen = trouble.clone();
        std::thread::Builder::new()
            .name(format!("{name}-writer"))
            .spawn({
                let meter = Meter::new(name);
                move || run(connection, works, &seen, &meter)
            })
            .map_err(|error| Error::Unavailable(format!("start the writer: {error}")))?;
        Ok(Self { queue, trouble })
    }

    /// Queues `work` and waits until it is committed.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let one = One { work: Some(work), result: None, answer };
        self.queue.try_send(Box::new(one)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Error::Busy,
            mpsc::error::TrySendError::Closed(_) => Error::Unavailable("the writer has ended".to_owned()),
        })?;
        answered.await.map_err(|_| Error::Internal("the writer dropped a work".to_owned()))?
    }

    /// Why the last commit failed, if it did.
    pub(super) fn trouble(&self) -> Option<String> {
        locked(&self.trouble).clone()
    }
}

trait Work: Send {
    /// Runs in a savepoint; an error undoes it.
    fn run(&mut self, connection: &Connection) -> Result<(), Error>;
    /// Tells the outcome, which is the commit's where that failed.
    fn finish(self: Box<Self>, commit: &Result<(), Error>);
}

struct One<T, F> {
    work: Option<F>,
    result: Option<Result<T, Error>>,
    answer: oneshot::Sender<Result<T, Error>>,
}

impl<T, F> Work for One<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> Result<T, Error> + Send,
{
    fn run(&mut self, connection: &Connection) -> Result<(), Error> {
        let Some(work) = self.work.take() else { return Ok(()) };
        // A work that panics is a defect of that work; the thread and the other works go on.
        let result =
            catch_unwind(AssertUnwindSafe(|| work(connection))).unwrap_or_else(|_| Err(Error::Internal("a write panicked".to_owned())));
        let outcome = result.as_ref().map(|_| ()).map_err(Clone::clone);
        self.result = Some(result);
        outcome
    }

    fn finish(self: Box<Self>, commit: &Result<(), Error>) {
        let outcome = match (self.result, commit) {
            // Its own error is the better explanation.
            (Some(Err(error)), _) => Err(error),
            (_, Err(error)) => Err(error.clone()),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(Error::Internal("a write was never run".to_owned())),
        };
        // The one who asked may have gone; the work is done all the same.
        let _ = self.answer.send(outcome);
    }
}

/// What operators see of a writer.
struct Meter {
    commits: metrics::Counter,
    writes: metrics::Counter,
    waiting: metrics::Gauge,
    seconds: metrics::Histogram,
}

impl Meter {
    fn new(name: &str) -> Self {
        let name = name.to_owned();
        Self {
            commits: metrics::counter!("database_commits_total", "database" => name.clone()),
            writes: metrics::counter!("database_writes_total", "database" => name.clone()),
            waiting: metrics::gauge!("database_writes_waiting", "database" => name.clone()),
            seconds: metrics::histogram!("database_commit_duration_seconds", "database" => name),
        }
    }
}

fn run(mut connection: Connection, mut works: mpsc::Receiver<Box<dyn Work>>, trouble: &Mutex<Option<String>>, meter: &Meter) {
    let mut group: Vec<Box<dyn Work>> = Vec::with_capacity(GROUP);
    while works.blocking_recv_many(&mut group, GROUP) > 0 {
        let started = Instant::now();
        let commit = commit(&mut connection, &mut group);
        meter.commits.increment(1);
        meter.writes.increment(group.len() as u64);
        meter.waiting.set(works.len() as f64);
        meter.seconds.record(started.elapsed().as_secs_f64());
        if let Err(error) = &commit {
            tracing::error!(%error, works = group.len(), "commit failed");
        }
        *locked(trouble) = commit.as_ref().err().map(ToString::to_string);
        for work in group.drain(..) {
            work.finish(&commit);
        }
    }
}

fn commit(connection: &mut Connection, group: &mut [Box<dyn Work>]) -> Result<(), Error> {
    let mut transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.set_drop_behavior(DropBehavior::Rollback);
    for work in group {
        let mut savepoint = transaction.savepoint()?;
        savepoint.set_drop_behavior(DropBehavior::Rollback);
        let outcome = work.run(&savepoint);
        // On a full disk SQLite may undo the whole transaction by itself; then nothing of the group holds.
        if savepoint.is_autocommit() {
            savepoint.set_drop_behavior(DropBehavior::Ignore);
            drop(savepoint);
            transaction.set_drop_behavior(DropBehavior::Ignore);
            return Err(outcome.err().unwrap_or_else(|| Error::Unavailable("the transaction was undone".to_owned())));
        }
        match outcome {
            Ok(()) => savepoint.commit()?,
            // The answer is not the group's: an unavailable storage ends the group, anything else this work alone.
            Err(Error::Unavailable(what)) => return Err(Error::Unavailable(what)),
            Err(_) => drop(savepoint),
        }
    }
    Ok(transaction.commit()?)
}
