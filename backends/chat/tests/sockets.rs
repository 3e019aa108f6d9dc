//! Chat over real sockets: what is promised to a client, whatever the bus and the reader do.

mod support;

use std::sync::Arc;

use futures_util::SinkExt;
use kit::bus::InProcess;
use kit::bus::lossy::Lossy;
use serde_json::{Value, json};
use support::{Client, PATIENCE, Replicas, config, kinds_of};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};
use tokio_tungstenite::tungstenite::{Bytes, Message};

#[tokio::test]
async fn a_plain_line_is_said_to_the_lobby_and_heard_by_all() {
    let replicas = Replicas::start(2, Arc::new(InProcess::default()), config(json!({}))).await;
    let mut alice = replicas.connect(0, "user=alice").await;
    let welcome = alice.expect("welcome").await;
    assert_eq!((&welcome["user"], &welcome["replica"], &welcome["heartbeat_s"]), (&json!("alice"), &json!("chat-0"), &json!(25)));
    assert_eq!(alice.expect("joined").await, json!({"type": "joined", "room": "lobby", "head": 0}));
    let mut bob = replicas.client(1, "user=bob").await;
    alice.say("hi there").await;
    let [ack, message] = [alice.next().await, alice.next().await];
    assert_eq!((&ack["type"], &ack["room"], &ack["seq"], &ack["duplicate"]), (&json!("ack"), &json!("lobby"), &json!(1), &json!(false)));
    assert!(ack.get("id").is_none(), "a plain line has no id");
    assert_eq!((&message["user"], &message["text"], &message["at"]), (&json!("alice"), &json!("hi there"), &ack["at"]));
    assert_eq!(bob.expect("message").await, message);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ack_of_a_message_comes_before_the_message() {
    let replicas = Replicas::one().await;
    let mut alice = replicas.client(0, "user=alice").await;
    for number in 0..300 {
        alice.frame(json!({"type": "send", "text": "x", "id": number.to_string()})).await;
    }
    let (mut acked, mut heard) = (0, 0);
    while heard < 300 {
        match alice.next().await["type"].as_str() {
            Some("ack") => acked += 1,
            _ => heard += 1,
        }
        assert!(acked >= heard, "message {heard} came after {acked} acks");
    }
}

#[tokio::test]
async fn only_the_senders_own_sockets_see_the_id_of_a_message() {
    let replicas = Replicas::start(2, Arc::new(InProcess::default()), config(json!({}))).await;
    let (mut alice, mut twin, mut bob) =
        (replicas.client(0, "user=alice").await, replicas.client(1, "user=alice").await, replicas.client(1, "user=bob").await);
    alice.frame(json!({"type": "send", "room": "lobby", "text": "hi", "id": "x-1"})).await;
    assert_eq!(alice.find("message").await["id"], "x-1");
    assert_eq!(twin.expect("message").await["id"], "x-1");
    assert!(bob.expect("message").await.get("id").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_that_loses_every_third_event_is_not_noticed_by_a_hundred_clients() {
    let bus = Arc::new(Lossy::new(Arc::new(InProcess::default()), 3));
    // None of the clients may be told `gap`: that is another story.
    let replicas = Replicas::start(2, bus, config(json!({"refill_events_max": 1000}))).await;
    let mut clients = Vec::new();
    for number in 0..100 {
        clients.push(replicas.client(number % 2, &format!("user=u{number}")).await);
    }
    let clients = clients.into_iter().enumerate().map(|(number, mut client)| {
        tokio::spawn(async move {
            for count in 0..5 {
                client.say(&format!("{number}-{count}")).await;
            }
            let mut texts = Vec::new();
            while texts.len() < 500 {
                let message = client.find("message").await;
                assert_eq!(message["seq"].as_u64(), Some(texts.len() as u64 + 1));
                texts.push(message["text"].as_str().expect("a text").to_owned());
            }
            texts
        })
    });
    let mut heard = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        heard.push(client.await.expect("heard all"));
    }
    assert!(heard.windows(2).all(|pair| pair[0] == pair[1]), "everyone hears the same order");
}

#[tokio::test]
async fn a_retry_on_the_other_replica_gets_the_same_place() {
    let replicas = Replicas::start(2, Arc::new(InProcess::default()), config(json!({}))).await;
    let (mut here, mut there) = (replicas.client(0, "user=alice").await, replicas.client(1, "user=alice").await);
    let frame = json!({"type": "send", "text": "hi", "id": "once"});
    here.frame(frame.clone()).await;
    let first = here.find("ack").await;
    there.frame(frame).await;
    let second = there.find("ack").await;
    assert_eq!((&second["seq"], &second["at"], &second["id"]), (&first["seq"], &first["at"], &json!("once")));
    assert_eq!((&first["duplicate"], &second["duplicate"]), (&json!(false), &json!(true)));
    there.say("next").await;
    assert_eq!(there.find("ack").await["seq"], 2, "the retry took no place");
}

#[tokio::test]
async fn resuming_gets_exactly_what_was_missed_however_much() {
    let replicas = Replicas::start(2, Arc::new(InProcess::default()), config(json!({"ring_events": 8, "refill_events_max": 8}))).await;
    let mut alice = replicas.client(0, "user=alice").await;
    for number in 1..=200 {
        alice.say(&number.to_string()).await;
    }
    alice.seqs_to(200).await;
    let mut bob = replicas.connect(1, "user=bob&after=41").await;
    bob.expect("welcome").await;
    assert_eq!(bob.expect("joined").await["head"], 200);
    assert_eq!(bob.seqs_to(200).await, (42..=200).collect::<Vec<u64>>());
    bob.frame(json!({"type": "join", "room": "lobby", "after": 198})).await;
    assert_eq!(bob.expect("joined").await["head"], 200);
    assert_eq!(bob.seqs_to(200).await, [199, 200]);
    let mut future = replicas.client(1, "user=carl&after=1000").await;
    alice.say("201").await;
    assert_eq!(future.seqs_to(201).await, [201], "who claims to have seen the future is taken as live");
}

#[tokio::test(flavor = "multi_thread")]
async fn joining_and_resuming_while_others_send_has_no_hole() {
    let bus = Arc::new(Lossy::new(Arc::new(InProcess::default()), 4));
    let replicas = Arc::new(Replicas::start(2, bus, config(json!({"ring_events": 16}))).await);
    let writer = tokio::spawn({
        let replicas = replicas.clone();
        async move {
            let mut writer = replicas.client(0, "user=writer").await;
            for number in 1..=400 {
                writer.say(&number.to_string()).await;
                writer.find("ack").await;
            }
        }
    });
    let mut readers = Vec::new();
    for number in 0..20 {
        let replicas = replicas.clone();
        readers.push(tokio::spawn(async move {
            let mut seen = 0;
            while seen < 400 {
                // Comes and goes, always from where it was.
                let mut reader = replicas.connect(number % 2, &format!("user=r{number}&after={seen}")).await;
                reader.expect("welcome").await;
                reader.expect("joined").await;
                for _ in 0..(20 + number * 3) {
                    let message = reader.find("message").await;
                    assert_eq!(message["seq"].as_u64(), Some(seen + 1));
                    seen += 1;
                    if seen == 400 {
                        break;
                    }
                }
            }
        }));
    }
    writer.await.expect("the writer");
    for reader in readers {
        reader.await.expect("a reader");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_falls_behind_sees_every_seq_or_a_gap_and_stays() {
    let replicas = Replicas::start(1, Arc::new(InProcess::default()), config(json!({"ring_events": 16, "refill_events_max": 32}))).await;
    let mut slow = replicas.client(0, "user=slow").await;
    let mut fast = replicas.client(0, "user=fast").await;
    let text = "x".repeat(8000);
    let sent = 3000;
    for number in 1..=sent {
        fast.say(&text).await;
        // Its own messages are taken, the slow one takes nothing.
        if number % 20 == 0 {
            fast.seqs_to(number).await;
        }
    }
    let mut cursor = 0;
    let mut gaps = 0;
    while cursor < sent {
        let frame = slow.next().await;
        match frame["type"].as_str() {
            Some("message") => {
                assert_eq!(frame["seq"].as_u64(), Some(cursor + 1));
                cursor += 1;
            }
            Some("gap") => {
                assert_eq!(frame["from"].as_u64(), Some(cursor + 1));
                cursor = frame["to"].as_u64().expect("an end");
                gaps += 1;
            }
            _ => panic!("unexpected {frame}"),
        }
    }
    assert!(gaps >= 1, "twenty-four megabytes fit no socket buffer");
    slow.say("still here").await;
    assert_eq!(slow.find("ack").await["seq"], sent + 1);
}

#[tokio::test]
async fn rooms_are_joined_left_and_read_back() {
    let replicas = Replicas::one().await;
    let mut alice = replicas.client(0, "user=alice").await;
    alice.frame(json!({"type": "join", "room": "ops"})).await;
    assert_eq!(alice.expect("joined").await, json!({"type": "joined", "room": "ops", "head": 0}));
    for number in 1..=5 {
        alice.frame(json!({"type": "send", "room": "ops", "text": number.to_string()})).await;
    }
    alice.seqs_to(5).await;
    alice.frame(json!({"type": "history", "room": "ops", "before": 5, "limit": 2})).await;
    let history = alice.find("history").await;
    let texts: Vec<_> = history["messages"].as_array().unwrap().iter().map(|message| message["text"].clone()).collect();
    assert_eq!((texts, &history["more"]), (vec![json!("3"), json!("4")], &json!(true)));
    alice.frame(json!({"type": "history", "room": "ops"})).await;
    assert_eq!(alice.find("history").await["more"], false);
    alice.frame(json!({"type": "leave", "room": "ops"})).await;
    assert_eq!(alice.find("left").await, json!({"type": "left", "room": "ops"}));
    alice.frame(json!({"type": "send", "room": "ops", "text": "not for me", "id": "n"})).await;
    assert_eq!(alice.expect("ack").await["seq"], 6);
    alice.frame(json!({"type": "ping"})).await;
    alice.expect("pong").await;
}

#[tokio::test]
async fn a_bad_frame_is_told_and_the_socket_lives() {
    let replicas = Replicas::one().await;
    let mut alice = replicas.client(0, "user=alice").await;
    let long = "x".repeat(8193);
    for (frame, code, id) in [
        ("{\"type\":\"send\"".to_owned(), "malformed_json", Value::Null),
        ("{}".to_owned(), "invalid_frame", Value::Null),
        (r#"{"type":"dance","id":"d"}"#.to_owned(), "unknown_type", json!("d")),
        (r#"{"type":"send","text":"x","colour":"red","id":"d"}"#.to_owned(), "invalid_frame", json!("d")),
        (r#"{"type":"send","text":"x","room":"../etc","id":"d"}"#.to_owned(), "invalid_room", json!("d")),
        (r#"{"type":"send","text":"a\u0000b","id":"d"}"#.to_owned(), "invalid_text", json!("d")),
        (r#"{"type":"send","text":"","id":"d"}"#.to_owned(), "invalid_text", json!("d")),
        (r#"{"type":"send","text":"x","id":""}"#.to_owned(), "invalid_id", json!("")),
        (json!({"type": "send", "text": long, "id": "d"}).to_string(), "text_too_long", json!("d")),
        (r#"{"type":"leave","room":"elsewhere","id":"d"}"#.to_owned(), "not_joined", json!("d")),
        (r#"{"type":"history","limit":201,"id":"d"}"#.to_owned(), "invalid_frame", json!("d")),
        (String::new(), "invalid_text", Value::Null),
    ] {
        alice.say(&frame).await;
        let error = alice.expect("error").await;
        assert_eq!((error["code"].as_str(), &error["id"]), (Some(code), &id), "{frame}: {error}");
    }
    for number in 1..=4 {
        alice.frame(json!({"type": "join", "room": format!("r{number}"), "id": "j"})).await;
    }
    assert_eq!(alice.find("error").await["code"], "too_many_rooms");
    alice.say("still here").await;
    assert_eq!(alice.find("ack").await["seq"], 1);
}

#[tokio::test]
async fn at_the_edges_of_the_document_frames_are_taken_and_beyond_them_refused() {
    let replicas = Replicas::one().await;
    let mut alice = replicas.client(0, "user=alice").await;
    let long = |letter: &str, count: usize| letter.repeat(count);
    let taken = [
        json!({"type": "send", "text": long("x", 8192), "id": long("ü", 64), "room": long("r", 64)}),
        json!({"type": "send", "text": "\n", "id": " ", "room": "..."}),
        json!({"type": "send", "text": "nothing said of the rest", "id": null, "room": null}),
        json!({"type": "join", "room": ".-_", "after": 0, "id": "j"}),
        json!({"type": "join", "after": u64::MAX}),
        json!({"type": "join", "room": null, "after": null, "id": null}),
        json!({"type": "leave", "room": ".-_", "id": "l"}),
        json!({"type": "history", "before": 0, "limit": 1, "id": "h"}),
        json!({"type": "history", "before": u64::MAX, "limit": 200}),
        json!({"type": "history", "room": null, "before": null, "limit": null, "id": null}),
        json!({"type": "leave", "room": null, "id": null}),
    ];
    let mut refused = vec![
        json!({"type": "send", "text": long("x", 8193)}),
        json!({"type": "send", "text": long("ü", 4097)}),
        json!({"type": "send", "text": null}),
        json!({"type": "send", "text": "x", "room": long("r", 65)}),
        json!({"type": "send", "text": "x", "room": ".."}),
        json!({"type": "join", "room": "Ops"}),
        json!({"type": "leave", "room": ""}),
        json!({"type": "history", "room": "r\n"}),
        json!({"type": "join", "after": -1}),
        json!({"type": "join", "after": "1"}),
        json!({"type": "join", "after": 1.5}),
        json!({"type": "join", "after": 1e20}),
        json!({"type": "history", "limit": 0}),
        json!({"type": "history", "limit": 201}),
        json!({"type": "history", "before": -1}),
        json!({"type": "pong"}),
        json!({"type": null}),
    ];
    for kind in ["send", "join", "leave", "history", "ping"] {
        for id in [json!(""), json!(long("i", 65)), json!("a\u{7f}b"), json!(7)] {
            refused.push(json!({"type": kind, "text": "x", "id": id}));
            if kind != "send" {
                refused.last_mut().unwrap().as_object_mut().unwrap().remove("text");
            }
        }
        refused.push(json!({"type": kind, "text": "x", "colour": "red"}));
    }
    for (frames, is_taken) in [(&taken[..], true), (&refused[..], false)] {
        for frame in frames {
            alice.frame(frame.clone()).await;
            alice.frame(json!({"type": "ping", "id": null})).await;
            let mut answers = Vec::new();
            while answers.last() != Some(&json!({"type": "pong"})) {
                answers.push(alice.next().await);
            }
            let errors: Vec<&Value> = answers.iter().filter(|answer| answer["type"] == "error").collect();
            assert_eq!(errors.is_empty(), is_taken, "{frame}: {errors:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_frame_in_the_document_comes_about() {
    let settings = json!({"ring_events": 4, "refill_events_max": 4, "heartbeat_s": 1});
    let replicas = Replicas::start(1, Arc::new(InProcess::default()), config(settings)).await;
    let mut slow = replicas.connect_narrow(0, "user=slow").await;
    slow.find("joined").await;
    let mut alice = replicas.client(0, "user=alice").await;
    // More than fits between the replica and somebody who does not read.
    for number in 1..=500 {
        alice.frame(json!({"type": "send", "text": "x".repeat(8000)})).await;
        alice.seqs_to(number).await;
    }
    slow.find("gap").await;
    slow.find("heads").await;
    slow.frame(json!({"type": "ping"})).await;
    slow.find("pong").await;
    slow.frame(json!({"type": "history", "limit": 1})).await;
    slow.find("history").await;
    slow.frame(json!({"type": "join", "room": "ops"})).await;
    slow.find("joined").await;
    slow.frame(json!({"type": "send", "room": "ops", "text": "hi"})).await;
    slow.find("ack").await;
    slow.find("message").await;
    for answer in ["left", "error"] {
        slow.frame(json!({"type": "leave", "room": "ops"})).await;
        slow.find(answer).await;
    }
    replicas.stop.cancel();
    slow.closed().await;
    assert_eq!(slow.contract.heard, kinds_of("ChatServerFrame"));
    assert_eq!(slow.contract.sent, kinds_of("ChatClientFrame"));
}

#[tokio::test]
async fn too_many_frames_are_refused_and_the_socket_lives() {
    let replicas = Replicas::start(1, Arc::new(InProcess::default()), config(json!({"rate_per_second": 20, "rate_burst": 40}))).await;
    let mut alice = replicas.client(0, "user=alice").await;
    for number in 0..60 {
        alice.frame(json!({"type": "ping", "id": number.to_string()})).await;
    }
    let mut refused = 0;
    for _ in 0..60 {
        let frame = alice.next().await;
        if frame["type"] == "error" {
            assert_eq!(frame["code"], "rate_limited");
            assert!(frame["retry_after_ms"].as_u64().is_some_and(|wait| wait > 0) && frame["id"].is_string(), "{frame}");
            refused += 1;
        }
    }
    assert!((1..=20).contains(&refused), "{refused} of 60 were refused");
}

#[tokio::test]
async fn who_says_no_name_is_told_why_and_not_to_come_back() {
    let replicas = Replicas::one().await;
    for (query, code) in
        [("", "invalid_user"), ("user=a%20b", "invalid_user"), ("user=a&room=No", "invalid_room"), ("user=a&x=1", "invalid_query")]
    {
        let mut nobody = replicas.connect(0, query).await;
        let error = nobody.expect("error").await;
        assert_eq!(error["code"], code, "{query}");
        let close = nobody.closed().await;
        assert_eq!((close.code, close.reason.as_str()), (CloseCode::Library(4500), error["detail"].as_str().unwrap()));
    }
}

async fn close_code_after(message: Message) -> CloseCode {
    let replicas = Replicas::one().await;
    let mut client = replicas.client(0, "user=alice").await;
    // The server may close while this is still on its way.
    let _ = client.socket.send(message).await;
    client.closed().await.code
}

#[tokio::test]
async fn a_frame_that_breaks_the_protocol_closes_with_its_code() {
    assert_eq!(close_code_after(Message::binary(vec![1, 2, 3])).await, CloseCode::Unsupported);
    assert_eq!(close_code_after(Message::text("x".repeat(65_537))).await, CloseCode::Size);
    assert_eq!(close_code_after(Message::text("x".repeat(10_000_000))).await, CloseCode::Size);
    let not_utf8 = Frame::message(Bytes::from_static(b"\xff\xfe"), OpCode::Data(Data::Text), true);
    assert_eq!(close_code_after(Message::Frame(not_utf8)).await, CloseCode::Invalid);
    let orphan = Frame::message(Bytes::from_static(b"x"), OpCode::Data(Data::Continue), true);
    assert_eq!(close_code_after(Message::Frame(orphan)).await, CloseCode::Protocol);
    let mut reserved = FrameHeader { rsv1: true, ..FrameHeader::default() };
    reserved.opcode = OpCode::Data(Data::Text);
    assert_eq!(close_code_after(Message::Frame(Frame::from_payload(reserved, Bytes::from_static(b"x")))).await, CloseCode::Protocol);
}

#[tokio::test]
async fn a_message_in_fragments_is_one_message() {
    let replicas = Replicas::one().await;
    let mut alice = replicas.client(0, "user=alice").await;
    let fragment = |text: &'static str, data, is_last| {
        Message::Frame(Frame::message(Bytes::from_static(text.as_bytes()), OpCode::Data(data), is_last))
    };
    alice.socket.send(fragment("in ", Data::Text, false)).await.unwrap();
    alice.socket.send(fragment("two ", Data::Continue, false)).await.unwrap();
    alice.socket.send(Message::Ping(Bytes::new())).await.unwrap();
    alice.socket.send(fragment("parts", Data::Continue, true)).await.unwrap();
    assert_eq!(alice.find("message").await["text"], "in two parts");
}

#[tokio::test]
async fn a_silent_client_is_asked_and_then_closed() {
    let replicas = Replicas::start(1, Arc::new(InProcess::default()), config(json!({"heartbeat_s": 1, "silence_s": 2}))).await;
    let mut alive = replicas.client(0, "user=alive").await;
    let dead = replicas.client(0, "user=dead").await;
    assert_eq!(alive.expect("heads").await, json!({"type": "heads", "rooms": {"lobby": 0}}));
    // Reads nothing through the library, which would answer the pings.
    let mut raw = dead.socket.into_inner();
    let mut bytes = Vec::new();
    let closed = tokio::time::timeout(PATIENCE, raw.read_to_end(&mut bytes));
    // Reading is what answers pings: four heartbeats are more than the silence allows.
    let reading = async {
        for _ in 0..4 {
            alive.expect("heads").await;
        }
    };
    let (closed, ()) = tokio::join!(closed, reading);
    closed.expect("closed in time").expect("read");
    assert!(bytes.windows(4).any(|window| window[2..] == 4000u16.to_be_bytes()), "a close frame with 4000");
    alive.say("still here").await;
    alive.find("ack").await;
}

#[tokio::test]
async fn a_stopping_replica_says_goodbye_and_keeps_what_it_took() {
    let mut replicas = Replicas::one().await;
    let mut alice = replicas.client(0, "user=alice").await;
    alice.frame(json!({"type": "send", "text": "last words", "id": "z"})).await;
    alice.find("ack").await;
    replicas.stop.cancel();
    let goodbye = alice.find("goodbye").await;
    assert_eq!(goodbye["reconnect_after_ms"], json!([700, 9000]));
    assert_eq!(alice.closed().await.code, CloseCode::Restart);
    let stopped = replicas.tasks.remove(0);
    tokio::time::timeout(PATIENCE, stopped).await.expect("stopped in time").expect("no panic");
}

#[tokio::test]
async fn several_events_come_in_one_text_for_those_who_ask() {
    let replicas = Replicas::one().await;
    let mut alice = replicas.client(0, "user=alice").await;
    for number in 1..=10 {
        alice.say(&number.to_string()).await;
    }
    alice.seqs_to(10).await;
    let mut bob = replicas.client(0, "user=bob&after=0&batch=true").await;
    let seqs: Vec<u64> = bob.batch().await.iter().map(|message| message["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (1..=10).collect::<Vec<u64>>());
}

#[tokio::test]
async fn plain_http_on_the_path_of_sockets_is_told_to_upgrade() {
    let replicas = Replicas::one().await;
    for request in [
        "GET /ws?user=a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        "GET /ws?user=a HTTP/1.1\r\nhost: x\r\nconnection: upgrade, close\r\nupgrade: websocket\r\nsec-websocket-version: 8\r\nsec-websocket-key: x\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(replicas.addresses[0]).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("an answer in time").unwrap();
        assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
        assert!(answer.contains("sec-websocket-version: 13") && answer.contains("\"upgrade_required\""), "{answer}");
    }
}

/// A client who has missed `count` messages of 8,000 bytes and has not read any of them.
async fn far_behind(replicas: &Replicas, count: u64) -> Client {
    let mut writer = replicas.client(0, "user=writer").await;
    let text = "x".repeat(8000);
    for number in 1..=count {
        writer.say(&text).await;
        if number % 20 == 0 {
            writer.seqs_to(number).await;
        }
    }
    replicas.client(0, "user=slow&after=0").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_reads_slowly_but_steadily_is_not_taken_for_dead() {
    let replicas = Replicas::start(1, Arc::new(InProcess::default()), config(json!({"heartbeat_s": 1, "silence_s": 2}))).await;
    let mut slow = far_behind(&replicas, 2000).await.socket.into_inner();
    // Three times as long as the silence may last, and far from the end of what waits.
    let started = std::time::Instant::now();
    let mut buffer = vec![0; 32 * 1024];
    let mut pause = tokio::time::interval(std::time::Duration::from_millis(20));
    while started.elapsed() < std::time::Duration::from_secs(6) {
        pause.tick().await;
        let read = tokio::time::timeout(PATIENCE, slow.read(&mut buffer)).await.expect("something to read").expect("still open");
        assert!(read > 0, "closed after {:?}", started.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_does_not_read_does_not_keep_a_replica_from_stopping() {
    let mut replicas = Replicas::one().await;
    let _slow = far_behind(&replicas, 1000).await;
    replicas.stop.cancel();
    let stopped = replicas.tasks.remove(0);
    // Four seconds of politeness, where five are allowed before it gives up.
    let started = std::time::Instant::now();
    tokio::time::timeout(PATIENCE, stopped).await.expect("stopped in time").expect("no panic");
    assert!(started.elapsed() < std::time::Duration::from_millis(4900), "it gave up after {:?}", started.elapsed());
}

#[tokio::test]
async fn a_page_of_history_is_bounded_in_bytes_and_says_that_there_is_more() {
    let replicas = Replicas::one().await;
    let mut alice = replicas.client(0, "user=alice").await;
    let text = "\u{1}".repeat(8000);
    for number in 1..=100 {
        alice.frame(json!({"type": "send", "text": text})).await;
        alice.seqs_to(number).await;
    }
    alice.frame(json!({"type": "history", "limit": 200})).await;
    let mut seqs = Vec::new();
    loop {
        let page = alice.find("history").await;
        assert!(page.to_string().len() < 256 * 1024, "a page has {} bytes", page.to_string().len());
        let messages = page["messages"].as_array().unwrap();
        let first = messages[0]["seq"].as_u64().unwrap();
        seqs.splice(0..0, messages.iter().map(|message| message["seq"].as_u64().unwrap()));
        if page["more"] == false {
            break;
        }
        alice.frame(json!({"type": "history", "before": first, "limit": 200})).await;
    }
    assert_eq!(seqs, (1..=100).collect::<Vec<u64>>());
}

#[tokio::test]
async fn a_flood_of_pings_ends_the_socket() {
    let replicas = Replicas::start(1, Arc::new(InProcess::default()), config(json!({"rate_per_second": 20, "rate_burst": 40}))).await;
    let mut alice = replicas.client(0, "user=alice").await;
    for _ in 0..200 {
        // The server may close in the middle.
        let _ = alice.socket.send(Message::Ping(Bytes::new())).await;
    }
    assert_eq!(alice.closed().await.code, CloseCode::Policy);
}
