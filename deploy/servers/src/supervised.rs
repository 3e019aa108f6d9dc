//! A server process under a shell that outlives nobody: when whoever started it goes, the pipe between them closes, and the
//! shell kills the server and removes its folder.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How often a start is tried: the free port may be another's by the time it is used.
const ATTEMPTS: usize = 5;
/// How long a server may take to answer.
const LIMIT: Duration = Duration::from_secs(30);

/// Takes orders line by line. A group of processes is the server and its children, each a group of its own with PostgreSQL.
const SHELL: &str = r#"
trap '' INT
folder=$1; shift
all() { echo "$pid" $(cat "/proc/$pid/task/$pid/children" 2>/dev/null); }
while read -r order; do
    case $order in
        start) "$@" >>"$folder/log" 2>&1 </dev/null & pid=$! ;;
        stop) kill -INT "$pid"; wait "$pid" ;;
        kill) kill -KILL $(all); wait "$pid" ;;
        pause) kill -STOP $(all) ;;
        resume) kill -CONT $(all) ;;
        alive) [ ! -d /proc/self ] || { read -r _ _ state _ <"/proc/$pid/stat" && [ "$state" != Z ]; } ;;
    esac
    echo "$?"
done
kill -KILL $(all); wait "$pid"
rm -rf "$folder"
"#;

/// A server that is started and stopped at will.
pub(crate) struct Supervised {
    folder: std::path::PathBuf,
    shell: Mutex<Shell>,
}

struct Shell {
    child: Child,
    orders: Option<ChildStdin>,
    done: BufReader<ChildStdout>,
}

impl Supervised {
    /// Starts `command` on a free port, again on another one when it ends at once. It owns `folder` from now on.
    pub(crate) fn start(make: impl Fn(&std::path::Path, u16) -> Vec<String>, is_ready: impl Fn(u16) -> bool) -> (Self, u16) {
        let mut log = String::new();
        for _ in 0..ATTEMPTS {
            let folder = TempDir::with_prefix("superapp-test-").unwrap().keep();
            let port = free_port();
            let server = Self::new(folder.clone(), make(&folder, port));
            server.order("start");
            if server.wait_until(|| is_ready(port)) {
                return (server, port);
            }
            log = server.log();
        }
        panic!("a server for the tests does not start; its log:\n{log}");
    }

    fn new(folder: std::path::PathBuf, command: Vec<String>) -> Self {
        let mut child = Command::new("sh")
            .args(["-c", SHELL, "server"])
            .arg(&folder)
            .args(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (orders, done) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { folder, shell: Mutex::new(Shell { child, orders, done }) }
    }

    /// Gives an order and waits until it is carried out: `start`, `stop` (politely), `kill`, `pause`, `resume`. Also answers whether
    /// the process is `alive`.
    pub(crate) fn order(&self, order: &str) -> bool {
        let mut shell = self.shell.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(shell.orders.as_mut().unwrap(), "{order}").unwrap();
        let mut done = String::new();
        shell.done.read_line(&mut done).unwrap();
        done == "0\n"
    }

    /// Starts it again, and once more when it ends at once: its port may be in use for a moment by a client of another server, and
    /// its memory by a child of the one that was killed.
    pub(crate) fn start_again(&self, is_ready: impl Fn() -> bool) {
        let started = Instant::now();
        while !is_ready() {
            assert!(started.elapsed() < LIMIT, "a server for the tests does not come back; its log:\n{}", self.log());
            if !self.order("alive") {
                self.order("start");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the server is there; `false` when its port is taken or it takes too long.
    pub(crate) fn wait_until(&self, is_ready: impl Fn() -> bool) -> bool {
        let started = Instant::now();
        while !is_ready() {
            if started.elapsed() > LIMIT || self.has_failed() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        true
    }

    /// The port was free, and is another's now.
    fn has_failed(&self) -> bool {
        self.log().contains("Address already in use")
    }

    /// What the server said.
    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    pub(crate) fn folder(&self) -> &std::path::Path {
        &self.folder
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        let shell = self.shell.get_mut().unwrap_or_else(PoisonError::into_inner);
        drop(shell.orders.take());
        let ended = shell.child.wait().unwrap();
        debug_assert!(ended.signal().is_none(), "the shell was killed");
    }
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    listener.local_addr().unwrap().port()
}
