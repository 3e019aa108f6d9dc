//! WebSockets: the echo behind the proxies, and the clients before them.
//!
//! No proxy looks into a frame, so after the handshake both ends write the same bytes again and again and spare themselves the
//! work on them: one core has to be enough for both, and still have the proxy be the one that is busy.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::load::Load;

const PAYLOAD: usize = 128;
/// A binary frame with a 16-bit length; the client's is masked, with zeros, so that the payload stays as it is.
const QUESTION: [u8; PAYLOAD + 8] = frame([0x82, 0x80 | 126, 0, 128, 0, 0, 0, 0]);
const ANSWER: [u8; PAYLOAD + 4] = frame([0x82, 126, 0, 128]);
/// No head of the proxies is near it.
const HEAD_BYTES_MAX: usize = 4096;

const fn frame<const HEAD: usize, const WHOLE: usize>(head: [u8; HEAD]) -> [u8; WHOLE] {
    let mut frame = [b'x'; WHOLE];
    let mut at = 0;
    while at < HEAD {
        frame[at] = head[at];
        at += 1;
    }
    frame
}

/// Opens `count` sockets through a proxy; each has had an answer, so what it needs it has.
pub(crate) async fn open(proxy: SocketAddr, count: usize) -> anyhow::Result<Vec<TcpStream>> {
    let mut sockets = Vec::with_capacity(count);
    for _ in 0..count {
        let stream = TcpStream::connect(proxy).await?;
        stream.set_nodelay(true)?;
        let (socket, _) = tokio_tungstenite::client_async(format!("ws://{proxy}/ws"), stream).await.context("open a WebSocket")?;
        let mut stream = socket.into_inner();
        ask(&mut stream).await?;
        sockets.push(stream);
    }
    Ok(sockets)
}

/// Asks on every socket, again as soon as it is answered.
pub(crate) async fn echo(sockets: Vec<TcpStream>, time: Duration) -> anyhow::Result<Load> {
    let started = Instant::now();
    let mut clients = JoinSet::new();
    for mut socket in sockets {
        clients.spawn(async move {
            let mut micros = Vec::new();
            while started.elapsed() < time {
                let asked = Instant::now();
                ask(&mut socket).await?;
                micros.push(asked.elapsed().as_micros() as u32);
            }
            anyhow::Ok(micros)
        });
    }
    Load::of_all(started, clients).await
}

async fn ask(socket: &mut TcpStream) -> anyhow::Result<()> {
    socket.write_all(&QUESTION).await?;
    let mut answer = [0; ANSWER.len()];
    socket.read_exact(&mut answer).await?;
    anyhow::ensure!(answer == ANSWER, "another answer than the echo");
    Ok(())
}

/// Starts the echo, and says where. It also is well when the gateway asks.
pub(crate) async fn serve_echo() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A proxy that breaks one off shows at the client.
            tokio::spawn(serve(stream));
        }
    });
    Ok(address)
}

async fn serve(mut stream: TcpStream) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let head = read_head(&mut stream).await?;
    let key = head.lines().filter_map(|line| line.split_once(':')).find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"));
    let Some((_, key)) = key else {
        let well =
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 17\r\nconnection: close\r\n\r\n{\"status\":\"pass\"}";
        return Ok(stream.write_all(well.as_bytes()).await?);
    };
    let accept = derive_accept_key(key.trim().as_bytes());
    let switch =
        format!("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: {accept}\r\n\r\n");
    stream.write_all(switch.as_bytes()).await?;
    let mut question = [0; QUESTION.len()];
    loop {
        stream.read_exact(&mut question).await?;
        stream.write_all(&ANSWER).await?;
    }
}

async fn read_head(stream: &mut TcpStream) -> anyhow::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let read = stream.read_buf(&mut head).await?;
        anyhow::ensure!(read > 0 && head.len() <= HEAD_BYTES_MAX, "no head");
    }
    Ok(String::from_utf8(head)?)
}
