//! Chat: who hears what, in which order, whatever replica they are on.

use std::collections::HashSet;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::support::{DeadAddress, Role, Setup, Socket, System, in_every_shape};

in_every_shape!(
    two_people_on_different_replicas_talk_to_each_other,
    a_retry_on_the_other_replica_gets_the_same_place,
    resuming_gets_exactly_what_was_missed,
    messages_are_sent_and_read_over_http,
    every_error_over_http_has_its_code,
    a_frame_the_protocol_forbids_closes_the_socket_with_its_code,
    a_bad_frame_is_told_and_the_socket_lives,
    who_says_no_name_is_told_why_and_not_to_come_back,
    a_replica_nobody_answers_at_gets_no_socket,
);

async fn two_people_on_different_replicas_talk_to_each_other(system: System) {
    let mut alice = system.socket("alice").await;
    let welcome = alice.next().await;
    assert_eq!((&welcome["type"], &welcome["user"], &welcome["heartbeat_s"]), (&json!("welcome"), &json!("alice"), &json!(25)));
    assert_eq!(alice.next().await, json!({ "type": "joined", "room": "lobby", "head": 0 }));
    let mut bob = system.socket_at(system.replicas(Role::Chat)[1], "user=bob").await;
    bob.next_of("joined").await;
    alice.say("hi bob").await;
    let (ack, message) = (alice.next().await, alice.next().await);
    assert_eq!((&ack["type"], &ack["seq"]), (&json!("ack"), &json!(1)));
    assert_eq!((&message["type"], &message["text"]), (&json!("message"), &json!("hi bob")));
    let heard = bob.next_of("message").await;
    assert_eq!((&heard["user"], &heard["text"], &heard["seq"]), (&json!("alice"), &json!("hi bob"), &json!(1)));
    bob.say("hi alice").await;
    assert_eq!(alice.next_of("message").await["text"], "hi alice");
}

async fn a_retry_on_the_other_replica_gets_the_same_place(system: System) {
    let replicas = system.replicas(Role::Chat);
    let mut here = system.socket_at(replicas[0], "user=alice").await;
    let mut there = system.socket_at(replicas[1], "user=alice").await;
    let frame = json!({ "type": "send", "room": "lobby", "text": "only once", "id": "9b1c" });
    here.send(frame.clone()).await;
    let first = here.next_of("ack").await;
    there.send(frame).await;
    let second = there.next_of("ack").await;
    assert_eq!((&first["seq"], &first["at"]), (&second["seq"], &second["at"]));
    assert_eq!((&first["duplicate"], &second["duplicate"]), (&json!(false), &json!(true)));
}

async fn resuming_gets_exactly_what_was_missed(system: System) {
    for number in 1..=120 {
        say(&system, "ops", "writer", &number.to_string()).await;
    }
    let mut reader = system.socket_at(system.address(Role::Gateway), "user=reader&room=ops&after=41").await;
    assert_eq!(reader.next_of("joined").await["head"], 120);
    for seq in 42..=120 {
        assert_eq!(reader.next().await["seq"], seq);
    }
    say(&system, "ops", "writer", "live").await;
    assert_eq!(reader.next().await["seq"], 121);
}

async fn say(system: &System, room: &str, user: &str, text: &str) -> Value {
    let reply = system.post(&format!("/chat/rooms/{room}/messages"), &json!({ "user": user, "text": text })).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    reply.json()
}

async fn messages_are_sent_and_read_over_http(system: System) {
    let path = "/chat/rooms/team.one-2_b/messages";
    assert_eq!(system.get(path).await.json(), json!([]), "a room nobody has spoken in is empty");
    let message = json!({ "user": "ada", "text": "first", "id": "m-1" });
    let ack = system.post(path, &message).await;
    assert_eq!(ack.status, 201);
    let ack = ack.json();
    assert_eq!((&ack["type"], &ack["id"], &ack["room"]), (&json!("ack"), &json!("m-1"), &json!("team.one-2_b")));
    assert_eq!((&ack["seq"], &ack["duplicate"]), (&json!(1), &json!(false)));
    let again = system.post(path, &message).await.json();
    assert_eq!((&again["seq"], &again["at"], &again["duplicate"]), (&json!(1), &ack["at"], &json!(true)));
    for number in 2..=60 {
        say(&system, "team.one-2_b", "ada", &number.to_string()).await;
    }
    let seqs = async |query: &str| -> Vec<u64> {
        let page = system.get(&format!("{path}{query}")).await.json();
        page.as_array().unwrap().iter().map(|message| message["seq"].as_u64().unwrap()).collect()
    };
    assert_eq!(seqs("").await, (11..=60).collect::<Vec<_>>(), "the newest fifty, ascending");
    assert_eq!(seqs("?limit=2").await, [59, 60]);
    assert_eq!(seqs("?before=3").await, [1, 2]);
    assert_eq!(seqs("?after=57").await, [58, 59, 60]);
    assert_eq!(seqs("?after=0&limit=2").await, [1, 2]);
    assert_eq!(seqs("?after=18446744073709551615").await, [0; 0]);
    let first = &system.get(&format!("{path}?limit=1&after=0")).await.json()[0];
    assert_eq!(*first, json!({ "type": "message", "room": "team.one-2_b", "seq": 1, "user": "ada", "text": "first", "at": ack["at"] }));
    let rooms = system.get("/chat/rooms").await.json();
    assert_eq!((&rooms[0]["room"], &rooms[0]["head"], rooms[0]["last_at"].is_string()), (&json!("team.one-2_b"), &json!(60), true));
    let chat = system.get("/chat").await.json();
    assert_eq!((&chat["status"], &chat["rooms"], &chat["messages"]), (&json!("pass"), &json!(1), &json!(60)));
    assert!(chat["replica"].is_string() && chat["sockets"].is_u64(), "{chat}");
}

async fn every_error_over_http_has_its_code(system: System) {
    let path = "/chat/rooms/ops/messages";
    let good = json!({ "user": "ada", "text": "x" });
    for (path, status, code) in [
        ("/chat/rooms/Ops/messages", 400, "invalid_room"),
        ("/chat/rooms/a%20b/messages", 400, "invalid_room"),
        ("/chat/rooms/ops/messages?limit=0", 400, "invalid_query"),
        ("/chat/rooms/ops/messages?limit=201", 400, "invalid_query"),
        ("/chat/rooms/ops/messages?before=x", 400, "invalid_query"),
        ("/chat/rooms/ops/messages?before=1&after=1", 400, "invalid_query"),
        ("/chat/rooms/ops/messages?page=1", 400, "invalid_query"),
        ("/chat/rooms?limit=0", 400, "invalid_query"),
        ("/chat?verbose=1", 400, "invalid_query"),
        ("/chat/rooms/ops", 404, "not_found"),
        ("/chat/nowhere", 404, "not_found"),
        ("/ws?user=alice", 426, "upgrade_required"),
    ] {
        let reply = system.get(path).await;
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{path}");
    }
    for path in ["/chat/rooms/ops/messages?x=1", "/users?x=1", "/analytics/events?x=1"] {
        let reply = system.post(path, &good).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "invalid_query"), "{path}");
    }
    let reply = system.post("/chat/rooms/Ops/messages", &good).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "invalid_room"));
    let long = "x".repeat(8193);
    for (body, code, faults) in [
        (
            json!({ "user": "a b", "text": "", "id": "" }),
            "invalid_message",
            vec![("/user", "invalid_user"), ("/text", "invalid_text"), ("/id", "invalid_id")],
        ),
        (json!({ "user": "a", "text": "a\0b" }), "invalid_message", vec![("/text", "invalid_text")]),
        (json!({ "user": "a", "text": long }), "invalid_message", vec![("/text", "text_too_long")]),
        (json!({ "user": "a", "text": 7 }), "invalid_body", vec![("/text", "invalid_type")]),
        (json!({ "user": "a" }), "invalid_body", vec![("", "required")]),
        (json!({ "user": "a", "text": "x", "colour": 1 }), "invalid_body", vec![("/colour", "unknown_field")]),
        (json!(["a", "x", null]), "invalid_body", vec![("", "invalid_type")]),
    ] {
        let reply = system.post(path, &body).await;
        assert_eq!((reply.status, reply.code().as_str()), (422, code), "{body}");
        let faults: Vec<_> = faults.into_iter().map(|(pointer, code)| (pointer.to_owned(), code.to_owned())).collect();
        assert_eq!(reply.faults(), faults, "{body}");
    }
    let post = |body: &'static str, content_type: &'static str| {
        system.send(system.request(reqwest::Method::POST, path).header("content-type", content_type).body(body))
    };
    let reply = post("{\"user\":", "application/json").await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "malformed_json"));
    let reply = post("user=a", "application/x-www-form-urlencoded").await;
    assert_eq!((reply.status, reply.code().as_str()), (415, "unsupported_media_type"));
    for (path, allow) in [(path, "GET, HEAD, POST"), ("/chat", "GET, HEAD"), ("/chat/rooms", "GET, HEAD"), ("/ws", "GET")] {
        let reply = system.delete(path).await;
        assert_eq!((reply.status, reply.code().as_str(), reply.header("allow")), (405, "method_not_allowed", Some(allow)), "{path}");
    }
    assert_eq!(system.get(path).await.json(), json!([]), "nothing of it was kept");
}

async fn a_frame_the_protocol_forbids_closes_the_socket_with_its_code(system: System) {
    let frame = |bytes: &'static [u8], data| Message::Frame(Frame::message(Bytes::from_static(bytes), OpCode::Data(data), true));
    let mut compressed = FrameHeader { rsv1: true, ..FrameHeader::default() };
    compressed.opcode = OpCode::Data(Data::Text);
    for (message, code) in [
        (Message::binary(vec![0, 1, 2]), 1003),
        (Message::text("x".repeat(70_000)), 1009),
        (Message::text("x".repeat(10_000_000)), 1009),
        (frame(b"\xff\xfe", Data::Text), 1007),
        (frame(b"never begun", Data::Continue), 1002),
        (Message::Frame(Frame::from_payload(compressed, Bytes::from_static(b"x"))), 1002),
    ] {
        let mut socket = system.socket("eve").await;
        socket.next_of("joined").await;
        // The server may close while it is still on its way.
        let _ = socket.try_send(message).await;
        assert_eq!(socket.closed().await.0, code);
    }
    let mut alice = system.socket("alice").await;
    alice.say("still here").await;
    alice.next_of("ack").await;
}

async fn a_bad_frame_is_told_and_the_socket_lives(system: System) {
    let mut alice = system.socket("alice").await;
    alice.next_of("joined").await;
    for (frame, code) in [
        (r#"{"type":"send","#, "malformed_json"),
        (r#"{"type":"dance","id":"x"}"#, "unknown_type"),
        (r#"{"type":"send","id":"x"}"#, "invalid_frame"),
        (r#"{"type":"send","text":"a\u0000","id":"x"}"#, "invalid_text"),
        (r#"{"type":"join","room":"../../etc","id":"x"}"#, "invalid_room"),
        (r#"{"type":"leave","room":"elsewhere","id":"x"}"#, "not_joined"),
    ] {
        alice.say(frame).await;
        let error = alice.next().await;
        assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!(code)), "{frame}");
        assert_eq!(error.get("id").is_some(), code != "malformed_json", "{error}");
    }
    let mut refused = 0;
    for _ in 0..100 {
        alice.send(json!({ "type": "ping", "id": "p" })).await;
    }
    for _ in 0..100 {
        let frame = alice.next().await;
        if frame["type"] == "error" {
            assert_eq!((&frame["code"], &frame["id"]), (&json!("rate_limited"), &json!("p")));
            assert!(frame["retry_after_ms"].as_u64().unwrap() >= 1);
            refused += 1;
        }
    }
    assert!(refused > 0, "a hundred frames at once are too many");
}

async fn who_says_no_name_is_told_why_and_not_to_come_back(system: System) {
    for query in ["", "user=", "user=a%20b", "user=%3Cscript%3E", "user=..%2F..", "user=a&room=LOBBY", "user=a&after=-1"] {
        let mut nobody = system.socket_at(system.address(Role::Gateway), query).await;
        let error = nobody.next().await;
        assert_eq!(error["type"], "error", "{query}");
        let (code, reason) = nobody.closed().await;
        assert_eq!((code, reason.is_empty()), (4500, false), "{query}");
    }
}

async fn a_replica_nobody_answers_at_gets_no_socket(mut system: System) {
    let dead = DeadAddress::new();
    let live = system.replicas(Role::Chat);
    let endpoints = json!([dead.address, live[0], live[1]]);
    system.restart_with(Role::Gateway, &[&format!("gateway.clusters.chat.endpoints={endpoints}")]).await;
    let mut open = Vec::new();
    for number in 0..10 {
        let mut socket = system.socket(&format!("u{number}")).await;
        socket.next_of("joined").await;
        open.push(socket);
    }
}

/// Says `count` things, and hears `total` messages; returns what was heard, after checking that it has no hole.
async fn talk(mut socket: Socket, name: String, count: usize, total: usize) -> Vec<String> {
    for number in 0..count {
        socket.send(json!({ "type": "send", "text": format!("{name} {number}"), "id": format!("{name}-{number}") })).await;
    }
    let mut heard = Vec::new();
    while heard.len() < total {
        let frame = socket.next().await;
        match frame["type"].as_str().unwrap() {
            "message" => {
                assert_eq!(frame["seq"], heard.len() + 1);
                heard.push(frame["text"].as_str().unwrap().to_owned());
            }
            "ack" | "heads" => {}
            _ => panic!("unexpected {frame}"),
        }
    }
    heard
}

async fn crowd(system: System, people: usize, count: usize) {
    let mut sockets = Vec::new();
    for number in 0..people {
        let mut socket = system.socket(&format!("u{number}")).await;
        socket.next_of("joined").await;
        sockets.push(socket);
    }
    // The replica with the fewest sockets gets the next one.
    for replica in system.replicas(Role::Chat) {
        assert_eq!(system.get_at(replica, "/chat").await.json()["sockets"], people / 2);
    }
    let total = people * count;
    let talks = sockets.into_iter().enumerate().map(|(number, socket)| tokio::spawn(talk(socket, format!("u{number}"), count, total)));
    let mut heard = Vec::new();
    for talk in talks.collect::<Vec<_>>() {
        heard.push(talk.await.unwrap());
    }
    assert!(heard.iter().all(|order| *order == heard[0]), "everyone hears the same order");
    assert_eq!(heard[0].iter().collect::<HashSet<_>>().len(), total, "and each message once");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clients_hear_everything_in_one_order() {
    crowd(Setup::all_in_one().set("chat.rate_burst=1000").start().await, 2, 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_clients_on_both_replicas_hear_everything_in_one_order() {
    crowd(Setup::all_in_one().start().await, 100, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_clients_through_separate_processes_hear_everything_in_one_order() {
    crowd(Setup::roles().start().await, 100, 10).await;
}

#[tokio::test]
async fn a_system_that_stops_says_goodbye_to_its_sockets() {
    let mut system = System::all_in_one().await;
    let mut alice = system.socket("alice").await;
    alice.next_of("joined").await;
    alice.send(json!({ "type": "send", "text": "last words", "id": "z" })).await;
    alice.next_of("ack").await;
    system.terminate(Role::Gateway);
    let goodbye = alice.next_of("goodbye").await;
    assert_eq!(goodbye["reconnect_after_ms"], json!([700, 9000]));
    assert_eq!(alice.closed().await.0, 1012);
    system.ended(Role::Gateway).await;
    system.start(Role::Gateway).await;
    let mut alice = system.socket_at(system.address(Role::Gateway), "user=alice&after=0").await;
    assert_eq!(alice.next_of("message").await["text"], "last words");
}
