//! Answers: a handler's result becomes a response here, so that its status stands in the list of routes.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG, LOCATION};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use crate::problem::Problem;

/// A response on its way out.
pub type Response = warp::reply::Response;

/// 200 with the value as JSON.
pub fn ok<T: Serialize, E: Into<Problem>>(result: Result<T, E>) -> Response {
    result.map_or_else(problem, |value| json(StatusCode::OK, &value))
}

/// 201 with the value as JSON.
pub fn created<T: Serialize, E: Into<Problem>>(result: Result<T, E>) -> Response {
    result.map_or_else(problem, |value| json(StatusCode::CREATED, &value))
}

/// 202 with the value as JSON.
pub fn accepted<T: Serialize, E: Into<Problem>>(result: Result<T, E>) -> Response {
    result.map_or_else(problem, |value| json(StatusCode::ACCEPTED, &value))
}

/// 204 without a body.
pub fn no_content<E: Into<Problem>>(result: Result<(), E>) -> Response {
    result.map_or_else(problem, |()| {
        let mut response = Response::default();
        *response.status_mut() = StatusCode::NO_CONTENT;
        response
    })
}

/// JSON that is written already, with its `ETag` and `Location` where it has them; it must end with a newline.
pub fn raw_json(status: StatusCode, body: Bytes, etag: Option<&str>, location: Option<&str>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in [(ETAG, etag), (LOCATION, location)] {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
            headers.insert(name, value);
        }
    }
    response
}

/// An error. `service` writes its body, since only it knows the request's id.
pub fn problem(error: impl Into<Problem>) -> Response {
    let problem = error.into();
    let mut response = Response::default();
    *response.status_mut() = problem.status;
    response.extensions_mut().insert(problem);
    response
}

pub(super) fn json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    match serde_json::to_vec(value) {
        Ok(mut body) => {
            body.push(b'\n');
            raw_json(status, Bytes::from(body), None, None)
        }
        Err(error) => problem(crate::database::Error::Internal(format!("write JSON: {error}"))),
    }
}
