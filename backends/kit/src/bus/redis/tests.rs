//! The bus over real servers: the contract, and what happens to it when they go, hang, and come back.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::*;
use crate::bus::Delivery;
use crate::redis::testing::{LIMIT, address, all_well, cluster, prefix, single, until, warning};

const T: Topic = Topic { name: "t", shards: 8 };

mod on_a_single_node {
    crate::bus_contract!(std::sync::Arc::new(super::Redis::start(super::single(), &super::prefix())));
}

mod on_a_cluster {
    crate::bus_contract!(std::sync::Arc::new(super::Redis::start(super::cluster(), &super::prefix())));
}

fn start(url: &str) -> Redis {
    Redis::start(address(url), &prefix())
}

async fn next(subscription: &mut Box<dyn Subscription>) -> Delivery {
    tokio::time::timeout(LIMIT, subscription.next()).await.expect("a delivery in time").expect("a bus that is there")
}

fn said(text: &str) -> Delivery {
    Delivery::Message(Bytes::from(text.to_owned()))
}

/// Says something on each shard and hears all of it.
async fn all_is_heard(bus: &Redis, subscription: &mut Box<dyn Subscription>) {
    for key in 0..50 {
        bus.publish(T, &key.to_string(), Bytes::from("said"));
    }
    for _ in 0..50 {
        assert_eq!(next(subscription).await, said("said"));
    }
}

async fn lost(subscription: &mut Box<dyn Subscription>) {
    assert_eq!(next(subscription).await, Delivery::Lost);
}

/// Breaks and heals; the subscribers are told, and hear again.
async fn heals(server: &servers::Redis, hurt: fn(&servers::Redis), heal: fn(&servers::Redis)) {
    let bus = start(&server.url());
    let mut subscriptions = [bus.subscribe(T), bus.subscribe(T)];
    for subscription in &mut subscriptions {
        bus.publish(T, "key", Bytes::from("hi"));
        assert_eq!(next(subscription).await, said("hi"));
    }
    assert_eq!(next(&mut subscriptions[0]).await, said("hi"));
    hurt(server);
    let why = warning(|| bus.check()).await;
    assert!(why.starts_with("redis is away: ") && !why.contains("redis::"), "{why}");
    heal(server);
    all_well(|| bus.check()).await;
    let [mut first, mut second] = subscriptions;
    lost(&mut first).await;
    all_is_heard(&bus, &mut first).await;
    assert_eq!(next(&mut second).await, said("hi"));
    lost(&mut second).await;
}

#[tokio::test]
async fn after_redis_was_stopped_subscribers_are_told_and_hear_again() {
    heals(&servers::Redis::start(), servers::Redis::stop, servers::Redis::start_again).await;
}

#[tokio::test]
async fn after_redis_hung_subscribers_are_told_and_hear_again() {
    heals(&servers::Redis::start(), servers::Redis::pause, servers::Redis::resume).await;
}

#[tokio::test]
async fn a_connection_that_was_killed_is_replaced_at_once() {
    let server = servers::Redis::start();
    let bus = start(&server.url());
    let mut subscription = bus.subscribe(T);
    all_is_heard(&bus, &mut subscription).await;
    for _ in 0..3 {
        assert_eq!(server.command("CLIENT KILL TYPE pubsub"), ":1");
        lost(&mut subscription).await;
        all_is_heard(&bus, &mut subscription).await;
    }
}

#[tokio::test]
async fn who_only_publishes_gets_over_a_killed_connection_too() {
    let server = servers::Redis::start();
    let prefix = prefix();
    let [publisher, listener] = [(); 2].map(|()| Redis::start(address(&server.url()), &prefix));
    let mut subscription = listener.subscribe(T);
    all_is_heard(&listener, &mut subscription).await;
    all_well(|| publisher.check()).await;
    assert_eq!(server.command("CLIENT KILL TYPE normal"), ":1");
    publisher.publish(T, "key", Bytes::from("hi"));
    // It may have gone down with the connection, but the next ones do not.
    until("it is heard", async || {
        publisher.publish(T, "key", Bytes::from("hi again"));
        tokio::time::timeout(Duration::from_millis(50), listener.subscribe(T).next()).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_cluster_whose_node_dies_carries_the_rest_and_heals() {
    let cluster = servers::RedisCluster::start();
    let bus = start(&cluster.url());
    let mut subscription = bus.subscribe(T);
    all_is_heard(&bus, &mut subscription).await;
    let node = &cluster.nodes()[1];
    node.kill();
    let why = warning(|| bus.check()).await;
    assert!(why.starts_with("redis is "), "{why}");
    lost(&mut subscription).await;
    // What is on the other nodes goes on.
    until("some are heard", async || {
        (0..50).for_each(|key| bus.publish(T, &key.to_string(), Bytes::from("rest")));
        tokio::time::timeout(Duration::from_millis(200), bus.subscribe(T).next()).await.is_ok()
    })
    .await;
    node.start_again();
    all_well(|| bus.check()).await;
    bus.publish(T, "key", Bytes::from("end of the rest"));
    let (mut losses, mut delivery) = (0, next(&mut subscription).await);
    while delivery != said("end of the rest") {
        losses += usize::from(delivery == Delivery::Lost);
        delivery = next(&mut subscription).await;
    }
    assert!(losses > 0, "nobody was told");
    all_is_heard(&bus, &mut subscription).await;
}

#[tokio::test]
async fn a_node_of_a_cluster_that_hangs_does_not_hold_up_the_others() {
    let cluster = servers::RedisCluster::start();
    let bus = start(&cluster.nodes()[0].url());
    let mut subscription = bus.subscribe(T);
    all_is_heard(&bus, &mut subscription).await;
    cluster.nodes()[2].pause();
    warning(|| bus.check()).await;
    lost(&mut subscription).await;
    cluster.nodes()[2].resume();
    all_well(|| bus.check()).await;
    until("all is heard again", async || {
        let mut subscription = bus.subscribe(T);
        (0..50).for_each(|key| bus.publish(T, &key.to_string(), Bytes::from("said")));
        let all = async {
            for _ in 0..50 {
                while subscription.next().await != Some(said("said")) {}
            }
        };
        tokio::time::timeout(Duration::from_secs(2), all).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_channel_that_moves_to_another_node_is_followed() {
    let cluster = servers::RedisCluster::start();
    let bus = start(&cluster.url());
    let mut subscription = bus.subscribe(T);
    all_is_heard(&bus, &mut subscription).await;
    for shard in 0..T.shards {
        cluster.move_slot_of(&bus.topics.channel(T, shard), usize::from(shard) % 3);
    }
    until("all is heard again", async || {
        let mut subscription = bus.subscribe(T);
        (0..50).for_each(|key| bus.publish(T, &key.to_string(), Bytes::from("said")));
        let all = async {
            for _ in 0..50 {
                while subscription.next().await != Some(said("said")) {}
            }
        };
        tokio::time::timeout(Duration::from_secs(1), all).await.is_ok()
    })
    .await;
    while next(&mut subscription).await != Delivery::Lost {}
    all_well(|| bus.check()).await;
}

#[tokio::test]
async fn who_flushes_before_he_goes_loses_nothing() {
    for server in [single(), cluster()] {
        let prefix = prefix();
        let [goes, stays] = [(); 2].map(|()| Redis::start(server.clone(), &prefix));
        let mut subscription = stays.subscribe(T);
        all_is_heard(&stays, &mut subscription).await;
        for key in 0..5000 {
            goes.publish(T, &key.to_string(), Bytes::from("said"));
        }
        goes.flush().await;
        drop(goes);
        for _ in 0..5000 {
            assert_eq!(next(&mut subscription).await, said("said"));
        }
    }
}

#[tokio::test]
async fn a_flush_does_not_wait_for_a_redis_that_is_away() {
    let server = servers::Redis::start();
    let bus = start(&server.url());
    all_well(|| bus.check()).await;
    server.pause();
    bus.publish(T, "key", Bytes::from("lost"));
    let started = std::time::Instant::now();
    bus.flush().await;
    assert!(started.elapsed() < Duration::from_secs(3), "it took {:?}", started.elapsed());
    server.resume();
}

#[tokio::test]
async fn large_messages_go_one_by_one() {
    let bus = Redis::start(single(), &prefix());
    let mut subscription = bus.subscribe(T);
    let large = Bytes::from(vec![b'x'; 900_000]);
    for _ in 0..12 {
        bus.publish(T, "key", large.clone());
    }
    for _ in 0..12 {
        assert_eq!(next(&mut subscription).await, Delivery::Message(large.clone()));
    }
}

#[tokio::test]
async fn a_subscription_made_before_redis_is_there_begins_when_it_comes() {
    let server = servers::Redis::start();
    server.stop();
    let bus = start(&server.url());
    let mut subscription = bus.subscribe(T);
    bus.publish(T, "key", Bytes::from("too early"));
    assert_eq!(warning(|| bus.check()).await.split(": ").next(), Some("redis is away"));
    until("the message was given up", async || bus.room.available_permits() == WAITING_BYTES_MAX).await;
    server.start_again();
    lost(&mut subscription).await;
    all_is_heard(&bus, &mut subscription).await;
}

#[tokio::test]
async fn publishing_while_redis_is_away_neither_waits_nor_grows() {
    let server = servers::Redis::start();
    let bus = start(&server.url());
    all_well(|| bus.check()).await;
    server.pause();
    let started = std::time::Instant::now();
    for _ in 0..100_000 {
        bus.publish(T, "key", Bytes::from_static(&[b'x'; 1000]));
    }
    assert!(started.elapsed() < Duration::from_secs(5), "it took {:?}", started.elapsed());
    assert!(bus.room.available_permits() < 2000, "something was lost that had room");
    until("what waited was given up", async || bus.room.available_permits() == WAITING_BYTES_MAX).await;
    server.resume();
    let mut subscription = bus.subscribe(T);
    all_well(|| bus.check()).await;
    bus.publish(T, "key", Bytes::from("hi"));
    until("it is heard", async || {
        bus.publish(T, "key", Bytes::from("hi"));
        tokio::time::timeout(Duration::from_millis(50), bus.subscribe(T).next()).await.is_ok()
    })
    .await;
    drop(subscription.try_next());
}

#[tokio::test]
async fn processes_with_one_prefix_hear_each_other_and_nobody_else() {
    let prefix = prefix();
    let [ada, ben] = [(); 2].map(|()| Redis::start(single(), &prefix));
    let stranger = Redis::start(single(), "test-somebody-else");
    let mut subscription = ben.subscribe(T);
    all_is_heard(&ben, &mut subscription).await;
    stranger.publish(T, "key", Bytes::from("not for you"));
    ada.publish(T, "key", Bytes::from("for you"));
    assert_eq!(next(&mut subscription).await, said("for you"));
}

// The outsider blocks its thread.
#[tokio::test(flavor = "multi_thread")]
async fn outsiders_see_the_messages_as_they_were_published() {
    let server = servers::Redis::start();
    let mut outsider = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    outsider.set_read_timeout(Some(LIMIT)).unwrap();
    outsider.write_all(b"PSUBSCRIBE superapp:*\r\n").unwrap();
    let mut seen = BufReader::new(outsider).lines().map(|line| line.unwrap());
    assert!(seen.by_ref().take(6).last().unwrap().starts_with(':'));
    let bus = Redis::start(address(&server.url()), "superapp");
    let chat = Topic { name: "chat", shards: 64 };
    bus.publish(chat, "a room", Bytes::from(r#"{"hello":"world"}"#));
    bus.publish(Topic { name: "happenings", shards: 1 }, "", Bytes::from("{}"));
    let shard = chat.shard_of("a room");
    let mut next = || seen.by_ref().take(9).filter(|line| !line.starts_with(['*', '$', '>'])).collect::<Vec<_>>();
    assert_eq!(next(), ["pmessage", "superapp:*", &format!("superapp:chat:{shard:02}"), r#"{"hello":"world"}"#]);
    assert_eq!(next(), ["pmessage", "superapp:*", "superapp:happenings", "{}"]);
}

#[tokio::test]
async fn a_thousand_subscriptions_are_one_connection_and_go_with_the_bus() {
    let server = servers::Redis::start();
    let bus = start(&server.url());
    let mut subscriptions: Vec<_> = (0..1000).map(|_| bus.subscribe(T)).collect();
    bus.publish(T, "key", Bytes::from("hi"));
    for subscription in &mut subscriptions {
        assert_eq!(next(subscription).await, said("hi"));
    }
    // Ours and the one that asks.
    let connections = async || server.command("CLIENT LIST").lines().filter(|line| line.contains("addr=")).count();
    assert_eq!(connections().await, 2);
    drop(bus);
    for subscription in &mut subscriptions {
        assert_eq!(tokio::time::timeout(LIMIT, subscription.next()).await, Ok(None));
    }
    until("the connection is closed", async || connections().await == 1).await;
}

#[tokio::test]
async fn a_wrong_password_is_said_and_not_shown() {
    let server = servers::Redis::start();
    let with = |credentials: &str| server.url().replace("redis://", &format!("redis://{credentials}"));
    let [open, right, wrong] = [start(&server.url()), start(&with(":top-secret@")), start(&with(":guessed@"))];
    server.command("CONFIG SET requirepass top-secret");
    all_well(|| right.check()).await;
    let says = async |bus: &Redis, what: &str| {
        until(what, async || bus.check().detail.is_some_and(|detail| detail == format!("redis is away: {}: {what}", &server.url()[8..])))
            .await;
    };
    says(&wrong, "it does not accept the user and password").await;
    server.command("CLIENT KILL TYPE normal");
    says(&open, "it asks for a password").await;
}

#[tokio::test]
async fn a_subscription_that_is_not_allowed_is_said() {
    let server = servers::Redis::start();
    assert_eq!(server.command("ACL SETUSER deaf on >secret ~* +@all resetchannels"), "+OK");
    let bus = start(&server.url().replace("redis://", "redis://deaf:secret@"));
    let _subscription = bus.subscribe(T);
    until("a reason", async || bus.check().detail.is_some_and(|detail| detail.contains("a subscription failed: NOPERM"))).await;
}

#[tokio::test]
async fn a_message_that_may_not_be_published_is_said_until_one_is_carried() {
    let server = servers::Redis::start();
    assert_eq!(server.command("ACL SETUSER mute on >secret ~* &* +@all -publish"), "+OK");
    let bus = start(&server.url().replace("redis://", "redis://mute:secret@"));
    let mut subscription = bus.subscribe(T);
    all_well(|| bus.check()).await;
    bus.publish(T, "key", Bytes::from("not carried"));
    let why = warning(|| bus.check()).await;
    assert!(why.starts_with("redis does not carry messages: NOPERM "), "{why}");
    assert_eq!(server.command("ACL SETUSER mute +publish"), "+OK");
    bus.publish(T, "key", Bytes::from("carried"));
    assert_eq!(next(&mut subscription).await, said("carried"));
    all_well(|| bus.check()).await;
}

#[tokio::test]
async fn an_address_of_something_else_is_said_in_one_line() {
    let other = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = other.local_addr().unwrap();
    let answering = tokio::spawn(async move {
        loop {
            let (mut stream, _) = other.accept().await.unwrap();
            let answer = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await;
            tokio::spawn(
                async move { while tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 1024]).await.is_ok_and(|count| count > 0) {} },
            );
        }
    });
    let bus = start(&format!("redis://{place}"));
    let expected = format!("redis is away: {place}: what answers there is not a Redis");
    until("a reason", async || bus.check().detail.is_some_and(|detail| detail == expected)).await;
    answering.abort();
}

#[tokio::test]
async fn tls_to_a_server_that_has_none_is_an_error_like_others() {
    let server = servers::Redis::start();
    let bus = start(&server.url().replace("redis://", "rediss://"));
    until("a reason", async || bus.check().detail.is_some_and(|detail| detail.contains(&server.url()[8..]))).await;
}

#[tokio::test]
async fn several_addresses_that_are_no_cluster_are_refused() {
    let [one, other] = [servers::Redis::start(), servers::Redis::start()];
    let bus = start(&format!("{},127.0.0.1:{}", one.url(), other.port()));
    until("a reason", async || bus.check().detail.is_some_and(|detail| detail.contains("is not part of a cluster"))).await;
}
