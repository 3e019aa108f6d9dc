//! The endpoints as plain functions over a real store, then all of the backend over HTTP and the bus.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kit::clock::Timestamp;
use kit::happening::Happening;
use kit::http::{Body, Query};
use kit::problem::{Describe, Kind};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::store::sqlite::SqliteStore;
use crate::{Analytics, Config, gzip, serve};

/// Half a minute after twelve.
const NOON: Timestamp = Timestamp::from_millis(1_767_268_830_000);

fn noon() -> Timestamp {
    NOON
}

struct Setup {
    analytics: Analytics,
    bus: Arc<kit::bus::InProcess>,
    folder: tempfile::TempDir,
}

fn setup() -> Setup {
    let folder = tempfile::tempdir().expect("a folder");
    let http = kit::http::Config { header_timeout_s: 10, connections_max: 10, stop_grace: std::time::Duration::ZERO };
    let config = Config { http, body_bytes_max: 100_000, batch_events_max: 100, intake_bytes_max: 1_000_000, happenings_queue_max: 1000 };
    let bus = Arc::new(kit::bus::InProcess::default());
    let store = Arc::new(SqliteStore::open(folder.path()).expect("a store"));
    Setup { analytics: Analytics::new(config, store, bus.clone(), noon), bus, folder }
}

fn body(content_type: &str, content_encoding: &str, bytes: impl Into<Bytes>) -> Body {
    Body { bytes: Ok(bytes.into()), content_type: content_type.to_owned(), content_encoding: content_encoding.to_owned() }
}

fn lines(bytes: impl Into<Bytes>) -> Body {
    body("application/x-ndjson", "", bytes)
}

async fn accept(analytics: &Analytics, body: Body) -> Value {
    let receipt = accept_events(body, analytics.clone()).await.expect("a receipt");
    serde_json::to_value(receipt).expect("JSON")
}

async fn summary(analytics: &Analytics) -> Value {
    let summary = get_summary(Query::default(), analytics.clone()).await.expect("a summary");
    serde_json::to_value(summary).expect("JSON")
}

const MIXED: &str = r#"{"id":"a","name":"cart.added","user_id":"ada","properties":{"price":12.5}}
{"id":"b","name":"cart.added","at":"2026-01-01T11:58:10Z"}

{"id":"a","name":"cart.added"}
{"id":"c","name":"not a name"}
{"name":"tap","colour":"red"}
{"name":"tap","properties":[]}
{"name":"tap","at":"2027-01-01T00:00:00Z"}
{"name":
"tap"
{"id":"c","name":"tap"}
"#;

#[tokio::test]
async fn a_body_of_valid_invalid_and_repeated_events_answers_exactly_that() {
    let setup = setup();
    let first = accept(&setup.analytics, lines(MIXED)).await;
    assert_eq!((&first["accepted"], &first["duplicates"]), (&json!(3), &json!(1)));
    let rejected = [
        (3, "invalid_name", "name: must be 1 to 64 of the characters A-Z, a-z, 0-9, '.', '_', ':' and '-'"),
        (4, "unknown_field", "colour: unknown field `colour`, expected one of `id`, `name`, `at`, `user_id`, `properties`"),
        (5, "invalid_type", "properties: must be an object"),
        (6, "invalid_at", "at: must not be more than 24 hours in the future"),
        (7, "malformed_json", "not valid JSON: EOF while parsing a value at line 1 column 8"),
        (8, "invalid_type", "must be a JSON object"),
    ];
    let rejected: Vec<_> = rejected.map(|(index, code, detail)| json!({ "index": index, "code": code, "detail": detail })).into();
    assert_eq!(first["rejected"], json!(rejected));
    let second = accept(&setup.analytics, lines(MIXED)).await;
    assert_eq!(second, json!({ "accepted": 0, "duplicates": 4, "rejected": rejected }));

    let summary = summary(&setup.analytics).await;
    assert_eq!(summary["totals"], json!({ "events": 3, "by_name": { "cart.added": 2, "tap": 1 } }));
    assert_eq!(summary["hot"], json!([{ "name": "cart.added", "count": 2 }, { "name": "tap", "count": 1 }]));
    let minutes = summary["last_minutes"].as_array().expect("an array");
    assert_eq!((minutes.len(), &minutes[0]["minute"]), (15, &json!("2026-01-01T11:46:00.000Z")));
    assert_eq!(minutes[12], json!({ "minute": "2026-01-01T11:58:00.000Z", "count": 1 }));
    assert_eq!(minutes[14], json!({ "minute": "2026-01-01T12:00:00.000Z", "count": 2 }));
    assert_eq!((&summary["status"], &summary["checks"]["database"]["status"]), (&json!("pass"), &json!("pass")));
}

#[tokio::test]
async fn one_event_or_none_has_the_same_receipt() {
    let setup = setup();
    for (content_type, text, accepted) in
        [("application/json", r#"{"name":"tap"}"#, 1), ("application/json", "[]", 0), ("application/ndjson", "\n\n", 0)]
    {
        let receipt = accept(&setup.analytics, body(content_type, "", text)).await;
        assert_eq!(receipt, json!({ "accepted": accepted, "duplicates": 0, "rejected": [] }), "{text:?}");
    }
    assert_eq!(setup.analytics.store.count_events().await.unwrap(), 1);
}

#[tokio::test]
async fn a_compressed_body_counts_like_a_plain_one() {
    let setup = setup();
    let many: String = (0..100).map(|id| format!("{{\"id\":\"{id}\",\"name\":\"tap\"}}\n")).collect();
    let receipt = accept(&setup.analytics, body("application/x-ndjson", "gzip", gzip::compress(many.as_bytes()))).await;
    assert_eq!(receipt["accepted"], 100);
    let again = accept(&setup.analytics, lines(many)).await;
    assert_eq!((&again["accepted"], &again["duplicates"]), (&json!(0), &json!(100)));
}

#[tokio::test]
async fn what_cannot_be_read_stores_nothing() {
    let setup = setup();
    let bomb = gzip::compress(&vec![b'\n'; 10_000_000]);
    let whole = gzip::compress(br#"{"name":"tap"}"#);
    for (body, code) in [
        (body("application/x-ndjson", "gzip", bomb), "body_too_large"),
        (body("application/json", "gzip", whole.slice(..20)), "invalid_encoding"),
        (body("application/json", "br", whole), "unsupported_media_type"),
        (body("text/plain", "", r#"{"name":"tap"}"#), "unsupported_media_type"),
        (body("application/json", "", r#"[{"name":"tap"},"#), "malformed_json"),
        (body("application/json", "", r#"{"name":""}"#), "invalid_event"),
        (lines("{\"name\":\"tap\"}\n".repeat(101)), "too_many_events"),
    ] {
        let error = accept_events(body, setup.analytics.clone()).await.expect_err("refused");
        assert_eq!(error.code(), code);
    }
    assert_eq!(setup.analytics.store.count_events().await.unwrap(), 0);
}

#[tokio::test]
async fn without_room_to_wait_in_one_is_told_to_come_again() {
    let mut setup = setup();
    setup.analytics.config.intake_bytes_max = 30;
    setup.analytics.intake = crate::intake::Intake::new(&setup.analytics.config);
    let batch = crate::batch::Batch { bytes: 20, ..Default::default() };
    let held = setup.analytics.intake.reserve(&batch).expect("room");
    let post = || accept_events(lines(r#"{"name":"tap"}"#), setup.analytics.clone());
    let error = post().await.expect_err("no room");
    assert_eq!((error.kind(), error.code()), (Kind::Unavailable, "overloaded"));
    drop(held);
    assert_eq!(post().await.expect("room again").accepted, 1);
    let larger_than_all_room = lines(format!("{}{}", r#"{"name":"tap"}"#, " ".repeat(100)));
    assert_eq!(accept_events(larger_than_all_room, setup.analytics.clone()).await.expect("alone it fits").accepted, 1);
}

#[tokio::test]
async fn a_summary_takes_no_parameters() {
    let setup = setup();
    let error = get_summary(Query("from=yesterday".to_owned()), setup.analytics).await.expect_err("refused");
    assert_eq!(error.code(), "invalid_query");
}

#[tokio::test]
async fn what_was_accepted_is_there_after_a_restart() {
    let Setup { analytics, bus, folder } = setup();
    let receipt = accept(&analytics, lines(MIXED)).await;
    assert_eq!(receipt["accepted"], 3);
    let (before, config) = (summary(&analytics).await, analytics.config.clone());
    drop(analytics);
    let store = Arc::new(SqliteStore::open(folder.path()).expect("a store"));
    let reopened = Analytics::new(config, store, bus, noon);
    assert_eq!(summary(&reopened).await, before);
    assert_eq!(accept(&reopened, lines(MIXED)).await["duplicates"], 4);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_comes_in_is_accepted_or_repeated_or_rejected(picks in proptest::collection::vec((0..6u8, 0..8u8), 0..100)) {
        let line = |(kind, id): &(u8, u8)| match kind {
            0 => format!(r#"{{"name":"tap"}}{}"#, " ".repeat(usize::from(*id))),
            1..=3 => format!(r#"{{"id":"{id}","name":"n{kind}"}}"#),
            4 => format!(r#"{{"id":"{id}"}}"#),
            _ => "{".to_owned(),
        };
        let text: Vec<String> = picks.iter().map(line).collect();
        let mut ids: Vec<u8> = picks.iter().filter(|(kind, _)| (1..=3).contains(kind)).map(|(_, id)| *id).collect();
        let with_id = ids.len();
        ids.sort_unstable();
        ids.dedup();
        let anonymous = picks.iter().filter(|(kind, _)| *kind == 0).count();
        let rejected: Vec<usize> = (0..picks.len()).filter(|index| picks[*index].0 > 3).collect();

        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let setup = setup();
            let receipt = accept_events(lines(text.join("\n")), setup.analytics.clone()).await.expect("a receipt");
            prop_assert_eq!(receipt.accepted, (ids.len() + anonymous) as u64);
            prop_assert_eq!(receipt.duplicates, (with_id - ids.len()) as u64);
            prop_assert_eq!(receipt.rejected.iter().map(|rejected| rejected.index).collect::<Vec<_>>(), rejected);
            prop_assert_eq!(setup.analytics.store.count_events().await.expect("a count"), receipt.accepted);
            Ok(())
        })?;
    }
}

/// A backend that answers on a port of its own, and how to stop it.
struct Served {
    url: String,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Served {
    async fn start(analytics: Analytics) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(analytics, vec![listener], stop.clone().cancelled_owned()));
        Self { url, stop, task }
    }

    async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(20), self.task).await.expect("stopped within twenty seconds").expect("no panic");
    }
}

#[tokio::test]
async fn a_happening_that_was_published_twice_is_counted_once() {
    let setup = setup();
    let served = Served::start(setup.analytics.clone()).await;
    let live = reqwest::get(format!("{}/livez", served.url)).await.expect("an answer");
    assert_eq!(live.status(), 200);
    let twice = Happening::new("user.created", NOON, Some("ada".to_owned()), None);
    for happening in [&twice, &twice, &Happening::new("chat.socket_opened", NOON, None, Some(json!({ "room": "lobby" })))] {
        happening.publish(&*setup.bus);
    }
    // Stopping stores what is there already.
    served.stop().await;
    assert_eq!(summary(&setup.analytics).await["totals"]["by_name"], json!({ "chat.socket_opened": 1, "user.created": 1 }));
}

#[tokio::test]
async fn happenings_are_counted_as_they_come() {
    let setup = setup();
    let served = Served::start(setup.analytics.clone()).await;
    reqwest::get(format!("{}/livez", served.url)).await.expect("an answer");
    let counted = async {
        for expected in 1..=20 {
            Happening::new("user.created", NOON, None, None).publish(&*setup.bus);
            while setup.analytics.store.count_events().await.unwrap() < expected {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), counted).await.expect("counted within twenty seconds");
    served.stop().await;
}

#[tokio::test]
async fn every_path_says_what_it_takes() {
    let setup = setup();
    let served = Served::start(setup.analytics.clone()).await;
    let client = reqwest::Client::new();
    for (method, path, status, allow) in [
        ("GET", "/livez", 200, None),
        ("GET", "/readyz", 200, None),
        ("GET", "/analytics", 200, None),
        ("HEAD", "/analytics", 200, None),
        ("GET", "/analytics?x=1", 400, None),
        ("POST", "/analytics", 405, Some("GET, HEAD")),
        ("GET", "/analytics/events", 405, Some("POST")),
        ("DELETE", "/analytics/events", 405, Some("POST")),
        ("POST", "/analytics/events", 415, None),
        ("GET", "/analytics/nothing", 404, None),
        ("GET", "/dashboard/", 404, None),
    ] {
        let request = client.request(method.parse().expect("a method"), format!("{}{path}", served.url));
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), status, "{method} {path}");
        assert_eq!(answer.headers().get("allow").and_then(|value| value.to_str().ok()), allow, "{method} {path}");
        let text = answer.text().await.expect("text");
        assert_eq!(text.ends_with('\n'), method != "HEAD", "{method} {path}");
    }
    let post = |content_type: &str, encoding: &str, bytes: Bytes| {
        let request = client.post(format!("{}/analytics/events", served.url)).header("content-type", content_type);
        request.header("content-encoding", encoding).body(bytes).send()
    };
    let answer = post("application/x-ndjson; charset=utf-8", "GZIP", gzip::compress(MIXED.as_bytes())).await.expect("an answer");
    assert_eq!(answer.status(), 202);
    let receipt: Value = answer.json().await.expect("JSON");
    assert_eq!((&receipt["accepted"], receipt["rejected"].as_array().map(Vec::len)), (&json!(3), Some(6)));
    let answer = post("application/json", "identity", Bytes::from(r#"{"name":7,"at":"now"}"#)).await.expect("an answer");
    assert_eq!(answer.status(), 422);
    let problem: Value = answer.json().await.expect("JSON");
    assert_eq!((&problem["code"], &problem["errors"][0]["pointer"]), (&json!("invalid_event"), &json!("/name")));
    served.stop().await;
}

#[tokio::test]
async fn the_document_tells_what_is_routed_and_nothing_else() {
    let setup = setup();
    kit::http::testing::router_and_document_agree(crate::routes::table(setup.analytics.clone())).await;
}
