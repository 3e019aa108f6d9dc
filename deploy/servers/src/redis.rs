//! A Redis of one's own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::supervised::Supervised;

/// How long a listener waits for what it expects.
const LISTEN_LIMIT: Duration = Duration::from_secs(20);

/// A server without persistence. Gone when dropped.
pub struct Redis {
    server: Supervised,
    port: u16,
}

impl Redis {
    /// Starts one.
    pub fn start() -> Self {
        Self::start_with(|_, _| Vec::new())
    }

    /// Starts one with more arguments, made from its folder and port.
    pub(crate) fn start_with(more: impl Fn(&Path, u16) -> Vec<String>) -> Self {
        assert_version();
        let command = |folder: &Path, port: u16| {
            let folder_text = folder.display().to_string();
            let port_text = port.to_string();
            let plain = ["redis-server", "--bind", "127.0.0.1", "--port", &port_text, "--dir", &folder_text, "--save", ""];
            let more_plain = ["--appendonly", "no", "--enable-debug-command", "local"];
            plain.into_iter().chain(more_plain).map(str::to_owned).chain(more(folder, port)).collect()
        };
        let (server, port) = Supervised::start(command, is_ready);
        Self { server, port }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Runs a command, such as `CLIENT KILL TYPE pubsub`; the first line of its answer, or the text where it is one.
    pub fn command(&self, command: &str) -> String {
        ask(self.port, command).unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// `DEBUG SLEEP`: it is at nothing else for so many seconds. Returns when it sleeps or is about to.
    pub fn sleep(&self, seconds: u32) -> Asleep {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(LISTEN_LIMIT)).unwrap();
        write!(stream, "DEBUG SLEEP {seconds}\r\n").unwrap();
        Asleep(BufReader::new(stream))
    }

    /// Subscribes, as `PSUBSCRIBE superapp:*` does, and waits until that is confirmed.
    pub fn listen(&self, command: &str) -> Listening {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(LISTEN_LIMIT)).unwrap();
        write!(stream, "{command}\r\n").unwrap();
        let mut listening = Listening(BufReader::new(stream));
        while !listening.next_line().starts_with(':') {}
        listening
    }

    /// Ends it politely; what it knew is gone.
    pub fn stop(&self) {
        self.server.order("stop");
    }

    /// `kill -9`.
    pub fn kill(&self) {
        self.server.order("kill");
    }

    /// Starts it again, empty.
    pub fn start_again(&self) {
        self.server.start_again(|| is_ready(self.port));
    }

    /// SIGSTOP: connections stay, nobody answers.
    pub fn pause(&self) {
        self.server.order("pause");
    }

    /// SIGCONT after [`Redis::pause`].
    pub fn resume(&self) {
        self.server.order("resume");
    }
}

/// The sleep of a Redis.
pub struct Asleep(BufReader<TcpStream>);

impl Asleep {
    /// Waits until it is awake.
    pub fn ended(mut self) {
        let mut answer = String::new();
        self.0.read_line(&mut answer).expect("it wakes up in time");
        assert_eq!(answer, "+OK\r\n", "it has slept");
    }
}

/// A connection that hears what is published.
pub struct Listening(BufReader<TcpStream>);

impl Listening {
    /// The next line of what comes, as the protocol has it (RESP2): kinds, lengths, channels and payloads have one each.
    pub fn next_line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("something is published in time");
        line.trim_end().to_owned()
    }
}

fn is_ready(port: u16) -> bool {
    ask(port, "PING").is_ok_and(|answer| answer == "+PONG")
}

fn ask(port: u16, command: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "{command}\r\n")?;
    let mut answer = BufReader::new(stream);
    let mut line = String::new();
    answer.read_line(&mut line)?;
    let line = line.trim_end().to_owned();
    match line.strip_prefix('$').and_then(|length| length.parse::<usize>().ok()) {
        None => Ok(line),
        Some(length) => {
            let mut text = vec![0; length];
            answer.read_exact(&mut text)?;
            Ok(String::from_utf8_lossy(&text).into_owned())
        }
    }
}

/// Sharded pub/sub came with Redis 7.
fn assert_version() {
    static MAJOR: OnceLock<u32> = OnceLock::new();
    let major = *MAJOR.get_or_init(|| {
        let said = Command::new("redis-server").arg("--version").output().expect("Redis is installed: run `make test`, which sees to it");
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let version = said.split("v=").nth(1).and_then(|rest| rest.split('.').next()?.parse().ok());
        version.unwrap_or_else(|| panic!("the version of Redis is not to be read from {said}"))
    });
    assert!(major >= 7, "the tests need Redis 7 or newer, this is {major}");
}
