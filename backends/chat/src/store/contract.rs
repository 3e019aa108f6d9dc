//! The tests that each store passes; `store_contract!` runs them against one.

use kit::clock::Timestamp;

use super::{Counts, Store};
use crate::model::{Draft, RoomName};

/// Runs every test of the contract; the expression makes a guard (kept until the end) and a store.
macro_rules! store_contract {
    ($make:expr) => {
        $crate::store::contract::store_contract! { $make;
            each_room_counts_from_one_without_holes,
            a_retry_gets_the_place_of_the_first,
            a_batch_of_new_and_old_and_repeated_drafts_has_no_hole,
            the_same_id_of_another_user_or_room_is_another_message,
            the_log_is_read_forward_and_backward,
            heads_are_told_in_the_order_asked,
            rooms_are_listed_by_the_last_word,
            appends_at_the_same_time_share_one_order,
            rooms_that_are_new_at_the_same_time_all_count_from_one,
            the_same_draft_at_the_same_time_is_written_once,
            what_the_store_did_breaks_no_invariant,
        }
    };
    ($make:expr; $($test:ident),+ $(,)?) => {
        $(#[tokio::test]
        async fn $test() {
            let (_guard, store) = $make;
            $crate::store::contract::$test(std::sync::Arc::new(store)).await;
        })+
    };
}
pub(crate) use store_contract;

type Shared = std::sync::Arc<dyn Store>;

pub(crate) fn room(name: &str) -> RoomName {
    name.to_owned().try_into().expect("a room")
}

pub(crate) fn draft(name: &str, user: &str, text: &str, id: Option<&str>) -> Draft {
    Draft {
        room: room(name),
        user: user.to_owned().try_into().expect("a user"),
        text: text.to_owned(),
        id: id.map(|id| id.to_owned().try_into().expect("an id")),
        at: Timestamp::from_millis(1_767_261_600_000),
    }
}

async fn append(store: &Shared, draft: Draft) -> (u64, bool) {
    let appended = store.append_events(draft.room.clone(), vec![draft]).await.unwrap()[0];
    (appended.seq, appended.duplicate)
}

pub(crate) async fn each_room_counts_from_one_without_holes(store: Shared) {
    let drafts = vec![draft("a", "u", "1", None), draft("a", "v", "2", None)];
    let seqs: Vec<u64> = store.append_events(room("a"), drafts).await.unwrap().iter().map(|appended| appended.seq).collect();
    assert_eq!(seqs, [1, 2]);
    assert_eq!(append(&store, draft("b", "u", "1", None)).await, (1, false));
    assert_eq!(append(&store, draft("a", "u", "3", None)).await, (3, false));
    assert_eq!(store.count_rooms().await.unwrap(), Counts { rooms: 2, events: 4 });
}

pub(crate) async fn a_retry_gets_the_place_of_the_first(store: Shared) {
    assert_eq!(append(&store, draft("a", "u", "hi", Some("x"))).await, (1, false));
    assert_eq!(append(&store, draft("a", "u", "other", None)).await, (2, false));
    assert_eq!(append(&store, draft("a", "u", "hi", Some("x"))).await, (1, true));
    let both = vec![draft("a", "u", "yo", Some("y")), draft("a", "u", "yo", Some("y"))];
    let both = store.append_events(room("a"), both).await.unwrap();
    assert_eq!((both[0].seq, both[0].duplicate, both[1].seq, both[1].duplicate), (3, false, 3, true));
    assert_eq!(store.count_rooms().await.unwrap().events, 3);
}

pub(crate) async fn a_batch_of_new_and_old_and_repeated_drafts_has_no_hole(store: Shared) {
    append(&store, draft("a", "u", "old", Some("old"))).await;
    let ids = [None, Some("x"), Some("old"), None, Some("x"), Some("2"), Some("y"), None];
    let at = |place: usize| Timestamp::from_millis(1_767_261_700_000 + i64::try_from(place).unwrap());
    let drafts = ids.iter().enumerate().map(|(place, id)| Draft { at: at(place), ..draft("a", "u", &place.to_string(), *id) }).collect();
    let appended = store.append_events(room("a"), drafts).await.unwrap();
    let places: Vec<_> = appended.iter().map(|appended| (appended.seq, appended.duplicate)).collect();
    assert_eq!(places, [(2, false), (3, false), (1, true), (4, false), (3, true), (5, false), (6, false), (7, false)]);
    assert_eq!((appended[1].at, appended[4].at, appended[7].at), (at(1), at(1), at(7)), "a retry has the time of the first");
    let log = store.list_events_after(room("a"), 0, 10).await.unwrap();
    assert_eq!(log.iter().map(|event| event.text.as_str()).collect::<Vec<_>>(), ["old", "0", "1", "3", "5", "6", "7"]);
    assert_eq!((store.list_heads(vec![room("a")]).await.unwrap(), store.list_rooms(1).await.unwrap()[0].last_at), (vec![7], at(7)));
    let again = store.append_events(room("a"), vec![draft("a", "u", "x", Some("x")), draft("a", "u", "y", Some("y"))]).await.unwrap();
    assert_eq!(again.iter().map(|appended| (appended.seq, appended.duplicate)).collect::<Vec<_>>(), [(3, true), (6, true)]);
    assert_eq!(store.list_heads(vec![room("a")]).await.unwrap(), [7]);
}

pub(crate) async fn the_same_id_of_another_user_or_room_is_another_message(store: Shared) {
    assert_eq!(append(&store, draft("a", "u", "hi", Some("x"))).await, (1, false));
    assert_eq!(append(&store, draft("a", "v", "hi", Some("x"))).await, (2, false));
    assert_eq!(append(&store, draft("b", "u", "hi", Some("x"))).await, (1, false));
}

pub(crate) async fn the_log_is_read_forward_and_backward(store: Shared) {
    let drafts = (1..=10).map(|number| draft("a", "u", &number.to_string(), Some(&format!("id-{number}")))).collect();
    store.append_events(room("a"), drafts).await.unwrap();
    let texts = |events: Vec<crate::model::Event>| events.into_iter().map(|event| event.text).collect::<Vec<_>>();
    assert_eq!(texts(store.list_events_after(room("a"), 0, 2).await.unwrap()), ["1", "2"]);
    assert_eq!(texts(store.list_events_after(room("a"), 8, 5).await.unwrap()), ["9", "10"]);
    assert_eq!(texts(store.list_events_after(room("a"), u64::MAX, 5).await.unwrap()), [""; 0]);
    assert_eq!(texts(store.list_events_before(room("a"), Some(4), 2).await.unwrap()), ["2", "3"]);
    assert_eq!(texts(store.list_events_before(room("a"), None, 2).await.unwrap()), ["9", "10"]);
    assert_eq!(texts(store.list_events_before(room("nowhere"), None, 2).await.unwrap()), [""; 0]);
    let event = store.list_events_after(room("a"), 4, 1).await.unwrap().remove(0);
    assert_eq!((event.seq, event.user.as_str(), event.id.map(|id| id.as_str().to_owned())), (5, "u", Some("id-5".to_owned())));
}

pub(crate) async fn heads_are_told_in_the_order_asked(store: Shared) {
    append(&store, draft("a", "u", "1", None)).await;
    append(&store, draft("a", "u", "2", None)).await;
    append(&store, draft("b", "u", "1", None)).await;
    assert_eq!(store.list_heads(vec![room("b"), room("nowhere"), room("a")]).await.unwrap(), [1, 0, 2]);
}

pub(crate) async fn rooms_are_listed_by_the_last_word(store: Shared) {
    for (number, name) in ["a", "b", "a"].iter().enumerate() {
        let mut draft = draft(name, "u", "x", None);
        draft.at = Timestamp::from_millis(1_767_261_600_000 + i64::try_from(number).unwrap());
        append(&store, draft).await;
    }
    let rooms = store.list_rooms(10).await.unwrap();
    let listed: Vec<_> = rooms.iter().map(|room| (room.room.as_str(), room.head, room.last_at.as_millis() % 1000)).collect();
    assert_eq!(listed, [("a", 2, 2), ("b", 1, 1)]);
    assert_eq!(store.list_rooms(1).await.unwrap().len(), 1);
}

pub(crate) async fn appends_at_the_same_time_share_one_order(store: Shared) {
    let writers = (0..20).map(|number| {
        let store = store.clone();
        tokio::spawn(async move { append(&store, draft("a", &format!("u{number}"), "x", Some("1"))).await })
    });
    let mut seqs = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        seqs.push(writer.await.unwrap().0);
    }
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=20).collect::<Vec<u64>>());
}

pub(crate) async fn rooms_that_are_new_at_the_same_time_all_count_from_one(store: Shared) {
    let writers = (0..40).map(|number| {
        let store = store.clone();
        let name = format!("r{}", number % 5);
        tokio::spawn(async move { (name.clone(), append(&store, draft(&name, &format!("u{number}"), "x", None)).await.0) })
    });
    let mut seqs = std::collections::BTreeMap::<String, Vec<u64>>::new();
    for writer in writers.collect::<Vec<_>>() {
        let (name, seq) = writer.await.unwrap();
        seqs.entry(name).or_default().push(seq);
    }
    for (name, mut seqs) in seqs {
        seqs.sort_unstable();
        assert_eq!(seqs, (1..=8).collect::<Vec<u64>>(), "{name}");
    }
}

pub(crate) async fn the_same_draft_at_the_same_time_is_written_once(store: Shared) {
    let writers = (0..20).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { append(&store, draft("a", "u", "x", Some("1"))).await })
    });
    let mut first = 0;
    for writer in writers.collect::<Vec<_>>() {
        let (seq, is_duplicate) = writer.await.unwrap();
        assert_eq!(seq, 1);
        first += usize::from(!is_duplicate);
    }
    assert_eq!((first, store.list_heads(vec![room("a")]).await.unwrap()), (1, vec![1]));
}

pub(crate) async fn what_the_store_did_breaks_no_invariant(store: Shared) {
    assert_eq!(store.check_invariants().await.unwrap(), [""; 0], "of an empty store");
    for number in 0..20 {
        append(&store, draft(["a", "b"][number % 2], "u", "x", Some(&format!("id-{}", number / 4)))).await;
    }
    assert_eq!(store.check_invariants().await.unwrap(), [""; 0]);
}

/// Whatever the logs are not to be, `spoil` makes of them, with statements behind the store's back.
pub(crate) async fn a_log_that_is_not_what_is_promised_is_told(store: Shared, spoil: impl AsyncFnOnce(&str)) {
    for name in ["ahead", "behind", "hole", "late", "whole"] {
        for number in 1..=3 {
            append(&store, draft(name, "u", "x", Some(&format!("id-{number}")))).await;
        }
    }
    let statements = [
        "update rooms set head = 4 where room = 'ahead'",
        "update rooms set head = 2 where room = 'behind'",
        "delete from events where room = 'hole' and seq = 2",
        "delete from events where room = 'late' and seq = 1",
        "update events set client_id = 'id-1' where room = 'whole' and seq = 3",
    ];
    spoil(&statements.join(";")).await;
    let expected = [
        "room ahead: the head is 4, the log has 3 events with 3 different seq from 1 to 3",
        "room behind: the head is 2, the log has 3 events with 3 different seq from 1 to 3",
        "room hole: the head is 3, the log has 2 events with 2 different seq from 1 to 3",
        "room late: the head is 3, the log has 2 events with 2 different seq from 2 to 3",
        "room whole: the message id-1 of u is there 2 times",
    ];
    assert_eq!(store.check_invariants().await.unwrap(), expected);
}
