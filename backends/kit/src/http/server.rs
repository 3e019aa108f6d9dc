//! The accept loop: connections in, each with limits on time, until told to stop.
//!
//! warp's own loop sets no deadline, no limit and no TCP_NODELAY, and forgets WebSockets on shutdown; so warp is asked for
//! filters only.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use warp::filters::BoxedFilter;

use super::linger::Linger;
use super::reply::Response;
use super::service;

/// Limits of a backend's own HTTP port.
#[derive(Debug, Clone, Deserialize)]
pub struct Config {
    /// Seconds a client may take to send the head of a request, and to leave a connection idle between two.
    pub header_timeout_s: u64,
    /// Connections open at the same time; more wait in the kernel's queue.
    pub connections_max: usize,
}

/// Answers requests on `listeners` with `routes` until `shutdown`, then lets those under way finish.
///
/// Upgraded connections (WebSockets) belong to whoever upgraded them and are not waited for. `role` is a label of the metrics.
pub async fn serve(
    role: &'static str,
    config: Config,
    listeners: Vec<TcpListener>,
    routes: BoxedFilter<(Response,)>,
    shutdown: impl Future<Output = ()> + Send,
) {
    let door = Door {
        role,
        permits: Arc::new(Semaphore::new(config.connections_max)),
        header_timeout: Duration::from_secs(config.header_timeout_s),
        routes,
        connections: TaskTracker::new(),
        stopping: CancellationToken::new(),
    };
    let stop = async {
        shutdown.await;
        door.stopping.cancel();
    };
    tokio::join!(stop, join_all(listeners.into_iter().map(|listener| door.accept_all(listener))));
    door.connections.close();
    door.connections.wait().await;
}

/// What all connections of a port share.
struct Door {
    role: &'static str,
    permits: Arc<Semaphore>,
    header_timeout: Duration,
    routes: BoxedFilter<(Response,)>,
    connections: TaskTracker,
    stopping: CancellationToken,
}

impl Door {
    /// Accepts until told to stop; then the listener is closed.
    async fn accept_all(&self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                () = self.stopping.cancelled() => return,
                accepted = accept(&listener, &self.permits) => accepted,
            };
            let Some((stream, permit)) = accepted else { continue };
            let connection = connection(self.role, self.header_timeout, stream, self.routes.clone(), self.stopping.clone());
            self.connections.spawn(async move {
                connection.await;
                drop(permit);
            });
        }
    }
}

async fn accept(listener: &TcpListener, permits: &Arc<Semaphore>) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = permits.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            // A connection that breaks right here will say so at its first read.
            let _ = stream.set_nodelay(true);
            Some((stream, permit))
        }
        Err(error) => {
            tracing::warn!(%error, "accept failed");
            // Out of file descriptors, most likely: give others the time to close some instead of spinning.
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

async fn connection(
    role: &'static str,
    header_timeout: Duration,
    stream: TcpStream,
    routes: BoxedFilter<(Response,)>,
    stopping: CancellationToken,
) {
    let service = service_fn(move |request| service::answer(role, routes.clone(), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(Linger::new(stream)), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, role, "connection ended");
    }
}
