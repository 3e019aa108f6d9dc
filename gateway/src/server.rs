//! Opens the door on listeners the binary has bound, and closes it politely. pingora's own `Server` is not used: it takes
//! over signals, brings its own runtimes and ends after fixed sleeps.

use std::future::Future;
use std::net::TcpListener;
use std::os::fd::IntoRawFd;
use std::sync::Arc;

use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{Fds, ListenFds};
use pingora_core::services::Service as _;
use pingora_core::services::listening::Service;
use pingora_proxy::http_proxy;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::proxy::Proxy;
use crate::{Error, Gateway, health, resolve};

/// How many replicas one request may be offered to.
const TRIES_MAX: usize = 3;
/// Idle connections to replicas that are kept, per worker thread.
const UPSTREAM_POOL: usize = 256;

/// Serves the door on listeners that are already bound, until `shutdown` completes; then stops accepting and returns when
/// nothing is in flight. There is no time limit of its own: the caller limits it.
///
/// Health probes and name look-ups run in the background as long as this runs. Call it inside a multi-threaded runtime.
pub async fn serve(
    gateway: Gateway,
    listeners: Vec<TcpListener>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    let _resolving = AbortOnDropHandle::new(tokio::spawn(resolve::run(gateway.clone())));
    let _probing = AbortOnDropHandle::new(tokio::spawn(health::run(gateway.clone())));

    let (stop_accepting, stop_watch) = watch::channel(false);
    let (mut service, fds) = service(&gateway, listeners)?;
    let mut accepting = AbortOnDropHandle::new(tokio::spawn(async move { service.start_service(Some(fds), stop_watch, 1).await }));
    tokio::select! {
        () = shutdown => {}
        ended = &mut accepting => return Err(Error::Stopped(ended.err().map_or("too early".into(), |error| error.to_string()))),
    }

    gateway.start_draining();
    // Nobody listens only when the accept loop has just ended by itself, which is what we want.
    let _ = stop_accepting.send(true);
    accepting.await.map_err(|error| Error::Stopped(error.to_string()))?;
    gateway.idle().await;
    Ok(())
}

/// Hands the listeners to pingora the only way it takes bound ones: as inherited descriptors, found by address.
fn service(gateway: &Gateway, listeners: Vec<TcpListener>) -> Result<(Service<pingora_proxy::HttpProxy<Proxy>>, ListenFds), Error> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let conf = ServerConf { threads, max_retries: TRIES_MAX, upstream_keepalive_pool_size: UPSTREAM_POOL, ..ServerConf::default() };
    let proxy = http_proxy(&Arc::new(conf), Proxy::new(gateway.clone()));
    let mut service = Service::new("gateway".to_owned(), proxy);
    let mut fds = Fds::new();
    for listener in listeners {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?.to_string();
        service.add_tcp(&address);
        // pingora owns and closes the descriptor from here.
        fds.add(address, listener.into_raw_fd());
    }
    Ok((service, Arc::new(fds.into())))
}
