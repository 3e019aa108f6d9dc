//! What a socket is sent.

use std::collections::BTreeMap;

use kit::clock::Timestamp;
use kit::problem::Problem;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::Error;
use crate::model::{ClientId, Event, RoomName, UserName};
use crate::store::Appended;

/// A frame on its way to one client. Messages, which go to many, are written by [`message`].
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ServerFrame<'a> {
    Welcome { user: &'a UserName, replica: &'a str, heartbeat_s: u64 },
    Joined { room: &'a RoomName, head: u64 },
    Left { room: &'a RoomName },
    Ack(Ack<'a>),
    History { room: &'a RoomName, messages: Vec<Box<RawValue>>, more: bool },
    Heads { rooms: BTreeMap<&'a str, u64> },
    Gap { room: &'a RoomName, from: u64, to: u64 },
    Error(ErrorFrame),
    Pong {},
    Goodbye { reconnect_after_ms: [u64; 2] },
}

/// The word that a message is durable and has its place.
#[derive(Debug, Serialize)]
pub(crate) struct Ack<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<&'a ClientId>,
    pub(crate) room: &'a RoomName,
    pub(crate) seq: u64,
    pub(crate) at: Timestamp,
    pub(crate) duplicate: bool,
}

impl<'a> ServerFrame<'a> {
    pub(crate) fn ack(room: &'a RoomName, id: Option<&'a ClientId>, appended: Appended) -> Self {
        let Appended { seq, at, duplicate } = appended;
        ServerFrame::Ack(Ack { id, room, seq, at, duplicate })
    }

    /// The frame as text.
    pub(crate) fn to_text(&self) -> String {
        serde_json::to_string(self).expect("names, numbers and written JSON always serialize")
    }
}

/// The word that something a client asked was not done.
#[derive(Debug, Serialize)]
pub(crate) struct ErrorFrame {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    code: &'static str,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

impl ErrorFrame {
    /// As told to the client; `id` is that of the frame it answers. What is our fault goes to the log here.
    pub(crate) fn new(error: Error, id: Option<String>) -> Self {
        let retry_after_ms = error.retry_after().map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1));
        let problem = Problem::from(error);
        problem.log("");
        Self { id, code: problem.code, detail: problem.detail, retry_after_ms }
    }

    /// For people.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }
}

/// An event as everyone but its sender gets it.
pub(crate) fn message(event: &Event) -> String {
    #[derive(Serialize)]
    struct Message<'a> {
        r#type: &'static str,
        room: &'a RoomName,
        seq: u64,
        user: &'a UserName,
        text: &'a str,
        at: Timestamp,
    }
    let message = Message { r#type: "message", room: &event.room, seq: event.seq, user: &event.user, text: &event.text, at: event.at };
    serde_json::to_string(&message).expect("names, texts and numbers always serialize")
}

/// A written message with its sender's own id, as he gets it.
pub(crate) fn with_id(message: &str, id: &ClientId) -> String {
    let open = message.strip_suffix('}').unwrap_or(message);
    let id = serde_json::to_string(id).expect("a text always serializes");
    format!("{open},\"id\":{id}}}")
}

/// Written JSON as a value inside another.
pub(crate) fn raw(json: String) -> Box<RawValue> {
    RawValue::from_string(json).expect("what we wrote is JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_written_as_documented() {
        let event = Event {
            room: "ops".to_owned().try_into().unwrap(),
            seq: 42,
            user: "alice".to_owned().try_into().unwrap(),
            text: "say \"hi\"\n".to_owned(),
            at: Timestamp::from_millis(1_767_261_600_000),
            id: None,
        };
        let plain = r#"{"type":"message","room":"ops","seq":42,"user":"alice","text":"say \"hi\"\n","at":"2026-01-01T10:00:00.000Z"}"#;
        assert_eq!(message(&event), plain);
        let id = ClientId::try_from("a\"b".to_owned()).unwrap();
        assert!(with_id(plain, &id).ends_with(r#""at":"2026-01-01T10:00:00.000Z","id":"a\"b"}"#));
        let ack = ServerFrame::ack(&event.room, None, Appended { seq: 42, at: event.at, duplicate: false });
        assert_eq!(ack.to_text(), r#"{"type":"ack","room":"ops","seq":42,"at":"2026-01-01T10:00:00.000Z","duplicate":false}"#);
        assert_eq!(ServerFrame::Pong {}.to_text(), r#"{"type":"pong"}"#);
    }
}
