//! A backend with so many workers and a queue without an end behind the door, in a time of its own: what becomes of those who come.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::gradient::{LIMIT_MIN, LIMIT_UNKNOWN};
use super::observer::{Observer, Waiting};
use super::pressure::Counts;

const QUEUE_TIMEOUT: Duration = Duration::from_secs(2);
const LIMIT_MAX: usize = 4096;

/// One of those who come.
#[derive(Clone, Copy)]
struct Request {
    came: u64,
    entered: u64,
    in_flight: usize,
}

/// All times are microseconds.
struct Simulation {
    epoch: Instant,
    now: u64,
    observer: Observer,
    counts: Counts,
    is_newest_first: bool,
    patience: u64,
    limit: usize,
    in_flight: usize,
    was_emptied: bool,
    /// Before the door, with the moment from which on it is too late.
    waiting: VecDeque<(Request, u64)>,
    workers_free: isize,
    service: u64,
    queue: VecDeque<Request>,
    /// Where one worker does together what came together: what each of them takes more.
    each: Option<u64>,
    /// By the moment they are done, and a number.
    done: BTreeMap<(u64, u64), Request>,
    number: u64,
    /// How long they waited for their answers.
    served: Vec<u64>,
    shed: usize,
    /// Who is answered asks again at once.
    is_closed: bool,
}

impl Simulation {
    fn new(workers: usize, service: u64) -> Simulation {
        let epoch = Instant::now();
        Simulation {
            epoch,
            now: 0,
            observer: Observer::new(QUEUE_TIMEOUT, epoch),
            counts: Counts::default(),
            is_newest_first: false,
            patience: QUEUE_TIMEOUT.as_micros() as u64,
            limit: LIMIT_UNKNOWN,
            in_flight: 0,
            was_emptied: true,
            waiting: VecDeque::new(),
            workers_free: workers as isize,
            service,
            queue: VecDeque::new(),
            each: None,
            done: BTreeMap::new(),
            number: 0,
            served: Vec::new(),
            shed: 0,
            is_closed: false,
        }
    }

    /// So many ask for so long, each again as soon as it is answered.
    fn closed_loop(&mut self, clients: usize, time: u64) {
        self.is_closed = true;
        (0..clients).for_each(|_| self.come());
        self.run_until(self.now + time);
        self.is_closed = false;
    }

    /// So many come, one each so many microseconds; the times of those served, in order, and how many were shed meanwhile.
    fn offer(&mut self, count: u64, each: u64) -> (Vec<u64>, usize) {
        let began = self.now;
        for number in 0..count {
            self.run_until(began + number * each);
            self.come();
        }
        self.run_until(began + count * each);
        let mut served = std::mem::take(&mut self.served);
        served.sort_unstable();
        (served, std::mem::take(&mut self.shed))
    }

    fn run_until(&mut self, moment: u64) {
        while let Some(((at, _), request)) = self.done.first_key_value().map(|(key, request)| (*key, *request)) {
            if at > moment {
                break;
            }
            self.done.pop_first();
            self.now = at;
            self.answer(request);
        }
        self.now = moment;
        self.give_up();
    }

    fn come(&mut self) {
        let request = Request { came: self.now, entered: 0, in_flight: 0 };
        if self.in_flight < self.limit {
            return self.enter(request);
        }
        if std::mem::take(&mut self.was_emptied) {
            let waiting = self.observer.emptied();
            self.serve(waiting);
        }
        self.waiting.push_back((request, self.now + self.patience));
    }

    fn enter(&mut self, mut request: Request) {
        self.in_flight += 1;
        (request.entered, request.in_flight) = (self.now, self.in_flight);
        self.queue.push_back(request);
        self.work();
    }

    fn work(&mut self) {
        if let Some(each) = self.each {
            return self.work_together(each);
        }
        while self.workers_free > 0 {
            let Some(request) = self.queue.pop_front() else { return };
            self.workers_free -= 1;
            self.number += 1;
            // Not quite the same each time.
            let service = self.service * (95 + crate::balance::scatter(self.number) % 11) / 100;
            self.done.insert((self.now + service, self.number), request);
        }
    }

    fn work_together(&mut self, each: u64) {
        if self.workers_free > 0 && !self.queue.is_empty() {
            // Each of them gives a part of it back.
            self.workers_free -= self.queue.len() as isize;
            let at = self.now + self.service + each * self.queue.len() as u64;
            for request in std::mem::take(&mut self.queue) {
                self.number += 1;
                self.done.insert((at, self.number), request);
            }
        }
    }

    fn answer(&mut self, request: Request) {
        self.served.push(self.now - request.came);
        self.counts.done += 1;
        self.in_flight -= 1;
        self.workers_free += 1;
        self.observer.answered(self.now - request.entered, request.in_flight, self.in_flight);
        let now = self.epoch + Duration::from_micros(self.now);
        self.counts.present = (self.in_flight + self.waiting.len()) as u64;
        if let Some(waiting) = self.observer.waiting(|| self.counts, now) {
            self.serve(waiting);
        }
        if let Some(limit) = self.observer.limit(self.limit, || false, now) {
            self.limit = limit.clamp(LIMIT_MIN, LIMIT_MAX);
        }
        self.work();
        self.give_up();
        while self.in_flight < self.limit {
            let next = if self.is_newest_first { self.waiting.pop_back() } else { self.waiting.pop_front() };
            let Some((waiting, _)) = next else { break };
            self.enter(waiting);
        }
        self.was_emptied |= self.in_flight == 0;
        if self.is_closed {
            self.come();
        }
    }

    fn serve(&mut self, waiting: Waiting) {
        self.is_newest_first = waiting.is_newest_first;
        self.patience = waiting.patience.as_micros() as u64;
        if self.is_newest_first {
            let (now, patience) = (self.now, self.patience);
            self.keep_waiting(|(request, _)| now - request.came <= patience);
        }
    }

    fn give_up(&mut self) {
        let now = self.now;
        self.keep_waiting(|(_, too_late)| *too_late >= now);
    }

    /// The others are shed.
    fn keep_waiting(&mut self, may_wait: impl Fn(&(Request, u64)) -> bool) {
        let count = self.waiting.len();
        self.waiting.retain(may_wait);
        (self.waiting.len()..count).for_each(|_| self.shed());
    }

    fn shed(&mut self) {
        self.shed += 1;
        self.counts.refused += 1;
        if self.is_closed {
            self.come();
        }
    }
}

/// Half of what it can do for five seconds, or all of it, then three times that for so long: the part of it that it still does, and
/// the 99th percentile in times of the service.
fn overload(workers: u64, service: u64, seconds: u64, is_full_before: bool) -> (f64, f64) {
    let mut simulation = Simulation::new(workers as usize, service);
    let per_second = workers * 1_000_000 / service;
    let (_, shed) = simulation.offer(per_second / 2 * 5, 2_000_000 / per_second);
    assert_eq!(shed, 0, "nobody is shed at half of what it can do");
    if is_full_before {
        simulation.closed_loop(workers as usize * 3 / 2, 5_000_000);
        simulation.run_until(simulation.now + service * 4);
        simulation.served.clear();
    }
    let (mut served, _) = simulation.offer(3 * per_second * seconds, 1_000_000 / (3 * per_second));
    let goodput = served.len() as f64 / (per_second * seconds) as f64;
    // Those who still wait when it is over are served, too.
    simulation.run_until(simulation.now + 5_000_000);
    served.append(&mut simulation.served);
    served.sort_unstable();
    (goodput, served[served.len() * 99 / 100] as f64 / service as f64)
}

#[test]
fn at_three_times_capacity_it_does_nearly_all_it_can_and_quickly() {
    let mut failures = Vec::new();
    for (workers, service) in [(8, 10_000), (8, 40_000), (16, 20_000), (32, 100_000), (64, 30_000)] {
        for (seconds, is_full_before) in [(10, false), (10, true), (30, false), (30, true)] {
            let (goodput, times) = overload(workers, service, seconds, is_full_before);
            let outcome = format!("{workers} × {service} µs, {seconds} s, {is_full_before}: {goodput:.3}, {times:.2} times");
            println!("{outcome}");
            if goodput < 0.95 || times > 3.0 {
                failures.push(outcome);
            }
        }
    }
    assert!(failures.is_empty(), "{failures:?}");
}

#[test]
fn one_that_starts_under_too_much_finds_out_what_calm_is() {
    for (workers, service, clients) in [(8, 60_000, 200), (2, 60_000, 100), (32, 20_000, 400)] {
        let mut simulation = Simulation::new(workers, service);
        simulation.closed_loop(clients, 5_000_000);
        simulation.served.clear();
        simulation.closed_loop(0, 10_000_000);
        let mut served = std::mem::take(&mut simulation.served);
        served.sort_unstable();
        let goodput = served.len() as f64 / (workers as u64 * 10_000_000 / service) as f64;
        let (p99, limit) = (served[served.len() * 99 / 100], simulation.limit);
        println!("{workers} × {service} µs, {clients} clients: {goodput:.3}, {p99} µs, limit {limit}");
        // They wait for their turn, and not long with the replica.
        let is_quick = p99 < QUEUE_TIMEOUT.as_micros() as u64 + (limit / workers + 2) as u64 * service;
        assert!(goodput > 0.95 && is_quick && limit <= 5 * workers.max(LIMIT_UNKNOWN) / 2, "{goodput:.3}, {p99} µs, limit {limit}");
    }
}

#[test]
fn a_backend_that_does_together_what_came_together_is_given_much() {
    for (service, each, clients) in [(4_500, 400, 64), (10_000, 200, 200), (2_000, 100, 64)] {
        let mut simulation = Simulation::new(1, service);
        simulation.each = Some(each);
        simulation.closed_loop(clients, 3_000_000);
        simulation.served.clear();
        simulation.closed_loop(0, 10_000_000);
        let most = 10_000_000 * clients as u64 / (service + each * clients as u64);
        let part = simulation.served.len() as f64 / most as f64;
        println!("{service} + {each} µs each, {clients} clients: {part:.2}, limit {}", simulation.limit);
        assert!(part > 0.8 && simulation.shed == 0, "{part:.2}");
    }
}

#[test]
fn a_crowd_that_can_be_served_in_turn_is_served_to_the_last() {
    let mut failures = Vec::new();
    for (workers, service) in [(2, 1_000), (2, 5_000), (8, 10_000), (32, 20_000)] {
        for turn in [30_000, 100_000, 250_000] {
            let clients = workers * turn / service;
            let mut simulation = Simulation::new(workers, service as u64);
            simulation.closed_loop(clients, 20_000_000);
            let (served, shed) = (simulation.served.len(), simulation.shed);
            println!("{workers} × {service} µs, {clients} clients: {served} served, {shed} shed");
            if shed > 0 {
                failures.push((workers, service, clients, shed));
            }
        }
    }
    assert!(failures.is_empty(), "{failures:?}");
}

#[test]
fn a_crowd_that_comes_when_too_much_has_ended_is_served_to_the_last() {
    for (workers, service) in [(2, 5_000), (8, 10_000), (32, 20_000)] {
        let mut simulation = Simulation::new(workers, service);
        simulation.offer(3 * workers as u64 * 3_000_000 / service, service / workers as u64 / 3);
        assert!(simulation.patience < QUEUE_TIMEOUT.as_micros() as u64 / 2, "it was too much");
        simulation.run_until(simulation.now + 2_000_000);
        simulation.shed = 0;
        simulation.closed_loop(workers * 20, 2_000_000);
        assert_eq!(simulation.shed, 0, "{workers} × {service} µs");
    }
}

#[test]
fn a_crowd_that_asks_again_at_once_is_served_in_turn_soon_after_too_much_had_come() {
    for (workers, service) in [(2, 5_000), (8, 10_000), (32, 20_000)] {
        let mut simulation = Simulation::new(workers, service);
        simulation.offer(3 * workers as u64 * 3_000_000 / service, service / workers as u64 / 3);
        simulation.closed_loop(workers * 20, 12_000_000);
        simulation.shed = 0;
        simulation.closed_loop(0, 5_000_000);
        assert_eq!(simulation.shed, 0, "{workers} × {service} µs");
    }
}

#[test]
fn a_rush_that_a_backend_can_bear_is_let_in() {
    for service in [1_000, 10_000, 40_000, 60_000] {
        let mut simulation = Simulation::new(1000, service);
        simulation.offer(100, 50_000);
        let (_, shed) = simulation.offer(1000, 10);
        simulation.run_until(simulation.now + 2_000_000);
        assert_eq!((shed + simulation.shed, simulation.waiting.len()), (0, 0), "{service} µs");
    }
}

#[test]
fn what_it_can_do_all_the_time_is_let_in_all_the_time() {
    for (workers, service) in [(2, 20_000), (8, 40_000), (100, 5_000), (500, 200_000)] {
        let mut simulation = Simulation::new(workers, service);
        let each = service * 10 / 9 / workers as u64;
        // Nothing is known yet: some wait, and where answers take long some are turned away for some tenths of a second. Those who wait are
        // served in turn, which takes a while where there is a tenth to spare.
        let first = 10_000_000 / each;
        let (_, shed_at_first) = simulation.offer(first, each);
        assert!(shed_at_first as u64 <= first / 20, "{workers} × {service} µs: {shed_at_first} of {first}");
        let (served, shed) = simulation.offer(20_000_000 / each, each);
        assert_eq!(shed, 0, "{workers} × {service} µs");
        assert!(served[served.len() * 99 / 100] < 2 * service, "{workers} × {service} µs");
    }
}
