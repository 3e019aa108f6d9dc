//! Connections to replicas: a kept one where there is one, else a new one.

use std::time::Instant;

use rustix::net::RecvFlags;
use tokio::net::TcpStream;

use super::worker;
use crate::endpoint::Endpoint;
use crate::exchange::Exchange;
use crate::failure::Failure;

/// A connection to a replica.
pub(super) struct Replica {
    pub(super) stream: TcpStream,
    /// It had been used before.
    pub(super) is_kept: bool,
}

/// Gets a connection to `endpoint`.
pub(super) async fn reach(endpoint: &Endpoint, exchange: &mut Exchange) -> Result<Replica, Failure> {
    let is_harmless = exchange.method.is_idempotent();
    while let Some(stream) = worker::take_kept(endpoint.id) {
        // What may not be repeated is worth a look at the socket itself: the end may have come just now.
        if is_harmless || is_open(&stream) {
            return Ok(Replica { stream, is_kept: true });
        }
    }
    connect(endpoint, exchange).await
}

async fn connect(endpoint: &Endpoint, exchange: &mut Exchange) -> Result<Replica, Failure> {
    let began = Instant::now();
    let limit = exchange.gateway.config().connect_timeout();
    let connected = tokio::time::timeout(limit, TcpStream::connect(endpoint.address)).await;
    exchange.times.connect += began.elapsed();
    let stream = match connected {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(Failure::of_connecting(&error)),
        // A machine that is gone answers nothing at all.
        Err(_) => return Err(Failure::ConnectTimeout),
    };
    // A failure only costs time.
    let _ = stream.set_nodelay(true);
    Ok(Replica { stream, is_kept: false })
}

/// Nothing has come, not even the end.
fn is_open(stream: &TcpStream) -> bool {
    let mut byte = [0_u8];
    matches!(rustix::net::recv(stream, &mut byte[..], RecvFlags::PEEK | RecvFlags::DONTWAIT), Err(rustix::io::Errno::AGAIN))
}
