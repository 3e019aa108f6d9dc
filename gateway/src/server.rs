//! Opens the door on listeners the binary has bound, and closes it politely. pingora's own `Server` is not used: it takes over
//! signals, brings its own runtimes and ends after fixed sleeps.
//!
//! Each worker is a thread with a runtime of its own and an accept loop on all listeners: a connection is accepted, read and
//! answered on one thread, and nothing of it ever crosses to another.

use std::future::Future;
use std::net::TcpListener;
use std::os::fd::IntoRawFd;
use std::sync::Arc;
use std::time::Duration;

use pingora_core::apps::HttpServerOptions;
use pingora_core::listeners::ListenerConfig;
use pingora_core::protocols::l4::stream::L4BufferSettings;
use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{Fds, ListenFds};
use pingora_core::services::Service as _;
use pingora_core::services::listening::Service;
use pingora_proxy::http_proxy;
use tokio::sync::{oneshot, watch};
use tokio_util::task::AbortOnDropHandle;

use crate::lane::{self, Lane};
use crate::proxy::{Proxy, Streams, h2_options};
use crate::{Error, Gateway, document, health, observe, resolve};

/// Idle connections to replicas that are kept for requests over HTTP/2, per worker.
const HTTP2_UPSTREAM_POOL: usize = 128;
/// How often pingora-proxy tries at most; how often it may is for the judgement to say.
const ENGINE_TRIES_MAX: usize = 256;

/// Serves the door on listeners that are already bound, until `shutdown` completes; then stops accepting and returns when
/// nothing is in flight. There is no time limit of its own: the caller limits it.
///
/// Health probes, name look-ups and the backends' documents run in the background as long as this runs. Call it inside a multi-threaded runtime.
pub async fn serve(
    gateway: Gateway,
    listeners: Vec<TcpListener>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    let _resolving = AbortOnDropHandle::new(tokio::spawn(resolve::run(gateway.clone())));
    let _telling = AbortOnDropHandle::new(tokio::spawn(observe::tell_turned_away(gateway.clone())));
    let _probing = AbortOnDropHandle::new(tokio::spawn(health::run(gateway.clone())));
    let _documenting = AbortOnDropHandle::new(tokio::spawn(document::run(gateway.clone())));

    // Dropped with this future, it also ends the workers.
    let (stop_accepting, stop_watch) = watch::channel(false);
    let mut workers = start_workers(&gateway, listeners, &stop_watch)?;
    tokio::select! {
        () = shutdown => {}
        why = first_ended(&mut workers) => return Err(Error::Stopped(why)),
    }

    gateway.start_draining();
    tokio::time::sleep(gateway.config().drain_wait()).await;
    gateway.close();
    // Nobody listens only when all workers have just ended by themselves.
    let _ = stop_accepting.send(true);
    for worker in workers {
        // A worker that panicked has said so in the log.
        let _ = worker.await;
    }
    if let Some(log) = gateway.access_log().cloned() {
        let _ = tokio::task::spawn_blocking(move || log.flush()).await;
    }
    Ok(())
}

fn start_workers(
    gateway: &Gateway,
    listeners: Vec<TcpListener>,
    stop: &watch::Receiver<bool>,
) -> Result<Vec<oneshot::Receiver<()>>, Error> {
    let count = match gateway.config().workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        count => count,
    };
    let mut workers = Vec::with_capacity(count);
    for number in 0..count {
        let listeners = listeners.iter().map(TcpListener::try_clone).collect::<Result<Vec<_>, _>>()?;
        let (gateway, stop) = (gateway.clone(), stop.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (ended, is_ended) = oneshot::channel();
        std::thread::Builder::new().name(format!("gateway-{number}")).spawn(move || {
            if let Err(error) = runtime.block_on(work(gateway, listeners, stop)) {
                tracing::error!(%error, "a worker of the gateway could not start");
            }
            // What is left are connections nobody waits for.
            runtime.shutdown_timeout(Duration::ZERO);
            let _ = ended.send(());
        })?;
        workers.push(is_ended);
    }
    Ok(workers)
}

async fn first_ended(workers: &mut [oneshot::Receiver<()>]) -> String {
    let ends = workers.iter_mut().map(Box::pin);
    let (ended, _, _) = futures_util::future::select_all(ends).await;
    ended.err().map_or("a worker ended too early".to_owned(), |error| format!("a worker was lost: {error}"))
}

/// A worker's life: accept until told to stop, then wait until nothing is in flight.
async fn work(gateway: Gateway, listeners: Vec<TcpListener>, stop: watch::Receiver<bool>) -> Result<(), Error> {
    let _looking_after = AbortOnDropHandle::new(tokio::spawn(lane::look_after_worker(gateway.clone())));
    let (mut service, fds) = service(&gateway, listeners)?;
    let mut is_stopped = stop.clone();
    let accepting = AbortOnDropHandle::new(tokio::spawn(async move { service.start_service(Some(fds), stop, 1).await }));
    // An error says that whoever would tell us to stop is gone.
    let is_polite = is_stopped.wait_for(|stop| *stop).await.is_ok();
    if is_polite {
        accepting.await.map_err(|error| Error::Stopped(error.to_string()))?;
        lane::worker::wake_all();
        gateway.idle().await;
    }
    if let Some(log) = gateway.access_log() {
        log.hand_over();
    }
    Ok(())
}

/// Hands the listeners to pingora the only way it takes bound ones: as inherited descriptors, found by address.
fn service(gateway: &Gateway, listeners: Vec<TcpListener>) -> Result<(Service<Lane>, ListenFds), Error> {
    let config = gateway.config();
    let conf = ServerConf { max_retries: ENGINE_TRIES_MAX, upstream_keepalive_pool_size: HTTP2_UPSTREAM_POOL, ..ServerConf::default() };
    let mut http2 = http_proxy(&Arc::new(conf), Proxy::new(gateway.clone()));
    let mut options = HttpServerOptions::default();
    options.h2c = true;
    options.h2_idle_timeout = Some(config.keepalive());
    http2.server_options = Some(options);
    http2.h2_options = Some(h2_options(config.header_bytes_max));
    let streams = Streams::new(gateway.clone(), http2);
    let mut service = Service::new("gateway".to_owned(), Lane::new(gateway.clone(), Arc::new(streams)));
    let mut fds = Fds::new();
    for listener in listeners {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?.to_string();
        // The lane has buffers of its own.
        service.add_listener(ListenerConfig::tcp(&address).l4_buffer(L4BufferSettings::unbuffered()));
        // pingora owns and closes the descriptor from here.
        fds.add(address, listener.into_raw_fd());
    }
    Ok((service, Arc::new(fds.into())))
}
