//! The cache between processes: a string of Redis for each row, `<prefix>:<key>`.

#[cfg(test)]
mod tests;
mod unwritten;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;
use redis::{RedisResult, Script, cmd};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use self::unwritten::Unwritten;
use super::{Cache, Entry};
use crate::RedisAddress;
use crate::health::Check;
use crate::redis::{Link, Nodes, Probe, State};

/// How long each thing that a request wants of the cache is waited for before it does without.
const LIMIT: Duration = Duration::from_millis(150);
/// How often it is tried to write what could not be written; seldomer as long as that fails.
const RETRY_EVERY: Duration = Duration::from_millis(500);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(4);
/// How many of these are written together.
const TOGETHER: usize = 64;
/// After Redis was away, the other processes may need so long to write what they could not.
const SETTLING: Duration = Duration::from_secs(3);
/// How long what is written to see whether that is possible stays.
const PROBE_TTL: Duration = Duration::from_millis(100);

/// A cache in a Redis. Its connections and tasks end when it is dropped.
///
/// An entry that could not be written must not leave an older one to be read when Redis is there again, since Redis may have
/// kept its memory. So:
///
/// - A change that this process failed to put is kept here until it is written or `ttl` has passed; its key is a miss meanwhile. When
///   there is more of that than is kept here, everything is a miss until `ttl` has passed.
/// - A Redis that comes back with another memory may have rows as they were when it saved them, or when its replica last heard
///   of it: everything is a miss until `ttl` has passed.
/// - After each other reconnect everything is a miss for three seconds, in which the other processes write what they failed to put.
///
/// - A Redis that cannot be written is away, for all processes: each tries it when it looks.
///
/// What remains: while one process cannot reach a Redis that others can, these may read its rows as they were, for up to `ttl`.
///
/// A Redis that hangs costs 150 ms for each thing asked of it until that is noticed: a reader of users waits three times, since
/// he asks, asks again when he is the one to read, and fills. One that is away costs nothing.
pub struct Redis {
    parts: Arc<Parts>,
    link: Link,
    limit: Duration,
    _retrying: AbortOnDropHandle<()>,
}

struct Parts {
    prefix: String,
    ttl: Duration,
    put: Arc<Script>,
    unwritten: Unwritten,
}

impl Redis {
    /// Begins to connect, on the present runtime; never fails. All keys begin with `prefix` and a colon; entries are kept for
    /// `ttl`.
    pub fn start(address: RedisAddress, prefix: &str, ttl: Duration) -> Self {
        let put = Arc::new(Script::new(include_str!("put.lua")));
        let arguments = vec!["gone".to_owned(), "gone".to_owned(), PROBE_TTL.as_millis().to_string()];
        let probe = Probe { prefix: format!("{prefix}:probe"), write: put.clone(), arguments };
        let parts = Arc::new(Parts { prefix: prefix.to_owned(), ttl, put, unwritten: Unwritten::new(ttl) });
        let link = Link::start(address, Arc::new(|_| {}), Some(probe));
        let _retrying = AbortOnDropHandle::new(tokio::spawn(retry(parts.clone(), link.watch())));
        Self { parts, link, limit: LIMIT, _retrying }
    }

    /// Whether Redis may still have something older than what was put before this connection.
    fn is_settling(&self, nodes: &Nodes) -> bool {
        let has_other_memory = nodes.other_memory_since.is_some_and(|since| since.elapsed() < self.parts.ttl);
        has_other_memory || (nodes.number > 1 && nodes.since.elapsed() < SETTLING)
    }
}

#[async_trait]
impl Cache for Redis {
    async fn get(&self, key: &str) -> Option<Entry> {
        let nodes = self.link.nodes()?;
        if self.is_settling(&nodes) || self.parts.unwritten.has(key, Instant::now()) {
            return None;
        }
        timeout(self.limit, self.parts.get(&nodes, key)).await.ok()?
    }

    async fn fill(&self, key: &str, entry: Entry) {
        if let Some(nodes) = self.link.nodes() {
            // A failure leaves nothing wrong, so it is forgotten.
            let _ = timeout(self.limit, self.parts.write(&nodes, key, &entry)).await;
        }
    }

    async fn put(&self, key: &str, entry: Entry) {
        // Noted first, so that it is not forgotten should the caller go away meanwhile.
        self.parts.unwritten.note(key, &entry, Instant::now());
        if let Some(nodes) = self.link.nodes() {
            // A failure leaves it to be tried again.
            let _ = timeout(self.limit, self.parts.write(&nodes, key, &entry)).await;
        }
    }

    fn check(&self) -> Check {
        self.link.check()
    }
}

impl Parts {
    async fn get(&self, nodes: &Nodes, key: &str) -> Option<Entry> {
        let key = format!("{}:{key}", self.prefix);
        let mut connection = nodes.connection(nodes.owner(&key)?);
        let kept: RedisResult<Option<Vec<u8>>> = cmd("GET").arg(&key).query_async(&mut connection).await;
        match kept {
            Ok(kept) => read(Bytes::from(kept?)),
            Err(error) => {
                nodes.doubt_when_moved(&error);
                None
            }
        }
    }

    /// Puts an entry, and strikes it from what could not be written. Whether its node, if it is there, took it.
    async fn write(&self, nodes: &Nodes, key: &str, entry: &Entry) -> bool {
        let full_key = format!("{}:{key}", self.prefix);
        let Some(owner) = nodes.owner(&full_key) else { return true };
        let (version, text) = match entry {
            Entry::Row { version, value } => (version.to_string(), [version.to_string().as_bytes(), b" ", value].concat()),
            Entry::Gone => ("gone".to_owned(), b"gone".to_vec()),
        };
        let ttl = u64::try_from(self.ttl.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut put = self.put.key(full_key);
        put.arg(version).arg(text).arg(ttl);
        let written = put.invoke_async::<i64>(&mut nodes.connection(owner)).await;
        match &written {
            Ok(_) => self.unwritten.strike(key, entry),
            Err(error) => {
                metrics::counter!("cache_writes_failed_total").increment(1);
                nodes.doubt_when_moved(error);
            }
        }
        written.is_ok()
    }

    /// Writes what could not be written, as far as that goes; whether all of it was.
    async fn write_unwritten(&self, nodes: &Nodes) -> bool {
        for some in self.unwritten.list().chunks(TOGETHER) {
            let writing = join_all(some.iter().map(|(key, entry)| self.write(nodes, key, entry)));
            let are_written = timeout(LIMIT, writing).await.is_ok_and(|written| written.into_iter().all(|is_written| is_written));
            if !are_written {
                return false;
            }
        }
        true
    }
}

/// Reads what `put.lua` wrote; what is neither is none of ours.
fn read(text: Bytes) -> Option<Entry> {
    if text == "gone" {
        return Some(Entry::Gone);
    }
    let space = text.iter().position(|byte| *byte == b' ')?;
    let version = std::str::from_utf8(&text[..space]).ok()?.parse().ok()?;
    Some(Entry::Row { version, value: text.slice(space + 1..) })
}

/// Writes what could not be written, when Redis is there.
async fn retry(parts: Arc<Parts>, link: watch::Receiver<State>) {
    let (mut pause, mut next_at, mut tried_on) = (RETRY_EVERY, Instant::now(), 0);
    loop {
        tokio::time::sleep(RETRY_EVERY).await;
        parts.unwritten.expire(Instant::now());
        let nodes = link.borrow().nodes().cloned();
        let Some(nodes) = nodes else { continue };
        // The others settle after a reconnect, so then nothing is put off.
        let is_new = tried_on != nodes.number;
        if !is_new && Instant::now() < next_at {
            continue;
        }
        let is_well = parts.write_unwritten(&nodes).await;
        pause = if is_well || is_new { RETRY_EVERY } else { (pause * 2).min(RETRY_PAUSE_MAX) };
        (next_at, tried_on) = (Instant::now() + pause, nodes.number);
    }
}
