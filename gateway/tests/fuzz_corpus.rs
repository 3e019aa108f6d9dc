//! The corpora of the fuzz targets, and some thousand mutations of each, always the same ones: what a fuzzer looks at for hours, for
//! a moment in every test run.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

#[path = "framing/mutation.rs"]
mod mutation;
mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use gateway::{Gateway, fuzzing};
use support::config;

const MUTATIONS: u64 = 3000;

/// The files of a target's corpus.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() > 5, "the corpus is not where it should be");
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

fn run(target: &str, check: impl Fn(&[u8])) {
    let files = corpus(target);
    let mutations = (0..MUTATIONS).map(|seed| mutation::of(&files, &files, seed));
    for bytes in files.iter().cloned().chain(mutations) {
        // What was wrong has been printed; of which bytes, has not.
        let outcome = catch_unwind(AssertUnwindSafe(|| check(&bytes)));
        assert!(outcome.is_ok(), "{target}: {}", bytes.escape_ascii());
    }
}

fn gateway() -> Gateway {
    Gateway::new(config(&[], &[], &[]), "0").unwrap()
}

#[test]
fn heads_of_requests_mean_the_same_to_the_door_and_to_backends() {
    let gateway = gateway();
    run("request_head", |bytes| fuzzing::request_head(&gateway, bytes));
}

#[test]
fn heads_of_answers_mean_the_same_to_the_door_and_to_clients() {
    let gateway = gateway();
    run("reply_head", |bytes| fuzzing::reply_head(&gateway, bytes));
}

#[test]
fn bodies_end_where_they_end_in_whatever_pieces_they_come() {
    run("chunked_body", fuzzing::chunked_body);
}

#[test]
fn targets_that_are_let_through_lead_to_one_place() {
    run("target", fuzzing::target);
}

#[test]
fn frames_of_websockets_are_counted_as_a_simple_reader_counts_them() {
    run("websocket_frames", fuzzing::websocket_frames);
}
