//! An answer of the gateway's own, before any engine writes it. Made by `own_pages` and `problem`, sent by `proxy`.

use bytes::Bytes;
use http::StatusCode;
use http::header::HeaderName;

/// Status, headers and the whole body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, String)>,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn new(status: StatusCode, content_type: &str, body: impl Into<Bytes>) -> Answer {
        let headers = vec![(http::header::CONTENT_TYPE, content_type.to_owned()), (http::header::CACHE_CONTROL, "no-store".to_owned())];
        let answer = Answer { status, headers, body: body.into() };
        // Whoever says 503 also says when to come back.
        match status {
            StatusCode::SERVICE_UNAVAILABLE => answer.with(http::header::RETRY_AFTER, "1"),
            _ => answer,
        }
    }

    /// A JSON body that ends with a newline, so that a prompt never sticks to it.
    pub(crate) fn json(status: StatusCode, body: &impl serde::Serialize) -> Answer {
        Answer::new(status, "application/json", json_line(body))
    }

    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Answer {
        self.headers.push((name, value.to_owned()));
        self
    }
}

pub(crate) fn json_line(body: &impl serde::Serialize) -> Vec<u8> {
    let mut text = serde_json::to_vec(body).expect("our own structs have string keys and no failing serializers");
    text.push(b'\n');
    text
}
