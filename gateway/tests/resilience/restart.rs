//! Replicas are restarted one after the other while clients keep asking: none of them notices.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::load::{Load, get};
use crate::replica::Replica;
use crate::support::{Door, eventually};
use crate::{before, state};

/// How a replica goes.
#[derive(Clone, Copy, Debug)]
enum Going {
    /// It says that it is not ready, and goes when the door has heard it.
    Announced,
    /// It accepts no more and finishes what was begun.
    Politely,
    /// It is killed in the middle of its work.
    Killed,
}

async fn restart(door: &Door, replica: &mut Replica, index: usize, going: Going) {
    match going {
        Going::Announced => {
            replica.facts.is_unready.store(true, Ordering::SeqCst);
            eventually("the door has heard it", || async { state(door, index) == "failing" }).await;
            replica.stop().await;
        }
        Going::Politely => replica.stop().await,
        Going::Killed => replica.kill().await,
    }
    eventually("the door knows", || async { state(door, index) == "failing" }).await;
    replica.revive().await;
    eventually("the door knows that it is back", || async { state(door, index) == "live" }).await;
}

async fn nobody_notices(going: Going) {
    let mut replicas = Replica::start_many(3).await;
    for replica in &replicas {
        // So that there is always something in the middle of it.
        replica.take_so_long(Duration::from_millis(5));
    }
    let door = Door::open(before(&replicas.iter().map(|replica| replica.address).collect::<Vec<_>>())).await;
    let load = Load::start(door.address, 12, Duration::from_millis(10), &get("/users/1"));
    eventually("the load is on", || async { load.asked() > 200 }).await;
    for round in 0..3 {
        for (index, replica) in replicas.iter_mut().enumerate() {
            let (asked, reached) = (load.asked(), replica.requests());
            restart(&door, replica, index, going).await;
            // The others have not carried it all while it starts slowly.
            eventually("it is asked again", || async { replica.requests() > reached && load.asked() > asked + 50 }).await;
        }
        println!("{going:?}, round {round}: {} asked", load.asked());
    }
    let tally = load.end().await;
    println!("{going:?}: {tally:?}");
    assert!(tally.all_are(200), "{going:?}: {tally:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_notices_replicas_that_announce_that_they_go() {
    nobody_notices(Going::Announced).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_notices_replicas_that_finish_what_they_began() {
    nobody_notices(Going::Politely).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_who_only_reads_notices_replicas_that_are_killed() {
    nobody_notices(Going::Killed).await;
}
