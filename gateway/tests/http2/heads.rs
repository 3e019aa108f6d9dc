//! Heads that are refused: in words, with a line in the log, and no backend hears of them.

use crate::frames::{DATA, END_STREAM, Frames, block, fields, frame, head};
use crate::support::backend::Backend;
use crate::support::lines::Lines;
use crate::support::{config, counters, eventually};

/// A request with these fields, and with a body where it has one.
fn request(more: &[(&str, &str)], body: &str) -> Vec<u8> {
    let block = [fields("POST", "/users/1"), block(more)].concat();
    match body {
        "" => head(1, END_STREAM, &block),
        body => [head(1, 0, &block), frame(DATA, END_STREAM, 1, body.as_bytes())].concat(),
    }
}

/// What it is, fields, status.
type Answered<'a> = (&'a str, &'a [(&'a str, &'a str)], u16);
/// What it is, fields, body, status, code.
type Refused<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str, u16, &'a str);

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_refused_is_told_why_and_logged_and_no_backend_hears_of_it() {
    let backend = Backend::echo().await;
    let (door, lines) = Lines::of_door(config(&[backend.address], &[], &[])).await;
    let (large, many) = ("x".repeat(40_000), vec![("x-a", "1"); 140]);
    let cases: [Refused<'_>; 7] = [
        ("a field of forty kilobytes", &[("x-a", &large)], "", 431, "head_too_large"),
        ("many fields", &many, "", 431, "head_too_large"),
        ("many fields and a body", &many, "hello", 431, "head_too_large"),
        ("the same length twice", &[("content-length", "5"), ("content-length", "5")], "hello", 400, "bad_request"),
        ("the same length in two ways", &[("content-length", "5"), ("content-length", "05")], "hello", 400, "bad_request"),
        ("no length twice", &[("content-length", "0"), ("content-length", "0")], "", 400, "bad_request"),
        ("a length of too many digits", &[("content-length", "0000000000000000005")], "hello", 400, "bad_request"),
    ];
    for (index, (what, more, body, status, code)) in cases.into_iter().enumerate() {
        let mut client = Frames::connect(door.address).await;
        client.says.bytes(request(more, body)).await;
        let answered = client.hears.answer(1).await;
        let problem: serde_json::Value = serde_json::from_str(&answered.body).unwrap_or_else(|_| panic!("{what}: {answered:?}"));
        assert_eq!((&problem["status"], &problem["code"]), (&status.into(), &code.into()), "{what}");
        eventually(what, || async { lines.all().len() == index + 1 }).await;
        let line = lines.all().pop().unwrap();
        let told = (&line["status"], &line["why"], &line["protocol"], &line["request_id"]);
        assert_eq!(told, (&status.into(), &code.into(), &"HTTP/2".into(), &problem["request_id"]), "{what}");
    }
    assert_eq!(backend.requests(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_as_large_as_it_may_be_goes_through() {
    let backend = Backend::echo().await;
    let (door, _) = Lines::of_door(config(&[backend.address], &[], &[])).await;
    let (large, many) = ("x".repeat(32_000), vec![("x-a", "1"); 127]);
    for more in [&[("x-a", large.as_str())][..], &many] {
        let mut client = Frames::connect(door.address).await;
        client.says.bytes(request(more, "hello")).await;
        assert_eq!(client.hears.answer(1).await.body, "POST /users/1: 5 bytes");
        assert_eq!(backend.take()[0].head.all("x-a").len(), more.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_library_refuses_is_logged_or_counted() {
    counters::start();
    let backend = Backend::echo().await;
    let (door, lines) = Lines::of_door(config(&[backend.address], &[], &[])).await;
    let start = [(":method", "GET"), (":scheme", "http"), (":path", "/users/1")];
    let large = "x".repeat(100_000);
    let answered: [Answered<'_>; 5] = [
        ("another Host", &[(":authority", "door"), ("host", "other")], 400),
        ("no host", &[], 400),
        ("a user", &[(":authority", "door"), ("host", "me@door")], 400),
        ("a field of a hundred kilobytes", &[(":authority", "door"), ("x-a", &large)], 431),
        ("another one", &[(":authority", "door"), ("x-a", &large)], 431),
    ];
    let mut client = Frames::connect(door.address).await;
    for (index, (what, more, status)) in answered.into_iter().enumerate() {
        let stream = 2 * index as u32 + 1;
        client.says.bytes(head(stream, END_STREAM, &[block(&start), block(more)].concat())).await;
        assert!(client.hears.answer(stream).await.has_head, "{what}");
        eventually(what, || async { lines.all().len() == index + 1 }).await;
        let line = lines.all().pop().unwrap();
        let code = if status == 400 { "bad_request" } else { "head_too_large" };
        assert_eq!((&line["status"], &line["why"], &line["protocol"]), (&status.into(), &code.into(), &"HTTP/2".into()), "{what}");
    }
    assert_eq!(counters::sum("gateway_http2_malformed_total"), 0);

    let reset = [
        ("connection", "x-a"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("content-length", "+5"),
        ("content-length", "5, 5"),
        ("te", "gzip"),
    ];
    for (index, field) in reset.into_iter().enumerate() {
        let mut client = Frames::connect(door.address).await;
        client.says.bytes(request(&[field], "")).await;
        let answered = client.hears.answer(1).await;
        assert!(!answered.has_head && !answered.is_whole, "{field:?}: {answered:?}");
        eventually(field.0, || async { counters::sum("gateway_http2_malformed_total") == index as u64 + 1 }).await;
    }
    assert_eq!(backend.requests(), 0);
}
