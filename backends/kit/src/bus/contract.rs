//! The tests that each bus passes; `bus_contract!` runs them against one.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Bus, Delivery, Topic};

const T: Topic = Topic { name: "contract", shards: 8 };
const OTHER: Topic = Topic { name: "contract-other", shards: 8 };

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
    let delivery = tokio::time::timeout(Duration::from_secs(5), subscription.next()).await.expect("a message within five seconds");
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
