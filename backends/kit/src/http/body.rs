//! A request's body: read whole, within a limit that counts, and parsed by whoever knows what it should be.
//!
//! Whatever is wrong with it is a value, never a warp rejection: the request has found its route, so no other may answer.

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use serde::de::{DeserializeOwned, IgnoredAny};
use warp::{Filter, Rejection};

use crate::problem::FieldError;

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
    /// No UTF-8.
    #[error("the body is not valid UTF-8")]
    NotUtf8,
    /// No JSON.
    #[error("the body is not valid JSON: {0}")]
    Malformed(String),
    /// Compressed in a way that cannot be undone.
    #[error("{0}")]
    Encoding(String),
    /// Another content type, or a content encoding we do not speak.
    #[error("content type must be {expected}")]
    MediaType {
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

/// Reads the body, up to `limit` bytes. A length announced above the limit is refused before anything is read.
pub fn body(limit: usize) -> impl Filter<Extract = (Body,), Error = Rejection> + Clone {
    warp::header::headers_cloned().and(warp::body::stream()).then(move |headers: HeaderMap, stream| async move {
        Body {
            content_type: header(&headers, CONTENT_TYPE).split(';').next().unwrap_or_default().trim().to_owned(),
            content_encoding: header(&headers, CONTENT_ENCODING),
            bytes: collect(&headers, stream, limit).await,
        }
    })
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
    /// The body as a `T`, which is an object, sent as `application/json`.
    ///
    /// # Errors
    ///
    /// Every variant of [`BodyError`] but `Encoding`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, BodyError> {
        self.json_as(&["application/json"], "application/json")
    }

    /// The body as a `T`, which is an object, sent as one of these content types.
    ///
    /// # Errors
    ///
    /// Every variant of [`BodyError`] but `Encoding`.
    pub fn json_as<T: DeserializeOwned>(&self, content_types: &[&str], expected: &'static str) -> Result<T, BodyError> {
        if !content_types.contains(&self.content_type.as_str()) || !matches!(self.content_encoding.as_str(), "" | "identity") {
            return Err(BodyError::MediaType { expected });
        }
        let bytes = self.bytes.as_ref().map_err(Clone::clone)?;
        // Serde would take the items of an array for the fields of a struct, in their order.
        let is_array = bytes.trim_ascii_start().starts_with(b"[");
        match parse(bytes) {
            Ok(_) | Err(BodyError::Shape(_)) if is_array => {
                Err(BodyError::Shape(FieldError::new("", "invalid_type", "invalid type: sequence, expected an object")))
            }
            parsed => parsed,
        }
    }
}

/// Reads `bytes` as a `T`, and says which of encoding, syntax or shape is wrong.
///
/// # Errors
///
/// `NotUtf8`, `Malformed`, `Shape`.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BodyError> {
    let text = std::str::from_utf8(bytes).map_err(|_| BodyError::NotUtf8)?;
    let mut json = serde_json::Deserializer::from_str(text);
    let parsed = serde_path_to_error::deserialize(&mut json);
    // A wrong shape is only worth telling when all of the text is JSON, also what follows the place of the error.
    if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
        return Err(BodyError::Malformed(error.to_string()));
    }
    parsed.map_err(|error| shape(&error))
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
    let detail = text.split(" at line ").next().unwrap_or_default().to_owned();
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
        parse::<Point>(text).expect_err("must be refused")
    }

    #[test]
    fn syntax_is_judged_before_shape() {
        assert!(matches!(error(br#"{"y":1, garbage"#), BodyError::Malformed(_)));
        assert!(matches!(error(br#"{"x":1} trailing"#), BodyError::Malformed(_)));
        assert!(matches!(error(b""), BodyError::Malformed(_)));
        assert!(matches!(error(b"{\"x\":\"\xff\"}"), BodyError::NotUtf8));
        let deep = "[".repeat(100_000);
        assert!(matches!(error(deep.as_bytes()), BodyError::Malformed(_)));
    }

    #[test]
    fn an_array_is_no_object_in_disguise() {
        let bytes = Ok(Bytes::from_static(b" [1]"));
        let body = Body { bytes, content_type: "application/json".to_owned(), content_encoding: String::new() };
        let Err(BodyError::Shape(field)) = body.json::<Point>() else { panic!("expected a shape error") };
        assert_eq!((field.pointer.as_str(), field.code), ("", "invalid_type"));
    }

    #[test]
    fn a_wrong_shape_names_the_field() {
        let BodyError::Shape(field) = error(br#"{"x":"one"}"#) else { panic!("expected a shape error") };
        assert_eq!((field.pointer.as_str(), field.code), ("/x", "invalid_type"));
        let BodyError::Shape(field) = error(br#"{"x":1,"a/b":2}"#) else { panic!("expected a shape error") };
        assert_eq!((field.pointer.as_str(), field.code), ("/a~1b", "unknown_field"));
        let BodyError::Shape(field) = error(b"[]") else { panic!("expected a shape error") };
        assert_eq!(field.pointer, "");
    }
}
