//! Who is asked how much: slow replicas little, heavy ones more, new ones little at first.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::load::{Load, get};
use crate::replica::Replica;
use crate::support::{Door, eventually};
use crate::{before, state};

fn addresses(replicas: &[Replica]) -> Vec<SocketAddr> {
    replicas.iter().map(|replica| replica.address).collect()
}

fn counts(replicas: &[Replica]) -> Vec<usize> {
    replicas.iter().map(Replica::requests).collect()
}

/// The share of the last one in what was asked since `before`.
fn share_of_last(replicas: &[Replica], before: &[usize]) -> f64 {
    let since: Vec<usize> = counts(replicas).iter().zip(before).map(|(now, before)| now - before).collect();
    println!("asked: {since:?}");
    *since.last().unwrap() as f64 / since.iter().sum::<usize>() as f64
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_slowed_by_100_ms_gets_less_than_a_tenth() {
    for clients in [1, 4, 16] {
        let replicas = Replica::start_many(3).await;
        for replica in &replicas {
            replica.take_so_long(Duration::from_millis(2));
        }
        let door = Door::open(before(&addresses(&replicas))).await;
        let load = Load::start(door.address, clients, Duration::from_millis(5), &get("/users/1"));
        eventually("all are asked", || async { counts(&replicas).iter().all(|count| *count > 10) }).await;
        replicas[2].take_so_long(Duration::from_millis(102));
        let (asked, at) = (load.asked(), counts(&replicas));
        eventually("more is asked", || async { load.asked() >= asked + 600 }).await;
        let share = share_of_last(&replicas, &at);
        assert!(share < 0.1, "{clients} clients: {share}");
        assert!(load.end().await.all_are(200));
        drop(door);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_are_shares_of_the_work() {
    let replicas = Replica::start_many(2).await;
    for replica in &replicas {
        replica.take_so_long(Duration::from_millis(5));
    }
    let mut config = before(&[]);
    config.clusters.users.endpoints = vec![replicas[0].address.to_string(), format!("{} weight=3", replicas[1].address)];
    let door = Door::open(config).await;
    let load = Load::start(door.address, 16, Duration::from_millis(1), &get("/users/1"));
    eventually("enough is asked", || async { load.asked() >= 1500 }).await;
    let share = share_of_last(&replicas, &[0, 0]);
    assert!((0.65..0.85).contains(&share), "{share}");
    assert!(load.end().await.all_are(200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_replica_starts_slowly_and_ends_as_an_equal() {
    let mut replicas = Replica::start_many(2).await;
    for replica in &replicas {
        replica.take_so_long(Duration::from_millis(10));
    }
    replicas[1].kill().await;
    let opened = Instant::now();
    let door = Door::open(before(&addresses(&replicas))).await;
    let load = Load::start(door.address, 12, Duration::from_millis(20), &get("/users/1"));
    // So long until the first one has grown up.
    eventually("the other one is old", || async { opened.elapsed() > Duration::from_secs(8) }).await;

    replicas[1].revive().await;
    eventually("it is back", || async { state(&door, 1) == "live" }).await;
    let (asked, at) = (load.asked(), counts(&replicas));
    eventually("something is asked", || async { load.asked() >= asked + 200 }).await;
    let share = share_of_last(&replicas, &at);
    assert!(share < 0.25, "{share} at first");

    let back = Instant::now();
    eventually("it is grown up", || async { back.elapsed() > Duration::from_secs(9) }).await;
    let (asked, at) = (load.asked(), counts(&replicas));
    eventually("something is asked", || async { load.asked() >= asked + 500 }).await;
    let share = share_of_last(&replicas, &at);
    assert!((0.35..0.65).contains(&share), "{share} in the end");
    assert!(load.end().await.all_are(200));
}
