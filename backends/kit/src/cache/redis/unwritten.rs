//! What could not be written to Redis: the newest entry of each key, until it is written or nothing older can be there.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::cache::{Entry, is_newer};

/// How many are kept, and of what size together.
const ENTRIES_MAX: usize = 10_000;
const BYTES_MAX: usize = 16 << 20;

pub(super) struct Unwritten {
    ttl: Duration,
    noted: Mutex<Noted>,
}

#[derive(Default)]
struct Noted {
    entries: HashMap<String, (Entry, Instant)>,
    bytes: usize,
    /// There were more than are kept, so any key may have an older entry in Redis, until then.
    overflows_until: Option<Instant>,
}

impl Unwritten {
    pub(super) fn new(ttl: Duration) -> Self {
        Self { ttl, noted: Mutex::default() }
    }

    /// Whether Redis may have something older of this key.
    pub(super) fn has(&self, key: &str, now: Instant) -> bool {
        let noted = self.noted();
        noted.entries.contains_key(key) || noted.overflows_until.is_some_and(|until| now < until)
    }

    /// Keeps an entry that is about to be written.
    pub(super) fn note(&self, key: &str, entry: &Entry, now: Instant) {
        let mut noted = self.noted();
        if !is_newer(entry, noted.entries.get(key).map(|(kept, _)| kept)) {
            return;
        }
        noted.remove(key);
        let bytes = size(key, entry);
        if noted.entries.len() == ENTRIES_MAX || noted.bytes + bytes > BYTES_MAX {
            noted.overflows_until = Some(now + self.ttl);
            return;
        }
        noted.bytes += bytes;
        noted.entries.insert(key.to_owned(), (entry.clone(), now));
    }

    /// Forgets an entry that was written, unless a newer one is to be written.
    pub(super) fn strike(&self, key: &str, written: &Entry) {
        let mut noted = self.noted();
        if noted.entries.get(key).is_some_and(|(kept, _)| kept == written) {
            noted.remove(key);
        }
    }

    /// All of them.
    pub(super) fn list(&self) -> Vec<(String, Entry)> {
        self.noted().entries.iter().map(|(key, (entry, _))| (key.clone(), entry.clone())).collect()
    }

    /// Forgets those whose time has passed: what Redis had of them is gone too.
    pub(super) fn expire(&self, now: Instant) {
        let mut noted = self.noted();
        let is_over = |since: &Instant| now.saturating_duration_since(*since) > self.ttl;
        let over: Vec<_> = noted.entries.iter().filter(|(_, (_, since))| is_over(since)).map(|(key, _)| key.clone()).collect();
        over.iter().for_each(|key| noted.remove(key));
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        // What is noted is whole enough after every statement: at worst too much is counted.
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Noted {
    fn remove(&mut self, key: &str) {
        if let Some((entry, _)) = self.entries.remove(key) {
            self.bytes -= size(key, &entry);
        }
    }
}

fn size(key: &str, entry: &Entry) -> usize {
    match entry {
        Entry::Row { value, .. } => key.len() + value.len(),
        Entry::Gone => key.len(),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const TTL: Duration = Duration::from_secs(60);

    fn row(version: u64, value: &[u8]) -> Entry {
        Entry::Row { version, value: Bytes::copy_from_slice(value) }
    }

    #[test]
    fn the_newest_of_a_key_is_kept_until_it_is_written() {
        let (unwritten, now) = (Unwritten::new(TTL), Instant::now());
        unwritten.note("a", &row(2, b"two"), now);
        unwritten.note("a", &row(1, b"one"), now);
        assert_eq!(unwritten.list(), [("a".to_owned(), row(2, b"two"))]);
        unwritten.note("a", &row(3, b"three"), now);
        unwritten.strike("a", &row(2, b"two"));
        assert!(unwritten.has("a", now), "the third is not written");
        unwritten.note("a", &Entry::Gone, now);
        unwritten.note("a", &row(4, b"four"), now);
        assert_eq!(unwritten.list(), [("a".to_owned(), Entry::Gone)]);
        unwritten.strike("a", &Entry::Gone);
        assert!(!unwritten.has("a", now));
        assert_eq!(unwritten.noted().bytes, 0);
    }

    #[test]
    fn each_is_kept_until_its_time_has_passed() {
        let (unwritten, now) = (Unwritten::new(TTL), Instant::now());
        unwritten.note("a", &row(1, b"one"), now);
        unwritten.note("b", &row(1, b"one"), now + TTL);
        unwritten.expire(now + TTL);
        assert!(unwritten.has("a", now));
        unwritten.expire(now + TTL + Duration::from_millis(1));
        assert!(!unwritten.has("a", now) && unwritten.has("b", now));
    }

    #[test]
    fn with_more_than_are_kept_nothing_is_known_until_the_time_has_passed() {
        let now = Instant::now();
        let many = Unwritten::new(TTL);
        (0..ENTRIES_MAX).for_each(|number| many.note(&number.to_string(), &Entry::Gone, now));
        assert!(!many.has("another", now));
        many.note("one too many", &Entry::Gone, now);
        let large = Unwritten::new(TTL);
        large.note("large", &row(1, &vec![b'x'; BYTES_MAX]), now);
        for full in [many, large] {
            assert!(full.has("another", now));
            assert!(!full.has("another", now + TTL));
        }
    }
}
