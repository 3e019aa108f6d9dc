//! The tests that each store passes; `store_contract!` runs them against one.

use kit::clock::Timestamp;

use super::{HOT_MAX, Inserted, MINUTES, NameCount, Store, TOTALS_MAX};
use crate::model::{Event, minutes_before};

/// Runs every test of the contract; the expression makes a guard (kept until the end) and a store.
macro_rules! store_contract {
    ($make:expr) => {
        $crate::store::contract::store_contract! { $make;
            an_empty_store_has_nothing_to_tell,
            an_event_is_counted_in_its_minute_and_under_its_name,
            an_event_is_counted_once_within_a_batch,
            an_event_is_counted_once_across_batches,
            batches_at_the_same_time_count_each_event_once,
            everything_of_an_event_may_be_as_long_as_the_rules_allow,
            a_summary_tells_of_the_last_minutes_alone,
            a_summary_has_room_for_the_largest_names,
            the_database_is_well,
            what_the_store_did_breaks_no_invariant,
        }
    };
    ($make:expr; $($test:ident),+ $(,)?) => {
        $(#[tokio::test]
        async fn $test() {
            let (_guard, store) = $make;
            $crate::store::contract::$test(&store).await;
        })+
    };
}
pub(crate) use store_contract;

/// Half a minute after twelve.
const NOON: Timestamp = Timestamp::from_millis(1_767_268_830_000);
const MINUTE: Timestamp = Timestamp::from_millis(1_767_268_800_000);

pub(crate) fn event(id: &str, name: &str, at: Timestamp) -> Event {
    Event { id: id.parse().expect("an id"), name: name.parse().expect("a name"), at, user_id: None, properties: None }
}

fn counts(names: &[NameCount]) -> Vec<(&str, u64)> {
    names.iter().map(|NameCount { name, count }| (name.as_str(), *count)).collect()
}

async fn insert(store: &dyn Store, events: &[Event]) -> (u64, u64) {
    let Inserted { accepted, duplicates } = store.insert_events(events.to_vec(), NOON).await.expect("inserted");
    (accepted, duplicates)
}

pub(crate) async fn an_empty_store_has_nothing_to_tell(store: &dyn Store) {
    assert_eq!(store.count_events().await.unwrap(), 0);
    assert_eq!(insert(store, &[]).await, (0, 0));
    let summary = store.summary(NOON).await.unwrap();
    assert_eq!((summary.events, summary.by_name, summary.hot), (0, vec![], vec![]));
    assert_eq!(summary.minutes.len(), MINUTES as usize);
    assert_eq!(summary.minutes.first(), Some(&(minutes_before(MINUTE, MINUTES - 1), 0)));
    assert_eq!(summary.minutes.last(), Some(&(MINUTE, 0)));
}

pub(crate) async fn an_event_is_counted_in_its_minute_and_under_its_name(store: &dyn Store) {
    let before = minutes_before(NOON, 1);
    let events = [event("1", "tap", NOON), event("2", "tap", before), event("3", "swipe", NOON), event("4", "Tap", MINUTE)];
    assert_eq!(insert(store, &events).await, (4, 0));
    assert_eq!(store.count_events().await.unwrap(), 4);
    let summary = store.summary(NOON).await.unwrap();
    assert_eq!(summary.events, 4);
    let expected = [("tap", 2), ("Tap", 1), ("swipe", 1)];
    assert_eq!(counts(&summary.by_name), expected);
    assert_eq!(counts(&summary.hot), expected);
    let minutes: Vec<_> = summary.minutes.into_iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(minutes, [(minutes_before(MINUTE, 1), 1), (MINUTE, 3)]);
}

pub(crate) async fn an_event_is_counted_once_within_a_batch(store: &dyn Store) {
    let events = [event("1", "tap", NOON), event("1", "tap", NOON), event("2", "tap", NOON), event("1", "other", NOON)];
    assert_eq!(insert(store, &events).await, (2, 2));
    let summary = store.summary(NOON).await.unwrap();
    assert_eq!((summary.events, counts(&summary.by_name)), (2, vec![("tap", 2)]));
}

pub(crate) async fn an_event_is_counted_once_across_batches(store: &dyn Store) {
    assert_eq!(insert(store, &[event("1", "tap", NOON), event("2", "tap", NOON)]).await, (2, 0));
    assert_eq!(insert(store, &[event("2", "tap", NOON), event("3", "tap", NOON)]).await, (1, 1));
    assert_eq!(insert(store, &[event("1", "tap", NOON), event("2", "tap", NOON)]).await, (0, 2));
    let summary = store.summary(NOON).await.unwrap();
    assert_eq!((summary.events, counts(&summary.by_name), summary.minutes.last()), (3, vec![("tap", 3)], Some(&(MINUTE, 3))));
}

pub(crate) async fn batches_at_the_same_time_count_each_event_once(store: &dyn Store) {
    // Batch `n` brings the ids `n` to `n + 9`: each id comes in up to ten batches.
    let batch = |first: usize| async move {
        let events: Vec<_> = (first..first + 10).map(|id| event(&id.to_string(), "tap", NOON)).collect();
        insert(store, &events).await
    };
    let batches = (0..50).map(batch).map(Box::pin).collect::<Vec<_>>();
    let mut accepted = 0;
    for (new, old) in join_all(batches).await {
        assert_eq!(new + old, 10);
        accepted += new;
    }
    let summary = store.summary(NOON).await.unwrap();
    assert_eq!((accepted, summary.events, counts(&summary.by_name)), (59, 59, vec![("tap", 59)]));
}

/// Polls all of them together.
async fn join_all<F: Future + Unpin>(mut futures: Vec<F>) -> Vec<F::Output> {
    let mut outcomes = Vec::new();
    std::future::poll_fn(|context| {
        futures.retain_mut(|future| match std::pin::Pin::new(future).poll(context) {
            std::task::Poll::Ready(outcome) => {
                outcomes.push(outcome);
                false
            }
            std::task::Poll::Pending => true,
        });
        if futures.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    outcomes
}

pub(crate) async fn everything_of_an_event_may_be_as_long_as_the_rules_allow(store: &dyn Store) {
    let mut long = event(&"🙂".repeat(64), &"n".repeat(64), Timestamp::from_millis(0));
    long.user_id = Some("ü".repeat(128).parse().expect("a user id"));
    let properties = format!("{{\"a\":\"{}\"}}", "x".repeat(8184));
    long.properties = Some(properties.parse().expect("properties"));
    assert_eq!(insert(store, &[long.clone()]).await, (1, 0));
    assert_eq!(insert(store, &[long]).await, (0, 1));
}

pub(crate) async fn a_summary_tells_of_the_last_minutes_alone(store: &dyn Store) {
    let ago = |minutes| minutes_before(NOON, minutes);
    let ahead = Timestamp::from_millis(NOON.as_millis() + 60_000);
    let events = [("ahead", ahead), ("now", NOON), ("hot", ago(4)), ("cold", ago(5)), ("listed", ago(14)), ("old", ago(15))];
    let events: Vec<_> = events.into_iter().map(|(name, at)| event(name, name, at)).collect();
    assert_eq!(insert(store, &events).await, (6, 0));
    let summary = store.summary(NOON).await.unwrap();
    assert_eq!((summary.events, summary.by_name.len()), (6, 6));
    assert_eq!(counts(&summary.hot), [("hot", 1), ("now", 1)]);
    let minutes: Vec<u64> = summary.minutes.iter().map(|(_, count)| *count).collect();
    assert_eq!(minutes, [1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 1]);
}

pub(crate) async fn a_summary_has_room_for_the_largest_names(store: &dyn Store) {
    let name = |number: u32| format!("n{number:03}");
    let mut events = Vec::new();
    for number in 0..TOTALS_MAX + 20 {
        for copy in 0..=number {
            events.push(event(&format!("{number}-{copy}"), &name(number), NOON));
        }
    }
    insert(store, &events).await;
    let summary = store.summary(NOON).await.unwrap();
    assert_eq!((summary.by_name.len(), summary.hot.len()), (TOTALS_MAX as usize, HOT_MAX as usize));
    assert_eq!(summary.by_name[0], NameCount { name: name(TOTALS_MAX + 19), count: u64::from(TOTALS_MAX + 20) });
    assert!(summary.by_name.is_sorted_by(|a, b| a.count > b.count));
    assert_eq!(summary.hot[..], summary.by_name[..HOT_MAX as usize]);
    assert_eq!(summary.events, events.len() as u64);
}

pub(crate) async fn the_database_is_well(store: &dyn Store) {
    assert_eq!(store.check().await, kit::health::Check::pass());
}

pub(crate) async fn what_the_store_did_breaks_no_invariant(store: &dyn Store) {
    assert_eq!(store.check_invariants().await.unwrap(), [""; 0], "of an empty store");
    let before = Timestamp::from_millis(-1);
    insert(store, &[event("1", "tap", NOON), event("1", "tap", NOON), event("2", "swipe", MINUTE), event("3", "tap", before)]).await;
    insert(store, &[event("2", "tap", NOON), event("4", "tap", minutes_before(NOON, 1))]).await;
    assert_eq!(store.check_invariants().await.unwrap(), [""; 0]);
}

/// `spoil` runs statements behind the store's back.
pub(crate) async fn counts_that_are_not_those_of_the_events_are_told(store: &dyn Store, spoil: impl AsyncFnOnce(&str)) {
    insert(store, &[event("1", "tap", NOON), event("2", "tap", NOON), event("3", "swipe", NOON)]).await;
    let statements = [
        "update totals set count = 3 where name = 'tap'",
        "delete from totals where name = ''",
        "update minute_counts set minute = minute + 60000 where name = 'swipe'",
    ];
    spoil(&statements.join(";")).await;
    let expected = [
        "all events: there are 3, and 0 are counted",
        "events tap: there are 2, and 3 are counted",
        "events swipe in the minute of 2026-01-01T12:00:00.000Z: there are 1, and 0 are counted",
        "events swipe in the minute of 2026-01-01T12:01:00.000Z: there are 0, and 1 are counted",
    ];
    assert_eq!(store.check_invariants().await.unwrap(), expected);
}
