//! What a sender adds to an event: any JSON object, within bounds, kept as it was written.
//!
//! It is walked once to see that every reader after us can read it, but no tree is built of it: nothing asks for its values
//! yet, and the text keeps numbers as precise as they were sent.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Bytes of the object at most, as it was sent.
const BYTES_MAX: usize = 8 * 1024;

/// A JSON object of at most 8 KiB, without NUL in any string, not nested deeper than 127 levels.
#[derive(Debug, Clone, PartialEq)]
pub struct Properties(String);

impl Properties {
    /// As JSON.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Properties {
    type Err = &'static str;

    fn from_str(json: &str) -> Result<Self, Self::Err> {
        if json.len() > BYTES_MAX {
            return Err("must not be larger than 8192 bytes");
        }
        match serde_json::from_str::<Readable>(json) {
            Ok(_) => Ok(Self(json.to_owned())),
            Err(_) => Err("must be JSON without NUL characters, unpaired surrogates, numbers out of range or deep nesting"),
        }
    }
}

/// JSON that every reader can read.
struct Readable;

impl<'de> Deserialize<'de> for Readable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Walk)
    }
}

struct Walk;

impl<'de> Visitor<'de> for Walk {
    type Value = Readable;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Readable, E> {
        if text.contains('\0') { Err(E::custom("a string contains NUL")) } else { Ok(Readable) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Readable, A::Error> {
        while items.next_element::<Readable>()?.is_some() {}
        Ok(Readable)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Readable, A::Error> {
        while members.next_entry::<Readable, Readable>()?.is_some() {}
        Ok(Readable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_reader_can_read_is_kept_as_written() {
        for good in ["{}", r#"{"a": [1, -2.5e3, true, null, "ü\n\ud83d\ude00", {"b":{}}]}"#, r#"{"n":123456789012345678901234567890}"#] {
            assert_eq!(good.parse::<Properties>().as_ref().map(Properties::as_str), Ok(good));
        }
    }

    #[test]
    fn what_some_reader_cannot_read_is_refused() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(BYTES_MAX));
        for bad in [r#"{"a":"x\u0000"}"#, r#"{"x\u0000":1}"#, r#"{"a":["\u0000"]}"#, r#"{"a":"\ud800"}"#, r#"{"a":1e999}"#, &deep, &large] {
            assert!(bad.parse::<Properties>().is_err(), "{bad:.40} must be refused");
        }
    }
}
