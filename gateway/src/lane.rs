//! Our HTTP/1.1 engine on pingora-core: reads heads under a deadline, forwards, answers, and tunnels WebSockets.
//!
//! `connection` is a client's connection from its first byte to its last; `carry` brings one request to a replica and the
//! answer back; `tunnel` is what becomes of a WebSocket. `head`, `reply` and `body` read HTTP, strictly; `forward` writes it;
//! `flow` moves a body. `buffer`, `alarm` and `worker` are why it is cheap. What is to become of a request is not decided here
//! but in `exchange`. HTTP/2 goes to pingora-proxy.

mod alarm;
mod answer;
mod body;
mod buffer;
mod carry;
mod connection;
mod flow;
mod forward;
pub mod fuzzing;
mod head;
mod replica;
mod reply;
mod tunnel;
pub(crate) mod worker;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::apps::ServerApp;
use pingora_core::protocols::Stream;
use pingora_core::server::ShutdownWatch;

pub(crate) use self::alarm::Alarm;
pub(crate) use self::head::{FIELDS_MAX, read_length};
use crate::Gateway;
use crate::proxy::{Arriving, Streams};

/// The largest head there may be a setting for: it must leave room in a buffer.
pub(crate) const HEAD_BYTES_MAX: usize = 48 * 1024;
/// How often kept connections are looked through.
const SWEEP: Duration = Duration::from_secs(5);

/// The engine, as pingora's accept loop runs it.
pub(crate) struct Lane {
    gateway: Gateway,
    /// For clients that speak HTTP/2.
    http2: Arc<Streams>,
}

impl Lane {
    pub(crate) fn new(gateway: Gateway, http2: Arc<Streams>) -> Lane {
        Lane { gateway, http2 }
    }
}

#[async_trait]
impl ServerApp for Lane {
    async fn process_new(self: &Arc<Self>, stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        let handed_over = connection::serve(&self.gateway, stream).await?;
        let arriving = Arriving::new(handed_over.stream, self.gateway.clone(), handed_over.address);
        self.http2.process_new(Box::new(arriving), shutdown).await;
        drop(handed_over.admitted);
        None
    }
}

/// Looks after what belongs to this thread, until it is dropped.
pub(crate) async fn look_after_worker(gateway: Gateway) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let every = SWEEP.as_secs();
    for second in 0_u64.. {
        ticks.tick().await;
        if let Some(log) = gateway.access_log() {
            log.hand_over();
        }
        if second % every == 0 {
            worker::sweep();
        }
    }
}
