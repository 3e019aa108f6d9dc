//! What surrounds every request of a backend: its id, its metrics, its log line, its problem if it fails.

use std::convert::Infallible;
use std::time::Instant;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use hyper::service::Service;
use uuid::Uuid;
use warp::filters::BoxedFilter;

use super::reply::{Response, problem};
use super::routes::RouteName;
use crate::database;
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

    let routed = hyper_util::service::TowerToHyperService::new(warp::service(routes)).call(request);
    let mut response = match method.is_safe() {
        true => routed.await?,
        // What changes something is done to its end, also when the caller hangs up in the middle.
        false => match tokio::spawn(routed).await {
            Ok(response) => response?,
            Err(error) => problem(database::Error::Internal(format!("a handler ended early: {error}"))),
        },
    };

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
    problem.log(id);
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
        408 => "408",
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
    use std::sync::Arc;

    use tokio::sync::Notify;
    use warp::Filter;

    use super::*;

    #[tokio::test]
    async fn what_changes_something_is_done_to_its_end_also_when_the_caller_hangs_up() {
        let (begun, go_on, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()), Arc::new(Notify::new()));
        let parts = (begun.clone(), go_on.clone(), done.clone());
        let work = warp::post().then(move || {
            let (begun, go_on, done) = parts.clone();
            async move {
                begun.notify_one();
                go_on.notified().await;
                done.notify_one();
                "done"
            }
        });
        let routes = super::super::routes::route("POST /", work);
        let request = Request::post("/").body(http_body_util::Empty::<Bytes>::new()).expect("a request");
        let caller = tokio::spawn(answer("test", routes, request));
        begun.notified().await;
        caller.abort();
        assert!(caller.await.expect_err("hung up").is_cancelled());
        go_on.notify_one();
        let is_done = tokio::time::timeout(std::time::Duration::from_secs(10), done.notified()).await;
        assert!(is_done.is_ok(), "the work ended with its caller");
    }

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
