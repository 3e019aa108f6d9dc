//! What the phases of one request tell each other.

use std::net::SocketAddr;
use std::time::Instant;

use crate::balance::Reservation;
use crate::gateway::InFlight;
use crate::route::{Route, Service};

/// What is known of one request while it is being answered.
pub(crate) struct Exchange {
    pub(super) started: Instant,
    pub(super) request_id: String,
    pub(super) route: Option<Route>,
    /// It asks to become a WebSocket on the socket route.
    pub(super) is_socket: bool,
    pub(super) body_bytes_max: usize,
    pub(super) body_bytes: usize,
    /// Replicas that could not be reached; they are not asked again.
    pub(super) tried: Vec<SocketAddr>,
    /// The place at the replica that has it now.
    pub(super) reservation: Option<Reservation>,
    /// Counted as long as the exchange lives; pingora drops it last, after the answer is written.
    pub(super) _in_flight: InFlight,
}

impl Exchange {
    pub(super) fn service(&self) -> Option<Service> {
        match self.route? {
            Route::Own(_) => None,
            Route::Socket => Some(Service::Chat),
            Route::Backend(service, _) => Some(service),
        }
    }

    pub(super) fn label(&self) -> &'static str {
        self.route.map_or("none", Route::label)
    }
}
