//! The same requests over HTTP/1.1 and over HTTP/2, which two engines carry: the client and the backend see the same.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use gateway::{App, Parts};
use http_body_util::Full;
use hyper::Request;

use crate::http2::Http2;
use crate::support::backend::{Backend, Visit};
use crate::support::wire::Wire;
use crate::support::{BODY_BYTES_MAX, Door, config, eventually};
use crate::{addresses, before, timed};

/// A request in both versions.
struct Case {
    method: &'static str,
    target: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: String,
    /// The status, and the code of the problem where it is one of the door's own.
    expected: (u16, Option<&'static str>),
}

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn case(method: &'static str, target: &'static str, expected: (u16, Option<&'static str>)) -> Case {
    Case { method, target, headers: &[("x-request-id", "id-1"), ("traceparent", TRACE)], body: String::new(), expected }
}

fn cases() -> Vec<Case> {
    let with = |headers, case| Case { headers, ..case };
    let sending = |length, case| Case { body: "x".repeat(length), ..case };
    vec![
        case("GET", "/users/1", (200, None)),
        case("GET", "/users/1?a=1&b=%2F", (200, None)),
        case("GET", "/users", (200, None)),
        case("DELETE", "/users/1", (200, None)),
        case("OPTIONS", "/users/1", (200, None)),
        case("HEAD", "/users/1", (200, None)),
        case("POST", "/users/1", (200, None)),
        sending(5, case("POST", "/users/1", (200, None))),
        sending(BODY_BYTES_MAX, case("PUT", "/users/1", (200, None))),
        sending(BODY_BYTES_MAX + 1, case("POST", "/users/1", (413, Some("body_too_large")))),
        sending(BODY_BYTES_MAX + 1, case("POST", "/analytics/events", (200, None))),
        sending(2 * BODY_BYTES_MAX + 1, case("POST", "/analytics/events", (413, Some("body_too_large")))),
        with(
            &[("x-a", "1"), ("x-b", "two words"), ("x-a", "2"), ("cookie", "a=1; b=2"), ("user-agent", "x")],
            case("GET", "/users/1", (200, None)),
        ),
        with(
            &[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-host", "evil"), ("x-forwarded-proto", "https"), ("forwarded", "for=6.6.6.6")],
            case("GET", "/users/1", (200, None)),
        ),
        with(&[("x-request-id", "not well formed"), ("traceparent", "nor this")], case("GET", "/users/1", (200, None))),
        with(&[("proxy-authorization", "secret"), ("authorization", "mine"), ("te", "trailers")], case("GET", "/users/1", (200, None))),
        with(&[("te", "trailers"), ("x-a", "1")], sending(5, case("POST", "/users/1", (200, None)))),
        with(&[("content-length", "0")], case("DELETE", "/users/1", (200, None))),
        case("GET", "/users/204", (204, None)),
        case("GET", "/users/304", (304, None)),
        case("GET", "/users/404", (404, None)),
        case("HEAD", "/users/404", (404, None)),
        case("GET", "/users/500", (500, None)),
        case("GET", "/users/503", (503, None)),
        case("POST", "/users/503", (503, None)),
        case("GET", "/users/until-close", (200, None)),
        case("GET", "/users/chunked", (200, None)),
        case("GET", "/users/early-hints", (200, None)),
        case("GET", "/users/two-cookies", (200, None)),
        case("GET", "/users/broken", (502, Some("bad_gateway"))),
        case("POST", "/users/broken", (502, Some("bad_gateway"))),
        case("GET", "/users/invalid", (502, Some("bad_gateway"))),
        case("GET", "/users/silent", (504, Some("gateway_timeout"))),
        case("POST", "/users/silent", (504, Some("gateway_timeout"))),
        case("GET", "/chat/rooms", (503, Some("unavailable"))),
        case("HEAD", "/chat/rooms", (503, None)),
        case("POST", "/chat/rooms", (503, Some("unavailable"))),
        case("GET", "/nothing", (404, Some("not_found"))),
        case("HEAD", "/nothing", (404, None)),
        case("POST", "/livez", (405, Some("method_not_allowed"))),
        case("PUT", "/", (405, Some("method_not_allowed"))),
        case("GET", "/users/%2e%2e/x", (400, Some("invalid_path"))),
        case("GET", "/users//x", (400, Some("invalid_path"))),
        case("GET", "/users/%zz", (400, Some("invalid_path"))),
        case("GET", "/livez", (200, None)),
        case("HEAD", "/livez", (200, None)),
        case("GET", "/readyz", (503, None)),
        case("GET", "/version", (200, None)),
        case("GET", "/openapi.json", (503, Some("document_unknown"))),
        case("GET", "/docs", (308, None)),
        case("GET", "/docs/", (200, None)),
        case("HEAD", "/docs/swagger-ui-bundle.js", (200, None)),
        case("GET", "/docs/nothing", (404, Some("not_found"))),
        case("POST", "/docs/", (405, Some("method_not_allowed"))),
        case("GET", "/problems/", (200, None)),
        case("GET", "/problems/email_taken", (200, Some("email_taken"))),
        case("GET", "/problems/nothing", (404, Some("not_found"))),
    ]
    .into_iter()
    .map(|case| match case.target {
        "/problems/email_taken" => with(&[("accept", "application/json"), ("x-request-id", "id-1"), ("traceparent", TRACE)], case),
        _ => case,
    })
    .collect()
}

/// As browsers ask on behalf of pages: of an origin that may, and of one that may not.
fn cases_of_pages() -> Vec<Case> {
    const OURS: (&str, &str) = ("origin", "https://app.example");
    const FOREIGN: (&str, &str) = ("origin", "https://evil.example");
    const ASKS: (&str, &str) = ("access-control-request-method", "PUT");
    let with = |headers, case| Case { headers, ..case };
    vec![
        with(&[OURS], case("GET", "/users/1", (200, None))),
        with(&[OURS], case("GET", "/users/404", (404, None))),
        with(&[OURS], case("GET", "/users/broken", (502, Some("bad_gateway")))),
        with(&[OURS], case("GET", "/chat/rooms", (503, Some("unavailable")))),
        with(&[OURS], case("GET", "/nothing", (404, Some("not_found")))),
        with(&[OURS], case("GET", "/users//x", (400, Some("invalid_path")))),
        with(&[OURS, ASKS], case("OPTIONS", "/users/1", (204, None))),
        with(&[OURS, ASKS], case("OPTIONS", "/nothing", (204, None))),
        with(&[OURS, ASKS], case("OPTIONS", "/users//x", (400, Some("invalid_path")))),
        with(&[OURS], case("OPTIONS", "/users/1", (200, None))),
        with(&[FOREIGN, ASKS], case("OPTIONS", "/livez", (405, Some("method_not_allowed")))),
        with(&[FOREIGN], case("GET", "/users/1", (200, None))),
        with(&[FOREIGN], case("GET", "/livez", (200, None))),
        with(&[], case("GET", "/users/1", (200, None))),
    ]
}

/// Does what the last part of the path says.
async fn obey(mut visit: Visit) -> Option<Visit> {
    let has_body = visit.head.method() != "HEAD";
    let length = visit.body().await?.bytes.len();
    let what = visit.head.target().rsplit('/').next().unwrap().to_owned();
    let answer = match what.as_str() {
        "204" => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
        "304" => "HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\n\r\n".to_owned(),
        "404" | "500" | "503" => {
            let body = if has_body { "their own" } else { "" };
            format!("HTTP/1.1 {what} Theirs\r\ncontent-type: text/plain\r\ncontent-length: 9\r\n\r\n{body}")
        }
        "until-close" => {
            visit.wire.send("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nto the end").await;
            return None;
        }
        "chunked" => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n".to_owned(),
        "early-hints" => "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_owned(),
        "two-cookies" => "HTTP/1.1 200 OK\r\nset-cookie: a=1\r\nset-cookie: b=2\r\ncontent-length: 2\r\n\r\nok".to_owned(),
        "broken" => return None,
        "invalid" => "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n".to_owned(),
        "silent" => return std::future::pending().await,
        _ => {
            visit.answer(&format!("{length} bytes")).await;
            return Some(visit);
        }
    };
    visit.wire.send(answer).await;
    Some(visit)
}

/// What the client got, and what the backend got for it.
#[derive(Debug, PartialEq)]
struct Outcome {
    status: u16,
    is_whole: bool,
    headers: Vec<(String, String)>,
    body: String,
    forwarded: Vec<Forwarded>,
}

#[derive(Debug, PartialEq)]
struct Forwarded {
    start: String,
    headers: Vec<(String, String)>,
    body: Option<usize>,
}

impl Case {
    async fn over_http_1(&self, door: &Door, backend: &Backend) -> Outcome {
        let mut client = Wire::connect(door.address).await;
        let mut text = format!("{} {} HTTP/1.1\r\nhost: door\r\n", self.method, self.target);
        for (name, value) in self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if self.headers.iter().any(|(name, _)| *name == "te") {
            text.push_str("connection: te\r\n");
        }
        if !self.body.is_empty() {
            text.push_str(&format!("content-length: {}\r\n", self.body.len()));
        }
        client.send(format!("{text}\r\n{}", self.body)).await;
        let answer = client.whole_answer(self.method).await;
        outcome(answer.status, answer.head.headers.clone(), &answer.body.bytes, backend)
    }

    async fn over_http_2(&self, door: &Door, backend: &Backend) -> Outcome {
        let mut request = Request::builder().method(self.method).uri(format!("http://door{}", self.target));
        for (name, value) in self.headers {
            request = request.header(*name, *value);
        }
        let body = Full::new(Bytes::from(self.body.clone()));
        let (answer, is_whole) = Http2::connect(door.address).await.ask(request.body(body).unwrap()).await;
        let headers = answer.headers().iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
        Outcome { is_whole, ..outcome(answer.status().as_u16(), headers.collect(), answer.body(), backend) }
    }
}

fn outcome(status: u16, headers: Vec<(String, String)>, body: &[u8], backend: &Backend) -> Outcome {
    let forwarded = backend.take().into_iter().map(|seen| Forwarded {
        start: seen.head.start.clone(),
        headers: comparable(seen.head.headers, &OF_A_CONNECTION),
        body: seen.body.map(|body| body.len()),
    });
    let mut forwarded: Vec<Forwarded> = forwarded.collect();
    // Where a connection that was kept broke, the same is sent again; whether one was kept is chance.
    forwarded.dedup();
    // Over HTTP/2 an answer needs no length.
    let headers = comparable(headers, &[&OF_A_CONNECTION[..], &["content-length", "transfer-encoding"]].concat());
    let mut body = String::from_utf8(body.to_vec()).unwrap_or_else(|_| body.escape_ascii().to_string());
    for (name, value) in [("x-request-id", "any"), ("traceparent", "any")] {
        // What the door makes up differs each time; that it is there does not.
        if let Some((_, made_up)) = headers.iter().find(|(known, _)| known == name) {
            body = body.replace(made_up.as_str(), value);
        }
    }
    Outcome { status, is_whole: true, headers: headers.into_iter().map(without_what_is_made_up).collect(), body, forwarded }
}

/// What belongs to one connection, or to one moment.
const OF_A_CONNECTION: [&str; 3] = ["connection", "keep-alive", "date"];

/// Without these, in one order.
fn comparable(headers: Vec<(String, String)>, without: &[&str]) -> Vec<(String, String)> {
    let mut headers: Vec<_> = headers.into_iter().filter(|(name, _)| !without.contains(&name.as_str())).collect();
    headers.sort_by(|(one, _), (other, _)| one.cmp(other));
    headers
}

fn without_what_is_made_up((name, value): (String, String)) -> (String, String) {
    let is_made_up = matches!(name.as_str(), "x-request-id" | "traceparent") && value != "id-1" && value != TRACE;
    (name, if is_made_up { "any".to_owned() } else { value })
}

/// An address where nobody listens.
fn nowhere() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_engines_say_the_same_to_clients_and_to_backends() {
    let backend = Backend::start(obey).await;
    let door = Door::open(config(&[backend.address], &[nowhere()], &[backend.address])).await;
    compare(&door, &backend, cases()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_engines_say_the_same_to_pages_of_other_origins() {
    let backend = Backend::start(obey).await;
    let mut config = config(&[backend.address], &[nowhere()], &[backend.address]);
    config.allowed_origins = vec!["https://app.example".to_owned()];
    let door = Door::open(config).await;
    compare(&door, &backend, cases_of_pages()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_engines_serve_the_same_app() {
    let backend = Backend::start(obey).await;
    let files = [("index.html", "<p>".to_owned()), ("main.js", "work();".repeat(1000))];
    let app = App::new(files.into_iter().map(|(name, text)| (name.to_owned(), text.into_bytes()))).unwrap();
    let parts = Parts { app: Some(app), ..Parts::default() };
    let door = Door::open_with(config(&[backend.address], &[nowhere()], &[backend.address]), parts).await;
    let with = |headers, case| Case { headers, ..case };
    let cases = vec![
        case("GET", "/app", (308, None)),
        case("GET", "/app/", (200, None)),
        case("HEAD", "/app/main.js", (200, None)),
        with(&[("accept-encoding", "gzip")], case("GET", "/app/main.js", (200, None))),
        with(&[("if-none-match", "*")], case("GET", "/app/main.js", (304, None))),
        case("GET", "/app/chat/lobby", (200, None)),
        with(&[("accept", "text/html")], case("GET", "/app/v1.0", (200, None))),
        case("GET", "/app/other.js", (404, Some("not_found"))),
        case("DELETE", "/app/", (405, Some("method_not_allowed"))),
    ];
    compare(&door, &backend, cases).await;
}

async fn compare(door: &Door, backend: &Backend, cases: Vec<Case>) {
    let mut differences = Vec::new();
    for case in cases {
        let name = format!("{} {} {:?} with {} bytes", case.method, case.target, case.headers, case.body.len());
        let (mut one, mut other) = (case.over_http_1(door, backend).await, case.over_http_2(door, backend).await);
        let code = |outcome: &Outcome| serde_json::from_str::<serde_json::Value>(&outcome.body).ok()?["code"].as_str().map(str::to_owned);
        for outcome in [&one, &other] {
            let found = (outcome.status, code(outcome));
            if (found.0, found.1.as_deref()) != case.expected {
                differences.push(format!("{name}: {found:?}"));
            }
        }
        for forwarded in one.forwarded.iter_mut().chain(&mut other.forwarded) {
            forwarded.headers = std::mem::take(&mut forwarded.headers).into_iter().map(without_what_is_made_up).collect();
        }
        if one != other {
            differences.push(format!("{name}:\n  HTTP/1.1: {one:?}\n  HTTP/2:   {other:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_2_a_failing_backend_is_asked_a_fifth_more_at_most_too() {
    let fail_half = || {
        let turn = std::sync::atomic::AtomicUsize::new(0);
        Backend::start(move |mut visit: Visit| {
            let turn = turn.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            async move {
                if turn.count_ones() % 2 == 1 {
                    visit.wire.send("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").await;
                } else {
                    visit.answer("well").await;
                }
                Some(visit)
            }
        })
    };
    let backends = [fail_half().await, fail_half().await];
    let door = Door::open(before(&addresses(&backends))).await;
    let mut client = Http2::connect(door.address).await;
    let mut well = 0;
    for _ in 0..500 {
        let (answer, _) = client.get("/users/1").await;
        well += usize::from(answer.status() == 200);
    }
    let counted = backends.iter().map(Backend::requests).sum::<usize>();
    println!("{counted} counted of 500 offered, {well} well");
    assert!((550..=610).contains(&counted) && well >= 250, "{counted} counted, {well} well");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_2_answers_have_the_same_deadline() {
    let backend = Backend::start(|mut visit| async move {
        let kind = if visit.head.target() == "/users/events" { "text/event-stream" } else { "text/plain" };
        let start = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: 40\r\n\r\n");
        let mut pace = tokio::time::interval(Duration::from_millis(50));
        let mut is_taken = visit.wire.send(start).await;
        while is_taken {
            pace.tick().await;
            is_taken = visit.wire.send("x").await;
        }
        None
    })
    .await;
    let door = Door::open(before(&[backend.address])).await;
    let mut client = Http2::connect(door.address).await;
    let soon = Duration::from_millis(900)..Duration::from_secs(3);
    let (took, (answer, is_whole)) = timed(client.get("/users/drip-body")).await;
    assert_eq!((answer.status().as_u16(), is_whole), (200, false));
    assert!(soon.contains(&took), "{took:?}");
    let (took, (answer, is_whole)) = timed(client.get("/users/events")).await;
    assert_eq!((answer.body().len(), is_whole), (40, true));
    assert!(took > Duration::from_millis(1500), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_2_too_many_are_told_the_same() {
    let backend = Backend::start(|mut visit| async move {
        visit.body().await?;
        std::future::pending().await
    })
    .await;
    let mut config = before(&[backend.address]);
    config.endpoint_in_flight_max = 1;
    let door = Door::open(config).await;
    let (mut first, mut second) = (Http2::connect(door.address).await, Http2::connect(door.address).await);
    let waiting = tokio::spawn(async move { first.get("/users/1").await });
    eventually("it is with the replica", || async { backend.requests() == 1 }).await;
    let (answer, is_whole) = second.get("/users/1").await;
    let problem: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!((answer.status().as_u16(), problem["code"].as_str(), is_whole), (503, Some("overloaded"), true));
    assert_eq!(answer.headers()["retry-after"], "1");
    assert_eq!(waiting.await.unwrap().0.status(), 504);
}
