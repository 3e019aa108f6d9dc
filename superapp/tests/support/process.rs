//! The binary, run: to its end, or until it is killed.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use serde_json::Value;
use tokio::sync::OwnedMutexGuard;

use super::LIMIT;

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Exit {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

/// Runs the binary with these arguments to its end.
pub(crate) async fn superapp(arguments: &[&str], environment: &[(&str, &str)]) -> Exit {
    let started = Instant::now();
    let mut process = Process::spawn(&arguments.iter().map(|argument| (*argument).to_owned()).collect::<Vec<_>>(), environment);
    let code = process.ended().await;
    let (stdout, stderr) = process.said();
    Exit { code, stdout, stderr, took: started.elapsed() }
}

/// A started binary; killed when dropped.
pub(crate) struct Process {
    child: Child,
    /// What it says, line by line as it comes.
    log: Arc<Mutex<Vec<String>>>,
    /// Whoever holds it keeps us from reading on.
    attention: Arc<tokio::sync::Mutex<()>>,
    readers: Option<(JoinHandle<String>, JoinHandle<()>)>,
}

/// What the process said when it was ready: the addresses of each role it plays.
pub(crate) type Ready = HashMap<String, Vec<SocketAddr>>;

impl Process {
    pub(crate) fn spawn(arguments: &[String], environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_superapp"))
            .args(arguments)
            // Nothing of who runs the tests leaks in.
            .env_clear()
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let (mut out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (log, attention) = (Arc::new(Mutex::new(Vec::new())), Arc::new(tokio::sync::Mutex::new(())));
        let (lines, attention_out, attention_err) = (log.clone(), attention.clone(), attention.clone());
        let read_out = std::thread::spawn(move || {
            let (mut text, mut piece) = (Vec::new(), [0; 4096]);
            while let count @ 1.. = out.read(&mut piece).unwrap() {
                text.extend_from_slice(&piece[..count]);
                drop(attention_out.blocking_lock());
            }
            String::from_utf8(text).unwrap()
        });
        let read_err = std::thread::spawn(move || {
            for line in BufReader::new(err).lines() {
                lines.lock().unwrap().push(line.unwrap());
                drop(attention_err.blocking_lock());
            }
        });
        Self { child, log, attention, readers: Some((read_out, read_err)) }
    }

    /// Waits for the log event that says that it serves.
    pub(crate) async fn ready(&mut self) -> Ready {
        let started = Instant::now();
        loop {
            let event = self.log.lock().unwrap().iter().find_map(|line| ready_event(line));
            if let Some(ready) = event {
                return ready;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && started.elapsed() < LIMIT, "not ready ({ended:?}):\n{}", self.log.lock().unwrap().join("\n"));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until it has ended by itself; the exit code, unless a signal killed it.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(started.elapsed() < LIMIT, "still running:\n{}", self.log.lock().unwrap().join("\n"));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        kill_process(self.pid(), Signal::TERM).unwrap();
    }

    /// SIGSTOP: connections stay, nobody answers.
    pub(crate) fn pause(&self) {
        kill_process(self.pid(), Signal::STOP).unwrap();
    }

    /// SIGCONT.
    pub(crate) fn resume(&self) {
        kill_process(self.pid(), Signal::CONT).unwrap();
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        // It may be gone already, which is just as good.
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    /// A write beyond `bytes` in a file fails, until this is lifted with `None`.
    pub(crate) fn limit_file_size(&self, bytes: Option<u64>) {
        prlimit(Some(self.pid()), Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
    }

    /// Reads nothing of what it says, on stdout and stderr, as long as this is held.
    pub(crate) async fn ignore(&self) -> OwnedMutexGuard<()> {
        self.attention.clone().lock_owned().await
    }

    /// Its log so far, a JSON object per line.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Everything it said on stdout and stderr, once it has ended.
    pub(crate) fn said(&mut self) -> (String, String) {
        let (out, err) = self.readers.take().expect("asked once");
        let stdout = out.join().unwrap();
        err.join().unwrap();
        (stdout, self.log().join("\n"))
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- log of {}\n{}", self.child.id(), self.log().join("\n"));
        }
    }
}

fn ready_event(line: &str) -> Option<Ready> {
    let event: Value = serde_json::from_str(line).ok()?;
    if event["message"] != "ready" {
        return None;
    }
    let roles = ["gateway", "users", "chat", "analytics", "admin"];
    let addresses = |role: &str| event[role].as_str().map(|list| list.split(',').map(|address| address.parse().unwrap()).collect());
    Some(roles.into_iter().filter_map(|role| Some((role.to_owned(), addresses(role)?))).collect())
}
