//! Places in a cluster, and those who wait for one. A place that is free is given to whoever waits at once, and nobody is turned
//! away while there is one: on a busy machine waits are long because it is busy, and to refuse for that would do nobody any good.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::ages::{Age, Ages};
use super::pressure::Counts;
use crate::ticks;

pub(super) struct Places {
    /// How many there are; it changes all the time.
    limit: AtomicUsize,
    /// What is never exceeded, whatever the limit.
    most: usize,
    taken: AtomicUsize,
    ages: Ages,
    waiting: AtomicUsize,
    waiting_max: usize,
    /// Who has left his place, and who got none.
    done: AtomicU64,
    refused: AtomicU64,
    queue: Mutex<Queue>,
    is_newest_first: AtomicBool,
    /// The last one has left, and nobody waited.
    was_emptied: AtomicBool,
}

/// Those who wait, in the order in which they came.
type Queue = VecDeque<Asking>;

struct Asking {
    since: Instant,
    grant: oneshot::Sender<Place>,
}

/// One of the places; given back when it is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    age: Age,
    /// How many were taken when this one was, itself included.
    pub(super) in_flight: usize,
}

impl Places {
    pub(super) fn new(limit: usize, most: usize, waiting_max: usize) -> Places {
        Places {
            limit: AtomicUsize::new(limit),
            most,
            taken: AtomicUsize::new(0),
            ages: Ages::default(),
            waiting: AtomicUsize::new(0),
            waiting_max,
            done: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            queue: Mutex::default(),
            is_newest_first: AtomicBool::new(false),
            was_emptied: AtomicBool::new(true),
        }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            done: self.done.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            present: (self.taken() + self.waiting()) as u64,
        }
    }

    pub(super) fn set_limit(self: &Arc<Places>, limit: usize) {
        self.limit.store(limit, Ordering::SeqCst);
        self.hand_over();
    }

    pub(super) fn set_newest_first(&self, is_newest_first: bool) {
        self.is_newest_first.store(is_newest_first, Ordering::Relaxed);
    }

    /// Whether nobody was here for a moment since this was last asked.
    pub(super) fn was_emptied(&self) -> bool {
        self.was_emptied.load(Ordering::Relaxed) && self.was_emptied.swap(false, Ordering::Relaxed)
    }

    /// What takes longer than this is waited for without keeping others waiting.
    pub(super) fn set_overdue_after(&self, micros: u64) {
        self.ages.set_overdue_after(micros);
    }

    /// A place at once, if there is one; `now` in ticks.
    pub(super) fn take(self: &Arc<Places>, now: u64) -> Option<Place> {
        let limit = self.limit.load(Ordering::SeqCst).min(self.most);
        self.take_below(limit, now).or_else(|| {
            let limit = limit.saturating_add(self.ages.overdue(now)).min(self.most);
            self.take_below(limit, now)
        })
    }

    fn take_below(self: &Arc<Places>, limit: usize, now: u64) -> Option<Place> {
        let next = |taken| (taken < limit).then_some(taken + 1);
        let before = self.taken.fetch_update(Ordering::SeqCst, Ordering::Relaxed, next).ok()?;
        Some(self.place(before + 1, now))
    }

    /// A place for what is with a replica already, whether there is one or not.
    pub(super) fn take_anyway(self: &Arc<Places>, now: u64) -> Place {
        let before = self.taken.fetch_add(1, Ordering::SeqCst);
        self.place(before + 1, now)
    }

    fn place(self: &Arc<Places>, in_flight: usize, now: u64) -> Place {
        Place { places: self.clone(), age: self.ages.begin(now), in_flight }
    }

    /// Waits for a place; `None` when none came free in time, or too many wait.
    pub(super) async fn enter(self: &Arc<Places>, patience: Duration) -> Option<Place> {
        let place = self.wait(patience).await;
        if place.is_none() {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        place
    }

    async fn wait(self: &Arc<Places>, patience: Duration) -> Option<Place> {
        let _waiting = Waiting::stand_in(self)?;
        let granted = {
            let mut queue = self.queue();
            let since = Instant::now();
            if let Some(place) = self.take(ticks::at(since)) {
                return Some(place);
            }
            let (grant, granted) = oneshot::channel();
            queue.push_back(Asking { since, grant });
            granted
        };
        match tokio::time::timeout(patience, granted).await {
            Ok(Ok(place)) => Some(place),
            // Turned away.
            Ok(Err(_)) => None,
            Err(_) => {
                self.forget_those_who_left();
                // One that is coming free just now is for who came last, then.
                let is_anothers = self.is_newest_first.load(Ordering::Relaxed) && !self.queue().is_empty();
                if is_anothers { None } else { self.take(ticks::at(Instant::now())) }
            }
        }
    }

    /// Gives free places to those who wait.
    fn hand_over(self: &Arc<Places>) {
        // Whoever counts as waiting after this was read finds the place himself.
        if self.waiting.load(Ordering::SeqCst) == 0 {
            return;
        }
        let now = ticks::at(Instant::now());
        let mut queue = self.queue();
        // A place whose receiver left at that moment; what is left of it is given back when the queue is free again.
        let mut spare = None;
        while let Some(asking) = self.next(&mut queue) {
            let Some(place) = spare.take().or_else(|| self.take(now)) else {
                self.put_back(&mut queue, asking);
                break;
            };
            spare = asking.grant.send(place).err();
        }
        drop(queue);
        drop(spare);
    }

    fn next(&self, queue: &mut Queue) -> Option<Asking> {
        if self.is_newest_first.load(Ordering::Relaxed) { queue.pop_back() } else { queue.pop_front() }
    }

    fn put_back(&self, queue: &mut Queue, asking: Asking) {
        if self.is_newest_first.load(Ordering::Relaxed) { queue.push_back(asking) } else { queue.push_front(asking) }
    }

    /// Who has waited for longer than this gets no place.
    pub(super) fn turn_away(&self, patience: Duration) {
        let now = Instant::now();
        let mut queue = self.queue();
        while queue.pop_front_if(|asking| now.saturating_duration_since(asking.since) > patience).is_some() {}
    }

    fn forget_those_who_left(&self) {
        let mut queue = self.queue();
        while queue.pop_front_if(|asking| asking.grant.is_closed()).is_some() {}
        while queue.pop_back_if(|asking| asking.grant.is_closed()).is_some() {}
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.ages.end(self.age);
        let before = self.places.taken.fetch_sub(1, Ordering::SeqCst);
        self.places.done.fetch_add(1, Ordering::Relaxed);
        self.places.hand_over();
        if before == 1 && self.places.waiting() == 0 {
            self.places.was_emptied.store(true, Ordering::Relaxed);
        }
    }
}

/// Being one of those who wait.
struct Waiting<'a> {
    places: &'a Places,
}

impl<'a> Waiting<'a> {
    fn stand_in(places: &'a Places) -> Option<Waiting<'a>> {
        let waiting = Waiting { places };
        let before = places.waiting.fetch_add(1, Ordering::SeqCst);
        // Dropped, it is none of them any more.
        (before < places.waiting_max).then_some(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.places.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_TIME: Duration = Duration::ZERO;
    const LONG: Duration = Duration::from_secs(20);

    fn places(limit: usize) -> Arc<Places> {
        Arc::new(Places::new(limit, 100, 100))
    }

    #[tokio::test]
    async fn a_place_that_comes_free_goes_to_who_waits_longest_or_shortest() {
        for is_newest_first in [false, true] {
            let places = places(1);
            places.set_newest_first(is_newest_first);
            let held = places.take(1).unwrap();
            let (mut first, mut second) = (Box::pin(places.enter(LONG)), Box::pin(places.enter(LONG)));
            assert!(futures_util::poll!(&mut first).is_pending() && futures_util::poll!(&mut second).is_pending());
            drop(held);
            let (first, second) = (futures_util::poll!(&mut first), futures_util::poll!(&mut second));
            assert_eq!((first.is_ready(), second.is_ready()), (!is_newest_first, is_newest_first));
        }
    }

    #[tokio::test]
    async fn a_place_given_to_somebody_who_has_left_goes_to_the_next() {
        let places = places(1);
        let held = places.take(1).unwrap();
        let (mut first, mut second) = (Box::pin(places.enter(LONG)), Box::pin(places.enter(LONG)));
        assert!(futures_util::poll!(&mut first).is_pending() && futures_util::poll!(&mut second).is_pending());
        drop(held);
        // It is his, and he does not know it yet.
        drop(first);
        assert!(second.await.is_some());
        assert_eq!((places.taken(), places.waiting()), (0, 0));
    }

    #[tokio::test]
    async fn nobody_is_turned_away_while_there_is_a_place_however_late_it_is() {
        let places = places(1);
        let held = places.take(1).unwrap();
        let mut late = Box::pin(places.enter(NO_TIME));
        assert!(futures_util::poll!(&mut late).is_pending());
        // Both his time and the place come at once.
        drop(held);
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert!(late.await.is_some());
    }

    #[tokio::test]
    async fn who_gives_up_takes_no_place_from_the_newest_where_these_come_first() {
        for is_newest_first in [false, true] {
            let places = places(1);
            places.set_newest_first(is_newest_first);
            let _held = places.take(1).unwrap();
            let (mut late, mut new) = (Box::pin(places.enter(NO_TIME)), Box::pin(places.enter(LONG)));
            assert!(futures_util::poll!(&mut late).is_pending() && futures_util::poll!(&mut new).is_pending());
            // One comes free, and is not given to anybody yet.
            places.limit.store(2, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(2)).await;
            assert_eq!(late.await.is_none(), is_newest_first);
            places.hand_over();
            assert!(new.await.is_some());
        }
    }

    #[tokio::test]
    async fn a_crowd_in_which_many_give_up_loses_no_place() {
        let places = places(3);
        let mut crowd = tokio::task::JoinSet::new();
        for number in 0..500_u64 {
            let places = places.clone();
            crowd.spawn(async move {
                let place = places.enter(Duration::from_millis(number % 7)).await;
                if place.is_some() {
                    tokio::time::sleep(Duration::from_micros(number * 10 % 900)).await;
                }
                place.is_some()
            });
        }
        let served = crowd.join_all().await.into_iter().filter(|is_served| *is_served).count();
        assert!(served >= 3, "{served}");
        assert_eq!((places.taken(), places.waiting(), places.queue().len()), (0, 0, 0));
    }

    #[test]
    fn what_is_overdue_keeps_nobody_waiting_up_to_what_is_never_exceeded() {
        let places = Arc::new(Places::new(2, 4, 0));
        places.set_overdue_after(1_000_000);
        let _hung = [places.take(1).unwrap(), places.take(1).unwrap()];
        assert!(places.take(900_000).is_none());
        let _others = [places.take(1_200_000).unwrap(), places.take(1_200_000).unwrap()];
        assert!(places.take(9_000_000).is_none(), "four are the most");
    }
}
