//! What replicas tell each other over the bus: the frames that sockets get, so that outsiders can listen in too.
//!
//! `message` for each event, with the sender's own id of it; once a second `heads` of the rooms that were spoken in, which shows
//! a replica that it has missed the last word.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use bytes::Bytes;
use kit::bus::{Bus, Topic};
use kit::clock::Timestamp;
use serde::Deserialize;

use super::locked;
use crate::frames::{self, ServerFrame};
use crate::model::{ClientId, Event, RoomName, UserName};

/// The topic of the bus that carries all rooms, spread by room.
pub(crate) const TOPIC: Topic = Topic { name: "chat", shards: 64 };

/// What another replica said.
#[derive(Debug, PartialEq)]
pub(super) enum Told {
    Message(Event),
    /// Rooms, and the seq of the newest event of each.
    Heads(BTreeMap<RoomName, u64>),
    /// An event of a kind that a newer version knows; the log has it.
    Other {
        room: RoomName,
        seq: u64,
    },
}

/// A frame as it comes; which fields there are depends on its type.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    room: Option<RoomName>,
    seq: Option<u64>,
    user: Option<UserName>,
    text: Option<String>,
    at: Option<Timestamp>,
    id: Option<ClientId>,
    rooms: Option<BTreeMap<RoomName, u64>>,
}

/// Reads what the bus brought.
pub(super) fn read(payload: &[u8]) -> Result<Told, serde_json::Error> {
    let frame: Frame<'_> = serde_json::from_slice(payload)?;
    let lacking = |what: &str| serde::de::Error::custom(format!("a frame of the type {} lacks {what}", frame.r#type.escape_debug()));
    match (&*frame.r#type, frame.room, frame.seq, frame.user, frame.text, frame.at, frame.rooms) {
        ("message", Some(room), Some(seq), Some(user), Some(text), Some(at), _) => {
            Ok(Told::Message(Event { room, seq, user, text, at, id: frame.id }))
        }
        ("message", ..) => Err(lacking("a part of a message")),
        ("heads", .., Some(rooms)) => Ok(Told::Heads(rooms)),
        (_, Some(room), Some(seq), ..) => Ok(Told::Other { room, seq }),
        _ => Err(lacking("room and seq")),
    }
}

/// Tells the others of this replica's own doings.
pub(super) struct Teller {
    bus: std::sync::Arc<dyn Bus>,
    /// Rooms spoken in since heads were told.
    heads: Mutex<HashMap<RoomName, u64>>,
}

impl Teller {
    pub(super) fn new(bus: std::sync::Arc<dyn Bus>) -> Self {
        Self { bus, heads: Mutex::default() }
    }

    /// Tells of an event that is committed.
    pub(super) fn message(&self, event: &Event) {
        let message = frames::message(event);
        let message = event.id.as_ref().map_or_else(|| message.clone(), |id| frames::with_id(&message, id));
        self.bus.publish(TOPIC, event.room.as_str(), Bytes::from(message));
        let mut heads = locked(&self.heads);
        let head = heads.entry(event.room.clone()).or_default();
        *head = event.seq.max(*head);
    }

    /// Tells the heads of rooms spoken in since the last time, in one frame for each shard of the topic.
    pub(super) fn heads(&self) {
        let mut frames: HashMap<u16, BTreeMap<RoomName, u64>> = HashMap::new();
        for (room, head) in locked(&self.heads).drain() {
            frames.entry(TOPIC.shard_of(room.as_str())).or_default().insert(room, head);
        }
        for rooms in frames.into_values() {
            let Some((any, _)) = rooms.first_key_value() else { continue };
            let frame = ServerFrame::Heads { rooms: rooms.iter().map(|(room, head)| (room.as_str(), *head)).collect() };
            self.bus.publish(TOPIC, any.as_str(), Bytes::from(frame.to_text()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::contract::{draft, room};
    use kit::bus::{Delivery, InProcess};
    use std::sync::Arc;

    fn event(name: &str, seq: u64, id: Option<&str>) -> Event {
        let draft = draft(name, "alice", "hi", id);
        Event { room: draft.room, seq, user: draft.user, text: draft.text, at: draft.at, id: draft.id }
    }

    #[test]
    fn what_is_told_is_the_documented_message_and_read_again() {
        let bus = Arc::new(InProcess::default());
        let mut heard = bus.subscribe(TOPIC);
        let teller = Teller::new(bus);
        for (id, end) in [(None, "}"), (Some("9b1c"), ",\"id\":\"9b1c\"}")] {
            let event = event("ops", 42, id);
            teller.message(&event);
            let Some(Delivery::Message(payload)) = heard.try_next() else { panic!("nothing was told") };
            let shown = r#"{"type":"message","room":"ops","seq":42,"user":"alice","text":"hi","at":"2026-01-01T10:00:00.000Z""#;
            assert_eq!(payload, format!("{shown}{end}"));
            assert_eq!(read(&payload).unwrap(), Told::Message(event));
        }
        for bad in ["x", "{}", r#"{"type":"other"}"#, r#"{"type":"message","room":"ops","seq":1}"#, r#"{"rooms":{"ops":1}}"#] {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_kind_of_event_that_is_not_known_here_is_one_to_be_read_from_the_log() {
        let edit = r#"{"type":"edit","room":"ops","seq":43,"user":"alice","text":"ho","at":"2026-01-01T10:00:00.000Z"}"#;
        assert_eq!(read(edit.as_bytes()).unwrap(), Told::Other { room: room("ops"), seq: 43 });
    }

    #[test]
    fn heads_are_told_once_for_each_room_that_was_spoken_in() {
        let bus = Arc::new(InProcess::default());
        let mut heard = bus.subscribe(TOPIC);
        let teller = Teller::new(bus);
        for (name, seq) in [("a", 1), ("b", 7), ("a", 2)] {
            teller.message(&event(name, seq, None));
            heard.try_next();
        }
        teller.heads();
        teller.heads();
        let mut heads = BTreeMap::new();
        while let Some(Delivery::Message(payload)) = heard.try_next() {
            let Told::Heads(rooms) = read(&payload).unwrap() else { panic!("no heads") };
            heads.extend(rooms);
        }
        assert_eq!(heads, BTreeMap::from([(room("a"), 2), (room("b"), 7)]));
    }
}
