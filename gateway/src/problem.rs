//! The gateway's own errors as RFC 9457 problems. Backends write theirs; the kit is not used here, so the door stays alone.

use http::StatusCode;
use serde::Serialize;

use crate::Config;
use crate::answer::{Answer, json_line};

/// What the gateway itself can refuse or fail at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    InvalidPath(&'static str),
    BadRequest(&'static str),
    /// A browser's page elsewhere wants a socket, and is none of those that may.
    OriginRefused,
    NotFound,
    MethodNotAllowed(&'static str),
    RequestTimeout,
    BodyTooLarge {
        bytes_max: usize,
    },
    HeadTooLarge {
        bytes_max: usize,
    },
    VersionNotSupported,
    NotImplemented,
    TooManyConnections,
    Overloaded,
    Internal,
    BadGateway,
    Unavailable,
    /// No backend has shown its document yet.
    DocumentUnknown,
    GatewayTimeout,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: String,
    request_id: &'a str,
}

impl Problem {
    /// The stable word a client may match on, its status and its title.
    fn facts(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Problem::InvalidPath(_) => ("invalid_path", StatusCode::BAD_REQUEST, "Invalid path"),
            Problem::BadRequest(_) => ("bad_request", StatusCode::BAD_REQUEST, "Bad request"),
            Problem::OriginRefused => ("origin_refused", StatusCode::FORBIDDEN, "Origin refused"),
            Problem::NotFound => ("not_found", StatusCode::NOT_FOUND, "Not found"),
            Problem::MethodNotAllowed(_) => ("method_not_allowed", StatusCode::METHOD_NOT_ALLOWED, "Method not allowed"),
            Problem::RequestTimeout => ("request_timeout", StatusCode::REQUEST_TIMEOUT, "Request timeout"),
            Problem::BodyTooLarge { .. } => ("body_too_large", StatusCode::PAYLOAD_TOO_LARGE, "Body too large"),
            Problem::HeadTooLarge { .. } => ("head_too_large", StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "Head too large"),
            Problem::VersionNotSupported => ("version_not_supported", StatusCode::HTTP_VERSION_NOT_SUPPORTED, "Version not supported"),
            Problem::NotImplemented => ("not_implemented", StatusCode::NOT_IMPLEMENTED, "Not implemented"),
            Problem::TooManyConnections => ("too_many_connections", StatusCode::SERVICE_UNAVAILABLE, "Too many connections"),
            Problem::Overloaded => ("overloaded", StatusCode::SERVICE_UNAVAILABLE, "Overloaded"),
            Problem::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR, "Internal error"),
            Problem::BadGateway => ("bad_gateway", StatusCode::BAD_GATEWAY, "Bad gateway"),
            Problem::Unavailable => ("unavailable", StatusCode::SERVICE_UNAVAILABLE, "Unavailable"),
            Problem::DocumentUnknown => ("document_unknown", StatusCode::SERVICE_UNAVAILABLE, "Document unknown"),
            Problem::GatewayTimeout => ("gateway_timeout", StatusCode::GATEWAY_TIMEOUT, "Gateway timeout"),
        }
    }

    pub(crate) fn status(self) -> StatusCode {
        self.facts().1
    }

    pub(crate) fn detail(self) -> String {
        match self {
            Problem::InvalidPath(reason) => reason.to_owned(),
            Problem::BadRequest(reason) => reason.to_owned(),
            Problem::OriginRefused => "pages of this origin may not open sockets here".to_owned(),
            Problem::NotFound => "nothing lives at this path".to_owned(),
            Problem::MethodNotAllowed(allow) => format!("this path answers {allow}"),
            Problem::RequestTimeout => "the request did not arrive in time".to_owned(),
            Problem::BodyTooLarge { bytes_max } => {
                format!("the body is larger than {bytes_max} bytes")
            }
            Problem::HeadTooLarge { bytes_max } => format!("the request line and the headers are larger than {bytes_max} bytes together"),
            Problem::VersionNotSupported => "this server speaks HTTP/1.0, HTTP/1.1 and HTTP/2".to_owned(),
            Problem::NotImplemented => "chunked is the only transfer coding this server knows".to_owned(),
            Problem::TooManyConnections => "too many connections are open, in all or from your address".to_owned(),
            Problem::Overloaded => "the service has more to do than it can; come again in a moment".to_owned(),
            Problem::Internal => "something went wrong inside the gateway".to_owned(),
            Problem::BadGateway => "the service broke off or gave an invalid answer".to_owned(),
            Problem::Unavailable => "the service has no live replica right now".to_owned(),
            Problem::DocumentUnknown => "no backend has shown its part of the document yet".to_owned(),
            Problem::GatewayTimeout => "the service did not answer in time".to_owned(),
        }
    }

    /// What may be said to a request for a page of our own.
    pub(crate) fn of_own_pages() -> Vec<Problem> {
        vec![
            Problem::InvalidPath("the path has a dot segment"),
            Problem::BadRequest("the head of the request is malformed"),
            Problem::RequestTimeout,
            Problem::HeadTooLarge { bytes_max: crate::lane::HEAD_BYTES_MAX },
            Problem::VersionNotSupported,
            Problem::NotImplemented,
            Problem::TooManyConnections,
        ]
    }

    /// What may be said before a backend answers, or instead of it; one with a body may also be too large.
    pub(crate) fn of_backends() -> Vec<Problem> {
        let more = [Problem::Internal, Problem::BadGateway, Problem::Unavailable, Problem::Overloaded, Problem::GatewayTimeout];
        [Problem::of_own_pages(), more.to_vec()].concat()
    }

    /// Everything that is ever said, with details that are examples.
    pub(crate) fn all(config: &Config) -> Vec<Problem> {
        let more = [
            Problem::OriginRefused,
            Problem::NotFound,
            Problem::MethodNotAllowed("GET, HEAD"),
            Problem::BodyTooLarge { bytes_max: config.body_bytes_max },
            Problem::DocumentUnknown,
        ];
        [Problem::of_backends(), more.to_vec()].concat()
    }

    pub(crate) fn code(self) -> &'static str {
        self.facts().0
    }

    pub(crate) fn answer(self, request_id: &str) -> Answer {
        let (code, status, title) = self.facts();
        let r#type = format!("/problems/{code}");
        let body = Body { r#type, title, status: status.as_u16(), code, detail: self.detail(), request_id };
        let answer = Answer::new(status, "application/problem+json", json_line(&body));
        match self {
            Problem::MethodNotAllowed(allow) => answer.with(http::header::ALLOW, allow),
            _ => answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_the_agreed_shape() {
        let answer = Problem::NotFound.answer("abc");
        assert_eq!(
            std::str::from_utf8(&answer.body).unwrap(),
            "{\"type\":\"/problems/not_found\",\"title\":\"Not found\",\"status\":404,\"code\":\"not_found\",\
             \"detail\":\"nothing lives at this path\",\"request_id\":\"abc\"}\n"
        );
    }

    #[test]
    fn every_503_says_when_to_come_back_and_every_405_what_is_allowed() {
        let has = |answer: Answer, name, value: &str| answer.headers.contains(&(name, value.to_owned()));
        assert!(has(Problem::Unavailable.answer("x"), http::header::RETRY_AFTER, "1"));
        assert!(has(Problem::MethodNotAllowed("GET, HEAD").answer("x"), http::header::ALLOW, "GET, HEAD"));
    }
}
