//! What chat can be asked, and what it answers: the contract that `/openapi.json` shows and `routes` keeps.

use kit::http::{Answer, Operation, list_of, schema};
use kit::problem::FieldError;
use serde_json::{Value, json};

use crate::handlers::{PAGE_DEFAULT, PAGE_MAX, ROOMS_DEFAULT, ROOMS_MAX};
use crate::{Config, Error};

/// The schemas these speak of.
pub(crate) const SCHEMAS: &str = include_str!("schemas.json");

const SOCKET: &str = "\
The handshake of RFC 6455. Then each text message is one frame, JSON with a `type`: from the client a `ChatClientFrame` or a line of \
plain text, from the server a `ChatServerFrame`, first `welcome`, then `joined`. Who the user is, is judged after the upgrade: a name \
that is none gets an `error` frame and close code 4500.

`ack` comes after the commit. The same `id` from the same user in the same room never doubles. A reader sees contiguous `seq`, or a \
`gap`. Connecting with `after` brings exactly what was missed, on any replica. Close codes 4000 to 4499 mean \"reconnect\", 4500 to 4999 \
\"don't\"; 1012 comes after `goodbye`, 1009 after a frame that is too large, 1003 after a binary one, 1007 after bad UTF-8.";

pub(crate) fn get_chat() -> Operation {
    Operation::new("GET /chat", "getChat", "Shows how the answering replica is, and how much it has.")
        .answers(Answer::new(200, "The replica.").json(schema("Chat")))
        .reads_query()
        .uses_database()
}

pub(crate) fn list_rooms() -> Operation {
    let limit = json!({ "type": "integer", "minimum": 1, "maximum": ROOMS_MAX, "default": ROOMS_DEFAULT, "examples": [10] });
    Operation::new("GET /chat/rooms", "listRooms", "Lists the rooms in which something was said last.")
        .query("limit", "Rooms at most.", limit)
        .answers(Answer::new(200, "Rooms, the last spoken in first.").json(list_of("ChatRoom")))
        .reads_query()
        .uses_database()
}

pub(crate) fn list_messages() -> Operation {
    let limit = json!({ "type": "integer", "minimum": 1, "maximum": PAGE_MAX, "default": PAGE_DEFAULT, "examples": [2] });
    of_room("GET /chat/rooms/{room}/messages", "listMessages", "Shows a page of what was said in a room.")
        .describe(
            "The newest page, or that before or after a `seq`; `before` and `after` exclude each other. A room nobody spoke in is empty.",
        )
        .query("before", "Only messages with a lower `seq`.", seq())
        .query("after", "Only messages with a higher `seq`.", seq())
        .query("limit", "Messages in a page.", limit)
        .answers(Answer::new(200, "Messages, ascending.").json(list_of("ChatMessage")))
        .reads_query()
}

pub(crate) fn send_message(config: &Config) -> Operation {
    let fault = FieldError::new("/user", "invalid_user", "a user's name has 1 to 64 characters of A-Z a-z 0-9 . _ -");
    of_room("POST /chat/rooms/{room}/messages", "sendMessage", "Says something in a room.")
        .describe("The answer comes after the commit. With an `id` it can be sent again without doubling.")
        .takes("application/json", schema("ChatMessageDraft"))
        .answers(Answer::new(201, "It is durable and has its place.").json(schema("ChatAck")))
        .fails([Error::InvalidMessage(vec![fault])])
        .reads_body(config.body_bytes_max, "application/json")
}

pub(crate) fn open_socket() -> Operation {
    let word = |word: &str| json!({ "type": "string", "enum": [word], "examples": [word] });
    let key = json!({ "type": "string", "pattern": "^[A-Za-z0-9+/]{22}==$", "examples": ["dGhlIHNhbXBsZSBub25jZQ=="] });
    Operation::new("GET /ws", "openSocket", "Opens a chat socket.")
        .describe(SOCKET)
        .query("user", "Who speaks; required.", schema("ChatUserName"))
        .query("room", "The room to be in, `lobby` where not said.", schema("ChatRoomName"))
        .query("after", "What was said after this `seq` comes first; without it, only what is new.", seq())
        .query("batch", "Several frames may come in one text message, a line each.", json!({ "type": "boolean", "default": false }))
        .required_header("Connection", "As RFC 6455 wants it.", word("Upgrade"))
        .required_header("Upgrade", "As RFC 6455 wants it.", word("websocket"))
        .required_header("Sec-WebSocket-Version", "As RFC 6455 wants it.", word("13"))
        .required_header("Sec-WebSocket-Key", "16 random bytes in base64.", key)
        .answers(Answer::new(101, "The connection is a socket now."))
        .fails([Error::UpgradeRequired, Error::NoMoreSockets])
}

fn of_room(name: &'static str, id: &'static str, summary: &'static str) -> Operation {
    let invalid =
        FieldError::new("/room", "invalid_room", "a room's name has 1 to 64 characters of a-z 0-9 . _ - and is not . or .. alone");
    Operation::new(name, id, summary)
        .path("room", "The room's name.", schema("ChatRoomName"))
        .fails([Error::InvalidRoom(invalid)])
        .uses_database()
}

fn seq() -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": u64::MAX, "examples": [41] })
}
