//! What belongs to one of the threads that carry requests: kept connections to replicas, and who is to be woken when the door
//! closes. Nothing here is shared, so nothing is locked.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use crate::Gateway;

/// Shorter than the 75 seconds after which backends close, so that a reused connection is never one just being closed.
const IDLE: Duration = Duration::from_secs(30);
/// Kept connections to one replica.
const KEPT_MAX: usize = 1024;

thread_local! {
    static WORKER: RefCell<Worker> = RefCell::default();
}

#[derive(Default)]
struct Worker {
    /// By the id of the replica, of which there are few; the last one kept is the first one used.
    kept: BTreeMap<u64, Vec<Kept>>,
    waiting: Vec<Option<Waker>>,
    free: Vec<usize>,
}

struct Kept {
    stream: TcpStream,
    since: Instant,
}

/// A kept connection to a replica that is still open, as far as anybody knows.
pub(super) fn take_kept(endpoint: u64) -> Option<TcpStream> {
    WORKER.with_borrow_mut(|worker| {
        let kept = worker.kept.get_mut(&endpoint)?;
        while let Some(Kept { stream, .. }) = kept.pop() {
            if is_quiet(&stream) {
                return Some(stream);
            }
        }
        None
    })
}

/// Keeps a connection for the next request.
pub(super) fn keep(endpoint: u64, stream: TcpStream, now: Instant) {
    WORKER.with_borrow_mut(|worker| {
        let kept = worker.kept.entry(endpoint).or_default();
        if kept.len() < KEPT_MAX {
            kept.push(Kept { stream, since: now });
        }
    });
}

/// No kept connection to this replica is used again.
pub(super) fn forget(endpoint: u64) {
    WORKER.with_borrow_mut(|worker| drop(worker.kept.remove(&endpoint)));
}

/// Closes what nobody has used for a while, or what its replica has closed.
pub(super) fn sweep() {
    WORKER.with_borrow_mut(|worker| {
        let now = Instant::now();
        for kept in worker.kept.values_mut() {
            kept.retain(|kept| now.saturating_duration_since(kept.since) < IDLE && is_quiet(&kept.stream));
        }
        worker.kept.retain(|_, kept| !kept.is_empty());
    });
}

/// A connection on which nothing is outstanding has nothing to say; the end of it, or an answer nobody asked for, makes it
/// useless.
fn is_quiet(stream: &TcpStream) -> bool {
    matches!(stream.try_read(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

/// Wakes everything on this thread that waits for the door to close.
pub(crate) fn wake_all() {
    let wakers = WORKER.with_borrow_mut(|worker| worker.waiting.iter_mut().filter_map(Option::take).collect::<Vec<_>>());
    for waker in wakers {
        waker.wake();
    }
}

/// Lets a task see that the door is closing.
#[derive(Default)]
pub(super) struct DrainSignal {
    place: Option<usize>,
}

impl DrainSignal {
    /// Whether the door is closing; if not, the task is woken when it does. The task must stay the same.
    pub(super) fn is_on(&mut self, gateway: &Gateway, cx: &Context<'_>) -> bool {
        if self.place.is_none() && !gateway.is_closed() {
            let waker = Some(cx.waker().clone());
            self.place = WORKER.with_borrow_mut(|worker| match worker.free.pop() {
                Some(place) => worker.waiting.get_mut(place).map(|slot| {
                    *slot = waker;
                    place
                }),
                None => {
                    worker.waiting.push(waker);
                    Some(worker.waiting.len() - 1)
                }
            });
        }
        gateway.is_closed()
    }
}

impl Drop for DrainSignal {
    fn drop(&mut self) {
        let Some(place) = self.place else { return };
        // While the thread ends there is nothing to give back.
        let _ = WORKER.try_with(|worker| {
            if let Ok(mut worker) = worker.try_borrow_mut() {
                if let Some(slot) = worker.waiting.get_mut(place) {
                    *slot = None;
                }
                worker.free.push(place);
            }
        });
    }
}
