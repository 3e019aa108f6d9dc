//! A backend of which a test writes every byte, and which remembers what reached it.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use super::wire::{Body, Fault, Head, Headers, Wire};

const READY: &str = r#"{"status":"pass"}"#;

/// Answers health probes by itself; everything else is remembered and handed to the test's script.
pub struct Backend {
    pub address: SocketAddr,
    log: Arc<Log>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Log {
    seen: Mutex<Vec<Arc<Mutex<Seen>>>>,
    faults: Mutex<Vec<String>>,
    /// Requests whose script has not ended.
    busy: AtomicUsize,
}

/// A request that reached a backend.
#[derive(Clone, Debug)]
pub struct Seen {
    pub head: Head,
    /// `None` as long as it is not complete, or when nobody read it.
    pub body: Option<Vec<u8>>,
    pub trailers: Headers,
    /// The number of its connection, and its own number on that.
    pub connection: usize,
    pub turn: usize,
}

/// One request, in the hands of a script. A script that returns it keeps the connection; one that drops it closes it.
pub struct Visit {
    pub wire: Wire,
    pub head: Head,
    pub connection: usize,
    pub turn: usize,
    seen: Arc<Mutex<Seen>>,
    log: Arc<Log>,
}

impl Backend {
    pub async fn start<S, F>(script: S) -> Backend
    where
        S: Fn(Visit) -> F + Send + Sync + 'static,
        F: Future<Output = Option<Visit>> + Send + 'static,
    {
        Backend::start_on(TcpListener::bind("127.0.0.1:0").await.unwrap(), script)
    }

    /// The same at an address that was chosen before.
    pub fn start_on<S, F>(listener: TcpListener, script: S) -> Backend
    where
        S: Fn(Visit) -> F + Send + Sync + 'static,
        F: Future<Output = Option<Visit>> + Send + 'static,
    {
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Log::default());
        let accepting = tokio::spawn(accept(listener, Arc::new(script), log.clone()));
        Backend { address, log, accepting }
    }

    /// Reads each request to its end and answers `GET /path: 5 bytes`.
    pub async fn echo() -> Backend {
        Backend::start(|mut visit| async move {
            let length = visit.body().await?.bytes.len();
            let text = format!("{} {}: {length} bytes", visit.head.method(), visit.head.target());
            visit.answer(&text).await;
            Some(visit)
        })
        .await
    }

    /// Reads each request to its end, answers with these bytes, and closes after them or not.
    pub async fn saying(bytes: impl Into<Vec<u8>>, keeps_open: bool) -> Backend {
        let bytes: Vec<u8> = bytes.into();
        Backend::start(move |mut visit| {
            let bytes = bytes.clone();
            async move {
                visit.body().await?;
                visit.wire.send(&bytes).await;
                keeps_open.then_some(visit)
            }
        })
        .await
    }

    /// What has reached it, all of it well formed.
    pub fn seen(&self) -> Vec<Seen> {
        assert_eq!(*self.log.faults.lock().unwrap(), [""; 0], "the door forwarded what is no request");
        self.log.seen.lock().unwrap().iter().map(|seen| seen.lock().unwrap().clone()).collect()
    }

    /// As [`Backend::seen`]; and forgets it.
    pub fn take(&self) -> Vec<Seen> {
        let seen = self.seen();
        self.log.seen.lock().unwrap().clear();
        seen
    }

    /// As [`Backend::take`], together with what was malformed.
    pub fn take_with_faults(&self) -> (Vec<Seen>, Vec<String>) {
        let faults = std::mem::take(&mut *self.log.faults.lock().unwrap());
        (self.take(), faults)
    }

    pub fn requests(&self) -> usize {
        self.seen().len()
    }

    /// Nobody is being answered.
    pub fn is_quiet(&self) -> bool {
        self.log.busy.load(Ordering::SeqCst) == 0
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Visit {
    /// Reads the body; `None` when it never became complete.
    pub async fn body(&mut self) -> Option<Body> {
        let framing = self.head.request_framing().ok()?;
        let body = self.wire.body(framing).await;
        match &body.fault {
            None => {}
            Some(Fault::Cut) => return None,
            Some(Fault::Malformed(what)) => {
                self.log.faults.lock().unwrap().push(what.clone());
                return None;
            }
        }
        let mut seen = self.seen.lock().unwrap();
        seen.body = Some(body.bytes.clone());
        seen.trailers = body.trailers.clone();
        drop(seen);
        Some(body)
    }

    pub async fn answer(&mut self, text: &str) {
        let is_head = self.head.method() == "HEAD";
        let body = if is_head { "" } else { text };
        self.wire.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", text.len())).await;
    }
}

async fn accept<S, F>(listener: TcpListener, script: Arc<S>, log: Arc<Log>)
where
    S: Fn(Visit) -> F + Send + Sync + 'static,
    F: Future<Output = Option<Visit>> + Send + 'static,
{
    let mut connections = JoinSet::new();
    for connection in 0.. {
        let (stream, _) = listener.accept().await.unwrap();
        connections.spawn(converse(Wire::new(stream), connection, script.clone(), log.clone()));
    }
}

async fn converse<S, F>(mut wire: Wire, connection: usize, script: Arc<S>, log: Arc<Log>)
where
    S: Fn(Visit) -> F,
    F: Future<Output = Option<Visit>>,
{
    let mut turn = 0;
    loop {
        let head = match wire.head().await {
            Ok(Some(head)) => head,
            Ok(None) | Err(Fault::Cut) => return,
            Err(Fault::Malformed(what)) => return log.faults.lock().unwrap().push(what),
        };
        if head.target() == "/readyz" {
            wire.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{READY}", READY.len())).await;
            continue;
        }
        if let Err(Fault::Malformed(what)) = head.request_framing() {
            return log.faults.lock().unwrap().push(what);
        }
        let _busy = Busy::start(&log);
        let seen = Arc::new(Mutex::new(Seen { head: head.clone(), body: None, trailers: Vec::new(), connection, turn }));
        log.seen.lock().unwrap().push(seen.clone());
        let visit = Visit { wire, head, connection, turn, seen, log: log.clone() };
        match script(visit).await {
            Some(visit) => wire = visit.wire,
            None => return,
        }
        turn += 1;
    }
}

/// Counts one request until its script ends, however it ends.
struct Busy(Arc<Log>);

impl Busy {
    fn start(log: &Arc<Log>) -> Busy {
        log.busy.fetch_add(1, Ordering::SeqCst);
        Busy(log.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::SeqCst);
    }
}
