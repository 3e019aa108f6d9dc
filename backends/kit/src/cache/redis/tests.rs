//! The cache over real servers: the contract, and that nothing old is read after Redis was away.

use super::*;
use crate::redis::testing::{LIMIT as PATIENCE, address, all_well, cluster, prefix, single, until, warning};

const TTL: Duration = Duration::from_secs(60);

mod on_a_single_node {
    crate::cache_contract!(std::sync::Arc::new(super::patient(super::single()).await));
}

mod on_a_cluster {
    crate::cache_contract!(std::sync::Arc::new(super::patient(super::cluster()).await));
}

async fn connected(address: RedisAddress) -> Redis {
    let cache = Redis::start(address, &prefix(), TTL);
    all_well(|| cache.check()).await;
    cache
}

/// The contract is about what is kept, not about how quick a busy machine is.
async fn patient(address: RedisAddress) -> Redis {
    Redis { limit: PATIENCE, ..connected(address).await }
}

fn row(version: u64) -> Entry {
    Entry::Row { version, value: Bytes::from(format!("row {version}")) }
}

/// Waits until the second version is known. The first must not be read any more.
async fn second_is_read_and_the_first_never(cache: &Redis) {
    until("the second version is read", async || match cache.get("key").await {
        Some(entry) if entry == row(1) => panic!("an old row was read"),
        entry => entry == Some(row(2)),
    })
    .await;
}

#[tokio::test]
async fn what_could_not_be_written_while_redis_hung_is_written_before_it_is_read() {
    let server = servers::Redis::start();
    let cache = connected(address(&server.url())).await;
    cache.put("key", row(1)).await;
    server.pause();
    cache.put("key", row(2)).await;
    assert_eq!(cache.get("key").await, None);
    server.resume();
    second_is_read_and_the_first_never(&cache).await;
}

#[tokio::test]
async fn what_could_not_be_written_while_redis_was_away_is_written_before_it_is_read() {
    let server = servers::Redis::start();
    let cache = connected(address(&server.url())).await;
    cache.put("key", row(1)).await;
    server.pause();
    warning(|| cache.check()).await;
    cache.put("key", row(2)).await;
    server.resume();
    second_is_read_and_the_first_never(&cache).await;
}

#[tokio::test]
async fn a_redis_that_comes_back_with_what_it_saved_does_not_bring_back_old_rows() {
    let server = servers::Redis::start();
    let cache = connected(address(&server.url())).await;
    cache.put("key", row(1)).await;
    assert_eq!(server.command("SAVE"), "+OK");
    server.stop();
    cache.put("key", row(2)).await;
    server.start_again();
    let key = format!("{}:key", cache.parts.prefix);
    assert_eq!(server.command(&format!("EXISTS {key}")), ":1");
    until("the second version is written", async || {
        assert!(cache.get("key").await != Some(row(1)), "an old row was read");
        server.command(&format!("GET {key}")) == "2 row 2"
    })
    .await;
    assert_eq!(cache.get("key").await, None, "of what it saved nothing is believed");
}

#[tokio::test]
async fn a_redis_that_comes_back_with_an_older_memory_is_not_believed_until_that_is_gone() {
    const TTL: Duration = Duration::from_secs(8);
    let server = servers::Redis::start();
    let prefix = prefix();
    let cache = Redis::start(address(&server.url()), &prefix, TTL);
    all_well(|| cache.check()).await;
    cache.put("key", row(1)).await;
    assert_eq!(server.command("SAVE"), "+OK");
    cache.put("key", row(2)).await;
    assert_eq!(cache.get("key").await, Some(row(2)));
    server.kill();
    server.start_again();
    let kept = || server.command(&format!("GET {prefix}:key"));
    assert_eq!(kept(), "1 row 1");
    all_well(|| cache.check()).await;
    let is_cut = std::cell::Cell::new(false);
    until("what it saved is gone", async || {
        assert!(cache.get("key").await.is_none(), "an old row was read");
        // New connections to the same memory change nothing.
        if !is_cut.replace(true) {
            server.command("CLIENT KILL TYPE normal");
        }
        kept() == "$-1"
    })
    .await;
    until("it is of use again", async || {
        cache.put("key", row(3)).await;
        cache.get("key").await == Some(row(3))
    })
    .await;
}

#[tokio::test]
async fn a_deletion_that_could_not_be_written_is_not_forgotten() {
    let server = servers::Redis::start();
    let cache = connected(address(&server.url())).await;
    cache.put("key", row(1)).await;
    server.pause();
    cache.put("key", Entry::Gone).await;
    server.resume();
    until("the deletion is known", async || {
        let known = cache.get("key").await;
        assert!(known != Some(row(1)), "a deleted row was read");
        known == Some(Entry::Gone)
    })
    .await;
}

#[tokio::test]
async fn who_goes_away_while_putting_leaves_nothing_old() {
    let server = servers::Redis::start();
    let cache = connected(address(&server.url())).await;
    cache.put("key", row(1)).await;
    server.pause();
    assert!(timeout(Duration::from_millis(1), cache.put("key", row(2))).await.is_err());
    server.resume();
    second_is_read_and_the_first_never(&cache).await;
}

#[tokio::test]
async fn after_redis_was_away_the_others_wait_for_what_was_not_written() {
    let server = servers::Redis::start();
    let prefix = prefix();
    let [ada, ben] = [(); 2].map(|()| Redis::start(address(&server.url()), &prefix, TTL));
    all_well(|| ada.check()).await;
    all_well(|| ben.check()).await;
    ada.put("key", row(1)).await;
    assert_eq!(ben.get("key").await, Some(row(1)));
    server.pause();
    warning(|| ada.check()).await;
    warning(|| ben.check()).await;
    ada.put("key", row(2)).await;
    server.resume();
    second_is_read_and_the_first_never(&ben).await;
}

/// Two processes that share rows, of which one changes a row while Redis refuses writes.
async fn nothing_old_is_read_where_writes_are_refused(url: &str, refuse: impl Fn(), why: &str, allow: impl Fn()) {
    let prefix = prefix();
    let [ada, ben] = [(); 2].map(|()| Redis::start(address(url), &prefix, TTL));
    all_well(|| ada.check()).await;
    all_well(|| ben.check()).await;
    ada.put("key", row(1)).await;
    assert_eq!(ben.get("key").await, Some(row(1)));
    refuse();
    for cache in [&ada, &ben] {
        let said = warning(|| cache.check()).await;
        assert!(said.starts_with("redis is away: ") && said.contains(why) && !said.contains("script"), "{said}");
    }
    ada.put("key", row(2)).await;
    assert_eq!([ada.get("key").await, ben.get("key").await], [None, None]);
    allow();
    second_is_read_and_the_first_never(&ben).await;
}

#[tokio::test]
async fn a_redis_without_memory_left_is_away_for_all() {
    let server = servers::Redis::start();
    let set = |bytes| assert_eq!(server.command(&format!("CONFIG SET maxmemory {bytes}")), "+OK");
    nothing_old_is_read_where_writes_are_refused(&server.url(), || set("1kb"), "it refuses writes: OOM ", || set("0")).await;
}

#[tokio::test]
async fn a_node_of_a_cluster_without_memory_left_is_away_for_all() {
    let cluster = servers::RedisCluster::start();
    for node in cluster.nodes() {
        let set = |bytes| assert_eq!(node.command(&format!("CONFIG SET maxmemory {bytes}")), "+OK");
        nothing_old_is_read_where_writes_are_refused(&cluster.url(), || set("1kb"), "it refuses writes: OOM ", || set("0")).await;
    }
}

#[tokio::test]
async fn a_redis_that_became_a_replica_is_away_for_all() {
    let server = servers::Redis::start();
    let follow = |whom| assert_eq!(server.command(&format!("REPLICAOF {whom}")), "+OK");
    let (refuse, allow) = (|| follow("127.0.0.1 1"), || follow("NO ONE"));
    nothing_old_is_read_where_writes_are_refused(&server.url(), refuse, ": it is a read-only replica", allow).await;
}

#[tokio::test]
async fn a_redis_where_keys_may_not_be_written_is_away_for_all() {
    let server = servers::Redis::start();
    let user = |rights| assert_eq!(server.command(&format!("ACL SETUSER ada on >secret {rights}")), "+OK");
    user("~* &* +@all");
    let url = server.url().replace("redis://", "redis://ada:secret@");
    let (refuse, allow) = (|| user("resetkeys"), || user("~*"));
    nothing_old_is_read_where_writes_are_refused(&url, refuse, "it refuses writes: NOPERM", allow).await;
}

/// The rights that `docs/servers.md` lists.
#[tokio::test]
async fn the_rights_that_are_listed_are_enough() {
    let text = include_str!("../../../../../docs/servers.md");
    let user = text.lines().find(|line| line.starts_with("ACL SETUSER app ")).expect("the list");
    let cluster = servers::RedisCluster::start();
    for node in cluster.nodes() {
        assert_eq!(node.command(&format!("{user} +cluster +ssubscribe +spublish")), "+OK");
    }
    let single = servers::Redis::start();
    assert_eq!(single.command(user), "+OK");
    for url in [single.url(), cluster.url()] {
        let address = address(&url.replace("redis://", "redis://app:secret@"));
        let cache = Redis::start(address.clone(), "superapp", TTL);
        all_well(|| cache.check()).await;
        cache.put("users:1", row(1)).await;
        until("it is read", async || cache.get("users:1").await == Some(row(1))).await;
        let bus = crate::bus::Redis::start(address, "superapp");
        let topic = crate::bus::Topic { name: "chat", shards: 8 };
        let mut subscription = crate::bus::Bus::subscribe(&bus, topic);
        crate::bus::Bus::publish(&bus, topic, "key", Bytes::from("hi"));
        let heard = timeout(PATIENCE, subscription.next()).await.expect("a message in time");
        assert_eq!(heard, Some(crate::bus::Delivery::Message(Bytes::from("hi"))));
        assert_eq!(crate::bus::Bus::check(&bus), Check::pass());
    }
}

#[tokio::test]
async fn what_is_refused_is_tried_again_in_small_numbers() {
    let server = servers::Redis::start();
    let prefix = prefix();
    // All is well but for the rows.
    assert_eq!(server.command(&format!("ACL SETUSER ada on >secret ~{prefix}:probe:* &* +@all")), "+OK");
    let cache = Redis::start(address(&server.url().replace("redis://", "redis://ada:secret@")), &prefix, TTL);
    all_well(|| cache.check()).await;
    for key in 0..1000 {
        cache.put(&key.to_string(), row(1)).await;
    }
    let count = |what: &str| {
        let stats = server.command("INFO commandstats");
        let line = stats.lines().find(|line| line.starts_with("cmdstat_evalsha:")).unwrap().to_owned();
        line.split([':', ',']).find_map(|field| field.strip_prefix(what)?.parse::<u64>().ok()).unwrap()
    };
    let [looks, refusals] = [count("calls="), count("rejected_calls=")];
    // That is four seconds.
    until("it looked five times", async || count("calls=") >= looks + 5).await;
    let refusals = count("rejected_calls=") - refusals;
    assert!((1..=5 * TOGETHER as u64).contains(&refusals), "{refusals} were refused");
}

#[tokio::test]
async fn what_was_read_while_redis_was_away_is_not_remembered() {
    let server = servers::Redis::start();
    let cache = connected(address(&server.url())).await;
    server.pause();
    warning(|| cache.check()).await;
    for key in 0..=10_000 {
        cache.fill(&key.to_string(), row(1)).await;
    }
    server.resume();
    all_well(|| cache.check()).await;
    until("the cache is of use", async || {
        cache.fill("key", row(1)).await;
        cache.get("key").await == Some(row(1))
    })
    .await;
}

#[tokio::test]
async fn on_a_cluster_what_a_dead_node_could_not_take_is_written_when_it_is_back() {
    let cluster = servers::RedisCluster::start();
    let cache = connected(address(&cluster.url())).await;
    let keys: Vec<_> = (0..30).map(|number| number.to_string()).collect();
    for key in &keys {
        cache.put(key, row(1)).await;
    }
    cluster.nodes()[0].kill();
    warning(|| cache.check()).await;
    for key in &keys {
        cache.put(key, row(2)).await;
    }
    cluster.nodes()[0].start_again();
    all_well(|| cache.check()).await;
    // Who was there before does not believe the node that was started again, so another looks.
    let another = Redis::start(address(&cluster.url()), &cache.parts.prefix, TTL);
    for key in &keys {
        until("the second version is written", async || {
            assert!(cache.get(key).await != Some(row(1)), "an old row was read");
            another.get(key).await == Some(row(2))
        })
        .await;
    }
}

#[tokio::test]
async fn a_key_that_moves_to_another_node_is_followed() {
    let cluster = servers::RedisCluster::start();
    let cache = connected(address(&cluster.url())).await;
    for (node, key) in ["a", "b", "c"].into_iter().enumerate() {
        cluster.move_slot_of(&format!("{}:{key}", cache.parts.prefix), node);
    }
    for key in ["a", "b", "c"] {
        cache.put(key, row(1)).await;
        until("it is read", async || cache.get(key).await == Some(row(1))).await;
    }
}

#[tokio::test]
async fn a_redis_that_hangs_or_is_away_costs_little() {
    let server = servers::Redis::start();
    let cache = connected(address(&server.url())).await;
    let took = async || {
        let started = Instant::now();
        assert_eq!(cache.get("key").await, None);
        cache.put("key", row(1)).await;
        started.elapsed()
    };
    server.pause();
    assert!(took().await < Duration::from_secs(1));
    warning(|| cache.check()).await;
    for _ in 0..100 {
        assert!(took().await < Duration::from_millis(100));
    }
    server.resume();
}

#[tokio::test]
async fn killed_connections_are_replaced_and_the_script_is_loaded_again() {
    let server = servers::Redis::start();
    let cache = connected(address(&server.url())).await;
    cache.put("key", row(1)).await;
    server.command("SCRIPT FLUSH");
    cache.put("key", row(2)).await;
    assert_eq!(cache.get("key").await, Some(row(2)));
    assert_eq!(server.command("CLIENT KILL TYPE normal"), ":1");
    second_is_read_and_the_first_never(&cache).await;
}

#[tokio::test]
async fn entries_are_readable_texts_that_expire() {
    let server = servers::Redis::start();
    let cache = Redis::start(address(&server.url()), "superapp", Duration::from_millis(500));
    all_well(|| cache.check()).await;
    cache.put("users:1", row(7)).await;
    cache.put("users:2", Entry::Gone).await;
    assert_eq!(server.command("GET superapp:users:1"), "7 row 7");
    assert_eq!(server.command("GET superapp:users:2"), "gone");
    until("they are gone", async || server.command("DBSIZE") == ":0").await;
    assert_eq!(cache.get("users:1").await, None);
    server.command("SET superapp:users:3 nonsense");
    assert_eq!(cache.get("users:3").await, None);
    cache.put("users:3", row(1)).await;
    assert_eq!(cache.get("users:3").await, Some(row(1)));
}

#[tokio::test]
async fn what_is_put_before_redis_is_there_is_written_when_it_comes() {
    let server = servers::Redis::start();
    server.stop();
    let cache = Redis::start(address(&server.url()), &prefix(), TTL);
    cache.put("key", row(1)).await;
    server.start_again();
    until("it is read", async || cache.get("key").await == Some(row(1))).await;
}
