//! The accept loop: connections in, each with limits on time, until told to stop.
//!
//! warp's own loop sets no deadline, no limit and no TCP_NODELAY, and forgets WebSockets on shutdown; so warp is asked for
//! filters only.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use http::header::CONNECTION;
use http::{HeaderValue, StatusCode};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;
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
    /// How long a connection on which nothing is under way stays open when the port stops. Whoever keeps it may just be sending a
    /// request, and would not know whether it was read; this one is answered, with `Connection: close`. No setting: longer than the
    /// gateway takes to see that nobody listens any more, and zero where both stop together.
    #[serde(skip, default = "stop_grace")]
    pub stop_grace: Duration,
}

fn stop_grace() -> Duration {
    Duration::from_millis(750)
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
        stop_grace: config.stop_grace,
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
    stop_grace: Duration,
    routes: BoxedFilter<(Response,)>,
    connections: TaskTracker,
    stopping: CancellationToken,
}

impl Door {
    /// Accepts until told to stop; then the listener is closed, once nobody is left who has been let in by the kernel.
    async fn accept_all(&self, listener: TcpListener) {
        loop {
            tokio::select! {
                () = self.stopping.cancelled() => break,
                accepted = accept(&listener, &self.permits) => self.converse(accepted),
            }
        }
        while let Some(accepted) = accept(&listener, &self.permits).now_or_never() {
            self.converse(accepted);
        }
    }

    fn converse(&self, accepted: Option<(TcpStream, OwnedSemaphorePermit)>) {
        let Some((stream, permit)) = accepted else { return };
        let connection = self.connection(stream);
        self.connections.spawn(async move {
            connection.await;
            drop(permit);
        });
    }

    fn connection(&self, stream: TcpStream) -> impl Future<Output = ()> + use<> {
        let (role, routes, stopping, grace) = (self.role, self.routes.clone(), self.stopping.clone(), self.stop_grace);
        // The token has a lock that all connections share: too much for each request.
        let is_stopping = Arc::new(AtomicBool::new(false));
        let seen_by_requests = is_stopping.clone();
        let service = service_fn(move |request| {
            let (answer, is_stopping) = (service::answer(role, routes.clone(), request), seen_by_requests.clone());
            async move {
                let mut response = answer.await?;
                if is_stopping.load(Ordering::Relaxed) && response.status() != StatusCode::SWITCHING_PROTOCOLS {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(response)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.header_timeout)
            .max_buf_size(64 * 1024)
            .serve_connection(TokioIo::new(Linger::new(stream)), service)
            .with_upgrades();
        async move {
            let mut connection = std::pin::pin!(connection);
            let graceful = async {
                stopping.cancelled().await;
                is_stopping.store(true, Ordering::Relaxed);
                sleep(grace).await;
            };
            let ended = tokio::select! {
                // Before the request that came meanwhile.
                biased;
                () = graceful => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
                ended = &mut connection => ended,
            };
            if let Err(error) = ended {
                tracing::debug!(%error, role, "connection ended");
            }
        }
    }
}

async fn accept(listener: &TcpListener, permits: &Arc<Semaphore>) -> Option<(TcpStream, OwnedSemaphorePermit)> {
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;
    use warp::Filter;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    async fn ask(stream: &mut TcpStream) -> String {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("sent");
        let mut answer = Vec::new();
        while !answer.ends_with(b"here") {
            assert_ne!(timeout(LIMIT, stream.read_buf(&mut answer)).await.expect("in time").expect("bytes"), 0, "cut off");
        }
        String::from_utf8(answer).expect("text")
    }

    #[tokio::test]
    async fn who_kept_a_connection_is_answered_once_more_when_the_port_stops() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let routes = super::super::routes::route("GET /", warp::get().map(|| "here"));
        let config = Config { header_timeout_s: 60, connections_max: 10, stop_grace: LIMIT };
        let stop = CancellationToken::new();
        let serving = tokio::spawn(serve("test", config, vec![listener], routes, stop.clone().cancelled_owned()));
        let mut kept = TcpStream::connect(address).await.expect("a connection");
        assert!(!ask(&mut kept).await.contains("connection: close"));
        // One that is not accepted yet is one, too.
        let mut new = TcpStream::connect(address).await.expect("a connection");
        stop.cancel();
        timeout(LIMIT, async { while TcpStream::connect(address).await.is_ok() {} }).await.expect("nobody listens any more");
        for stream in [&mut kept, &mut new] {
            let answer = ask(stream).await;
            assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{answer}");
        }
        drop((kept, new));
        timeout(LIMIT, serving).await.expect("it ends at once when nobody is left").expect("no panic");
    }
}
