//! The engine for HTTP/2: pingora-proxy, in the phases it calls. The lane hands connections over; what is to become of a request
//! is decided in `exchange`, as it is for HTTP/1.1.

mod arriving;
mod errors;
mod forward;
mod head;
mod leaving;
mod send;
mod stream;

use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use pingora_core::protocols::Digest;
use pingora_core::upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy};
use pingora_core::{BError, Error, ErrorSource, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, ProxyHttp, Session};

pub(crate) use self::arriving::Arriving;
pub(crate) use self::head::options as h2_options;
pub(crate) use self::stream::Streams;
use self::stream::Upload;
use crate::exchange::{Ask, Exchange, Fields, Next, Progress, Protocol};
use crate::observe::Why;
use crate::problem::Problem;
use crate::{Gateway, request_id, trace};

/// Shorter than the 75 seconds after which backends close, so that a reused connection is never one just being closed.
const UPSTREAM_IDLE: Duration = Duration::from_secs(30);
/// The error by which an answer that says "not now" is thrown away.
const ELSEWHERE: ErrorType = ErrorType::new("asked elsewhere");
/// The error of a body that arrives too slowly.
const SLOW: ErrorType = ErrorType::HTTPStatus(408);
/// The error of an answer that is not complete at its deadline.
const LATE: ErrorType = ErrorType::new("late");

/// The proxy pingora runs.
pub(crate) struct Proxy {
    gateway: Gateway,
}

/// What the phases of one request tell each other.
pub(crate) struct Context {
    exchange: Exchange,
    /// Before the next try.
    pause: Duration,
    /// When the connection to a replica was asked for.
    connecting: Instant,
    body_bytes: usize,
    upload: Upload,
    /// The status of the answer that has begun.
    answered: Option<u16>,
    /// What the client is told, where the error does not say it.
    refused: Option<Problem>,
}

impl Proxy {
    pub(crate) fn new(gateway: Gateway) -> Proxy {
        Proxy { gateway }
    }

    fn peer(&self, address: SocketAddr, exchange: &Exchange) -> HttpPeer {
        let config = self.gateway.config();
        let now = Instant::now();
        let mut peer = HttpPeer::new(address, false, String::new());
        let options = &mut peer.options;
        options.connection_timeout = Some(config.connect_timeout());
        options.total_connection_timeout = Some(config.connect_timeout());
        options.read_timeout = Some(exchange.answer_due(now, true).saturating_duration_since(now));
        options.write_timeout = Some(config.request_timeout());
        options.idle_timeout = Some(UPSTREAM_IDLE);
        options.http_upstream_request_policy = HttpUpstreamRequestPolicy::deny_upgrades();
        peer
    }
}

impl Fields for RequestHeader {
    fn all(&self, name: &str) -> Vec<&[u8]> {
        self.headers.get_all(name).iter().map(HeaderValue::as_bytes).collect()
    }
}

#[async_trait]
impl ProxyHttp for Proxy {
    type CTX = Context;

    fn new_ctx(&self) -> Context {
        let exchange = Exchange::begin(&self.gateway, None, Protocol::Http2, Instant::now());
        let upload = Upload::of_this_stream();
        let connecting = exchange.times.started;
        Context { exchange, pause: Duration::ZERO, connecting, body_bytes: 0, upload, answered: None, refused: None }
    }

    async fn request_filter(&self, session: &mut Session, context: &mut Context) -> Result<bool> {
        let exchange = &mut context.exchange;
        let client = session.client_addr().and_then(|address| address.as_inet());
        exchange.client = client.map(|address| address.ip().to_canonical().to_string().into());
        // A client that stops reading must not hold a replica's answer for ever.
        session.set_write_timeout(Some(self.gateway.config().write_timeout()));
        let request = session.req_header();
        exchange.method = request.method.clone();
        let content_length = match head::check(request, self.gateway.config().header_bytes_max) {
            Ok(length) => length,
            Err(problem) => {
                let refused = exchange.refuse(problem);
                return send::send(session, refused, exchange).await.map(|()| true);
            }
        };
        let field = |name: &str| request.headers.get(name).map(HeaderValue::as_bytes);
        let ask = Ask {
            method: &request.method,
            target: request.raw_path(),
            content_length,
            is_upgrade: false,
            accept: field("accept"),
            request_id: field(request_id::HEADER),
            traceparent: field(trace::HEADER),
            header: request,
        };
        let answer = match exchange.judge(&ask) {
            Some(own) => own,
            None => match exchange.admit(!session.is_body_empty()).await {
                Ok(()) => return Ok(false),
                Err(problem) => exchange.refuse(problem),
            },
        };
        send::send(session, answer, exchange).await.map(|()| true)
    }

    async fn upstream_peer(&self, _session: &mut Session, context: &mut Context) -> Result<Box<HttpPeer>> {
        tokio::time::sleep(std::mem::take(&mut context.pause)).await;
        match context.exchange.pick() {
            Ok(endpoint) => {
                context.connecting = Instant::now();
                Ok(Box::new(self.peer(endpoint.address, &context.exchange)))
            }
            Err(problem) => {
                context.refused = Some(problem);
                Error::e_explain(ErrorType::HTTPStatus(503), problem.code())
            }
        }
    }

    async fn connected_to_upstream(
        &self,
        _session: &mut Session,
        reused: bool,
        _peer: &HttpPeer,
        _descriptor: RawFd,
        _digest: Option<&Digest>,
        context: &mut Context,
    ) -> Result<()> {
        if !reused {
            context.exchange.times.connect += context.connecting.elapsed();
        }
        Ok(())
    }

    async fn upstream_request_filter(
        &self,
        _session: &mut Session,
        upstream_request: &mut RequestHeader,
        context: &mut Context,
    ) -> Result<()> {
        context.upload.wait();
        forward::add_headers(upstream_request, &context.exchange)
    }

    async fn request_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        context: &mut Context,
    ) -> Result<()> {
        context.body_bytes += body.as_ref().map_or(0, Bytes::len);
        context.exchange.bytes_in = context.exchange.bytes_in.max(context.body_bytes as u64);
        if context.body_bytes > context.exchange.body_bytes_max {
            return Err(Error::explain(ErrorType::HTTPStatus(413), "body too large").into_down());
        }
        if context.upload.note(context.body_bytes, end_of_stream, self.gateway.config()) {
            return Err(slow_body());
        }
        if end_of_stream {
            context.exchange.start_deadline(Instant::now());
        }
        Ok(())
    }

    fn fail_to_connect(&self, _session: &mut Session, _peer: &HttpPeer, context: &mut Context, mut error: BError) -> BError {
        context.exchange.times.connect += context.connecting.elapsed();
        let progress = Progress { is_complete: true, is_kept_connection: false, is_answered: false };
        let next = context.exchange.failed(errors::failure(&error), progress);
        error.set_retry(matches!(next, Next::Retry(_)));
        error
    }

    fn error_while_proxy(
        &self,
        peer: &HttpPeer,
        session: &mut Session,
        error: BError,
        context: &mut Context,
        client_reused: bool,
    ) -> BError {
        // A repeated body is counted again from its start.
        context.body_bytes = 0;
        let mut error = error.more_context(format!("replica {peer}"));
        if *error.root_etype() == ELSEWHERE {
            error.set_retry(true);
            return error;
        }
        if *error.esource() != ErrorSource::Upstream {
            error.set_retry(false);
            return error;
        }
        // Silence is the client's as long as its request is not complete: one that the replica does not take is another error.
        if *error.root_etype() == ErrorType::ReadTimedout && !context.upload.is_complete() {
            return slow_body();
        }
        let progress = Progress {
            is_complete: !session.as_ref().retry_buffer_truncated(),
            is_kept_connection: client_reused,
            is_answered: session.response_written().is_some(),
        };
        let next = context.exchange.failed(errors::failure(&error), progress);
        if let Next::Retry(pause) = next {
            context.pause = pause;
        }
        error.set_retry(matches!(next, Next::Retry(_)));
        error
    }

    async fn upstream_response_filter(&self, session: &mut Session, response: &mut ResponseHeader, context: &mut Context) -> Result<()> {
        let status = response.status.as_u16();
        if response.status.is_informational() {
            return Ok(());
        }
        context.exchange.answered(status);
        let is_complete = !session.as_ref().retry_buffer_truncated();
        if context.exchange.asks_elsewhere(status, is_complete) {
            return Err(Error::new_up(ELSEWHERE));
        }
        let media_type = response.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        if media_type.get(..17).is_some_and(|start| start.eq_ignore_ascii_case(b"text/event-stream")) {
            // It may last, but not in silence: each read has its limit.
            context.exchange.times.deadline = None;
        }
        Ok(())
    }

    /// pingora limits the time of each read; that of all together is limited here.
    fn upstream_response_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        _end_of_stream: bool,
        context: &mut Context,
    ) -> Result<Option<Duration>> {
        context.exchange.bytes_out += body.as_ref().map_or(0, Bytes::len) as u64;
        let is_late = context.exchange.times.deadline.is_some_and(|deadline| deadline <= Instant::now());
        if !is_late {
            return Ok(None);
        }
        // Where the client has not seen the head yet, it still can be told.
        context.refused = Some(Problem::GatewayTimeout);
        Err(Error::new_in(LATE))
    }

    async fn response_filter(&self, _session: &mut Session, response: &mut ResponseHeader, context: &mut Context) -> Result<()> {
        context.upload.note_answer();
        context.answered = Some(response.status.as_u16());
        response.insert_header(request_id::HEADER, context.exchange.request_id.as_str())?;
        for (name, value) in context.exchange.cors_fields() {
            response.append_header(*name, value.as_str())?;
        }
        // Every 503 says when to come back, whoever says it.
        let lacks_retry_after = response.status == StatusCode::SERVICE_UNAVAILABLE && !response.headers.contains_key(header::RETRY_AFTER);
        if lacks_retry_after {
            response.insert_header(header::RETRY_AFTER, "1")?;
        }
        Ok(())
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, context: &mut Context) -> FailToProxy {
        let exchange = &mut context.exchange;
        let is_answered = session.response_written().is_some_and(|response| !response.status.is_informational());
        let problem = match context.refused.take() {
            _ if is_answered => None,
            None => errors::problem(error, exchange.body_bytes_max),
            refused => refused,
        };
        let Some(problem) = problem else {
            exchange.why = match error.esource() {
                _ if *error.root_etype() == LATE => Why::Deadline,
                _ if *error.root_etype() == SLOW => Why::ClientSlow,
                ErrorSource::Upstream => Why::ReplicaBroke,
                _ => Why::ClientLeft,
            };
            return FailToProxy { error_code: 0, can_reuse_downstream: false };
        };
        let answer = exchange.refuse(problem);
        let status = answer.status;
        tracing::debug!(%error, request_id = %exchange.request_id, "could not serve a request");
        if let Err(error) = send::send(session, answer, exchange).await {
            exchange.why = Why::ClientLeft;
            tracing::debug!(%error, request_id = %exchange.request_id, "the client left before its answer");
        }
        FailToProxy { error_code: status.as_u16(), can_reuse_downstream: false }
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, context: &mut Context) {
        // The exchange writes its line when pingora drops it.
        let exchange = &mut context.exchange;
        if let Some(response) = session.response_written() {
            exchange.status = response.status.as_u16();
        }
        exchange.bytes_out = session.body_bytes_sent() as u64;
        if error.is_none() && exchange.why == Why::ClientLeft {
            exchange.why = Why::Done;
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // Nothing was asked about the end of this one.
        if self.upload.is_given_up() {
            self.exchange.why = Why::ClientSlow;
            self.exchange.status = self.answered.unwrap_or(self.exchange.status);
        }
    }
}

fn slow_body() -> BError {
    Error::explain(SLOW, "the body is too slow").into_down()
}
