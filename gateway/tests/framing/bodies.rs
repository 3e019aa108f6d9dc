//! Bodies: large ones, in both directions, counted and chunked, with what follows the last chunk.

use std::collections::HashMap;

use bytes::Bytes;

use crate::support::backend::Backend;
use crate::support::dice::Dice;
use crate::support::lines::Lines;
use crate::support::wire::{Framing, Wire};
use crate::support::{BODY_BYTES_MAX, Door, config, eventually};
use crate::{config_before, door_before};

const MEGABYTE: usize = 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_eight_megabytes_arrives_as_it_was_sent() {
    let large: Bytes = Dice::with_seed(8).bytes(8 * MEGABYTE).into();
    let sent = large.clone();
    let backend = Backend::start(move |mut visit| {
        let large = sent.clone();
        async move {
            match visit.head.target() {
                "/users/counted" => {
                    visit.wire.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", large.len())).await;
                    visit.wire.send(&large).await;
                }
                _ => {
                    visit.wire.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
                    for (index, piece) in large.chunks(100_003).enumerate() {
                        visit.wire.send(chunk(piece, index)).await;
                    }
                    visit.wire.send("0\r\n\r\n").await;
                }
            }
            Some(visit)
        }
    })
    .await;
    let door = door_before(&backend).await;
    let mut client = Wire::connect(door.address).await;
    for (target, framing) in [("/users/counted", Framing::Length(large.len())), ("/users/chunked", Framing::Chunked)] {
        client.send(format!("GET {target} HTTP/1.1\r\nhost: door\r\n\r\n")).await;
        let answer = client.whole_answer("GET").await;
        assert!(answer.framing == framing && answer.body.bytes == large, "{target}: {} bytes", answer.body.bytes.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_up_to_the_limit_arrives_as_it_was_sent_and_one_byte_more_does_not() {
    let backend = Backend::echo().await;
    let mut config = config_before(&backend);
    config.body_bytes_max = MEGABYTE;
    let door = Door::open(config).await;
    let large = Dice::with_seed(1).bytes(MEGABYTE + 1);
    for (length, status) in [(MEGABYTE, 200), (MEGABYTE + 1, 413)] {
        let counted = [format!("content-length: {length}\r\n\r\n").as_bytes(), &large[..length]].concat();
        let mut chunked = b"transfer-encoding: chunked\r\n\r\n".to_vec();
        large[..length].chunks(77_777).enumerate().for_each(|(index, piece)| chunked.extend(chunk(piece, index)));
        chunked.extend(b"0\r\n\r\n");
        for body in [counted, chunked] {
            let client = Wire::connect(door.address).await;
            let (reading, mut writing) = client.stream.into_inner().into_split();
            let request = [b"POST /users/1 HTTP/1.1\r\nhost: door\r\nconnection: close\r\n", body.as_slice()].concat();
            // Reads while it writes: the answer may come early.
            let upload = tokio::spawn(async move {
                let _ = tokio::io::AsyncWriteExt::write_all(&mut writing, &request).await;
                writing
            });
            let mut text = Vec::new();
            let mut reading = tokio::io::AsyncReadExt::take(reading, 12);
            let read = tokio::io::AsyncReadExt::read_to_end(&mut reading, &mut text);
            tokio::time::timeout(crate::support::LIMIT, read).await.expect("an answer").unwrap();
            assert_eq!(String::from_utf8_lossy(&text), format!("HTTP/1.1 {status}"), "{length}");
            let seen = backend.take();
            let is_whole = seen.iter().any(|seen| seen.body.as_deref() == Some(&large[..length]));
            assert_eq!(is_whole, status == 200, "{length}");
            drop(upload);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_flows_both_ways_at_once() {
    // Echoes each piece before it reads the next.
    let backend = Backend::start(|mut visit| async move {
        visit.wire.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        for _ in 0..20 {
            let piece = read_chunk(&mut visit.wire).await;
            visit.wire.send(chunk(&piece, 0)).await;
        }
        visit.wire.send("0\r\n\r\n").await;
        None
    })
    .await;
    let door = door_before(&backend).await;
    let mut client = Wire::connect(door.address).await;
    client.send("POST /users/1 HTTP/1.1\r\nhost: door\r\ntransfer-encoding: chunked\r\n\r\n").await;
    client.send(chunk(b"piece 0", 0)).await;
    let head = tokio::time::timeout(crate::support::LIMIT, client.head()).await.expect("a head").unwrap().unwrap();
    assert_eq!((head.status(), head.header("transfer-encoding")), (Ok(200), Some("chunked")));
    for number in 0..20 {
        let piece = tokio::time::timeout(crate::support::LIMIT, read_chunk(&mut client)).await.expect("the echo of a piece");
        assert_eq!(String::from_utf8(piece).unwrap(), format!("piece {number}"));
        client.send(chunk(format!("piece {}", number + 1).as_bytes(), number)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_go_through_in_both_directions() {
    let answer =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 42\r\nx-other: a b\r\n\r\n";
    let backend = Backend::saying(answer, true).await;
    let door = door_before(&backend).await;
    let mut client = Wire::connect(door.address).await;
    for _ in 0..2 {
        client
            .send(
                "POST /users/1 HTTP/1.1\r\nhost: door\r\nte: trailers\r\nconnection: te\r\ntrailer: x-sent\r\ntransfer-encoding: chunked\r\n\r\n\
                 5\r\nhello\r\n0\r\nX-Sent: 7\r\nx-more: c d\r\n\r\n",
            )
            .await;
        let answer = client.whole_answer("POST").await;
        let expected = [("x-sum".to_owned(), "42".to_owned()), ("x-other".to_owned(), "a b".to_owned())];
        assert_eq!((answer.text().as_str(), answer.body.trailers.as_slice()), ("hello", expected.as_slice()));
        let seen = backend.take();
        let expected = [("x-sent".to_owned(), "7".to_owned()), ("x-more".to_owned(), "c d".to_owned())];
        assert_eq!((seen[0].body.as_deref(), seen[0].trailers.as_slice()), (Some(b"hello".as_slice()), expected.as_slice()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_of_an_answer_cannot_become_its_headers() {
    let answer = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\ncontent-length: 99\r\ntransfer-encoding: x\r\nx-sum: 1\r\n\r\n";
    let backend = Backend::saying(answer, true).await;
    let door = door_before(&backend).await;
    let mut client = Wire::connect(door.address).await;
    client.send("GET /users/1 HTTP/1.1\r\nhost: door\r\nte: trailers\r\nconnection: te\r\n\r\n").await;
    let answer = client.answer("GET").await.unwrap().unwrap();
    assert!(answer.head.all("content-length") != ["99"], "{answer:?}");
    // Refused, cut, or relayed without them.
    let names: Vec<_> = answer.body.trailers.iter().map(|(name, _)| name.as_str()).collect();
    assert!(answer.status == 502 || !names.iter().any(|name| ["content-length", "transfer-encoding"].contains(name)), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_chunk_is_worth_its_data_only() {
    // Framing makes it much larger than the limit; what counts is the body.
    let backend = Backend::echo().await;
    let door = door_before(&backend).await;
    let mut client = Wire::connect(door.address).await;
    client.send("POST /users/1 HTTP/1.1\r\nhost: door\r\ntransfer-encoding: chunked\r\n\r\n").await;
    client.send(format!("{}0\r\n\r\n", "1\r\nx\r\n".repeat(BODY_BYTES_MAX / 2))).await;
    assert_eq!(client.whole_answer("POST").await.text(), format!("POST /users/1: {} bytes", BODY_BYTES_MAX / 2));
}

fn chunk(piece: &[u8], index: usize) -> Vec<u8> {
    let extension = if index % 3 == 2 { ";part=\"of it\"" } else { "" };
    [format!("{:x}{extension}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()
}

/// The next chunk, which is small and must come alone.
async fn read_chunk(wire: &mut Wire) -> Vec<u8> {
    use tokio::io::{AsyncBufReadExt, AsyncReadExt};
    let mut line = String::new();
    wire.stream.read_line(&mut line).await.unwrap();
    let size = usize::from_str_radix(line.trim_end().split(';').next().unwrap(), 16).unwrap();
    let mut data = vec![0; size + 2];
    wire.stream.read_exact(&mut data).await.unwrap();
    data.truncate(size);
    data
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_of_an_upload_that_fails_is_in_its_line() {
    let backend = Backend::echo().await;
    let mut config = config(&[backend.address], &[], &[]);
    config.body_bytes_max = 10 * BODY_BYTES_MAX;
    config.body_bytes_per_second_min = 0;
    let (mut door, lines) = Lines::of_door(config).await;
    let chunk = format!("8000\r\n{}\r\n", "x".repeat(0x8000));
    let uploads = [
        // What is short is gathered; what is long flows, of a known length or in chunks; and one is too long in the end.
        (499, 5000, "content-length: 9000\r\n\r\n".to_owned(), "x".repeat(5000)),
        (499, 500_000, "content-length: 600000\r\n\r\n".to_owned(), "x".repeat(500_000)),
        (499, 10 * 0x8000, "transfer-encoding: chunked\r\n\r\n".to_owned(), chunk.repeat(10)),
        (413, 20 * 0x8000, "transfer-encoding: chunked\r\n\r\n".to_owned(), chunk.repeat(21)),
    ];
    let mut expected = HashMap::new();
    for (number, (status, least, framing, body)) in uploads.into_iter().enumerate() {
        let head = format!("POST /users/1 HTTP/1.1\r\nhost: door\r\nx-request-id: upload-{number}\r\n{framing}");
        let mut wire = Wire::connect(door.address).await;
        wire.send([head.as_bytes(), body.as_bytes()].concat()).await;
        // The end comes behind the bytes, so all of them are read before it.
        if status == 499 {
            wire.end().await;
        }
        let answer = wire.answer("POST").await;
        assert_eq!(answer.ok().flatten().map(|answer| answer.status), Some(status).filter(|status| *status != 499), "{number}");
        expected.insert(format!("upload-{number}"), (status, least as u64, body.len() as u64));
    }
    eventually("nothing is in flight", || async { door.gateway.in_flight() == 0 }).await;
    door.stop();
    door.closed().await;
    let lines = lines.all();
    assert_eq!(lines.len(), expected.len());
    for line in lines {
        let (status, least, most) = expected[line["request_id"].as_str().unwrap()];
        assert_eq!(line["status"], status, "{line}");
        assert!((least..=most).contains(&line["bytes_in"].as_u64().unwrap()), "{least} to {most}: {line}");
    }
}
