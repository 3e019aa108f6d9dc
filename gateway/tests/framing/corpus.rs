//! Requests as files, byte for byte: `tests/corpus/refused` for heads that must not pass, `refused_in_body` for bodies that turn
//! out to be none after the head may have gone on, `accepted` for what a strict server takes.

use std::path::Path;
use std::time::Duration;

use tokio::io::AsyncReadExt;

use crate::door_before;
use crate::support::backend::Backend;
use crate::support::wire::{Answer, Fault, Wire};
use crate::support::{Door, happens_within};

/// What may be said to a faulty request. Never 502 to 504: they would blame a backend.
const CLIENTS_FAULT: [u16; 9] = [400, 408, 411, 413, 414, 417, 431, 501, 505];

/// A refusal needs no time; a door that waits for more has not seen the fault.
const AT_ONCE: Duration = Duration::from_secs(4);

const GOOD: &[u8] = b"GET /users/good HTTP/1.1\r\nhost: door\r\n\r\n";

pub struct Case {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// The files of one folder, in the order of their names.
pub fn cases(folder: &str) -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(folder);
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_case = |path: &std::path::PathBuf| path.extension().is_some_and(|ending| ending == "http");
    let case = |path: std::path::PathBuf| Case {
        name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
        bytes: std::fs::read(&path).unwrap(),
    };
    let mut cases: Vec<Case> = paths.filter(is_case).map(case).collect();
    cases.sort_by(|one, other| one.name.cmp(&other.name));
    assert!(cases.len() > 40, "the corpus is not where it should be");
    cases
}

/// What is wrong, over a whole folder: so that one look at a failure shows all of it.
#[derive(Default)]
struct Complaints(Vec<String>);

impl Complaints {
    fn check(&mut self, case: &Case, outcome: Result<(), String>) {
        if let Err(complaint) = outcome {
            self.0.push(format!("{}: {complaint}", case.name));
        }
    }
}

impl Drop for Complaints {
    fn drop(&mut self) {
        if !self.0.is_empty() && !std::thread::panicking() {
            panic!("{} cases:\n  {}\n", self.0.len(), self.0.join("\n  "));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_faulty_head_is_refused_the_connection_ends_and_no_backend_hears_of_it() {
    let backend = Backend::echo().await;
    let door = door_before(&backend).await;
    let mut complaints = Complaints::default();
    for case in cases("refused") {
        let outcome = refused(&door, &case.bytes, b"").await;
        complaints.check(&case, both(outcome, forwarded(&backend, 0, false).await));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_faulty_head_behind_a_good_request_is_refused_just_as_well() {
    let backend = Backend::echo().await;
    let door = door_before(&backend).await;
    let mut complaints = Complaints::default();
    for case in cases("refused") {
        let outcome = refused(&door, &[GOOD, &case.bytes].concat(), GOOD).await;
        complaints.check(&case, both(outcome, forwarded(&backend, 1, false).await));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_in_a_body_is_refused_and_no_backend_ever_sees_a_whole_request() {
    let backend = Backend::echo().await;
    let door = door_before(&backend).await;
    let mut complaints = Complaints::default();
    for case in cases("refused_in_body") {
        let outcome = refused(&door, &case.bytes, b"").await;
        complaints.check(&case, both(outcome, forwarded(&backend, 0, true).await));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_strict_server_takes_reaches_the_backend_exactly_once() {
    let backend = Backend::echo().await;
    let door = door_before(&backend).await;
    let mut complaints = Complaints::default();
    for case in cases("accepted") {
        let mut client = Wire::connect(door.address).await;
        client.send(&case.bytes).await;
        let outcome = match first_answer(&mut client).await {
            Ok(answer) if answer.status == 200 && answer.is_whole() => Ok(()),
            Ok(answer) => Err(format!("answered {}: {}", answer.status, answer.text().trim_end())),
            Err(complaint) => Err(complaint),
        };
        complaints.check(&case, both(outcome, forwarded(&backend, 1, false).await));
    }
}

fn both(answer: Result<(), String>, backend: Result<(), String>) -> Result<(), String> {
    match (answer, backend) {
        (Err(one), Err(other)) => Err(format!("{one}; {other}")),
        (one, other) => one.and(other),
    }
}

/// The bytes are answered with an error and the end of the connection, once the good request before them has its answer.
async fn refused(door: &Door, bytes: &[u8], good_before: &[u8]) -> Result<(), String> {
    let mut client = Wire::connect(door.address).await;
    client.send(bytes).await;
    let verdict = refusal(&mut client, good_before).await;
    // Where the door wrongly goes on, it does so before the next case.
    client.end().await;
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(AT_ONCE, client.stream.read_to_end(&mut rest)).await;
    verdict
}

async fn refusal(client: &mut Wire, good_before: &[u8]) -> Result<(), String> {
    if !good_before.is_empty() {
        let first = first_answer(client).await?;
        if first.status != 200 || !first.text().contains("/users/good") {
            return Err(format!("the good request before it got {}: {}", first.status, first.text()));
        }
    }
    let answer = first_answer(client).await?;
    if !CLIENTS_FAULT.contains(&answer.status) {
        return Err(format!("answered {}: {}", answer.status, answer.text().trim_end()));
    }
    match tokio::time::timeout(AT_ONCE, client.head()).await {
        Ok(Ok(None) | Err(Fault::Cut)) => Ok(()),
        Ok(Ok(Some(head))) => Err(format!("answered {}, and then also {}", answer.status, head.start)),
        Ok(Err(fault)) => Err(format!("answered {}, and then {fault:?}", answer.status)),
        Err(_) => Err(format!("answered {}, but left the connection open", answer.status)),
    }
}

async fn first_answer(client: &mut Wire) -> Result<Answer, String> {
    match tokio::time::timeout(AT_ONCE, client.answer("GET")).await {
        Ok(Ok(Some(answer))) => Ok(answer),
        Ok(Ok(None)) => Err("closed without an answer".to_owned()),
        Ok(Err(fault)) => Err(format!("answered what is no answer: {fault:?}")),
        Err(_) => Err("not answered".to_owned()),
    }
}

/// So many whole requests have reached the backend, and nothing malformed. Where a head may go on before its body turns out to be
/// faulty, others may have begun, as late as during the next case.
async fn forwarded(backend: &Backend, whole: usize, may_begin: bool) -> Result<(), String> {
    let is_quiet = happens_within(AT_ONCE, || async { backend.is_quiet() }).await;
    let (seen, faults) = backend.take_with_faults();
    let is_as_expected = seen.iter().filter(|seen| seen.body.is_some()).count() == whole && (may_begin || seen.len() == whole);
    let is_smuggled = seen.iter().any(|seen| seen.head.target().contains("smuggled"));
    let starts: Vec<_> = seen.iter().map(|seen| (&seen.head.start, seen.body.as_ref().map(Vec::len))).collect();
    match is_quiet && is_as_expected && !is_smuggled && faults.is_empty() {
        true => Ok(()),
        false if !is_quiet => Err(format!("the backend still waits for the rest of {starts:?}")),
        false => Err(format!("the backend saw {starts:?}, malformed: {faults:?}")),
    }
}
