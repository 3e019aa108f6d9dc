//! A web app under `/app/`: its files, its places, and what browsers may keep.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

mod support;

use std::io::Read;

use gateway::{App, Parts};
use support::wire::{Answer, Wire};
use support::{Door, config};

const SCRIPT: &str = "_expo/static/js/web/index-35d1ce2b8a32ba1a0b5d1c6cbb2b3a6f.js";

fn files() -> Vec<(String, Vec<u8>)> {
    let script = "console.log('an app');\n".repeat(1000);
    let files = [("index.html", "<!doctype html><p>the app"), (SCRIPT, script.as_str()), ("assets/a b.png", "a picture")];
    files.into_iter().map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec())).collect()
}

async fn door() -> Door {
    let app = Some(App::new(files()).unwrap());
    Door::open_with(config(&[], &[], &[]), Parts { app, ..Parts::default() }).await
}

async fn ask(door: &Door, method: &str, path: &str, headers: &str) -> Answer {
    let mut client = Wire::connect(door.address).await;
    client.send(format!("{method} {path} HTTP/1.1\r\nhost: door\r\n{headers}\r\n")).await;
    client.whole_answer(method).await
}

#[tokio::test]
async fn files_are_served_as_what_they_are() {
    let door = door().await;
    let page = ask(&door, "GET", "/app/", "").await;
    assert_eq!((page.status, page.text().as_str()), (200, "<!doctype html><p>the app"));
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.header("cache-control"), Some("no-cache"));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("script-src 'self';") && policy.contains("frame-ancestors 'none'"), "{policy}");

    let script = ask(&door, "GET", &format!("/app/{SCRIPT}"), "").await;
    assert_eq!((script.status, script.body.bytes.len()), (200, files()[1].1.len()));
    assert_eq!(script.header("content-type"), Some("text/javascript; charset=utf-8"));
    assert_eq!(script.header("cache-control"), Some("public, max-age=31536000, immutable"));
    assert_eq!((script.header("vary"), script.header("content-security-policy")), (Some("accept-encoding"), None));

    let picture = ask(&door, "GET", "/app/assets/a%20b.png", "").await;
    assert_eq!((picture.status, picture.header("content-type"), picture.text().as_str()), (200, Some("image/png"), "a picture"));
    let head = ask(&door, "HEAD", "/app/index.html", "").await;
    assert_eq!((head.status, head.header("content-length"), head.body.bytes.len()), (200, Some("25"), 0));
    let elsewhere = ask(&door, "GET", "/app", "").await;
    assert_eq!((elsewhere.status, elsewhere.header("location")), (308, Some("/app/")));
}

#[tokio::test]
async fn places_within_the_app_are_its_page_and_what_is_missing_is_not() {
    let door = door().await;
    let page = "accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n";
    let table = [
        ("/app/chat/lobby", "", 200),
        ("/app/chat/v1.0", page, 200),
        ("/app/people/", page, 200),
        // A script of the build before, which a page that was open still asks for.
        ("/app/_expo/static/js/web/index-0.js", "accept: */*\r\n", 404),
        ("/app/nothing.png", "", 404),
        ("/app/../secret", "", 400),
        ("/app/%2e%2e/secret", "", 400),
        ("/app/..%2fsecret", "", 400),
        ("/app//etc/passwd", "", 400),
        ("/apple", page, 404),
        ("/App/", page, 404),
    ];
    for (path, headers, status) in table {
        let answer = ask(&door, "GET", path, headers).await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.text().contains("the app"), status == 200, "{path}");
    }
    assert_eq!(ask(&door, "POST", "/app/", "content-length: 0\r\n").await.status, 405);
}

#[tokio::test]
async fn what_is_known_is_not_sent_again_and_text_is_sent_small() {
    let door = door().await;
    let path = format!("/app/{SCRIPT}");
    let plain = ask(&door, "GET", &path, "").await;
    for takes in ["gzip, deflate, br", "GZIP", "br;q=1.0, gzip;q=0.8"] {
        let small = ask(&door, "GET", &path, &format!("accept-encoding: {takes}\r\n")).await;
        assert_eq!((small.status, small.header("content-encoding")), (200, Some("gzip")), "{takes}");
        assert!(small.body.bytes.len() * 20 < plain.body.bytes.len());
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(small.body.bytes.as_slice()).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, plain.body.bytes);
        assert_ne!(small.header("etag"), plain.header("etag"), "they are other bytes");

        let known = format!("accept-encoding: {takes}\r\nif-none-match: \"other\", W/{}\r\n", small.header("etag").unwrap());
        let again = ask(&door, "GET", &path, &known).await;
        assert_eq!((again.status, again.body.bytes.len(), again.header("content-encoding")), (304, 0, None));
        assert_eq!((again.header("etag"), again.header("vary")), (small.header("etag"), Some("accept-encoding")));
    }
    for refuses in ["br", "gzip;q=0", "gzip; q=0.0, identity", "x-gzipped"] {
        let answer = ask(&door, "GET", &path, &format!("accept-encoding: {refuses}\r\n")).await;
        assert_eq!((answer.status, answer.header("content-encoding")), (200, None), "{refuses}");
    }
}

#[tokio::test]
async fn without_an_app_there_is_nothing() {
    let door = Door::open(config(&[], &[], &[])).await;
    for path in ["/app", "/app/", "/app/index.html"] {
        assert_eq!(ask(&door, "GET", path, "accept: text/html\r\n").await.status, 404, "{path}");
    }
}
