//! Analytics: events are counted once, whoever sends them how often.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::support::{Reply, System, eventually, in_every_shape};

in_every_shape!(
    events_are_taken_one_by_one_in_arrays_and_in_lines,
    a_body_with_good_bad_and_repeated_events_answers_exactly_that,
    a_body_that_cannot_be_read_has_its_code,
    a_large_batch_passes_the_door_and_a_larger_one_does_not,
);

async fn post(system: &System, content_type: &str, body: impl Into<reqwest::Body>) -> Reply {
    system.send(system.request(reqwest::Method::POST, "/analytics/events").header("content-type", content_type).body(body)).await
}

async fn count(system: &System, name: &str) -> Value {
    system.get("/analytics").await.json()["totals"]["by_name"][name].clone()
}

fn receipt(accepted: u64, duplicates: u64) -> Value {
    json!({ "accepted": accepted, "duplicates": duplicates, "rejected": [] })
}

async fn events_are_taken_one_by_one_in_arrays_and_in_lines(system: System) {
    let one = json!({ "id": "tap-1", "name": "tap", "user_id": "ada", "properties": { "button": "ok" } });
    let reply = system.post("/analytics/events", &one).await;
    assert_eq!((reply.status, reply.json()), (202, receipt(1, 0)));
    assert_eq!(system.post("/analytics/events", &one).await.json(), receipt(0, 1));
    let array = json!([one, { "name": "tap" }, { "name": "scroll", "at": "2026-01-01T10:00:00Z" }]);
    assert_eq!(system.post("/analytics/events", &array).await.json(), receipt(2, 1));
    let lines = "{\"name\":\"tap\"}\n\n{\"name\":\"tap\"}\r\n";
    assert_eq!(post(&system, "application/x-ndjson", lines).await.json(), receipt(2, 0));
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(b"{\"name\":\"tap\"}").unwrap();
    let request = system.request(reqwest::Method::POST, "/analytics/events").header("content-type", "application/json");
    let reply = system.send(request.header("content-encoding", "gzip").body(gzip.finish().unwrap())).await;
    assert_eq!((reply.status, reply.json()), (202, receipt(1, 0)));
    assert_eq!(count(&system, "tap").await, 5);
    let summary = system.get("/analytics").await.json();
    assert_eq!((&summary["status"], &summary["totals"]["by_name"]["scroll"]), (&json!("pass"), &json!(1)));
    assert_eq!(summary["hot"][0], json!({ "name": "tap", "count": 5 }));
    let now: u64 = summary["last_minutes"].as_array().unwrap().iter().map(|minute| minute["count"].as_u64().unwrap()).sum();
    assert!(now >= 5, "{summary}");
}

async fn a_body_with_good_bad_and_repeated_events_answers_exactly_that(system: System) {
    let lines = [
        r#"{"id":"a","name":"tap"}"#,
        r#"{"id":"a","name":"tap"}"#,
        r#"{"name":""}"#,
        r#"not json"#,
        r#"{"id":"b","name":"tap"}"#,
        r#"{"name":"tap","colour":"red"}"#,
        r#"{"name":"tap","at":"yesterday"}"#,
    ];
    let reply = post(&system, "application/x-ndjson", lines.join("\n")).await;
    assert_eq!(reply.status, 202);
    let receipt = reply.json();
    assert_eq!((&receipt["accepted"], &receipt["duplicates"]), (&json!(2), &json!(1)));
    let rejected = receipt["rejected"].as_array().unwrap();
    let rejected: Vec<_> = rejected.iter().map(|event| (event["index"].as_u64().unwrap(), event["code"].as_str().unwrap())).collect();
    assert_eq!(rejected, [(2, "invalid_name"), (3, "malformed_json"), (5, "unknown_field"), (6, "invalid_at")]);
    assert_eq!(count(&system, "tap").await, 2);
}

async fn a_body_that_cannot_be_read_has_its_code(system: System) {
    for (content_type, body, status, code) in [
        ("application/json", &b"{\"name\":"[..], 400, "malformed_json"),
        ("application/json", b"", 400, "malformed_json"),
        ("application/json", b"{\"name\":\"\xff\"}", 400, "invalid_utf8"),
        ("application/json", b"{\"name\":\"tap\",\"more\":1}", 422, "invalid_body"),
        ("application/json", b"{\"name\":7}", 422, "invalid_event"),
        ("application/json", b"{\"name\":\"a\\u0000b\"}", 422, "invalid_event"),
        ("application/json", b"7", 422, "invalid_body"),
        ("text/plain", b"{\"name\":\"tap\"}", 415, "unsupported_media_type"),
    ] {
        let reply = post(&system, content_type, body).await;
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{}", body.escape_ascii());
    }
    let request = system.request(reqwest::Method::POST, "/analytics/events").header("content-type", "application/json");
    let reply = system.send(request.header("content-encoding", "gzip").body("plain")).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "invalid_encoding"));
    let many: Vec<_> = (0..1001).map(|_| json!({ "name": "tap" })).collect();
    let reply = system.post("/analytics/events", &json!(many)).await;
    assert_eq!((reply.status, reply.code().as_str()), (413, "too_many_events"));
    let reply = system.get("/analytics/events").await;
    assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")));
    assert_eq!(system.get("/analytics?x=1").await.code(), "invalid_query");
    assert_eq!(system.get("/analytics").await.json()["totals"]["events"], 0, "nothing of it was kept");
}

async fn a_large_batch_passes_the_door_and_a_larger_one_does_not(system: System) {
    let events = |bytes: usize| {
        let events: Vec<_> = (0..1000).map(|_| json!({ "name": "tap", "properties": { "text": "x".repeat(bytes) } })).collect();
        json!(events)
    };
    let reply = system.post("/analytics/events", &events(2000)).await;
    assert_eq!((reply.status, reply.json()), (202, receipt(1000, 0)), "two megabytes are fine");
    let reply = system.post("/analytics/events", &events(6000)).await;
    assert_eq!((reply.status, reply.code().as_str()), (413, "body_too_large"));
}

#[tokio::test]
async fn what_users_and_chat_do_arrives_as_events() {
    let system = System::all_in_one().await;
    system.sign_up("ada").await;
    let mut socket = system.socket("ada").await;
    socket.next_of("joined").await;
    socket.say("hi").await;
    socket.next_of("ack").await;
    for name in ["user.created", "chat.socket_opened", "chat.message_sent"] {
        eventually(name, async || count(&system, name).await == 1).await;
    }
}
