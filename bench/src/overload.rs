//! Three times what a backend can do is asked of it through the gateway, from one moment to the next: how much of what it can do does
//! it still do, and how long do those wait whom it serves?

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::subject::Subject;

/// So many workers, and what each needs for a request.
const BACKENDS: [(usize, Duration); 3] = [(8, Duration::from_millis(10)), (8, Duration::from_millis(40)), (32, Duration::from_millis(100))];
const REQUEST: &[u8] = b"GET /users/1 HTTP/1.1\r\nhost: bench\r\n\r\n";

/// What was answered, and how long it took.
#[derive(Default)]
struct Answers {
    served: Vec<Duration>,
    shed: Vec<Duration>,
}

/// Overloads each of the backends for so long, and tells what came of it.
pub(crate) async fn run(binary: &Path, time: Duration) -> anyhow::Result<()> {
    println!("backend          peak  unloaded p99  at 3 times: goodput    p99           told to come again, p99");
    for (workers, service) in BACKENDS {
        let folder = tempfile::tempdir()?;
        let address = serve(workers, service).await?;
        let subject = Subject::start_with(binary, folder.path(), &[format!("gateway.clusters.users.endpoints=[\"{address}\"]")]).await?;
        let calm = closed_loop(&subject.gateway, workers / 2, time / 2).await?;
        let most = closed_loop(&subject.gateway, workers * 3 / 2, time / 2).await?;
        let peak = most.served.len() as f64 / (time / 2).as_secs_f64();
        let began = Instant::now();
        let overload = open_loop(&subject.gateway, 3.0 * peak, time).await?;
        let goodput = overload.served.len() as f64 / began.elapsed().as_secs_f64();
        let (unloaded, p99) = (percentile(calm.served, 99)?, percentile(overload.served, 99)?);
        let (shed, shed_p99) = (overload.shed.len(), percentile(overload.shed, 99)?);
        println!(
            "{workers:>2} × {:>3} ms {peak:>8.0}/s {:>10.1} ms {:>18.1} % {:>6.1} ms, {:.2} times {shed:>8}, {:.1} ms",
            service.as_millis(),
            millis(unloaded),
            100.0 * goodput / peak,
            millis(p99),
            millis(p99) / millis(unloaded),
            millis(shed_p99),
        );
        subject.stop().await?;
    }
    Ok(())
}

/// A backend with a queue that has no end.
async fn serve(workers: usize, service: Duration) -> anyhow::Result<std::net::SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let workers = Arc::new(Semaphore::new(workers));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, workers.clone(), service));
        }
    });
    Ok(address)
}

async fn converse(mut stream: TcpStream, workers: Arc<Semaphore>, service: Duration) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut head = Vec::new();
    loop {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        if !head.starts_with(b"GET /readyz ") {
            let _worker = workers.acquire().await?;
            tokio::time::sleep(service).await;
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 18\r\n\r\n{\"status\":\"pass\"}\n").await?;
        head.clear();
    }
}

/// Clients that each ask again as soon as they have their answer.
async fn closed_loop(gateway: &str, clients: usize, time: Duration) -> anyhow::Result<Answers> {
    let started = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..clients {
        let mut stream = connect(gateway).await?;
        running.spawn(async move {
            let mut answers = Answers::default();
            while started.elapsed() < time {
                answers.ask(&mut stream).await?;
            }
            anyhow::Ok(answers)
        });
    }
    let mut all = Answers::default();
    while let Some(answers) = running.join_next().await {
        all.add(answers??);
    }
    Ok(all)
}

/// Requests that come at this rate, whatever becomes of those before them.
async fn open_loop(gateway: &str, per_second: f64, time: Duration) -> anyhow::Result<Answers> {
    let mut pace = tokio::time::interval(Duration::from_secs_f64(1.0 / per_second));
    let started = Instant::now();
    let (mut all, mut idle, mut running) = (Answers::default(), Vec::new(), JoinSet::new());
    while started.elapsed() < time {
        pace.tick().await;
        while let Some(done) = running.try_join_next() {
            let (stream, answers): (TcpStream, Answers) = done??;
            idle.push(stream);
            all.add(answers);
        }
        let mut stream = match idle.pop() {
            Some(stream) => stream,
            None => connect(gateway).await?,
        };
        running.spawn(async move {
            let mut answers = Answers::default();
            answers.ask(&mut stream).await?;
            anyhow::Ok((stream, answers))
        });
    }
    while let Some(done) = running.join_next().await {
        all.add(done??.1);
    }
    Ok(all)
}

async fn connect(gateway: &str) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(gateway).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl Answers {
    async fn ask(&mut self, stream: &mut TcpStream) -> anyhow::Result<()> {
        let asked = Instant::now();
        stream.write_all(REQUEST).await?;
        let mut answer = Vec::with_capacity(1024);
        // Every answer here, ours and the door's, is one line of JSON.
        while !answer.ends_with(b"}\n") {
            anyhow::ensure!(stream.read_buf(&mut answer).await? > 0, "an answer was cut off");
        }
        match answer.get(9..12) {
            Some(b"200") => self.served.push(asked.elapsed()),
            Some(b"503") => self.shed.push(asked.elapsed()),
            _ => anyhow::bail!("not the answer: {}", String::from_utf8_lossy(&answer)),
        }
        Ok(())
    }

    fn add(&mut self, mut other: Self) {
        self.served.append(&mut other.served);
        self.shed.append(&mut other.shed);
    }
}

fn percentile(mut times: Vec<Duration>, percent: usize) -> anyhow::Result<Duration> {
    times.sort_unstable();
    times.get(times.len() * percent / 100).copied().context("nothing was measured")
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
