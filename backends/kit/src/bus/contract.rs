//! The tests that each bus passes; `bus_contract!` runs them against one.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Bus, Delivery, Topic};
use crate::health::Status;

const T: Topic = Topic { name: "contract", shards: 8 };
const OTHER: Topic = Topic { name: "contract-other", shards: 8 };
const ONE: Topic = Topic { name: "contract-one", shards: 1 };
const LIMIT: Duration = Duration::from_secs(5);

/// Runs every test of the contract against the bus that the expression makes.
#[macro_export]
macro_rules! bus_contract {
    ($make:expr) => {
        $crate::bus_contract! { $make;
            every_subscriber_hears_every_message,
            messages_of_one_publisher_keep_their_order,
            topics_do_not_mix,
            what_was_published_before_is_not_heard,
            publishing_to_nobody_is_no_error,
            every_key_and_every_byte_is_carried,
            a_topic_of_one_shard_keeps_the_order_of_all,
            who_stops_waiting_loses_nothing,
            who_leaves_disturbs_nobody,
            a_slow_subscriber_is_told_that_it_lost_and_hears_on,
            what_was_flushed_was_heard,
            all_is_well,
        }
    };
    ($make:expr; $($test:ident),+ $(,)?) => {
        $(#[tokio::test]
        async fn $test() {
            $crate::bus::contract::$test($make).await;
        })+
    };
}

async fn message(subscription: &mut Box<dyn super::Subscription>) -> Bytes {
    let delivery = tokio::time::timeout(LIMIT, subscription.next()).await.expect("a message within five seconds");
    match delivery {
        Some(Delivery::Message(payload)) => payload,
        other => panic!("expected a message, got {other:?}"),
    }
}

#[allow(missing_docs)]
pub async fn every_subscriber_hears_every_message(bus: Arc<dyn Bus>) {
    let mut subscribers = [bus.subscribe(T), bus.subscribe(T)];
    bus.publish(T, "key", Bytes::from_static(b"hi"));
    for subscriber in &mut subscribers {
        assert_eq!(message(subscriber).await, "hi");
    }
}

#[allow(missing_docs)]
pub async fn messages_of_one_publisher_keep_their_order(bus: Arc<dyn Bus>) {
    let mut subscriber = bus.subscribe(T);
    for number in 0..1000 {
        bus.publish(T, "key", Bytes::from(format!("{number}")));
    }
    for number in 0..1000 {
        assert_eq!(message(&mut subscriber).await, format!("{number}"));
    }
}

#[allow(missing_docs)]
pub async fn topics_do_not_mix(bus: Arc<dyn Bus>) {
    let mut subscriber = bus.subscribe(T);
    bus.publish(OTHER, "key", Bytes::from_static(b"not for you"));
    bus.publish(T, "key", Bytes::from_static(b"for you"));
    assert_eq!(message(&mut subscriber).await, "for you");
}

#[allow(missing_docs)]
pub async fn what_was_published_before_is_not_heard(bus: Arc<dyn Bus>) {
    let mut first = bus.subscribe(T);
    bus.publish(T, "key", Bytes::from_static(b"early"));
    assert_eq!(message(&mut first).await, "early");
    let mut second = bus.subscribe(T);
    bus.publish(T, "key", Bytes::from_static(b"late"));
    assert_eq!(message(&mut second).await, "late");
}

#[allow(missing_docs)]
pub async fn publishing_to_nobody_is_no_error(bus: Arc<dyn Bus>) {
    bus.publish(T, "key", Bytes::from_static(b"anyone?"));
    assert!(bus.subscribe(T).try_next().is_none());
}

#[allow(missing_docs)]
pub async fn every_key_and_every_byte_is_carried(bus: Arc<dyn Bus>) {
    let mut subscriber = bus.subscribe(T);
    let bytes: Vec<u8> = (0..=255).collect();
    for key in 0..100 {
        bus.publish(T, &format!("key {key}\r\n{{}}"), Bytes::from(bytes.clone()));
    }
    for _ in 0..100 {
        assert_eq!(message(&mut subscriber).await, bytes);
    }
}

#[allow(missing_docs)]
pub async fn a_topic_of_one_shard_keeps_the_order_of_all(bus: Arc<dyn Bus>) {
    let mut subscriber = bus.subscribe(ONE);
    for number in 0..100 {
        bus.publish(ONE, &format!("key {number}"), Bytes::from(format!("{number}")));
    }
    for number in 0..100 {
        assert_eq!(message(&mut subscriber).await, format!("{number}"));
    }
}

#[allow(missing_docs)]
pub async fn who_stops_waiting_loses_nothing(bus: Arc<dyn Bus>) {
    let mut subscriber = bus.subscribe(T);
    let waited = tokio::time::timeout(Duration::from_millis(1), subscriber.next()).await;
    assert!(waited.is_err(), "there was nothing to hear");
    bus.publish(T, "key", Bytes::from_static(b"hi"));
    assert_eq!(message(&mut subscriber).await, "hi");
}

#[allow(missing_docs)]
pub async fn who_leaves_disturbs_nobody(bus: Arc<dyn Bus>) {
    let mut stays = bus.subscribe(T);
    let mut leaves = bus.subscribe(T);
    bus.publish(T, "key", Bytes::from_static(b"one"));
    assert_eq!(message(&mut leaves).await, "one");
    drop(leaves);
    bus.publish(T, "key", Bytes::from_static(b"two"));
    assert_eq!(message(&mut stays).await, "one");
    assert_eq!(message(&mut stays).await, "two");
    drop(stays);
    let mut comes_back = bus.subscribe(T);
    bus.publish(T, "key", Bytes::from_static(b"three"));
    assert_eq!(message(&mut comes_back).await, "three");
}

#[allow(missing_docs)]
pub async fn a_slow_subscriber_is_told_that_it_lost_and_hears_on(bus: Arc<dyn Bus>) {
    let mut slow = bus.subscribe(ONE);
    let mut quick = bus.subscribe(ONE);
    for number in 0..10_000 {
        bus.publish(ONE, "", Bytes::from(format!("{number}")));
        // Inside a process nothing waits, so that whoever does not listen loses.
        while quick.try_next().is_some() {}
    }
    bus.publish(ONE, "", Bytes::from_static(b"last"));
    while message(&mut quick).await != "last" {}
    assert_eq!(slow.try_next(), Some(Delivery::Lost));
    let mut last = message(&mut slow).await;
    while let Some(Delivery::Message(payload)) = slow.try_next() {
        last = payload;
    }
    assert_eq!(last, "last");
}

#[allow(missing_docs)]
pub async fn what_was_flushed_was_heard(bus: Arc<dyn Bus>) {
    let mut subscriber = bus.subscribe(T);
    for number in 0..1000 {
        bus.publish(T, &format!("key {number}"), Bytes::from_static(b"hi"));
    }
    bus.flush().await;
    for _ in 0..1000 {
        assert_eq!(subscriber.try_next(), Some(Delivery::Message(Bytes::from_static(b"hi"))));
    }
}

#[allow(missing_docs)]
pub async fn all_is_well(bus: Arc<dyn Bus>) {
    let becomes_well = async {
        while bus.check().status != Status::Pass {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, becomes_well).await.expect("well within five seconds");
}
