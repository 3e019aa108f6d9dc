//! What is told of each exchange when it ends: numbers, and a line in the access log. Both engines end here.

use std::cell::RefCell;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use http::Method;
use metrics::{Counter, Histogram};
use tokio::time::MissedTickBehavior;

use crate::Gateway;
use crate::access_log;
use crate::exchange::Exchange;
use crate::failure::Failure;
use crate::route::Route;

/// The status of a request whose client left before there was an answer, as nginx counts it.
pub(crate) const CLIENT_LEFT: u16 = 499;

/// Why an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// The answer is complete.
    Done,
    /// The answer is one of ours, with this code.
    Refused(&'static str),
    /// The client went, or broke the connection off.
    ClientLeft,
    /// The client took its answer too slowly, or sent its request too slowly after the answer had begun.
    ClientSlow,
    /// The replica broke off in the middle of its answer.
    ReplicaBroke,
    /// The answer was not complete at its deadline.
    Deadline,
    /// A socket was silent for too long.
    Idle,
    /// The gateway was told to stop.
    Drained,
}

impl Why {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Why::Done => "done",
            Why::Refused(code) => code,
            Why::ClientLeft => "client_left",
            Why::ClientSlow => "client_slow",
            Why::ReplicaBroke => "replica_broke",
            Why::Deadline => "deadline",
            Why::Idle => "idle",
            Why::Drained => "drained",
        }
    }
}

thread_local! {
    /// Handles of the numbers, so that each request finds its own without building labels. There are a few dozen.
    static NUMBERS: RefCell<Vec<(Labels, Numbers)>> = const { RefCell::new(Vec::new()) };
}

/// All from closed sets, so that no caller can grow the number of series.
#[derive(Clone, Copy)]
struct Labels {
    route: &'static str,
    method: &'static str,
    status: u16,
}

impl Labels {
    /// The same words are at the same place.
    fn is(self, other: Labels) -> bool {
        self.status == other.status && std::ptr::eq(self.route, other.route) && std::ptr::eq(self.method, other.method)
    }
}

struct Numbers {
    requests: Counter,
    seconds: Histogram,
}

/// Counts an exchange and writes its line.
pub(crate) fn finished(exchange: &Exchange) {
    let ended = exchange.times.ended.unwrap_or_else(Instant::now);
    let took = ended.saturating_duration_since(exchange.times.started);
    let route = exchange.route.map_or("none", Route::label);
    let labels = Labels { route, method: method(&exchange.method), status: exchange.status };
    // Whoever ends while the thread's own things are being taken down is not counted.
    let _ = NUMBERS.try_with(|numbers| {
        let mut all = numbers.borrow_mut();
        let known = all.iter().position(|(known, _)| known.is(labels));
        let at = known.unwrap_or_else(|| {
            all.push((labels, Numbers::of(labels)));
            all.len() - 1
        });
        let Some((_, numbers)) = all.get(at) else { return };
        numbers.requests.increment(1);
        if !exchange.is_socket {
            numbers.seconds.record(took.as_secs_f64());
        }
    });
    if let Some(log) = exchange.gateway.access_log() {
        access_log::write(log, exchange, ended, took);
    }
    match exchange.why {
        // These come by the thousand, and one says what all say.
        Why::Refused("overloaded" | "too_many_connections") => drop(exchange.gateway.turned_away().fetch_add(1, Ordering::Relaxed)),
        Why::Refused(code) if exchange.status >= 500 => {
            tracing::warn!(code, route, request_id = %exchange.request_id, "could not serve a request");
        }
        _ => {}
    }
}

/// Says once a second how much was turned away, for as long as the door serves.
pub(crate) async fn tell_turned_away(gateway: Gateway) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let count = gateway.turned_away().swap(0, Ordering::Relaxed);
        if count > 0 {
            tracing::warn!(count, "turned away what is over a limit: requests of an overloaded backend, or connections");
        }
    }
}

impl Numbers {
    fn of(labels: Labels) -> Numbers {
        let Labels { route, method, status } = labels;
        Numbers {
            requests: metrics::counter!("gateway_requests_total", "route" => route, "method" => method, "status" => status.to_string()),
            seconds: metrics::histogram!("gateway_request_duration_seconds", "route" => route),
        }
    }
}

/// A try that failed.
pub(crate) fn count_upstream_error(cluster: &'static str, failure: Failure) {
    metrics::counter!("gateway_upstream_errors_total", "cluster" => cluster, "kind" => failure.label()).increment(1);
}

/// The method, where it is one people use.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
