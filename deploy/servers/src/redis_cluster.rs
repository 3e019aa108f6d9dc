//! A Redis Cluster of one's own: three masters.

use std::time::{Duration, Instant};

use crate::Redis;
use crate::supervised::free_port;

const SLOTS: u32 = 16384;
const LIMIT: Duration = Duration::from_secs(30);

/// Three nodes that share the slots. Gone when dropped.
pub struct RedisCluster {
    nodes: Vec<Redis>,
}

impl RedisCluster {
    /// Starts one and waits until it serves all slots.
    pub fn start() -> Self {
        let node = || {
            Redis::start_with(|_, _| {
                let bus = free_port().to_string();
                let arguments = ["--cluster-enabled", "yes", "--cluster-port", &bus, "--cluster-node-timeout", "2000"];
                arguments.map(str::to_owned).to_vec()
            })
        };
        let cluster = Self { nodes: vec![node(), node(), node()] };
        let count = u32::try_from(cluster.nodes.len()).expect("a few nodes");
        for (index, node) in (0..).zip(&cluster.nodes) {
            let (from, to) = (SLOTS * index / count, SLOTS * (index + 1) / count - 1);
            assert_eq!(node.command(&format!("CLUSTER ADDSLOTSRANGE {from} {to}")), "+OK");
            assert_eq!(node.command(&format!("CLUSTER SET-CONFIG-EPOCH {}", index + 1)), "+OK");
        }
        for other in &cluster.nodes[1..] {
            let bus = bus_port(other);
            assert_eq!(cluster.nodes[0].command(&format!("CLUSTER MEET 127.0.0.1 {} {bus}", other.port())), "+OK");
        }
        let started = Instant::now();
        let is_whole = |node: &Redis| {
            let info = node.command("CLUSTER INFO");
            info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
        };
        while !cluster.nodes.iter().all(is_whole) {
            assert!(started.elapsed() < LIMIT, "the cluster does not come together");
            std::thread::sleep(Duration::from_millis(20));
        }
        cluster
    }

    /// All nodes in one URL.
    pub fn url(&self) -> String {
        let nodes: Vec<String> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        format!("redis://{}", nodes.join(","))
    }

    /// Gives the slot of a key to a node; there must be no keys in it.
    pub fn move_slot_of(&self, key: &str, node: usize) {
        let slot = self.nodes[0].command(&format!("CLUSTER KEYSLOT {key}"));
        let id = self.nodes[node].command("CLUSTER MYID");
        let others = self.nodes.iter().enumerate().filter(|(index, _)| *index != node).map(|(_, other)| other);
        // The new owner first, so that the slot is never nobody's.
        for each in [&self.nodes[node]].into_iter().chain(others) {
            assert_eq!(each.command(&format!("CLUSTER SETSLOT {} NODE {id}", &slot[1..])), "+OK");
        }
    }

    /// The nodes, to be stopped and paused one by one.
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }
}

/// Where a node talks to the others, as it says itself: `id 127.0.0.1:port@bus-port,… myself,…`.
fn bus_port(node: &Redis) -> String {
    let nodes = node.command("CLUSTER NODES");
    let port = nodes.split('@').nth(1).and_then(|rest| rest.split([',', ' ']).next());
    port.unwrap_or_else(|| panic!("no port of the cluster bus in {nodes}")).to_owned()
}
