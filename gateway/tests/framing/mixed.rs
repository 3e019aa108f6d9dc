//! Many clients on kept connections before backends that misbehave in every way: no answer ever reaches the wrong client.

use std::net::SocketAddr;

use crate::support::backend::{Backend, Visit};
use crate::support::dice::Dice;
use crate::support::wire::{Fault, Wire};
use crate::support::{Door, config};

const CLIENTS: u64 = 8;
const ROUNDS: usize = 60;

/// Nobody can help against an answer that comes while the next request is on its way; so whatever is too much comes at once.
const FAULTS: [&str; 10] = ["more", "cut", "chunk", "head", "leave", "leave-after", "early", "no-body", "interim", "close"];

/// Does what the first part of the path after `/users/` says; the second part is the token of whoever asks.
async fn misbehave(mut visit: Visit) -> Option<Visit> {
    let path = visit.head.target().to_owned();
    let (fault, token) = path.trim_start_matches("/users/").split_once('/').unwrap();
    if fault == "early" {
        visit.answer(&format!("for {token} early")).await;
        visit.body().await?;
        return Some(visit);
    }
    let length = visit.body().await?.bytes.len();
    let text = format!("for {token} {length}");
    let counted = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len());
    let poison = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison";
    match fault {
        "more" => drop(visit.wire.send(format!("{counted}{poison}")).await),
        "cut" => {
            visit.wire.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len() + 9)).await;
            return None;
        }
        "chunk" => {
            let bad = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nfor\r\nzz\r\n{poison}");
            visit.wire.send(bad).await;
        }
        "head" => drop(visit.wire.send(format!("HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n{poison}")).await),
        "leave" => return None,
        "leave-after" => {
            visit.wire.send(counted).await;
            return None;
        }
        "no-body" => drop(visit.wire.send(format!("HTTP/1.1 204 No Content\r\n\r\n{poison}")).await),
        "interim" => drop(visit.wire.send(format!("HTTP/1.1 103 Early Hints\r\n\r\n{counted}")).await),
        "close" => {
            visit.wire.send(format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{text}")).await;
            return None;
        }
        _ => drop(visit.wire.send(counted).await),
    }
    Some(visit)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_reaches_the_wrong_client() {
    let seed = Dice::new().seed;
    let backends = [Backend::start(misbehave).await, Backend::start(misbehave).await, Backend::start(misbehave).await];
    let addresses: Vec<SocketAddr> = backends.iter().map(|backend| backend.address).collect();
    let door = Door::open(config(&addresses, &addresses, &addresses)).await;
    let clients: Vec<_> = (0..CLIENTS).map(|number| tokio::spawn(client(door.address, number, seed + number))).collect();
    let (mut asked, mut served) = (0, 0);
    for client in clients {
        let (good, answered) = client.await.unwrap();
        asked += good;
        served += answered;
    }
    // A good request may meet a connection that has just gone bad; most do not.
    assert!(served * 10 >= asked * 9, "{served} of {asked} good requests were served");
    for backend in &backends {
        backend.seen();
    }
}

/// Asks for good and for bad, and looks at every answer. How many good ones were asked for, and got.
async fn client(door: SocketAddr, number: u64, seed: u64) -> (usize, usize) {
    let mut dice = Dice::with_seed(seed);
    let (mut asked, mut served) = (0, 0);
    let mut wire = Wire::connect(door).await;
    for round in 0..ROUNDS {
        // One, or several in one segment.
        let mut batch = Vec::new();
        let mut bytes = String::new();
        for index in 0..dice.below(3) + 1 {
            let fault = if dice.one_in(2) { "good" } else { *dice.pick(&FAULTS) };
            let token = format!("{number}-{round}-{index}-{:x}", dice.next());
            let length = dice.below(200);
            let head = match dice.below(3) {
                0 => format!("GET /users/{fault}/{token} HTTP/1.1\r\nhost: door\r\n\r\n"),
                1 => {
                    format!("POST /users/{fault}/{token} HTTP/1.1\r\nhost: door\r\ncontent-length: {length}\r\n\r\n{}", "x".repeat(length))
                }
                _ => {
                    format!("PUT /users/{fault}/{token} HTTP/1.1\r\nhost: door\r\ntransfer-encoding: chunked\r\n\r\n4\r\nGET \r\n0\r\n\r\n")
                }
            };
            bytes.push_str(&head);
            batch.push((fault, token));
        }
        wire.send(bytes).await;
        for (fault, token) in batch {
            let is_good = fault == "good";
            asked += usize::from(is_good);
            let answer = match wire.answer("GET").await {
                Ok(Some(answer)) => answer,
                Ok(None) | Err(Fault::Cut) => {
                    // What else was sent on this connection is lost with it.
                    asked -= usize::from(is_good);
                    wire = Wire::connect(door).await;
                    break;
                }
                Err(malformed) => panic!("{fault} {token}: {malformed:?}"),
            };
            let text = answer.text();
            let is_mine = answer.status != 200 || text.starts_with(&format!("for {token} ")) || (!answer.is_whole() && text == "for");
            assert!(is_mine && !text.contains("poison"), "seed {seed}: {fault} {token} got {answer:?}");
            assert!(matches!(answer.status, 200 | 204 | 502..=504), "seed {seed}: {fault} {token} got {answer:?}");
            served += usize::from(is_good && answer.status == 200);
            let is_over = !answer.is_whole() || answer.header("connection") == Some("close");
            if is_over {
                wire = Wire::connect(door).await;
                break;
            }
        }
    }
    (asked, served)
}
