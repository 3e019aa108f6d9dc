//! Delivery over a bus that loses, reorders and repeats.

use std::sync::Arc;
use std::time::Duration;

use kit::bus::InProcess;
use kit::bus::lossy::Lossy;
use proptest::prelude::*;
use tokio_util::task::AbortOnDropHandle;

use super::*;
use crate::sequencer::{self, Sequencer};
use crate::store::contract::{draft, room};
use crate::store::sqlite::SqliteStore;

struct Side {
    hub: Arc<Hub>,
    sequencer: Sequencer,
    _work: Vec<AbortOnDropHandle<()>>,
}

fn side(store: &Arc<dyn Store>, bus: &Arc<dyn Bus>) -> Side {
    let (hub, holes) = Hub::new(store.clone(), bus.clone(), 16);
    let (sequencer, drafts) = Sequencer::new();
    let subscription = bus.subscribe(TOPIC);
    let (listen, repair, compare) = (hub.clone(), hub.clone(), hub.clone());
    let work = vec![
        tokio::spawn(sequencer::run(drafts, store.clone(), hub.clone(), bus.clone())),
        tokio::spawn(async move { listen.listen(subscription).await }),
        tokio::spawn(async move { repair.repair(holes).await }),
        tokio::spawn(async move { compare.compare().await }),
    ];
    Side { hub, sequencer, _work: work.into_iter().map(AbortOnDropHandle::new).collect() }
}

/// Reads everything up to `head`, as a socket would: from memory, or from the log when it is behind.
async fn read_all(side: &Side, store: &Arc<dyn Store>, member: &Member, news: &Notify, head: u64) -> Vec<u64> {
    let mut seqs = Vec::new();
    let mut cursor = 0;
    let reading = async {
        while cursor < head {
            match member.room().read(cursor, 10) {
                Read::Nothing => news.notified().await,
                Read::Events(events) => seqs.extend(events.iter().map(Delivered::seq)),
                Read::Behind { .. } => {
                    let events = store.list_events_after(member.room().name.clone(), cursor, 10).await.unwrap();
                    seqs.extend(events.iter().map(|event| event.seq));
                }
            }
            cursor = seqs.last().copied().unwrap_or(0);
        }
    };
    let done = tokio::time::timeout(Duration::from_secs(30), reading).await;
    assert!(done.is_ok(), "stuck at {cursor} of {head}, the hub is at {}", side.hub.rooms()[&member.room().name].head());
    seqs
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_that_drops_every_third_event_loses_nobody_anything() {
    let folder = tempfile::tempdir().expect("a folder");
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder.path()).expect("a store"));
    let bus: Arc<dyn Bus> = Arc::new(Lossy::new(Arc::new(InProcess::default()), 3));
    let sides = [side(&store, &bus), side(&store, &bus)];
    let news = Arc::new(Notify::new());
    let here = sides[0].hub.join(&room("a"), &news).await.unwrap();
    let senders: Vec<_> = (0..2)
        .flat_map(|side| (0..5).map(move |user| (side, user)))
        .map(|(side, user)| {
            let sequencer = sides[side].sequencer.clone();
            tokio::spawn(async move {
                for number in 0..30 {
                    sequencer.append(draft("a", &format!("u{side}-{user}"), &number.to_string(), None)).await.unwrap();
                }
            })
        })
        .collect();
    let read = read_all(&sides[0], &store, &here, &news, 300).await;
    assert_eq!(read, (1..=300).collect::<Vec<u64>>());
    for sender in senders {
        sender.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_event_is_found_though_the_bus_lost_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder.path()).expect("a store"));
    let deaf: Arc<dyn Bus> = Arc::new(Lossy::new(Arc::new(InProcess::default()), 1));
    let sides = [side(&store, &deaf), side(&store, &deaf)];
    let news = Arc::new(Notify::new());
    let here = sides[0].hub.join(&room("a"), &news).await.unwrap();
    sides[1].sequencer.append(draft("a", "u", "hi", None)).await.unwrap();
    assert_eq!(read_all(&sides[0], &store, &here, &news, 1).await, [1]);
}

#[tokio::test]
async fn a_room_that_is_ahead_of_its_log_starts_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder.path()).expect("a store"));
    let bus: Arc<dyn Bus> = Arc::new(InProcess::default());
    let side = side(&store, &bus);
    let news = Arc::new(Notify::new());
    let here = side.hub.join(&room("a"), &news).await.unwrap();
    side.sequencer.append(draft("a", "u", "1", None)).await.unwrap();
    // As if somebody else spoke on the channel, or the database had been set back.
    let forged = r#"{"type":"message","room":"a","seq":2,"user":"x","text":"forged","at":"2026-01-01T10:00:00.000Z"}"#;
    bus.publish(TOPIC, "a", bytes::Bytes::from_static(forged.as_bytes()));
    let started_over = async {
        while here.room().beginnings() == 0 {
            news.notified().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), started_over).await.expect("it is noticed");
    assert_eq!(here.room().head(), 1);
    assert_eq!(side.sequencer.append(draft("a", "u", "2", None)).await.unwrap().seq, 2);
    let Read::Events(events) = here.room().read(1, 10) else { panic!("the second message is there") };
    let frames: Vec<_> = events.iter().map(|event| event.frame_for(event.user())).collect();
    assert!(frames.len() == 1 && frames[0].contains(r#""text":"2""#), "{frames:?}");
}

#[tokio::test]
async fn the_last_to_leave_closes_the_room() {
    let folder = tempfile::tempdir().expect("a folder");
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder.path()).expect("a store"));
    let (hub, _holes) = Hub::new(store, Arc::new(InProcess::default()), 16);
    let news = Arc::new(Notify::new());
    let first = hub.join(&room("a"), &news).await.unwrap();
    let second = hub.join(&room("a"), &news).await.unwrap();
    drop(first);
    assert_eq!(hub.rooms_open(), 1);
    drop(second);
    assert_eq!(hub.rooms_open(), 0);
}

#[tokio::test]
async fn the_rooms_together_stay_within_their_memory_and_lose_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder.path()).expect("a store"));
    let bus: Arc<dyn Bus> = Arc::new(InProcess::default());
    let side = side(&store, &bus);
    let news = Arc::new(Notify::new());
    let mut members = Vec::new();
    for number in 0..10 {
        let name = format!("r{number}");
        members.push(side.hub.join(&room(&name), &news).await.unwrap());
        for _ in 0..10 {
            side.sequencer.append(draft(&name, "u", &"x".repeat(1000), None)).await.unwrap();
        }
    }
    let bytes = || side.hub.rooms().values().map(|room| room.bytes()).sum::<usize>();
    assert!(bytes() > 90_000);
    side.hub.trim(30_000);
    assert!((10_000..=30_000).contains(&bytes()), "{} bytes", bytes());
    for member in &members {
        assert_eq!(read_all(&side, &store, member, &news, 10).await, (1..=10).collect::<Vec<u64>>());
    }
}

fn event(seq: u64) -> Event {
    let draft = draft("a", "u", &seq.to_string(), None);
    Event { room: draft.room, seq, user: draft.user, text: draft.text, at: draft.at, id: None }
}

proptest! {
    /// Whatever order events come in, how often, and whichever never come: what is delivered is whole and in order, and a
    /// hole is told until it is filled.
    #[test]
    fn a_room_never_delivers_past_a_hole(
        head in 0u64..5,
        heard in proptest::collection::vec(1u64..60, 0..120),
        load_at in 0usize..120,
    ) {
        let room = Room::new(room("a"), 1000);
        let mut told = false;
        for (index, seq) in heard.iter().enumerate() {
            if index == load_at.min(heard.len() - 1) {
                told |= room.load(head);
            }
            told |= room.deliver(event(*seq));
        }
        if heard.is_empty() {
            room.load(head);
        }
        let delivered = match room.read(head, 1000) {
            Read::Events(events) => events.iter().map(Delivered::seq).collect(),
            _ => Vec::new(),
        };
        let mut expected = Vec::new();
        while heard.contains(&(head + expected.len() as u64 + 1)) {
            expected.push(head + expected.len() as u64 + 1);
        }
        prop_assert_eq!(&delivered, &expected);
        let newest = heard.iter().copied().max().unwrap_or(0).max(head);
        let is_whole = room.head() == newest;
        prop_assert_eq!(room.hole().is_none(), is_whole);
        prop_assert!(told || is_whole);
        room.fill((room.head() + 1..=newest).map(event).collect());
        prop_assert_eq!(room.head(), newest);
    }
}
