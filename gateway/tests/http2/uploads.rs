//! Uploads that are refused: the answer can be read although the client is still sending.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use crate::support::backend::Backend;
use crate::support::{Door, config};

const UPLOAD: usize = 8 * 1024 * 1024;
/// Without a door that waits a little, most of these go wrong, not all.
const TIMES: usize = 15;

/// An upload by curl, which sends on while it reads, and throws an answer away when its stream is reset: what it printed, and what
/// it complained about.
fn upload(door: SocketAddr, how: &[&str]) -> (String, String) {
    let mut curl = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "20", "--noproxy", "*", "--http2-prior-knowledge"])
        .args(["--write-out", "%{http_version} %{http_code} ", "--request", "POST"])
        .args(how)
        .arg(format!("http://{door}/users/1"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("curl is installed");
    // It may have its answer before it has read everything.
    let _ = curl.stdin.take().unwrap().write_all(&vec![b'x'; UPLOAD]);
    let output = curl.wait_with_output().unwrap();
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_upload_sees_the_413_and_not_a_reset() {
    let backend = Backend::echo().await;
    let door = Door::open(config(&[backend.address], &[], &[])).await;
    const ANNOUNCED: &[&str] = &["--header", "content-type: text/plain", "--data-binary", "@-"];
    const STREAMED: &[&str] = &["--upload-file", "-"];
    for how in [ANNOUNCED, STREAMED] {
        let address = door.address;
        for time in 0..TIMES {
            let (printed, complaint) = tokio::task::spawn_blocking(move || upload(address, how)).await.unwrap();
            let is_refused = printed.contains("2 413 ") && printed.contains("\"code\":\"body_too_large\"");
            assert!(is_refused && complaint.is_empty(), "{how:?}, time {time}: {printed:?} {complaint:?}");
        }
    }
    assert!(backend.seen().iter().all(|seen| seen.body.is_none()));
}
