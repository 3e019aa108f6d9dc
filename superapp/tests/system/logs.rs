//! Logs are for whoever reads them; nobody has to.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedMutexGuard;
use tokio::time::timeout;

use crate::support::{DeadAddress, LIMIT, Process, Ready, Reply, eventually};

/// What is asked on one connection, one after the other.
const BATCH: usize = 100;
const BATCHES: usize = 40;
/// Each answer has it once.
const MARK: &[u8] = b"\"status\":503";
/// So many lines may wait to be read; the rest is lost.
const LINES_KEPT_MAX: f64 = 2048.0;

/// A door before nobody; analytics takes requests and never answers.
struct Door {
    process: Process,
    ready: Ready,
    _nobody: DeadAddress,
    _silent: TcpListener,
    _folder: tempfile::TempDir,
}

impl Door {
    async fn open() -> Self {
        Self::open_with("gateway.connections_max=10000").await
    }

    async fn open_with(own: &str) -> Self {
        let (nobody, folder) = (DeadAddress::new(), tempfile::tempdir().unwrap());
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let places = [("users", nobody.address), ("chat", nobody.address), ("analytics", silent.local_addr().unwrap())];
        let clusters = places.map(|(name, address)| format!("gateway.clusters.{name}.endpoints=[\"{address}\"]"));
        let own = ["gateway.listen=127.0.0.1:0", "gateway.admin_listen=127.0.0.1:0", own].map(str::to_owned);
        let data_dir = format!("data_dir={}", folder.path().display());
        let set = clusters.into_iter().chain(own).chain([data_dir]).flat_map(|assignment| ["--set".to_owned(), assignment]);
        let mut process = Process::spawn(&std::iter::once("gateway".to_owned()).chain(set).collect::<Vec<_>>(), &[]);
        let ready = process.ready().await;
        Self { process, ready, _nobody: nobody, _silent: silent, _folder: folder }
    }

    /// Has thousands of requests answered with 503, each of them worth a line; nobody reads what the door says.
    async fn fail_many(&self) -> OwnedMutexGuard<()> {
        let ignored = self.process.ignore().await;
        let mut stream = TcpStream::connect(self.ready["gateway"][0]).await.unwrap();
        let batch = "GET /users HTTP/1.1\r\nhost: x\r\n\r\n".repeat(BATCH);
        for number in 0..BATCHES {
            stream.write_all(batch.as_bytes()).await.unwrap();
            let (mut answered, mut rest, mut piece) = (0, Vec::new(), [0; 16 * 1024]);
            while answered < BATCH {
                let read = timeout(LIMIT, stream.read(&mut piece)).await;
                let count = read.unwrap_or_else(|_| panic!("batch {number}: no more answers")).unwrap();
                assert!(count > 0, "batch {number}: the door has closed");
                rest.extend_from_slice(&piece[..count]);
                answered += rest.windows(MARK.len()).filter(|window| *window == MARK).count();
                // The start of one may have come, and nothing is counted twice.
                rest.drain(..rest.len().saturating_sub(MARK.len() - 1));
            }
        }
        ignored
    }

    /// A page of the door for all, or of the one for operators.
    async fn page(&self, role: &str, path: &str) -> Reply {
        let client = reqwest::Client::builder().no_proxy().timeout(LIMIT).build().unwrap();
        Reply::of(client.get(format!("http://{}{path}", self.ready[role][0]))).await
    }

    async fn metric(&self, name: &str) -> f64 {
        let page = self.page("admin", "/metrics").await;
        let value = page.text().lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.unwrap_or_default()
    }
}

#[tokio::test]
async fn the_door_answers_and_stops_although_nobody_reads_its_logs() {
    let mut door = Door::open().await;
    let ignored = door.fail_many().await;
    assert_eq!(door.page("gateway", "/livez").await.status, 200);
    let requests = (BATCH * BATCHES) as f64;
    // The pipe holds a few hundred lines more.
    let lost = door.metric("log_lines_lost_total").await;
    assert!((1.0..requests - LINES_KEPT_MAX).contains(&lost), "{lost}");
    door.process.terminate();
    assert_eq!(door.process.ended().await, Some(0));
    drop(ignored);
}

#[tokio::test]
async fn a_second_signal_ends_at_once_what_nobody_listens_to() {
    let mut door = Door::open().await;
    let ignored = door.fail_many().await;
    let address = door.ready["gateway"][0];
    let mut waiting = TcpStream::connect(address).await.unwrap();
    waiting.write_all(b"GET /analytics HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let in_flight = "gateway_cluster_in_flight{cluster=\"analytics\"}";
    eventually("it is in flight", async || door.metric(in_flight).await == 1.0).await;
    door.process.terminate();
    eventually("the door is closed", async || TcpStream::connect(address).await.is_err()).await;
    door.process.terminate();
    assert_eq!(door.process.ended().await, Some(1));
    drop(ignored);
}

#[tokio::test]
async fn the_last_lines_are_written_before_the_end() {
    let mut door = Door::open().await;
    assert_eq!(door.page("gateway", "/livez").await.status, 200);
    door.process.terminate();
    assert_eq!(door.process.ended().await, Some(0));
    let (out, err) = door.process.said();
    let last: Value = serde_json::from_str(err.lines().last().unwrap()).unwrap();
    assert_eq!(last["message"], "stopped");
    let request: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    assert_eq!(request["path"], "/livez");
}

#[tokio::test]
async fn what_is_turned_away_is_a_line_a_second_with_its_count() {
    const REFUSED: usize = 200;
    let door = Door::open_with("gateway.connections_max=1").await;
    let address = door.ready["gateway"][0];
    let mut inside = TcpStream::connect(address).await.unwrap();
    inside.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(timeout(LIMIT, inside.read(&mut [0; 1024])).await.unwrap().unwrap() > 0);
    for _ in 0..REFUSED {
        let mut answer = Vec::new();
        let mut outside = TcpStream::connect(address).await.unwrap();
        timeout(LIMIT, outside.read_to_end(&mut answer)).await.unwrap().unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 503 "), "{}", answer.escape_ascii());
    }
    let warnings = || door.process.log().iter().filter_map(|line| serde_json::from_str(line).ok()).collect::<Vec<Value>>();
    let counts = || warnings().iter().filter_map(|event| event["count"].as_u64()).collect::<Vec<_>>();
    eventually("all are told of", async || counts().iter().sum::<u64>() == REFUSED as u64).await;
    assert!(counts().len() < REFUSED / 4, "{:?}", counts());
    assert!(warnings().iter().all(|event| event["code"] != "too_many_connections"));
}
