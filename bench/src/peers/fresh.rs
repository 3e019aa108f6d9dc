//! A new connection for each request, closed by the proxy as it was asked to.
//!
//! wrk cannot say how its connections end. Ours end with a reset once the answer is there, so that neither closed connections
//! nor the machine's connection tracking pile up; the proxy has let go of the connection before and does not notice.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use super::load::Load;

const REQUEST: &[u8] = b"GET /users/200b HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n";
/// Answers have heads of some hundred bytes before their 200.
const ANSWER_BYTES_MAX: usize = 4096;

/// Lets `clients` each ask on one new connection after the other.
pub(crate) async fn requests(proxy: SocketAddr, clients: usize, time: Duration) -> anyhow::Result<Load> {
    let started = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..clients {
        running.spawn(async move {
            let mut micros = Vec::new();
            while started.elapsed() < time {
                let asked = Instant::now();
                ask(proxy).await?;
                micros.push(asked.elapsed().as_micros() as u32);
            }
            anyhow::Ok(micros)
        });
    }
    Load::of_all(started, running).await
}

async fn ask(proxy: SocketAddr) -> anyhow::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.set_zero_linger()?;
    let mut stream: TcpStream = socket.connect(proxy).await?;
    stream.write_all(REQUEST).await?;
    let mut answer = [0; ANSWER_BYTES_MAX];
    let mut length = 0;
    loop {
        match stream.read(answer.get_mut(length..).unwrap_or_default()).await? {
            0 => break,
            read => length += read,
        }
    }
    let answer = answer.get(..length).unwrap_or_default();
    let is_whole = answer.starts_with(b"HTTP/1.1 200") && answer.ends_with(&[b'x'; 200]);
    anyhow::ensure!(is_whole, "not the answer: {}", String::from_utf8_lossy(answer));
    Ok(())
}
