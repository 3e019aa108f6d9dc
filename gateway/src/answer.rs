//! An answer of the gateway's own, before any engine writes it. Made by `own_pages` and `problem`, sent by `proxy`.

use bytes::Bytes;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, LOCATION};

/// Status, headers and the whole body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, String)>,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn new(status: StatusCode, content_type: &str, body: impl Into<Bytes>) -> Answer {
        let headers = vec![(CONTENT_TYPE, content_type.to_owned()), (CACHE_CONTROL, "no-store".to_owned())];
        let answer = Answer { status, headers, body: body.into() };
        // Whoever says 503 also says when to come back.
        match status {
            StatusCode::SERVICE_UNAVAILABLE => answer.with(http::header::RETRY_AFTER, "1"),
            _ => answer,
        }
    }

    /// What is asked for is elsewhere, for good.
    pub(crate) fn elsewhere(path: &str) -> Answer {
        Answer::new(StatusCode::PERMANENT_REDIRECT, "text/plain; charset=utf-8", format!("see {path}\n")).with(LOCATION, path)
    }

    /// An answer that may be kept, under these rules.
    pub(crate) fn kept(content_type: &str, body: impl Into<Bytes>, rules: &str) -> Answer {
        let headers = vec![(CONTENT_TYPE, content_type.to_owned()), (CACHE_CONTROL, rules.to_owned())];
        Answer { status: StatusCode::OK, headers, body: body.into() }
    }

    /// The word that what was kept is still true.
    pub(crate) fn not_modified(rules: &str) -> Answer {
        Answer { status: StatusCode::NOT_MODIFIED, headers: vec![(CACHE_CONTROL, rules.to_owned())], body: Bytes::new() }
    }

    /// A JSON body that ends with a newline, so that a prompt never sticks to it.
    pub(crate) fn json(status: StatusCode, body: &impl serde::Serialize) -> Answer {
        Answer::new(status, "application/json", json_line(body))
    }

    /// 204 has no body and 304 none of its own (RFC 9110, section 8.6).
    pub(crate) fn has_length(&self) -> bool {
        !matches!(self.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
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
