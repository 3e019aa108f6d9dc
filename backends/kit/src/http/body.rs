//! A request's body: read whole, within a limit that counts, and parsed by whoever knows what it should be.
//!
//! Whatever is wrong with it is a value, never a warp rejection: the request has found its route, so no other may answer.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;
use warp::{Filter, Rejection};

use crate::problem::FieldError;

/// How long any body may take.
const TIME_MIN: Duration = Duration::from_secs(10);
/// A body at the limit may come this slowly.
const SLOWEST_BYTES_PER_SECOND: usize = 64 * 1024;
/// Characters of what is said of a wrong field at most.
const DETAIL_CHARS_MAX: usize = 200;

/// Why a body is not what the route needs.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BodyError {
    /// Larger than the limit.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// In bytes.
        limit: usize,
    },
    /// The connection broke, or the framing did.
    #[error("the body ended before it was complete")]
    Interrupted,
    /// It came too slowly.
    #[error("the body did not come in time")]
    TooSlow,
    /// The request has a query string, which no request with a body takes.
    #[error("this request takes no query")]
    WithQuery,
    /// No UTF-8.
    #[error("the body is not valid UTF-8")]
    NotUtf8,
    /// No JSON.
    #[error("the body is not valid JSON: {0}")]
    Malformed(String),
    /// Compressed in a way that cannot be undone.
    #[error("{0}")]
    Encoding(String),
    /// Another content type.
    #[error("content type must be {expected}")]
    MediaType {
        /// What the route takes.
        expected: &'static str,
    },
    /// Compressed in a way the route does not undo.
    #[error("content encoding must be {expected}")]
    ContentEncoding {
        /// What the route takes.
        expected: &'static str,
    },
    /// JSON, but with unknown, missing or wrongly typed fields.
    #[error("the body does not have the expected shape: {}", .0.detail)]
    Shape(FieldError),
}

/// A request's body with what its headers say of it.
#[derive(Debug)]
pub struct Body {
    /// The bytes as sent, or why they could not be read.
    pub bytes: Result<Bytes, BodyError>,
    /// Lower-cased and without parameters; empty when not given.
    pub content_type: String,
    /// Lower-cased; empty when not given.
    pub content_encoding: String,
}

/// Reads the body, up to `limit` bytes and within a time that grows with the limit. A length announced above the limit is
/// refused before anything is read, and so is a query string: no request with a body has one.
pub fn body(limit: usize) -> impl Filter<Extract = (Body,), Error = Rejection> + Clone {
    let time = TIME_MIN + Duration::from_secs((limit / SLOWEST_BYTES_PER_SECOND) as u64);
    super::query().and(warp::header::headers_cloned()).and(warp::body::stream()).then(
        move |query: super::Query, headers: HeaderMap, stream| async move {
            let bytes = match query.0.is_empty() {
                true => tokio::time::timeout(time, collect(&headers, stream, limit)).await.unwrap_or(Err(BodyError::TooSlow)),
                false => Err(BodyError::WithQuery),
            };
            Body {
                content_type: header(&headers, CONTENT_TYPE).split(';').next().unwrap_or_default().trim().to_owned(),
                content_encoding: header(&headers, CONTENT_ENCODING),
                bytes,
            }
        },
    )
}

fn header(headers: &HeaderMap, name: http::HeaderName) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_ascii_lowercase()
}

async fn collect<S, B>(headers: &HeaderMap, stream: S, limit: usize) -> Result<Bytes, BodyError>
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(BodyError::TooLarge { limit });
    }
    let mut stream = std::pin::pin!(stream);
    let mut whole = BytesMut::new();
    while let Some(chunk) = stream.next().await {
        let mut chunk = chunk.map_err(|_| BodyError::Interrupted)?;
        if whole.len() + chunk.remaining() > limit {
            return Err(BodyError::TooLarge { limit });
        }
        // A body of one chunk, the usual case, is handed on without a copy.
        if whole.is_empty() && announced == Some(chunk.remaining()) {
            return Ok(chunk.copy_to_bytes(chunk.remaining()));
        }
        whole.reserve(chunk.remaining());
        while chunk.has_remaining() {
            let piece = chunk.chunk();
            whole.extend_from_slice(piece);
            let length = piece.len();
            chunk.advance(length);
        }
    }
    Ok(whole.freeze())
}

impl Body {
    /// The body, a JSON object sent as `application/json`, as a `T`.
    ///
    /// # Errors
    ///
    /// Every variant of [`BodyError`] but `Encoding`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, BodyError> {
        self.json_as(&["application/json"], "application/json")
    }

    /// The body, a JSON object sent as one of these content types, as a `T`.
    ///
    /// # Errors
    ///
    /// Every variant of [`BodyError`] but `Encoding`.
    pub fn json_as<T: DeserializeOwned>(&self, content_types: &[&str], expected: &'static str) -> Result<T, BodyError> {
        // What is wrong with the request itself comes before what is wrong with its content.
        if let Err(error @ (BodyError::WithQuery | BodyError::TooSlow)) = &self.bytes {
            return Err(error.clone());
        }
        if !content_types.contains(&self.content_type.as_str()) {
            return Err(BodyError::MediaType { expected });
        }
        if !matches!(self.content_encoding.as_str(), "" | "identity") {
            return Err(BodyError::ContentEncoding { expected: "identity" });
        }
        let bytes = self.bytes.as_ref().map_err(Clone::clone)?;
        parse_object(bytes)
    }
}

/// Reads a JSON object as a `T`, and says which of encoding, syntax or shape is wrong.
///
/// # Errors
///
/// `NotUtf8`, `Malformed`, `Shape`.
pub fn parse_object<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BodyError> {
    let text = std::str::from_utf8(bytes).map_err(|_| BodyError::NotUtf8)?;
    let mut json = serde_json::Deserializer::from_str(text);
    let parsed = serde_path_to_error::deserialize(&mut json);
    // A wrong shape is only worth telling when all of the text is JSON, also what follows the place of the error.
    if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
        return Err(BodyError::Malformed(error.to_string()));
    }
    // To serde, an array of the fields' values is as good as an object.
    if !text.trim_start().starts_with('{') {
        return Err(BodyError::Shape(FieldError::new("", "invalid_type", "must be a JSON object")));
    }
    parsed.map_err(|error| match error.inner().classify() {
        Category::Data => shape(&error),
        // What the quick look above lets pass: half a surrogate pair, a number beyond all bounds.
        Category::Syntax | Category::Eof | Category::Io => BodyError::Malformed(error.inner().to_string()),
    })
}

fn shape(error: &serde_path_to_error::Error<serde_json::Error>) -> BodyError {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in error.path() {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => pointer.push_str(&format!("/{}", key.replace('~', "~0").replace('/', "~1"))),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    let text = error.inner().to_string();
    // Some of it may be the sender's own text, as long as he likes.
    let detail: String = text.split(" at line ").next().unwrap_or_default().chars().take(DETAIL_CHARS_MAX).collect();
    let pointer = pointer.chars().take(DETAIL_CHARS_MAX).collect::<String>();
    let code = match () {
        () if detail.starts_with("unknown field") => "unknown_field",
        () if detail.starts_with("missing field") => "required",
        () => "invalid_type",
    };
    BodyError::Shape(FieldError { pointer, code, detail })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Point {
        #[allow(dead_code)]
        x: u8,
    }

    fn error(text: &[u8]) -> BodyError {
        parse_object::<Point>(text).expect_err("must be refused")
    }

    #[test]
    fn syntax_is_judged_before_shape() {
        assert!(matches!(error(br#"{"y":1, garbage"#), BodyError::Malformed(_)));
        assert!(matches!(error(br#"{"x":1} trailing"#), BodyError::Malformed(_)));
        assert!(matches!(error(b""), BodyError::Malformed(_)));
        assert!(matches!(error(b"{\"x\":\"\xff\"}"), BodyError::NotUtf8));
        assert!(matches!(error(br#"{"x":"\ud800"}"#), BodyError::Malformed(_)), "half a surrogate pair");
        assert!(matches!(error(br#"{"x":1e999}"#), BodyError::Malformed(_)), "beyond all bounds");
        let deep = "[".repeat(100_000);
        assert!(matches!(error(deep.as_bytes()), BodyError::Malformed(_)));
    }

    #[test]
    fn a_wrong_shape_names_the_field() {
        let BodyError::Shape(field) = error(br#"{"x":"one"}"#) else { panic!("expected a shape error") };
        assert_eq!((field.pointer.as_str(), field.code), ("/x", "invalid_type"));
        let BodyError::Shape(field) = error(br#"{"x":1,"a/b":2}"#) else { panic!("expected a shape error") };
        assert_eq!((field.pointer.as_str(), field.code), ("/a~1b", "unknown_field"));
        for no_object in [&b"[]"[..], b"[1]", b"1", b"null", b"\"x\""] {
            let BodyError::Shape(field) = error(no_object) else { panic!("expected a shape error") };
            assert_eq!((field.pointer.as_str(), field.code), ("", "invalid_type"));
        }
    }

    #[test]
    fn what_is_said_of_a_field_has_an_end() {
        let BodyError::Shape(field) = error(format!(r#"{{"{}":1}}"#, "x".repeat(10_000)).as_bytes()) else {
            panic!("expected a shape error")
        };
        assert!(field.detail.len() <= 200 && field.pointer.len() <= 200);
    }
}
