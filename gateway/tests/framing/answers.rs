//! What backends answer: what is no answer becomes 502 or 504, what breaks off is never made to look whole.

use crate::door_before;
use crate::support::backend::Backend;
use crate::support::wire::{Answer, Fault, Framing, Wire};
use crate::support::{Door, LIMIT};

async fn ask(door: &Door, method: &str) -> Result<Option<Answer>, Fault> {
    let mut client = Wire::connect(door.address).await;
    client.send(format!("{method} /users/1 HTTP/1.1\r\nhost: door\r\n\r\n")).await;
    client.answer(method).await
}

/// Asks for each answer, which comes from a backend of its own that closes after it, and gathers what is wrong with what arrived.
async fn complaints(cases: &[(&str, String)], is_right: impl Fn(&Result<Option<Answer>, Fault>) -> bool) -> Vec<String> {
    let mut complaints = Vec::new();
    for (name, bytes) in cases {
        // Latin-1, so that a text can hold any byte.
        let bytes: Vec<u8> = bytes.chars().map(|character| character as u8).collect();
        let backend = Backend::saying(bytes, false).await;
        let door = door_before(&backend).await;
        let arrived = ask(&door, "GET").await;
        if !is_right(&arrived) {
            let shown = match arrived {
                Ok(Some(answer)) => format!("{} {:?} {}, {:?}", answer.head.start, answer.framing, answer.text(), answer.body.fault),
                other => format!("{other:?}"),
            };
            complaints.push(format!("{name}: {}", shown.chars().take(200).collect::<String>()));
        }
    }
    complaints
}

fn nothing(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "{} cases:\n  {}\n", complaints.len(), complaints.join("\n  "));
}

fn is_bad_gateway(arrived: &Result<Option<Answer>, Fault>) -> bool {
    matches!(arrived, Ok(Some(answer)) if answer.status == 502 && answer.is_whole() && answer.text().contains("bad_gateway"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_answer_is_a_502_and_nothing_of_it_arrives() {
    let head = |lines: &str| format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    let start = |line: &str| format!("{line}\r\ncontent-length: 5\r\n\r\nhello");
    let cases = [
        ("both lengths", head("content-length: 5\r\ntransfer-encoding: chunked")),
        ("both lengths, the other way", head("transfer-encoding: chunked\r\ncontent-length: 5")),
        ("two lengths that differ", head("content-length: 5\r\ncontent-length: 6")),
        ("two lengths in a list", head("content-length: 5, 6")),
        ("a length with a sign", head("content-length: +5")),
        ("a negative length", head("content-length: -5")),
        ("a length of letters", head("content-length: five")),
        ("a length with a space", head("content-length: 1 5")),
        ("an empty length", head("content-length:")),
        ("a length of forty digits", head(&format!("content-length: {}", "9".repeat(40)))),
        ("a coding nobody knows", head("transfer-encoding: xchunked")),
        ("a coding before chunked", head("transfer-encoding: gzip, chunked")),
        ("chunked before a coding", head("transfer-encoding: chunked, gzip")),
        ("chunked twice", head("transfer-encoding: chunked\r\ntransfer-encoding: chunked")),
        ("chunked with a vertical tab", head("transfer-encoding: \x0bchunked")),
        ("chunked in an old answer", head("transfer-encoding: chunked").replace("HTTP/1.1", "HTTP/1.0")),
        ("a header without a colon", head("content-length 5")),
        ("a header without a name", head(": x\r\ncontent-length: 5")),
        ("a NUL in a value", head("x-a: \0\r\ncontent-length: 5")),
        ("a bare CR in a value", head("x-a: b\rset-cookie: c\r\ncontent-length: 5")),
        ("a bare CR before the end of a line", head("x-a: b\r\r\ncontent-length: 5")),
        ("a space in a name", head("x a: b\r\ncontent-length: 5")),
        ("no answer at all", start("hello")),
        ("an answer of letters", start("HTTP/1.1 OK")),
        ("a status of two digits", start("HTTP/1.1 20 OK")),
        ("a status of four digits", start("HTTP/1.1 2000 OK")),
        ("a status of nothing", start("HTTP/1.1 000 OK")),
        ("a status with a sign", start("HTTP/1.1 +20 OK")),
        ("another version", start("HTTP/2.0 200 OK")),
        ("another protocol", start("ICY 200 OK")),
        (
            "a switch nobody asked for",
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhello".to_owned(),
        ),
        ("a switch without words", "HTTP/1.1 101 Switching Protocols\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello".to_owned()),
        ("nothing", String::new()),
        ("a part of a head", "HTTP/1.1 200 OK\r\ncontent-le".to_owned()),
        ("an interim answer only", "HTTP/1.1 100 Continue\r\n\r\n".to_owned()),
        ("very many headers", head(&"x-a: b\r\n".repeat(20_000))),
        ("a very large header", head(&format!("x-a: {}", "b".repeat(2_000_000)))),
        ("a very long reason", start(&format!("HTTP/1.1 200 {}", "b".repeat(2_000_000)))),
    ];
    nothing(complaints(&cases, is_bad_gateway).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_off_or_goes_wrong_in_the_body_never_looks_whole() {
    let chunks = |body: &str| format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{body}");
    let cases = [
        ("less than its length", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello".to_owned()),
        ("nothing of its length", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n".to_owned()),
        ("no last chunk", chunks("5\r\nhello\r\n")),
        ("no end of the last chunk", chunks("5\r\nhello\r\n0\r\n")),
        ("half a chunk", chunks("5\r\nhel")),
        ("no end of a chunk", chunks("5\r\nhello")),
        ("no chunk", chunks("")),
        ("half a trailer", chunks("5\r\nhello\r\n0\r\nx-sum: 1\r\n")),
        ("a size of letters", chunks("5\r\nhello\r\nxyz\r\nhello\r\n0\r\n\r\n")),
        ("a negative size", chunks("5\r\nhello\r\n-5\r\nhello\r\n0\r\n\r\n")),
        ("a size with a prefix", chunks("5\r\nhello\r\n0x5\r\nhello\r\n0\r\n\r\n")),
        ("an empty size", chunks("5\r\nhello\r\n\r\nhello\r\n0\r\n\r\n")),
        ("a size that wraps", chunks("5\r\nhello\r\n10000000000000005\r\nhello\r\n0\r\n\r\n")),
        ("a size that ends with a bare CR", chunks("5\r\nhello\r\n5\rhello\r\n0\r\n\r\n")),
        ("a chunk longer than its size", chunks("5\r\nhello\r\n5\r\nhello!\r\n0\r\n\r\n")),
        ("a chunk without its end", chunks("5\r\nhello\r\n5\r\nhello0\r\n\r\n")),
        ("an extension with a bare CR", chunks("5\r\nhello\r\n5;a\rb\r\nhello\r\n0\r\n\r\n")),
        ("an extension without end", chunks(&format!("5\r\nhello\r\n5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(100_000)))),
        ("trailers without end", chunks(&format!("5\r\nhello\r\n0\r\n{}\r\n", "x-sum: 1\r\n".repeat(100_000)))),
        ("a trailer without a colon", chunks("5\r\nhello\r\n0\r\nx-sum\r\n\r\n")),
        ("a trailer with a NUL", chunks("5\r\nhello\r\n0\r\nx-sum: \0\r\n\r\n")),
    ];
    let is_cut = |arrived: &Result<Option<Answer>, Fault>| match arrived {
        Ok(Some(answer)) if answer.status == 200 => answer.body.fault == Some(Fault::Cut) && answer.framing != Framing::UntilClose,
        other => is_bad_gateway(other),
    };
    nothing(complaints(&cases, is_cut).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn unusual_answers_that_are_answers_arrive_whole() {
    let cases = [
        ("until the close", "HTTP/1.1 200 OK\r\n\r\nhello".to_owned()),
        ("until the close, old", "HTTP/1.0 200 OK\r\n\r\nhello".to_owned()),
        ("until the close, said so", "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello".to_owned()),
        ("old with a length", "HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello".to_owned()),
        ("no reason", "HTTP/1.1 200 \r\ncontent-length: 5\r\n\r\nhello".to_owned()),
        ("a reason with accents", "HTTP/1.1 200 Tr\u{e8}s bien\r\ncontent-length: 5\r\n\r\nhello".to_owned()),
        ("a status of its own", "HTTP/1.1 299 OK\r\ncontent-length: 5\r\n\r\nhello".to_owned()),
        ("chunked in capitals", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".to_owned()),
        (
            "extensions and trailers",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n05;a=\"b\"\r\nhello\r\n0;c\r\nx-sum: 1\r\n\r\n".to_owned(),
        ),
        ("values that are not ASCII", "HTTP/1.1 200 OK\r\nx-a: \u{e9}\u{ff}\r\ncontent-length: 5\r\n\r\nhello".to_owned()),
        ("many headers", format!("HTTP/1.1 200 OK\r\n{}content-length: 5\r\n\r\nhello", "x-a: b\r\n".repeat(80))),
        ("a 100 before it", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello".to_owned()),
    ];
    let is_right = |arrived: &Result<Option<Answer>, Fault>| matches!(arrived, Ok(Some(answer)) if answer.status / 100 == 2 && answer.is_whole() && answer.text() == "hello");
    nothing(complaints(&cases, is_right).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folded_or_spaced_header_is_repaired_or_refused_but_never_passed_on() {
    for line in ["x-a: b\r\n c", "x-a: b\r\n\tset-cookie: c=d", "x-a : b", "x-a: b\nset-cookie: c=d"] {
        let backend = Backend::saying(format!("HTTP/1.1 200 OK\r\n{line}\r\ncontent-length: 5\r\n\r\nhello"), false).await;
        let door = door_before(&backend).await;
        // Reading is strict: a fold or a bare LF that came through would be a fault here.
        let answer = ask(&door, "GET").await.unwrap().unwrap();
        assert!(answer.status == 502 || answer.text() == "hello", "{line:?}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_head_arrives_whatever_comes_with_it() {
    let large = "b".repeat(12_000);
    let split = [
        ("HTTP/1.1 200 OK\r\nx-a: {large}\r\ncontent-length: 5\r\n\r\n", "hello"),
        ("HTTP/1.1 200 OK\r\nx-a: {large}\r\ntransfer-encoding: chunked\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"),
    ];
    let bare = [
        "HTTP/1.1 302 Found\r\nx-a: {large}\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nx-a: {large}\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nx-a: {large}\r\n\r\n",
    ];
    let cases = split.into_iter().chain(bare.map(|head| (head, "")));
    for (head, body) in cases {
        let head = head.replace("{large}", &large);
        let text = if body.is_empty() { "" } else { "hello" };
        for is_one_write in [true, false] {
            let head = head.clone();
            let backend = Backend::start(move |mut visit| {
                let head = head.clone();
                async move {
                    match is_one_write {
                        true => drop(visit.wire.send(format!("{head}{body}")).await),
                        false => {
                            visit.wire.send(head).await;
                            tokio::time::sleep(std::time::Duration::from_millis(30)).await;
                            visit.wire.send(body).await;
                        }
                    }
                    Some(visit)
                }
            })
            .await;
            let door = door_before(&backend).await;
            let answer = ask(&door, "GET").await.unwrap().unwrap();
            assert!(answer.is_whole() && answer.text() == text && answer.status != 502, "{is_one_write}, {body:?}: {}", answer.status);
            assert_eq!(answer.header("x-a").map(str::len), Some(large.len()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_headers_keep_their_number_and_order() {
    let head = "HTTP/1.1 200 OK\r\nset-cookie: a=1; path=/\r\nvary: x\r\nSet-Cookie: b=2\r\nvary: y\r\ncontent-length: 5\r\n\r\nhello";
    let backend = Backend::saying(head, true).await;
    let door = door_before(&backend).await;
    let answer = ask(&door, "GET").await.unwrap().unwrap();
    assert_eq!((answer.head.all("set-cookie"), answer.head.all("vary")), (vec!["a=1; path=/", "b=2"], vec!["x", "y"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_drips_its_head_is_a_504_at_the_deadline() {
    let backend = Backend::start(|mut visit| async move {
        visit.wire.send("HTTP/1.1 200 OK\r\nx-a: ").await;
        let mut pace = tokio::time::interval(std::time::Duration::from_millis(100));
        while visit.wire.send("b").await {
            pace.tick().await;
        }
        None
    })
    .await;
    let door = door_before(&backend).await;
    let started = std::time::Instant::now();
    let answer = ask(&door, "GET").await.unwrap().unwrap();
    // The limit for a request is a second here; somebody may try it twice.
    assert!(answer.status == 504 && started.elapsed() < LIMIT / 2, "{answer:?}");
    crate::support::eventually("the backend is let go", || async { backend.is_quiet() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_stops_in_the_middle_is_cut_off() {
    let backend = Backend::start(|mut visit| async move {
        visit.wire.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello").await;
        // Says nothing more, until the door gives up.
        let _ = tokio::io::AsyncReadExt::read(&mut visit.wire.stream, &mut [0]).await;
        None
    })
    .await;
    let door = door_before(&backend).await;
    let answer = ask(&door, "GET").await.unwrap().unwrap();
    assert_eq!((answer.status, answer.text().as_str(), answer.body.fault), (200, "hello", Some(Fault::Cut)));
    crate::support::eventually("the backend is let go", || async { backend.is_quiet() }).await;
}
