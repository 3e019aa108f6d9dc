//! The judgement of one request, from its head to its line in the log; it knows no engine.
//!
//! route → admit → choose a replica → try, with deadline and budget → observe. An engine carries the bytes: it asks [`judge`],
//! then [`admit`], then [`pick`]; it says what happened with [`answered`] or [`failed`], and does what that says. However an
//! exchange ends, dropping it counts it and writes its line.
//!
//! [`judge`]: Exchange::judge
//! [`admit`]: Exchange::admit
//! [`pick`]: Exchange::pick
//! [`answered`]: Exchange::answered
//! [`failed`]: Exchange::failed

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};

use crate::admission::{Overloaded, Slot};
use crate::answer::Answer;
use crate::balance::{self, Reservation};
use crate::cluster::Cluster;
use crate::cors::{self, Origin};
use crate::endpoint::Endpoint;
use crate::failure::Failure;
use crate::gateway::InFlight;
use crate::observe::{self, Why};
use crate::problem::Problem;
use crate::route::{self, InvalidPath, OwnPage, Route, Service};
use crate::ticks::{self, micros};
use crate::{Gateway, own_pages, request_id, trace};

/// The pause before a request that was sent is repeated is drawn from up to this, doubled each time.
const PAUSE_MAX: Duration = Duration::from_millis(10);

/// What an engine has read of a request's head.
pub(crate) struct Ask<'a> {
    pub(crate) method: &'a Method,
    /// As sent: origin form, or absolute form.
    pub(crate) target: &'a [u8],
    pub(crate) content_length: Option<u64>,
    /// It asks to become a WebSocket.
    pub(crate) is_upgrade: bool,
    pub(crate) accept: Option<&'a [u8]>,
    pub(crate) request_id: Option<&'a [u8]>,
    pub(crate) traceparent: Option<&'a [u8]>,
    /// All headers; for balancing by a key.
    pub(crate) header: &'a dyn Fields,
}

impl Ask<'_> {
    /// Whether `Accept` names this media type; browsers name `text/html`.
    pub(crate) fn accepts(&self, media_type: &str) -> bool {
        self.accept.is_some_and(|accept| contains(accept, media_type.as_bytes()))
    }
}

/// Headers as an engine holds them.
pub(crate) trait Fields: Sync {
    /// All with this name, given in lower case.
    fn all(&self, name: &str) -> Vec<&[u8]>;

    /// The first of them.
    fn field(&self, name: &str) -> Option<&[u8]> {
        self.all(name).first().copied()
    }
}

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http10,
    Http11,
    Http2,
}

impl Protocol {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Protocol::Http10 => "HTTP/1.0",
            Protocol::Http11 => "HTTP/1.1",
            Protocol::Http2 => "HTTP/2",
        }
    }
}

/// How far a try had come when it failed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    /// The whole request is still at hand, so that it can be sent again.
    pub(crate) is_complete: bool,
    /// The connection had been used before.
    pub(crate) is_kept_connection: bool,
    /// Some of an answer has gone to the client.
    pub(crate) is_answered: bool,
}

/// What becomes of a request whose try failed.
#[derive(Debug, PartialEq)]
pub(crate) enum Next {
    /// Another replica is asked, after a pause.
    Retry(Duration),
    /// The client is told.
    Fail(Problem),
}

/// One request, as long as it is being answered.
pub(crate) struct Exchange {
    pub(crate) gateway: Gateway,
    /// The client's address, as text.
    pub(crate) client: Option<Arc<str>>,
    pub(crate) protocol: Protocol,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) request_id: String,
    pub(crate) traceparent: String,
    pub(crate) route: Option<Route>,
    origin: Origin,
    /// It is to become a WebSocket.
    pub(crate) is_socket: bool,
    pub(crate) body_bytes_max: usize,
    /// Of the client's body, without any framing; of a socket, what the client sent.
    pub(crate) bytes_in: u64,
    /// Of the answer's body, as the client got it; of a socket, what was sent to the client.
    pub(crate) bytes_out: u64,
    /// The status the client saw; 499 as long as it saw none.
    pub(crate) status: u16,
    /// Why it ended; written last.
    pub(crate) why: Why,
    pub(crate) times: Times,
    pub(crate) tries: u32,
    /// Of these, the ones nobody listened for: they cost nothing and do not count.
    refused: u32,
    key: Option<u64>,
    /// Replicas that failed it, by id; they are not asked again.
    tried: Vec<u64>,
    slot: Option<Slot>,
    /// The place at the replica that has it now.
    reservation: Option<Reservation>,
    _in_flight: InFlight,
}

/// When what happened.
pub(crate) struct Times {
    pub(crate) started: Instant,
    /// Waiting for a place.
    pub(crate) queue: Duration,
    /// Connecting, all tries together.
    pub(crate) connect: Duration,
    /// The try under way began.
    pub(crate) tried_at: Instant,
    /// From the start to the first byte of the replica's answer.
    pub(crate) first_byte: Option<Duration>,
    /// By then the answer must be complete.
    pub(crate) deadline: Option<Instant>,
    /// The end, where it was looked at before the exchange is dropped.
    pub(crate) ended: Option<Instant>,
}

impl Exchange {
    /// A request whose head begins to be judged.
    pub(crate) fn begin(gateway: &Gateway, client: Option<Arc<str>>, protocol: Protocol, now: Instant) -> Exchange {
        Exchange {
            gateway: gateway.clone(),
            client,
            protocol,
            method: Method::GET,
            path: String::new(),
            request_id: String::new(),
            traceparent: String::new(),
            route: None,
            origin: Origin::Unasked,
            is_socket: false,
            body_bytes_max: gateway.config().body_bytes_max,
            bytes_in: 0,
            bytes_out: 0,
            status: observe::CLIENT_LEFT,
            why: Why::ClientLeft,
            times: Times {
                started: now,
                queue: Duration::ZERO,
                connect: Duration::ZERO,
                tried_at: now,
                first_byte: None,
                deadline: None,
                ended: None,
            },
            tries: 0,
            refused: 0,
            key: None,
            tried: Vec::new(),
            slot: None,
            reservation: None,
            _in_flight: gateway.enter(),
        }
    }

    /// Decides what becomes of a request: an answer of our own, or (`None`) it goes on to a replica.
    pub(crate) fn judge(&mut self, ask: &Ask<'_>) -> Option<Answer> {
        self.method = ask.method.clone();
        self.request_id = request_id::choose(ask.request_id, request_id::new);
        self.traceparent = trace::continue_or_begin(ask.traceparent);
        if let Some(cors) = self.gateway.cors() {
            self.origin = cors.judge(ask.header.field("origin"));
        }
        let found = self.find_route(ask);
        if self.is_preflight(ask) && !matches!(found, Err(Problem::InvalidPath(_))) {
            self.why = Why::Done;
            return Some(cors::preflight());
        }
        let route = match found {
            Ok(route) => route,
            Err(problem) => return Some(self.refuse(problem)),
        };
        if !route.allows(ask.method) {
            return Some(self.refuse(Problem::MethodNotAllowed(route.allow().unwrap_or_default())));
        }
        let config = self.gateway.config();
        let is_batch_intake = ask.method == Method::POST && matches!(route, Route::Backend(_, "/analytics"));
        self.body_bytes_max = if is_batch_intake { config.analytics_body_bytes_max } else { config.body_bytes_max };
        self.is_socket = route == Route::Socket && ask.is_upgrade;
        if self.is_socket && self.origin == Origin::Foreign && !is_of_this_host(ask) {
            return Some(self.refuse(Problem::OriginRefused));
        }
        if ask.content_length.is_some_and(|length| length > self.body_bytes_max as u64) {
            return Some(self.refuse(Problem::BodyTooLarge { bytes_max: self.body_bytes_max }));
        }
        match route {
            Route::Own(page) => {
                self.why = Why::Done;
                let answer = own_pages::answer(&self.gateway, page, ask, &self.request_id);
                if answer.status == StatusCode::SERVICE_UNAVAILABLE && page == OwnPage::Document {
                    self.why = Why::Refused(Problem::DocumentUnknown.code());
                }
                Some(answer)
            }
            Route::Socket | Route::Backend(..) => None,
        }
    }

    fn find_route(&mut self, ask: &Ask<'_>) -> Result<Route, Problem> {
        // It names no path, and this is no proxy for the world.
        if ask.method == Method::CONNECT {
            return Err(Problem::MethodNotAllowed("GET, HEAD, POST, PUT, PATCH, DELETE"));
        }
        let target = route::origin_form(ask.target).map_err(|InvalidPath(reason)| Problem::InvalidPath(reason))?;
        let path = route::check(&target).map_err(|InvalidPath(reason)| Problem::InvalidPath(reason))?;
        self.path = path.to_owned();
        let of_app = || Some(Route::Own(OwnPage::App(self.gateway.app()?.find(path, ask)?)));
        let route = Route::find(path).or_else(of_app).ok_or(Problem::NotFound)?;
        self.route = Some(route);
        if let Some(cluster) = self.cluster() {
            self.key = cluster.key.as_ref().and_then(|key| key.hash_of(&target, |name| ask.header.all(name)));
        }
        Ok(route)
    }

    /// A browser asks whether a page of an origin that is let in may send a request.
    fn is_preflight(&self, ask: &Ask<'_>) -> bool {
        let is_allowed = matches!(self.origin, Origin::Allowed(_));
        is_allowed && ask.method == Method::OPTIONS && ask.header.field("access-control-request-method").is_some()
    }

    /// What every answer has besides, for browsers.
    pub(crate) fn cors_fields(&self) -> &[cors::Field] {
        match self.origin {
            Origin::Unasked => &[],
            origin => self.gateway.cors().map_or(&[], |cors| cors.fields(origin)),
        }
    }

    /// An answer that says no.
    pub(crate) fn refuse(&mut self, problem: Problem) -> Answer {
        if self.request_id.is_empty() {
            self.request_id = request_id::new();
        }
        self.why = Why::Refused(problem.code());
        problem.answer(&self.request_id)
    }

    /// Takes a place in the cluster, waiting for one if it must; `is_arriving` when the body is not all there. Sockets need none:
    /// they do not work, they wait.
    pub(crate) async fn admit(&mut self, is_arriving: bool) -> Result<(), Problem> {
        let Some(cluster) = self.cluster() else { return Err(Problem::Internal) };
        cluster.retries.deposit();
        if self.is_socket {
            return Ok(());
        }
        let admission = cluster.admission.clone();
        let slot = match admission.try_enter(ticks::at(self.times.tried_at)) {
            Some(slot) => slot,
            None => {
                let asked = Instant::now();
                let entered = admission.enter().await;
                self.times.queue = asked.elapsed();
                entered.map_err(|Overloaded| Problem::Overloaded)?
            }
        };
        self.slot = match is_arriving {
            true => Some(slot.arriving(self.client.clone()).map_err(|Overloaded| Problem::Overloaded)?),
            false => Some(slot),
        };
        Ok(())
    }

    /// Takes a place at a replica that has not failed this request yet, giving back the one held before.
    pub(crate) fn pick(&mut self) -> Result<Arc<Endpoint>, Problem> {
        self.reservation = None;
        // The first one is picked as soon as it was judged, unless it had to wait.
        let is_at_once = self.tries == 0 && self.times.queue.is_zero();
        let now = if is_at_once { self.times.tried_at } else { Instant::now() };
        let Some(cluster) = self.cluster() else { return Err(Problem::Internal) };
        let picked = match self.is_socket {
            true => cluster.pick_for_socket(&self.tried, ticks::at(now)),
            false => cluster.pick_for_request(&self.tried, self.key, ticks::at(now)),
        };
        // Where there is somebody, but nobody with room, the client is to come again.
        let is_full = || cluster.has_other_than(&self.tried, None);
        let reservation = picked.ok_or_else(|| if is_full() { Problem::Overloaded } else { Problem::Unavailable })?;
        let endpoint = reservation.endpoint.clone();
        endpoint.requests.fetch_add(1, Ordering::Relaxed);
        self.reservation = Some(reservation);
        self.tries += 1;
        self.times.tried_at = now;
        Ok(endpoint)
    }

    /// The request is complete: from now on its answer has so much time.
    pub(crate) fn start_deadline(&mut self, now: Instant) {
        if self.times.deadline.is_none() && !self.is_socket {
            self.times.deadline = Some(now + self.gateway.config().request_timeout());
            if let Some(slot) = &mut self.slot {
                slot.complete(now);
            }
        }
    }

    /// By when the replica must have begun its answer. Where somebody else could be asked it is given less time.
    pub(crate) fn answer_due(&self, now: Instant, is_complete: bool) -> Instant {
        let total = self.times.deadline.unwrap_or(now + self.gateway.config().request_timeout());
        let asked_now = self.endpoint().map(|endpoint| endpoint.id);
        let has_other = || self.cluster().is_some_and(|cluster| cluster.has_other_than(&self.tried, asked_now));
        let can_pay = || self.cluster().is_some_and(|cluster| cluster.retries.has_repeat());
        let can_be_repeated = is_complete && self.method.is_idempotent() && !self.is_last_try() && has_other() && can_pay();
        if can_be_repeated { total.min(now + self.gateway.config().try_timeout()) } else { total }
    }

    /// The replica has begun its answer.
    pub(crate) fn answered(&mut self, status: u16) {
        let now = Instant::now();
        self.times.first_byte.get_or_insert(now.saturating_duration_since(self.times.started));
        let (Some(cluster), Some(reservation)) = (self.cluster(), &self.reservation) else { return };
        let (endpoint, at) = (&reservation.endpoint, ticks::at(now));
        if matches!(status, 502..=504) {
            let config = self.gateway.config();
            cluster.note_failure(endpoint, config.ejection_errors, config.ejection(), at);
            return;
        }
        endpoint.outlier.succeeded();
        let micros = self.asked_at().map(|asked| micros(now.saturating_duration_since(asked)));
        if let Some(micros) = micros {
            endpoint.latency.observe(micros, at);
        }
        if let Some(slot) = self.slot.take() {
            slot.answered(micros);
        }
    }

    /// When the replica that has the request now had all of it; how long a client takes to send says nothing about a replica.
    fn asked_at(&self) -> Option<Instant> {
        let complete_at = self.times.deadline?.checked_sub(self.gateway.config().request_timeout())?;
        Some(complete_at.max(self.times.tried_at))
    }

    /// Whether an answer that says "not now" is thrown away and somebody else is asked.
    pub(crate) fn asks_elsewhere(&mut self, status: u16, is_complete: bool) -> bool {
        let is_worth_it = matches!(status, 502..=504) && is_complete && self.method.is_idempotent() && !self.is_last_try();
        is_worth_it && self.leave_replica() && self.cluster().is_some_and(|cluster| cluster.retries.withdraw(false))
    }

    /// A try failed: the replica is judged, and what becomes of the request.
    pub(crate) fn failed(&mut self, failure: Failure, progress: Progress) -> Next {
        let now = Instant::now();
        self.refused += u32::from(failure == Failure::Refused);
        let config = self.gateway.config();
        let (ejection_errors, ejection) = (config.ejection_errors, config.ejection());
        if let (Some(cluster), Some(reservation)) = (self.cluster(), &self.reservation) {
            let endpoint = &reservation.endpoint;
            observe::count_upstream_error(cluster.service.name(), failure);
            // That a kept connection broke says that it was closed, not that its replica is ill.
            let is_innocent = failure == Failure::OwnLimit || (failure == Failure::Broken && progress.is_kept_connection);
            if !is_innocent {
                cluster.note_failure(endpoint, ejection_errors, ejection, ticks::at(now));
                if failure == Failure::Timeout && !self.is_socket {
                    endpoint.latency.observe(micros(now.saturating_duration_since(self.times.tried_at)), ticks::at(now));
                }
            }
            // One that answers others is not gone: a crowd of new connections is waited for longer than a single one.
            let is_gone = match failure {
                Failure::Refused | Failure::NoRoute => true,
                Failure::ConnectTimeout => !endpoint.latency.is_fresh(ticks::at(now)),
                Failure::OwnLimit | Failure::Broken | Failure::Timeout | Failure::InvalidAnswer => false,
            };
            if is_gone {
                endpoint.mark_unreachable(failure.describe());
            }
        }
        if self.may_repeat(failure, progress, now) { Next::Retry(self.pause(failure)) } else { Next::Fail(failure.problem()) }
    }

    fn may_repeat(&mut self, failure: Failure, progress: Progress, now: Instant) -> bool {
        let is_too_late = self.times.deadline.is_some_and(|deadline| deadline <= now);
        if progress.is_answered || !progress.is_complete || is_too_late || self.is_last_try() {
            return false;
        }
        let is_broken_kept_connection = failure == Failure::Broken && progress.is_kept_connection;
        if failure.is_before_sending() {
            return self.leave_replica() || self.asks_same_again(failure);
        }
        let is_harmless = self.method.is_idempotent() && failure != Failure::InvalidAnswer;
        // Where there is nobody else, a replica whose kept connection broke is asked again.
        let has_target = is_broken_kept_connection || self.leave_replica();
        is_harmless && has_target && self.cluster().is_some_and(|cluster| cluster.retries.withdraw(is_broken_kept_connection))
    }

    /// The replica is not asked again; whether there is another one.
    fn leave_replica(&mut self) -> bool {
        self.tried.extend(self.reservation.as_ref().map(|reservation| reservation.endpoint.id));
        self.cluster().is_some_and(|cluster| cluster.has_other_than(&self.tried, None))
    }

    /// Where there is nobody else, a replica that was too busy to take the connection gets another chance.
    fn asks_same_again(&mut self, failure: Failure) -> bool {
        let is_busy = failure == Failure::ConnectTimeout;
        if is_busy {
            self.tried.clear();
        }
        is_busy
    }

    fn is_last_try(&self) -> bool {
        (self.tries - self.refused) as usize >= self.gateway.config().tries_max
    }

    fn pause(&self, failure: Failure) -> Duration {
        if failure.is_before_sending() {
            return Duration::ZERO;
        }
        let most = micros(PAUSE_MAX) << self.tries.min(6);
        let chance = balance::scatter(ticks::at(Instant::now()));
        Duration::from_micros(chance % most)
    }

    /// Where the request is now.
    pub(crate) fn endpoint(&self) -> Option<&Arc<Endpoint>> {
        self.reservation.as_ref().map(|reservation| &reservation.endpoint)
    }

    pub(crate) fn service(&self) -> Option<Service> {
        match self.route? {
            Route::Own(_) => None,
            Route::Socket => Some(Service::Chat),
            Route::Backend(service, _) => Some(service),
        }
    }

    fn cluster(&self) -> Option<&Cluster> {
        self.service().map(|service| self.gateway.cluster(service))
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        observe::finished(self);
    }
}

fn is_of_this_host(ask: &Ask<'_>) -> bool {
    ask.header.field("origin").is_some_and(|origin| cors::is_same(origin, ask.header.field("host")))
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part))
}
