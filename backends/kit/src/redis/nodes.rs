//! Connections to all nodes of a Redis: one, or the masters of a Cluster. They are made together and given up together; the
//! link makes new ones when something is wrong with any of them.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{join_all, select_ok, try_join_all};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ErrorKind, PushInfo, PushKind, RedisError, ServerErrorKind, Value, cmd, from_redis_value};
use tokio::sync::mpsc;

use super::address::Place;
use super::{Probe, RedisAddress, reason};

const CONNECT_LIMIT: Duration = Duration::from_secs(1);
const RESPONSE_LIMIT: Duration = Duration::from_secs(1);
const SLOTS: u16 = 16384;

/// What is done with what a node says unasked. It is called on the connection's task, so it must not wait.
pub(crate) type OnPush = Arc<dyn Fn(PushInfo) + Send + Sync>;

/// Connections to all nodes that answer.
pub(crate) struct Nodes {
    /// Which connections these are: the first of a link are 1, those that replace them 2.
    pub(crate) number: u64,
    pub(crate) is_cluster: bool,
    pub(crate) since: Instant,
    nodes: Vec<Node>,
    /// Since when they have another memory than those before them had, if they ever did: Redis was started again, perhaps with
    /// what it had saved, or a replica took over that had not heard all.
    pub(crate) other_memory_since: Option<Instant>,
    /// A node of the cluster that cannot be reached, and why.
    unreachable: Option<String>,
    /// What is written to see whether that is possible.
    probe: Option<Probe>,
    doubts: mpsc::Sender<String>,
}

struct Node {
    place: Place,
    slots: Vec<RangeInclusive<u16>>,
    connection: MultiplexedConnection,
    /// A name that Redis gives itself each time it starts.
    run_id: String,
    probe_key: Option<String>,
}

impl Nodes {
    /// Connects. `known` are nodes that were there before, should all that the address names be gone. What is heard of
    /// doubts means that new connections are needed.
    pub(super) async fn connect(
        address: &RedisAddress,
        known: &[Place],
        number: u64,
        on_push: &OnPush,
    ) -> Result<(Self, mpsc::Receiver<String>), String> {
        let (doubts, doubted) = mpsc::channel(1);
        let open = |place: Place, slots| open(address, place, slots, on_push.clone(), doubts.clone());
        let seeds = address.seeds.iter().chain(known.iter().filter(|place| !address.seeds.contains(place)));
        let (first, _) = select_ok(seeds.map(|seed| Box::pin(open(seed.clone(), vec![0..=SLOTS - 1])))).await?;

        let is_cluster = first.asks::<String>(&["INFO", "cluster"]).await?.contains("cluster_enabled:1");
        let (nodes, unreachable) = if is_cluster {
            let owners =
                owners(first.asks(&["CLUSTER", "SLOTS"]).await?, &first.place.host).ok_or("its list of slots is not to be read")?;
            let opened = join_all(owners.into_iter().map(|(place, slots)| open(place, slots))).await;
            let unreachable = opened.iter().find_map(|opened| opened.as_ref().err().cloned());
            let nodes: Vec<_> = opened.into_iter().flatten().collect();
            if nodes.is_empty() {
                return Err(unreachable.unwrap_or_else(|| "no node of the cluster has slots".to_owned()));
            }
            (nodes, unreachable)
        } else if address.seeds.len() > 1 {
            return Err(format!("{} is not part of a cluster, but there are several addresses", first.place));
        } else {
            (vec![first], None)
        };
        Ok((Self { number, is_cluster, since: Instant::now(), nodes, other_memory_since: None, unreachable, probe: None, doubts }, doubted))
    }

    /// Asks all nodes whether they are well: what is lacking, if anything, or why they cannot be used.
    pub(super) async fn look(&self) -> Result<Option<String>, String> {
        let complaints = try_join_all(self.nodes.iter().map(|node| self.look_at(node))).await?;
        Ok(self.unreachable.clone().or_else(|| complaints.into_iter().flatten().next()))
    }

    async fn look_at(&self, node: &Node) -> Result<Option<String>, String> {
        // A replica answers all questions, but what is written elsewhere reaches it late or never.
        let is_replica = |info: String| info.lines().any(|line| line.starts_with("role:") && line != "role:master");
        if is_replica(node.asks(&["INFO", "replication"]).await?) {
            return Err(format!("{}: it is a read-only replica", node.place));
        }
        if let Some(probe) = &self.probe {
            node.can_be_written(probe).await?;
        }
        let is_down = self.is_cluster && !node.asks::<String>(&["CLUSTER", "INFO"]).await?.contains("cluster_state:ok");
        Ok(is_down.then(|| "the cluster says it is down".to_owned()))
    }

    /// The runs of Redis that these are.
    pub(super) fn runs(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().map(|node| node.run_id.as_str())
    }

    /// Whether no node is lacking.
    pub(super) fn are_all(&self) -> bool {
        self.unreachable.is_none()
    }

    /// From now on [`Nodes::look`] tries this.
    pub(super) fn write_when_looking(&mut self, probe: &Probe) {
        for node in &mut self.nodes {
            node.probe_key = probe.key_in(&node.slots);
        }
        self.probe = Some(probe.clone());
    }

    /// Returns when all nodes have answered, and what they said unasked before has been heard.
    pub(crate) async fn catch_up(&self) {
        // Who cannot answer has nothing more to say.
        join_all(self.nodes.iter().map(|node| node.asks::<Value>(&["PING"]))).await;
    }

    /// Asks for new connections, since these do not do what they should.
    pub(crate) fn doubt(&self, why: String) {
        // When it is full, somebody else doubted already.
        let _ = self.doubts.try_send(why);
    }

    /// Doubts when a node said that what it was asked about is another's now.
    pub(crate) fn doubt_when_moved(&self, error: &RedisError) {
        if error.kind() == ErrorKind::Server(ServerErrorKind::Moved) {
            self.doubt("slots moved to another node".to_owned());
        }
    }

    /// Which node is asked about this key, or carries this channel; none when its node is not there.
    pub(crate) fn owner(&self, key: &str) -> Option<usize> {
        let slot = slot_of(key.as_bytes());
        self.nodes.iter().position(|node| node.slots.iter().any(|slots| slots.contains(&slot)))
    }

    /// The connection to a node that [`Nodes::owner`] told.
    pub(crate) fn connection(&self, owner: usize) -> MultiplexedConnection {
        self.nodes[owner].connection.clone()
    }

    /// Who is reached, for which slots.
    pub(super) fn reached(&self) -> Vec<(&Place, &[RangeInclusive<u16>])> {
        self.nodes.iter().map(|node| (&node.place, node.slots.as_slice())).collect()
    }
}

impl Node {
    async fn can_be_written(&self, probe: &Probe) -> Result<(), String> {
        let Some(key) = &self.probe_key else { return Ok(()) };
        let Err(error) = probe.write(key, self.connection.clone()).await else { return Ok(()) };
        match error.kind() {
            // A slot on its way to another node, or a cluster that is down, which it says itself: it is not read either.
            ErrorKind::Server(ServerErrorKind::Ask | ServerErrorKind::TryAgain | ServerErrorKind::ClusterDown) => Ok(()),
            ErrorKind::Server(ServerErrorKind::Moved) => Err(format!("{}: slots moved to another node", self.place)),
            ErrorKind::Server(_) | ErrorKind::Extension => Err(format!("{}: it refuses writes: {}", self.place, reason(&error))),
            _ => Err(format!("{}: {}", self.place, reason(&error))),
        }
    }

    async fn asks<T: redis::FromRedisValue>(&self, words: &[&str]) -> Result<T, String> {
        let mut command = cmd(words[0]);
        words[1..].iter().for_each(|word| _ = command.arg(*word));
        let answer: Result<T, RedisError> = command.query_async(&mut self.connection.clone()).await;
        answer.map_err(|error| format!("{}: {}", self.place, reason(&error)))
    }
}

async fn open(
    address: &RedisAddress,
    place: Place,
    slots: Vec<RangeInclusive<u16>>,
    on_push: OnPush,
    doubts: mpsc::Sender<String>,
) -> Result<Node, String> {
    let name = place.to_string();
    let hear = move |push: PushInfo| {
        match push.kind {
            PushKind::Disconnection => _ = doubts.try_send(format!("{name}: the connection was closed")),
            // We never unsubscribe: the slot moved, or the node is no longer its owner.
            PushKind::Unsubscribe | PushKind::SUnsubscribe => _ = doubts.try_send(format!("{name}: it ended a subscription")),
            _ => on_push(push),
        }
        Ok::<_, ()>(())
    };
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_LIMIT))
        .set_response_timeout(Some(RESPONSE_LIMIT))
        .set_push_sender(hear);
    let connect = async { Client::open(address.connection_info(&place))?.get_multiplexed_async_connection_with_config(&config).await };
    let connection = connect.await.map_err(|error: RedisError| format!("{place}: {}", reason(&error)))?;
    let mut node = Node { place, slots, connection, run_id: String::new(), probe_key: None };
    let info: String = node.asks(&["INFO", "server"]).await?;
    node.run_id = info.lines().find_map(|line| line.strip_prefix("run_id:")).unwrap_or_default().to_owned();
    Ok(node)
}

/// The masters and their slots, from the answer to `CLUSTER SLOTS`: `[from, to, [host, port, …], replicas…]` for each range.
fn owners(answer: Value, host_asked: &str) -> Option<BTreeMap<Place, Vec<RangeInclusive<u16>>>> {
    let mut owners: BTreeMap<Place, Vec<_>> = BTreeMap::new();
    for range in from_redis_value::<Vec<Vec<Value>>>(answer).ok()? {
        let [from, to, master, ..] = <[Value; 3]>::try_from(range.into_iter().take(3).collect::<Vec<_>>()).ok()?;
        let mut master = from_redis_value::<Vec<Value>>(master).ok()?.into_iter();
        let host: Option<String> = from_redis_value(master.next()?).ok()?;
        let port = from_redis_value(master.next()?).ok()?;
        // A node that does not know its own address is where it was asked; of one that it does not know, it says "?".
        let host = host.filter(|host| !host.is_empty()).unwrap_or_else(|| host_asked.to_owned());
        if host != "?" {
            owners.entry(Place { host, port }).or_default().push(from_redis_value(from).ok()?..=from_redis_value(to).ok()?);
        }
    }
    Some(owners)
}

/// CRC16 (XMODEM) of the key or of what its first braces hold: <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>.
pub(super) fn slot_of(key: &[u8]) -> u16 {
    let braced = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        let close = rest.iter().position(|byte| *byte == b'}')?;
        (close > 0).then(|| &rest[..close])
    });
    let crc = braced.unwrap_or(key).iter().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 })
    });
    crc % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(slot_of(b"123456789"), 0x31c3);
        assert_eq!(slot_of(b"foo"), 12182);
        assert_eq!(slot_of(b"{foo}bar"), 12182);
        assert_eq!(slot_of(b"x{foo}{bar}"), 12182);
        assert_eq!(slot_of(b"{}foo"), slot_of(b"{}foo"));
        assert_ne!(slot_of(b"{}foo"), slot_of(b""));
    }

    #[test]
    fn the_list_of_slots_is_read_where_hosts_are_missing_too() {
        let text = |text: &str| Value::BulkString(text.into());
        let range = |from, to, host, port| {
            let master = Value::Array(vec![host, Value::Int(port), text("id"), Value::Map(Vec::new())]);
            Value::Array(vec![Value::Int(from), Value::Int(to), master.clone(), master])
        };
        let answer = vec![range(0, 9, text("a"), 1), range(10, 19, text(""), 2), range(20, 29, Value::Nil, 2), range(30, 39, text("?"), 3)];
        let place = |host: &str, port| Place { host: host.to_owned(), port };
        let expected = BTreeMap::from([(place("a", 1), vec![0..=9]), (place("asked", 2), vec![10..=19, 20..=29])]);
        assert_eq!(owners(Value::Array(answer), "asked"), Some(expected));
        assert_eq!(owners(Value::Okay, "asked"), None);
    }
}
