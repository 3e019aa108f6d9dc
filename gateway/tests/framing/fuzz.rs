//! The same bytes to the door and to a server of hyper. The door may be stricter; but what it forwards, hyper must have taken
//! for the same request: the same method, the same path, a body of the same length.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use tokio::io::AsyncReadExt;

use crate::corpus::cases;
use crate::door_before;
use crate::hyper_peers::serve;
use crate::mutation;
use crate::support::backend::{Backend, Seen};
use crate::support::dice::Dice;
use crate::support::wire::Wire;
use crate::support::{Door, LIMIT, happens_within};

const MUTATIONS: usize = 3000;
const WORKERS: usize = 3;

/// Its number, and its bytes.
type Case = (usize, Vec<u8>);

/// A request as somebody understood it; without a length its body never became complete.
#[derive(Clone, Debug, PartialEq)]
struct Understood {
    method: String,
    target: String,
    length: Option<usize>,
}

/// A server of hyper, and what it has understood since somebody asked.
struct Reference {
    address: SocketAddr,
    understood: Arc<Mutex<Vec<Understood>>>,
}

impl From<Seen> for Understood {
    fn from(seen: Seen) -> Understood {
        Understood {
            method: seen.head.method().to_owned(),
            target: seen.head.target().to_owned(),
            length: seen.body.map(|body| body.len()),
        }
    }
}

impl Reference {
    async fn start() -> Reference {
        let understood: Arc<Mutex<Vec<Understood>>> = Arc::default();
        let noting = understood.clone();
        let address = serve(move |request: Request<Incoming>| note(request, noting.clone())).await;
        Reference { address, understood }
    }
}

async fn note(request: Request<Incoming>, understood: Arc<Mutex<Vec<Understood>>>) -> Response<Full<Bytes>> {
    // As Latin-1, like the backend's.
    let target = request.uri().path_and_query().map(|target| target.as_str().bytes().map(char::from).collect()).unwrap_or_default();
    let method = request.method().to_string();
    let index = {
        let mut understood = understood.lock().unwrap();
        understood.push(Understood { method, target, length: None });
        understood.len() - 1
    };
    if let Ok(body) = request.into_body().collect().await {
        understood.lock().unwrap()[index].length = Some(body.to_bytes().len());
    }
    Response::default()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_door_forwards_hyper_understands_in_the_same_way() {
    let seed = Dice::new().seed;
    let (good, bad) = (seeds(&["accepted"]), seeds(&["refused", "refused_in_body"]));
    let mutations = (0..MUTATIONS).map(|index| mutation::of(&good, &bad, seed.wrapping_add(index as u64)));
    let all = good.iter().chain(&bad).cloned().chain(mutations);
    let left = Arc::new(Mutex::new(all.enumerate().collect()));
    let workers: Vec<_> = (0..WORKERS).map(|_| tokio::spawn(work(left.clone()))).collect();
    let (mut complaints, mut forwarded) = (Vec::new(), 0);
    for worker in workers {
        let (found, count) = worker.await.unwrap();
        complaints.extend(found);
        forwarded += count;
    }
    println!("{forwarded} requests were forwarded");
    assert!(
        complaints.is_empty(),
        "FUZZ_SEED={seed}: {} complaints\n{}",
        complaints.len(),
        complaints[..complaints.len().min(40)].join("\n")
    );
    assert!(forwarded > MUTATIONS / 10, "hardly anything was forwarded: the fuzz looks at nothing");
}

fn seeds(folders: &[&str]) -> Vec<Vec<u8>> {
    let all = folders.iter().flat_map(|folder| cases(folder)).map(|case| case.bytes);
    all.filter(|bytes| bytes.len() < mutation::SEED_BYTES_MAX).collect()
}

/// A door, a backend and a reference of its own.
struct Bench {
    backend: Backend,
    door: Door,
    reference: Reference,
}

/// What was wrong with a case, if anything, and how many requests were forwarded.
struct Verdict {
    complaint: Option<String>,
    forwarded: usize,
}

impl Bench {
    async fn set_up() -> Bench {
        let backend = Backend::echo().await;
        let door = door_before(&backend).await;
        Bench { backend, door, reference: Reference::start().await }
    }

    async fn judge(&self, bytes: &[u8], is_alone: bool) -> Verdict {
        let has_door_ended = say(self.door.address, bytes).await;
        if is_alone {
            // What is on its way to the backend has every occasion to arrive.
            for _ in 0..20 {
                say(self.door.address, b"GET /users/marker HTTP/1.1\r\nhost: door\r\nconnection: close\r\n\r\n").await;
            }
        }
        let is_quiet = happens_within(LIMIT, || async { self.backend.is_quiet() }).await;
        let has_hyper_ended = say(self.reference.address, bytes).await;
        let understood = std::mem::take(&mut *self.reference.understood.lock().unwrap());
        let (seen, faults) = self.backend.take_with_faults();
        let is_case = |seen: &Seen| seen.head.target() != "/users/marker";
        let forwarded: Vec<_> = seen.into_iter().filter(is_case).map(Understood::from).collect();
        let has_ended = has_door_ended && is_quiet && has_hyper_ended;
        let is_fine = has_ended && faults.is_empty() && agrees(&forwarded, &understood);
        let complaint = || {
            let ended = format!("door {has_door_ended}, backend {is_quiet}, hyper {has_hyper_ended}");
            let bytes = bytes.escape_ascii();
            format!("{bytes}\n   forwarded: {forwarded:?} {faults:?}\n   understood: {understood:?}\n   ended: {ended}")
        };
        Verdict { complaint: (!is_fine).then(complaint), forwarded: forwarded.len() }
    }
}

/// Takes case after case.
///
/// What a door breaks off may reach the backend as late as during the next case; so what looks wrong is looked at once more, alone,
/// together with the case before it.
async fn work(left: Arc<Mutex<VecDeque<Case>>>) -> (Vec<String>, usize) {
    let bench = Bench::set_up().await;
    let (mut complaints, mut count, mut before) = (Vec::new(), 0, None);
    loop {
        let Some((index, bytes)) = left.lock().unwrap().pop_front() else { return (complaints, count) };
        let verdict = bench.judge(&bytes, false).await;
        count += verdict.forwarded;
        let case = Some((index, bytes));
        if verdict.complaint.is_some() {
            for (index, bytes) in [&before, &case].into_iter().flatten() {
                let alone = Bench::set_up().await.judge(bytes, true).await;
                complaints.extend(alone.complaint.map(|complaint| format!("case {index}: {complaint}")));
            }
        }
        before = case;
    }
}

/// Says all of it, ends, and waits until the other side has ended, too.
async fn say(address: SocketAddr, bytes: &[u8]) -> bool {
    let mut wire = Wire::connect(address).await;
    wire.send(bytes).await;
    wire.end().await;
    let mut rest = Vec::new();
    // A reset is an end.
    tokio::time::timeout(Duration::from_secs(5), wire.stream.read_to_end(&mut rest)).await.is_ok()
}

/// Everything forwarded was understood by the reference, in this order; it may have understood more.
fn agrees(forwarded: &[Understood], understood: &[Understood]) -> bool {
    let mut understood = understood.iter();
    forwarded.iter().all(|forwarded| {
        understood.any(|understood| {
            let is_same_length = forwarded.length.is_none() || forwarded.length == understood.length;
            forwarded.method == understood.method && forwarded.target == understood.target && is_same_length
        })
    })
}
