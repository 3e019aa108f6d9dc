//! A backend that fails is not finished off by repeats; and a replica that fails alone is left out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::load::{Load, Tally, ask, get, post};
use crate::support::backend::{Backend, Visit};
use crate::support::{Door, eventually};
use crate::{addresses, before, endpoints, state};

/// How a request fails.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// An answer with this status.
    Answer(u16),
    Close,
    Reset,
}

const FAULTS: [Fault; 5] = [Fault::Answer(503), Fault::Answer(502), Fault::Answer(504), Fault::Close, Fault::Reset];

impl Fault {
    async fn commit(self, mut visit: Visit) -> Option<Visit> {
        match self {
            Fault::Answer(status) => {
                visit.wire.send(format!("HTTP/1.1 {status} Failed\r\ncontent-length: 2\r\n\r\nno")).await;
                Some(visit)
            }
            Fault::Close => None,
            Fault::Reset => {
                visit.wire.stream.get_ref().set_zero_linger().unwrap();
                None
            }
        }
    }
}

async fn well(mut visit: Visit) -> Option<Visit> {
    visit.answer("well").await;
    Some(visit)
}

/// Half of its requests fail, in no simple order (0 1 1 0 1 0 0 1 …), on new connections as well as on kept ones.
async fn half_failing(fault: Fault) -> Backend {
    let turn = Arc::<AtomicUsize>::default();
    Backend::start(move |mut visit| {
        let turn = turn.fetch_add(1, Ordering::SeqCst);
        async move {
            visit.body().await?;
            if turn.count_ones() % 2 == 1 { fault.commit(visit).await } else { well(visit).await }
        }
    })
    .await
}

const OFFERED: usize = 2000;

async fn offer(fault: Fault, request: &str) -> (Tally, usize) {
    let backends = [half_failing(fault).await, half_failing(fault).await];
    let door = Door::open(before(&addresses(&backends))).await;
    let tally = ask(door.address, 8, OFFERED, request).await;
    let counted = backends.iter().map(Backend::requests).sum();
    println!("{fault:?}, {}: {counted} counted of {OFFERED} offered, {tally:?}", request.split(' ').next().unwrap());
    (tally, counted)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_at_half_errors_is_asked_a_fifth_more_at_most() {
    for fault in FAULTS {
        let (tally, counted) = offer(fault, &get("/users/1")).await;
        // Broken kept connections have a credit of ten.
        assert!(counted <= OFFERED * 12 / 10 + 10, "{fault:?}: {counted} counted");
        assert!(counted >= OFFERED * 11 / 10, "{fault:?}: {counted} counted, and nothing was tried again");
        assert!(tally.of(200) >= OFFERED / 2 && tally.cut.is_empty(), "{fault:?}: {tally:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_repeated_is_not() {
    for fault in FAULTS {
        let (tally, counted) = offer(fault, &post("/users/1")).await;
        assert_eq!(counted, OFFERED, "{fault:?}");
        assert!(tally.of(200) >= OFFERED * 4 / 10 && tally.cut.is_empty(), "{fault:?}: {tally:?}");
    }
}

/// Fails every request as long as the switch is on.
async fn failing_while(is_ill: &Arc<AtomicBool>, fault: Fault) -> Backend {
    let is_ill = is_ill.clone();
    Backend::start(move |mut visit| {
        let is_ill = is_ill.load(Ordering::SeqCst);
        async move {
            visit.body().await?;
            if is_ill { fault.commit(visit).await } else { well(visit).await }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_fails_whatever_its_checks_say_is_left_out_and_comes_back() {
    for fault in FAULTS {
        let is_ill = Arc::<AtomicBool>::default();
        let backends = [failing_while(&is_ill, fault).await, Backend::echo().await, Backend::echo().await];
        let mut config = before(&addresses(&backends));
        config.ejection_s = 1;
        let door = Door::open(config).await;
        let load = Load::start(door.address, 4, std::time::Duration::from_millis(5), &get("/users/1"));
        eventually("there is something to spend on repeats", || async { backends[0].requests() > 50 && load.asked() > 300 }).await;

        is_ill.store(true, Ordering::SeqCst);
        let before_ill = backends[0].requests();
        eventually("it is left out", || async { state(&door, 0) == "ejected" }).await;
        let seen = endpoints(&door)[0].clone();
        // "failed 5 requests in a row", "took 800 ms for an answer where others take 2 ms".
        let figure = seen["why"].as_str().and_then(|why| why.split(' ').nth(1)?.parse::<u32>().ok());
        assert!(seen["state"] != "ejected" || figure.is_some(), "{fault:?}: {seen}");
        let at_ejection = backends[0].requests();
        let asked = load.asked();
        eventually("others are asked", || async { load.asked() > asked + 100 || state(&door, 0) != "ejected" }).await;
        if state(&door, 0) == "ejected" {
            // What was on its way when it was left out may still arrive.
            assert!(backends[0].requests() <= at_ejection + 4, "{fault:?}");
        }
        is_ill.store(false, Ordering::SeqCst);
        eventually("it is asked again", || async { state(&door, 0) == "live" && backends[0].requests() > at_ejection + 20 }).await;
        let tally = load.end().await;
        println!("{fault:?}: left out after {} requests; {tally:?}", at_ejection - before_ill);
        assert!(tally.all_are(200), "{fault:?}: {tally:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn at_most_half_of_the_replicas_are_left_out() {
    for count in 1..=5 {
        let is_ill = Arc::new(AtomicBool::new(true));
        let mut backends = Vec::new();
        for _ in 0..count {
            backends.push(failing_while(&is_ill, Fault::Reset).await);
        }
        let door = Door::open(before(&addresses(&backends))).await;
        let tally = ask(door.address, 4, 200, &get("/users/1")).await;
        assert!(tally.all_are(502), "{tally:?}");
        let ejected = (0..count).filter(|index| state(&door, *index) == "ejected").count();
        assert_eq!(ejected, count / 2, "of {count}");
        // Nobody has to wait until the others come back.
        is_ill.store(false, Ordering::SeqCst);
        assert!(ask(door.address, 4, 100, &get("/users/1")).await.all_are(200));
    }
}
