//! What surrounds every request of a backend: its id, its metrics, its log line, its problem if it fails.

use std::convert::Infallible;
use std::time::Instant;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use hyper::service::Service;
use uuid::Uuid;
use warp::filters::BoxedFilter;

use super::reply::Response;
use super::routes::RouteName;
use crate::problem::Problem;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request: the caller's when well formed, else a new UUIDv7. Found in the request's extensions.
#[derive(Debug, Clone)]
pub struct RequestId(pub HeaderValue);

impl RequestId {
    fn of(headers: &HeaderMap) -> Self {
        let given = headers.get(X_REQUEST_ID).filter(|value| is_well_formed(value.as_bytes()));
        let id = given.cloned().unwrap_or_else(|| {
            let id = Uuid::now_v7().to_string();
            HeaderValue::try_from(id).expect("a UUID is a valid header value")
        });
        Self(id)
    }
}

fn is_well_formed(id: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=128).contains(&id.len()) && id.iter().all(allowed)
}

/// Answers one request with `routes`; `role` is a label of the metrics.
pub(super) async fn answer<B>(role: &'static str, routes: BoxedFilter<(Response,)>, mut request: Request<B>) -> Result<Response, Infallible>
where
    B: http_body::Body<Data = Bytes> + Send + Sync + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let started = Instant::now();
    let id = RequestId::of(request.headers());
    request.extensions_mut().insert(id.clone());
    let method = request.method().clone();
    // Whoever answers GET answers HEAD; the connection leaves the body out by itself.
    if method == Method::HEAD {
        *request.method_mut() = Method::GET;
    }
    let path = request.uri().path().to_owned();

    let mut response = hyper_util::service::TowerToHyperService::new(warp::service(routes)).call(request).await?;

    let route = response.extensions().get::<RouteName>().map_or("none", |route| route.0);
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        write_problem(&mut response, &problem, &id);
    }
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().entry(RETRY_AFTER).or_insert(HeaderValue::from_static("1"));
    }
    response.headers_mut().insert(X_REQUEST_ID, id.0);

    let status = response.status();
    let seconds = started.elapsed().as_secs_f64();
    metrics::counter!("http_requests_total", "role" => role, "route" => route, "status" => status_label(status)).increment(1);
    metrics::histogram!("http_request_duration_seconds", "role" => role, "route" => route).record(seconds);
    tracing::debug!(target: "access", role, %method, path, status = status.as_u16(), ms = seconds * 1000.0, "answered");
    Ok(response)
}

fn write_problem(response: &mut Response, problem: &Problem, id: &RequestId) {
    let id = id.0.to_str().unwrap_or_default();
    if problem.status.is_server_error() {
        tracing::error!(request_id = id, code = problem.code, "{}", problem.chain);
    }
    *response.body_mut() = problem.to_json(id).into();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
}

/// Statuses as labels without an allocation; those we never answer share one.
fn status_label(status: StatusCode) -> &'static str {
    match status.as_u16() {
        101 => "101",
        200 => "200",
        201 => "201",
        202 => "202",
        204 => "204",
        304 => "304",
        400 => "400",
        404 => "404",
        405 => "405",
        409 => "409",
        412 => "412",
        413 => "413",
        415 => "415",
        422 => "422",
        426 => "426",
        500 => "500",
        503 => "503",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_well_formed_request_id_is_kept_and_another_replaced() {
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(X_REQUEST_ID, HeaderValue::from_str(value).expect("a header value"));
            RequestId::of(&headers).0.to_str().expect("text").to_owned()
        };
        assert_eq!(of("abc-1.2_3"), "abc-1.2_3");
        for bad in ["", "with space", "a\"b", &"x".repeat(129)] {
            assert_ne!(of(bad), bad);
            assert_eq!(of(bad).len(), 36);
        }
    }
}
