//! Errors as the outside sees them: `application/problem+json` (RFC 9457).
//!
//! A backend's error says what kind of thing went wrong and its stable code (`Describe`); only this file knows which HTTP
//! status that is. Internal errors give the client a fixed text; their chain goes to the log, once.

use std::error::Error;
use std::fmt;

use http::StatusCode;
use serde::Serialize;

use crate::seldom::Seldom;
use crate::{database, http::BodyError, http::QueryError};

/// What a caller can do about an error; each kind is one HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The request cannot be read: 400.
    Malformed,
    /// There is no such thing: 404.
    NotFound,
    /// The method is not for this path: 405.
    MethodNotAllowed,
    /// It collides with what is there: 409.
    Conflict,
    /// The thing changed since the caller looked: 412.
    PreconditionFailed,
    /// The request did not come in time: 408.
    Timeout,
    /// The body is larger than allowed: 413.
    TooLarge,
    /// The body is of another type: 415.
    UnsupportedMediaType,
    /// Readable, but not acceptable: 422.
    Invalid,
    /// The path wants a WebSocket: 426.
    UpgradeRequired,
    /// Our fault: 500.
    Internal,
    /// Not now, try again: 503 with `Retry-After`.
    Unavailable,
}

impl Kind {
    /// The HTTP status of this kind.
    pub fn status(self) -> StatusCode {
        match self {
            Kind::Malformed => StatusCode::BAD_REQUEST,
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Kind::Conflict => StatusCode::CONFLICT,
            Kind::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Kind::Timeout => StatusCode::REQUEST_TIMEOUT,
            Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Kind::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Kind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            Kind::UpgradeRequired => StatusCode::UPGRADE_REQUIRED,
            Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// An error that can be told to a client.
pub trait Describe: Error {
    /// What the caller can do about it.
    fn kind(&self) -> Kind;
    /// The stable name of this error, snake_case.
    fn code(&self) -> &'static str;
    /// What is wrong where, when the error is about fields of the body.
    fn fields(&self) -> &[FieldError] {
        &[]
    }
}

/// One thing wrong with one field of a body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// JSON pointer into the body (RFC 6901), such as `/email`.
    pub pointer: String,
    /// Stable name, snake_case.
    pub code: &'static str,
    /// For people.
    pub detail: String,
}

impl FieldError {
    /// A field error at `pointer`.
    pub fn new(pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code, detail: detail.into() }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

/// An error on its way to a client; `http::service` adds the request's id and writes it.
#[derive(Debug, Clone)]
pub struct Problem {
    /// The HTTP status it is sent with.
    pub status: StatusCode,
    /// Stable name, snake_case.
    pub code: &'static str,
    /// For people; for internal errors a fixed text.
    pub detail: String,
    /// What is wrong where.
    pub fields: Vec<FieldError>,
    /// The whole chain, for the log only.
    pub chain: String,
}

impl<E: Describe> From<E> for Problem {
    fn from(error: E) -> Self {
        let kind = error.kind();
        let detail = match kind {
            Kind::Internal => "something went wrong on our side".to_owned(),
            Kind::Unavailable => "the service cannot do this right now; try again".to_owned(),
            _ => error.to_string(),
        };
        Problem { status: kind.status(), code: error.code(), detail, fields: error.fields().to_vec(), chain: chain(&error) }
    }
}

/// An outage makes every request fail; one line a second says so.
static UNAVAILABLE: Seldom = Seldom::new();

impl Problem {
    /// Says what was our fault, in the log: every defect, and of what is not available right now a line a second. `request_id` is
    /// empty where there is no request.
    pub fn log(&self, request_id: &str) {
        match self.status {
            StatusCode::SERVICE_UNAVAILABLE => {
                if let Some(left_out) = UNAVAILABLE.is_time() {
                    tracing::error!(request_id, code = self.code, left_out, "{}", self.chain);
                }
            }
            status if status.is_server_error() => tracing::error!(request_id, code = self.code, "{}", self.chain),
            _ => {}
        }
    }
}

/// The error and its causes, in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Transparent wrappers repeat the text of what they wrap.
        let line = error.to_string();
        if !text.ends_with(&line) {
            text.push_str(": ");
            text.push_str(&line);
        }
        cause = error.source();
    }
    text
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    code: &'a str,
    detail: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    request_id: &'a str,
}

impl Problem {
    /// The document of RFC 9457, with our `code`, `errors` and `request_id` beside its own members.
    pub fn to_json(&self, request_id: &str) -> Vec<u8> {
        let document = Document {
            r#type: format!("/problems/{}", self.code),
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.code,
            detail: &self.detail,
            errors: &self.fields,
            request_id,
        };
        let mut json = serde_json::to_vec(&document).expect("strings and numbers always serialize");
        json.push(b'\n');
        json
    }
}

impl Describe for database::Error {
    fn kind(&self) -> Kind {
        match self {
            database::Error::Busy | database::Error::Unavailable(_) => Kind::Unavailable,
            _ => Kind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            database::Error::Busy => "overloaded",
            database::Error::Unavailable(_) => "unavailable",
            _ => "internal",
        }
    }
}

impl Describe for BodyError {
    fn kind(&self) -> Kind {
        match self {
            BodyError::TooLarge { .. } => Kind::TooLarge,
            BodyError::TooSlow => Kind::Timeout,
            BodyError::WithQuery | BodyError::Interrupted | BodyError::NotUtf8 | BodyError::Malformed(_) | BodyError::Encoding(_) => {
                Kind::Malformed
            }
            BodyError::MediaType { .. } | BodyError::ContentEncoding { .. } => Kind::UnsupportedMediaType,
            BodyError::Shape(_) => Kind::Invalid,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            BodyError::TooLarge { .. } => "body_too_large",
            BodyError::Interrupted => "body_interrupted",
            BodyError::TooSlow => "body_timeout",
            BodyError::WithQuery => "invalid_query",
            BodyError::NotUtf8 => "invalid_utf8",
            BodyError::Malformed(_) => "malformed_json",
            BodyError::Encoding(_) => "invalid_encoding",
            BodyError::MediaType { .. } | BodyError::ContentEncoding { .. } => "unsupported_media_type",
            BodyError::Shape(_) => "invalid_body",
        }
    }

    fn fields(&self) -> &[FieldError] {
        match self {
            BodyError::Shape(field) => std::slice::from_ref(field),
            _ => &[],
        }
    }
}

impl Describe for QueryError {
    fn kind(&self) -> Kind {
        Kind::Malformed
    }

    fn code(&self) -> &'static str {
        "invalid_query"
    }
}
