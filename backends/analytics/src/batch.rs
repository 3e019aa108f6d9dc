//! A body of events taken apart: one object, an array, or NDJSON.
//!
//! What makes the whole body unreadable is an error. What is wrong with one event of several is told at its index, and the
//! others count: every element of the body ends in `events` or in `rejected`.

use std::fmt;

use bytes::Bytes;
use kit::clock::Timestamp;
use kit::http::{Body, BodyError, parse_object};
use kit::problem::{Describe, FieldError};
use serde::Serialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::model::{Draft, Event};
use crate::{Error, gzip};

/// Characters of what is said of one rejected event at most; some of it is the sender's own text.
const DETAIL_CHARS_MAX: usize = 300;

/// The events of one body.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Those that are valid, in the order of the body.
    pub(crate) events: Vec<Event>,
    /// Those that are not, in the order of the body.
    pub(crate) rejected: Vec<Rejected>,
    /// The length of the body, decompressed.
    pub(crate) bytes: usize,
}

/// An event of several that was not taken.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Rejected {
    /// Its place among the events of the body, from 0; blank lines of NDJSON have none.
    pub(crate) index: usize,
    /// Stable name of its first fault, snake_case.
    pub(crate) code: &'static str,
    /// For people.
    pub(crate) detail: String,
}

/// How much a body may bring.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) body_bytes_max: usize,
    pub(crate) batch_events_max: usize,
}

/// Whether a body is compressed; `None` when in a way we do not undo.
pub(crate) fn is_compressed(body: &Body) -> Option<bool> {
    match body.content_encoding.as_str() {
        "" | "identity" => Some(false),
        "gzip" | "x-gzip" => Some(true),
        _ => None,
    }
}

/// Takes a body apart.
pub(crate) fn read(body: &Body, limits: Limits, now: Timestamp) -> Result<Batch, Error> {
    let is_lines = match body.content_type.as_str() {
        "application/json" => false,
        "application/x-ndjson" | "application/ndjson" => true,
        _ => return Err(BodyError::MediaType { expected: "application/json or application/x-ndjson" }.into()),
    };
    let is_compressed = is_compressed(body).ok_or(BodyError::ContentEncoding { expected: "gzip or identity" })?;
    let sent = body.bytes.as_ref().map_err(Clone::clone)?;
    let bytes = if is_compressed { gzip::decompress(sent, limits.body_bytes_max)? } else { sent.clone() };

    let max = limits.batch_events_max;
    let elements = match is_lines {
        true => lines(&bytes, max)?,
        false if bytes.trim_ascii_start().starts_with(b"[") => array(&bytes, max)?,
        false => {
            let event = parse_object::<Draft>(&bytes)?.complete(now).map_err(Error::InvalidEvent)?;
            return Ok(Batch { events: vec![event], rejected: Vec::new(), bytes: bytes.len() });
        }
    };
    let mut batch = Batch { bytes: bytes.len(), ..Batch::default() };
    for (index, element) in elements.into_iter().enumerate() {
        match event(&element, now) {
            Ok(event) => batch.events.push(event),
            Err((code, detail)) => {
                batch.rejected.push(Rejected { index, code, detail: detail.chars().take(DETAIL_CHARS_MAX).collect() });
            }
        }
    }
    Ok(batch)
}

/// One event from JSON, or the code of its first fault and what is wrong, for people.
pub(crate) fn event(json: &[u8], now: Timestamp) -> Result<Event, (&'static str, String)> {
    let draft = parse_object::<Draft>(json).map_err(|error| match error {
        BodyError::NotUtf8 => (error.code(), "not valid UTF-8".to_owned()),
        BodyError::Malformed(ref why) => (error.code(), format!("not valid JSON: {why}")),
        BodyError::Shape(ref fault) => (fault.code, about(fault)),
        _ => (error.code(), error.to_string()),
    })?;
    draft.complete(now).map_err(|faults| {
        let code = faults.first().map_or("invalid_event", |fault| fault.code);
        (code, faults.iter().map(about).collect::<Vec<_>>().join("; "))
    })
}

fn about(fault: &FieldError) -> String {
    match fault.pointer.strip_prefix('/') {
        Some(field) => format!("{field}: {}", fault.detail),
        None => fault.detail.clone(),
    }
}

/// The lines of NDJSON that have something on them.
fn lines(bytes: &Bytes, max: usize) -> Result<Vec<Bytes>, Error> {
    let mut lines = Vec::new();
    for line in bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
        if lines.len() == max {
            return Err(Error::TooManyEvents { max });
        }
        lines.push(bytes.slice_ref(line));
    }
    Ok(lines)
}

/// The elements of a JSON array, each as its text.
fn array(bytes: &Bytes, max: usize) -> Result<Vec<Bytes>, Error> {
    let text = std::str::from_utf8(bytes).map_err(|_| BodyError::NotUtf8)?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let elements = Elements { max }.deserialize(&mut deserializer).and_then(|elements| deserializer.end().map(|()| elements));
    let elements = elements.map_err(|error| BodyError::Malformed(error.to_string()))?;
    let elements = elements.ok_or(Error::TooManyEvents { max })?;
    Ok(elements.into_iter().map(|element| bytes.slice_ref(element.get().as_bytes())).collect())
}

/// Reads an array's elements, or `None` when there are more than `max`: then none of them is kept.
struct Elements {
    max: usize,
}

impl<'de> DeserializeSeed<'de> for Elements {
    type Value = Option<Vec<&'de RawValue>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Elements {
    type Value = Option<Vec<&'de RawValue>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while elements.len() < self.max {
            match items.next_element()? {
                Some(element) => elements.push(element),
                None => return Ok(Some(elements)),
            }
        }
        if items.next_element::<IgnoredAny>()?.is_none() {
            return Ok(Some(elements));
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
