//! One request's way through the door, in the phases pingora calls. `server` puts it behind the listeners.
//!
//! request_filter judges (path, method, size) and answers what is ours; upstream_peer picks a replica; the error hooks decide
//! whether another one may be tried; fail_to_proxy says what went wrong; logging counts.

mod exchange;
mod failure;
mod forward;
mod labels;
mod late;
mod send;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, StatusCode, header};
use pingora_core::upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy};
use pingora_core::{BError, Error, ErrorSource, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, ProxyHttp, Session};

use self::exchange::Exchange;
use crate::answer::Answer;
use crate::problem::Problem;
use crate::route::{self, InvalidPath, Route, Service};
use crate::{Gateway, own_pages, probe, request_id};

/// Shorter than the 75 seconds after which backends close, so that a reused connection is never one just being closed.
const UPSTREAM_IDLE: Duration = Duration::from_secs(30);

/// The proxy pingora runs.
pub(crate) struct Proxy {
    gateway: Gateway,
    /// Sockets asked for so far; keeps their connections apart.
    sockets: AtomicU64,
}

impl Proxy {
    pub(crate) fn new(gateway: Gateway) -> Proxy {
        Proxy { gateway, sockets: AtomicU64::new(1) }
    }

    /// Decides what becomes of a request: an answer of our own, or (`None`) it goes on to a replica.
    fn judge(&self, session: &mut Session, exchange: &mut Exchange) -> Result<Option<Answer>> {
        let refuse = |exchange: &Exchange, problem: Problem| Ok(Some(problem.answer(&exchange.request_id)));

        let request = session.req_header_mut();
        let target = match route::origin_form(request.raw_path()) {
            Ok(target) => target.into_owned(),
            Err(InvalidPath(reason)) => return refuse(exchange, Problem::InvalidPath(reason)),
        };
        let path = match route::check(&target) {
            Ok(path) => path,
            Err(InvalidPath(reason)) => return refuse(exchange, Problem::InvalidPath(reason)),
        };
        let Some(route) = Route::find(path) else {
            return refuse(exchange, Problem::NotFound);
        };
        exchange.route = Some(route);
        if !route.allows(&request.method) {
            return refuse(exchange, Problem::MethodNotAllowed(route.allow().unwrap_or_default()));
        }
        if target != request.raw_path() {
            request.set_raw_path(&target)?;
        }

        let config = self.gateway.config();
        let is_batch_intake = request.method == Method::POST && matches!(route, Route::Backend(_, "/analytics"));
        exchange.body_bytes_max = if is_batch_intake { config.analytics_body_bytes_max } else { config.body_bytes_max };
        exchange.is_socket = route == Route::Socket && is_websocket_upgrade(session.req_header());
        if content_length(session.req_header()).is_some_and(|length| length > exchange.body_bytes_max as u64) {
            return refuse(exchange, Problem::BodyTooLarge { bytes_max: exchange.body_bytes_max });
        }

        match route {
            Route::Own(page) => Ok(Some(own_pages::answer(&self.gateway, page, accepts_html(session.req_header())))),
            Route::Socket | Route::Backend(..) => Ok(None),
        }
    }

    /// Takes a place at a replica, giving back the one held before.
    fn pick(&self, service: Service, exchange: &mut Exchange) -> Option<SocketAddr> {
        exchange.reservation = None;
        let cluster = self.gateway.cluster(service);
        exchange.reservation = match exchange.is_socket {
            true => cluster.pick_for_socket(&exchange.tried),
            false => cluster.pick_for_request(&exchange.tried),
        };
        exchange.reservation.as_ref().map(|reservation| reservation.endpoint.address)
    }

    fn peer(&self, address: SocketAddr, is_socket: bool) -> HttpPeer {
        let config = self.gateway.config();
        let mut peer = HttpPeer::new(address, false, String::new());
        let silence = if is_socket { config.websocket_idle() } else { config.request_timeout() };
        let options = &mut peer.options;
        options.connection_timeout = Some(config.connect_timeout());
        options.total_connection_timeout = Some(config.connect_timeout());
        options.read_timeout = Some(silence);
        options.write_timeout = Some(silence);
        options.idle_timeout = Some(UPSTREAM_IDLE);
        if is_socket {
            options.http_upstream_request_policy = HttpUpstreamRequestPolicy::standard();
            options.custom_l4 = Some(Arc::new(late::LateConnect));
            // A socket's connection ends with it. When the replica refuses the upgrade pingora would pool it, but by a
            // descriptor such a connection does not have: so each has a pool of its own, briefly.
            options.idle_timeout = Some(Duration::from_millis(1));
            peer.group_key = self.sockets.fetch_add(1, Ordering::Relaxed);
        } else {
            options.http_upstream_request_policy = HttpUpstreamRequestPolicy::deny_upgrades();
        }
        peer
    }

    fn count_upstream_error(exchange: &Exchange, error: &Error) {
        let cluster = exchange.service().map_or("none", Service::name);
        let kind = labels::upstream_error(error.root_etype());
        metrics::counter!("gateway_upstream_errors_total", "cluster" => cluster, "kind" => kind).increment(1);
    }
}

#[async_trait]
impl ProxyHttp for Proxy {
    type CTX = Exchange;

    fn new_ctx(&self) -> Exchange {
        Exchange {
            started: Instant::now(),
            request_id: String::new(),
            route: None,
            is_socket: false,
            body_bytes_max: self.gateway.config().body_bytes_max,
            body_bytes: 0,
            tried: Vec::new(),
            reservation: None,
            _in_flight: self.gateway.enter(),
        }
    }

    async fn request_filter(&self, session: &mut Session, exchange: &mut Exchange) -> Result<bool> {
        // Without a time, pingora keeps an idle connection for ever; but only where the client wants it kept at all, or an
        // HTTP/1.0 client would wait for a close that does not come.
        if session.get_keepalive().is_some() {
            session.set_keepalive(Some(self.gateway.config().keepalive_s));
        }
        if self.gateway.is_draining() {
            session.set_keepalive(None);
        }
        // A client that stops reading must not hold a replica's answer for ever.
        session.set_write_timeout(Some(self.gateway.config().request_timeout()));
        // Without this a second request sent early breaks off the first.
        session.set_pipelining_enabled(true);

        let from_caller = session.get_header(request_id::HEADER).map(|value| value.as_bytes());
        exchange.request_id = request_id::choose(from_caller, request_id::new);
        match self.judge(session, exchange)? {
            Some(answer) => send::send(session, answer, &exchange.request_id).await.map(|()| true),
            None => Ok(false),
        }
    }

    async fn upstream_peer(&self, _session: &mut Session, exchange: &mut Exchange) -> Result<Box<HttpPeer>> {
        let picked = exchange.service().and_then(|service| self.pick(service, exchange));
        match picked {
            Some(address) => Ok(Box::new(self.peer(address, exchange.is_socket))),
            None => Error::e_explain(ErrorType::HTTPStatus(503), "no live replica"),
        }
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        upstream_request: &mut RequestHeader,
        exchange: &mut Exchange,
    ) -> Result<()> {
        forward::add_headers(upstream_request, &exchange.request_id, client_ip(session))
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        _end_of_stream: bool,
        exchange: &mut Exchange,
    ) -> Result<()> {
        // What flows through a WebSocket is no request body; chat limits its frames itself.
        if session.was_upgraded() {
            return Ok(());
        }
        exchange.body_bytes += body.as_ref().map_or(0, Bytes::len);
        if exchange.body_bytes > exchange.body_bytes_max {
            return Err(Error::explain(ErrorType::HTTPStatus(413), "body too large").into_down());
        }
        Ok(())
    }

    fn fail_to_connect(&self, _session: &mut Session, peer: &HttpPeer, exchange: &mut Exchange, mut error: BError) -> BError {
        Self::count_upstream_error(exchange, &error);
        let reservation = exchange.reservation.take();
        if let Some(reservation) = reservation.filter(|_| failure::is_replicas_fault(&error)) {
            reservation.endpoint.mark_unreachable(probe::describe(error.etype()));
        }
        exchange.tried.extend(peer._address.as_inet().copied());
        // Nothing was sent yet, so trying elsewhere is safe for every method.
        error.set_retry(true);
        error
    }

    fn error_while_proxy(
        &self,
        peer: &HttpPeer,
        session: &mut Session,
        error: BError,
        exchange: &mut Exchange,
        client_reused: bool,
    ) -> BError {
        // A retried body is counted again from its start.
        exchange.body_bytes = 0;
        let mut error = error.more_context(format!("replica {peer}"));
        if *error.esource() == ErrorSource::Upstream {
            Self::count_upstream_error(exchange, &error);
        }
        // A kept connection may have been closed while the request was on its way. Repeating that is safe only when doing
        // it twice is the same as once, the body is still complete, and nothing was answered yet.
        let is_repeatable = session.req_header().method.is_idempotent() && !session.as_ref().retry_buffer_truncated();
        let is_unanswered = session.response_written().is_none();
        error.set_retry(client_reused && failure::broke_off(&error) && is_repeatable && is_unanswered);
        error
    }

    async fn response_filter(&self, session: &mut Session, response: &mut ResponseHeader, exchange: &mut Exchange) -> Result<()> {
        response.insert_header(request_id::HEADER, exchange.request_id.as_str())?;
        if response.status == StatusCode::SWITCHING_PROTOCOLS {
            // The timeout for reading a request would cut an idle socket after a minute.
            let idle = self.gateway.config().websocket_idle();
            session.set_read_timeout(Some(idle));
            session.set_write_timeout(Some(idle));
        }
        // Every 503 says when to come back, whoever says it.
        let lacks_retry_after = response.status == StatusCode::SERVICE_UNAVAILABLE && !response.headers.contains_key(header::RETRY_AFTER);
        if lacks_retry_after {
            response.insert_header(header::RETRY_AFTER, "1")?;
        }
        if self.gateway.is_draining() {
            session.set_keepalive(None);
        }
        Ok(())
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, exchange: &mut Exchange) -> FailToProxy {
        // An upgraded connection answers 101, which only looks informational: what follows belongs to the socket.
        let is_answered =
            |response: &ResponseHeader| !response.status.is_informational() || response.status == StatusCode::SWITCHING_PROTOCOLS;
        let problem = match session.response_written() {
            Some(response) if is_answered(response) => None,
            _ => failure::problem(error, exchange.body_bytes_max),
        };
        let Some(problem) = problem else {
            return FailToProxy { error_code: 0, can_reuse_downstream: false };
        };
        let answer = problem.answer(&exchange.request_id);
        let status = answer.status;
        if status.is_server_error() {
            tracing::warn!(
                code = problem.code(),
                route = exchange.label(),
                request_id = %exchange.request_id,
                %error,
                "could not serve a request"
            );
        }
        // pingora never reuses a connection on which proxying failed, so the client is told.
        session.set_keepalive(None);
        if let Err(error) = send::send(session, answer, &exchange.request_id).await {
            tracing::debug!(%error, request_id = %exchange.request_id, "the client left before its answer");
        }
        FailToProxy { error_code: status.as_u16(), can_reuse_downstream: false }
    }

    async fn logging(&self, session: &mut Session, _error: Option<&Error>, exchange: &mut Exchange) {
        // 499: the client left before there was an answer.
        let status = session.response_written().map_or(499, |response| response.status.as_u16());
        let route = exchange.label();
        let request = session.req_header();
        let method = labels::method(&request.method);
        let duration = exchange.started.elapsed();
        metrics::counter!(
            "gateway_requests_total", "route" => route, "method" => method, "status" => status.to_string()
        )
        .increment(1);
        if !exchange.is_socket {
            metrics::histogram!("gateway_request_duration_seconds", "route" => route).record(duration.as_secs_f64());
        }
        tracing::debug!(
            target: "gateway::access",
            method = %request.method,
            // Without the query: it may hold what does not belong in a log.
            path = request.uri.path(),
            status,
            route,
            endpoint = exchange.reservation.as_ref().map(|reservation| tracing::field::display(reservation.endpoint.address)),
            duration_ms = duration.as_secs_f64() * 1000.0,
            request_id = %exchange.request_id,
        );
    }
}

fn client_ip(session: &Session) -> Option<IpAddr> {
    session.client_addr().and_then(|address| address.as_inet()).map(SocketAddr::ip)
}

fn is_websocket_upgrade(request: &RequestHeader) -> bool {
    request.version == http::Version::HTTP_11
        && request.headers.get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

fn accepts_html(request: &RequestHeader) -> bool {
    let accepts = request.headers.get_all(header::ACCEPT);
    accepts.iter().filter_map(|value| value.to_str().ok()).any(|accept| accept.contains("text/html"))
}

/// The announced length. pingora has refused malformed and conflicting ones; a list of equal ones is left to the counter.
fn content_length(request: &RequestHeader) -> Option<u64> {
    request.headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}
