//! Headers that say where a request goes or how far a header goes: who is believed, and what ends at the door.

use crate::door_before;
use crate::support::backend::Backend;
use crate::support::wire::Wire;

#[tokio::test(flavor = "multi_thread")]
async fn an_absolute_target_is_the_host_and_the_header_is_not_believed() {
    let backend = Backend::echo().await;
    let door = door_before(&backend).await;
    let mut client = Wire::connect(door.address).await;
    client.send("GET http://real.example:81/users/1?a HTTP/1.1\r\nhost: other.example\r\nconnection: close\r\n\r\n").await;
    // To refuse it is as good.
    if client.whole_answer("GET").await.status == 200 {
        let seen = backend.take();
        assert_eq!((seen[0].head.target(), seen[0].head.header("host")), ("/users/1?a", Some("real.example:81")));
        assert_eq!(seen[0].head.header("x-forwarded-host"), Some("real.example:81"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_header_cannot_take_away_what_frames_or_addresses_a_request() {
    let backend = Backend::echo().await;
    let door = door_before(&backend).await;
    let mut ask = "POST /users/1 HTTP/1.1\r\nhost: door\r\nconnection: close, host, content-length, transfer-encoding, x-request-id, x-forwarded-for\r\n".to_owned();
    ask.push_str("content-length: 5\r\n\r\nhello");
    let mut client = Wire::connect(door.address).await;
    client.send(ask).await;
    // To refuse it is as good.
    if client.whole_answer("POST").await.status == 200 {
        let seen = backend.take();
        assert_eq!((seen[0].body.as_deref(), seen[0].head.header("host")), (Some(b"hello".as_slice()), Some("door")));
        assert!(seen[0].head.header("x-forwarded-for") == Some("127.0.0.1") && seen[0].head.header("x-request-id").is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_one_connection_end_with_it() {
    let answer =
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: x-hop\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\nproxy-connection: x\r\n\r\n";
    let backend = Backend::saying(answer, true).await;
    let door = door_before(&backend).await;
    let mut client = Wire::connect(door.address).await;
    client
        .send(
            "GET /users/1 HTTP/1.1\r\nhost: door\r\nconnection: keep-alive, X-Hop\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\nte: trailers\r\n\
             proxy-connection: keep-alive\r\nproxy-authorization: x\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\nx-end: 1\r\n\r\n",
        )
        .await;
    let answer = client.whole_answer("GET").await;
    for name in ["x-hop", "keep-alive", "proxy-connection"] {
        assert!(answer.head.all(name).is_empty(), "{name}: {answer:?}");
    }
    let seen = backend.take();
    for name in ["x-hop", "keep-alive", "proxy-connection", "upgrade", "http2-settings"] {
        assert!(seen[0].head.all(name).is_empty(), "{name}: {seen:?}");
    }
    assert_eq!(seen[0].head.header("x-end"), Some("1"));
}
