//! Time as the system speaks it: milliseconds since 1970 inside, RFC 3339 in UTC outside.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Where a component takes the present from; tests pass their own.
pub type Clock = fn() -> Timestamp;

/// A moment, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since 1970.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Reads an RFC 3339 date and time with an offset, such as `2026-01-01T10:00:00Z`; anything below a millisecond is dropped.
    pub fn parse(text: &str) -> Option<Self> {
        let moment: jiff::Timestamp = text.parse().ok()?;
        Some(Self(moment.as_millisecond()))
    }
}

/// The present, by the machine's clock.
pub fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_millisecond())
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What jiff cannot hold (beyond the year 9999) is shown as the nearest end of its range.
        let moment = jiff::Timestamp::from_millisecond(self.0).unwrap_or(match self.0 < 0 {
            true => jiff::Timestamp::MIN,
            false => jiff::Timestamp::MAX,
        });
        write!(f, "{moment:.3}")
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Timestamp::parse(&text).ok_or_else(|| serde::de::Error::custom("expected a date and time as in RFC 3339"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_with_milliseconds_in_utc() {
        assert_eq!(Timestamp::from_millis(1_767_261_600_000).to_string(), "2026-01-01T10:00:00.000Z");
        assert_eq!(Timestamp::from_millis(i64::MAX).to_string().get(..4), Some("9999"));
    }

    #[test]
    fn an_offset_is_turned_into_utc() {
        let parsed = Timestamp::parse("2026-01-01T12:00:00.1239+02:00").expect("a valid time");
        assert_eq!(parsed.to_string(), "2026-01-01T10:00:00.123Z");
        assert_eq!(Timestamp::parse("yesterday"), None);
    }
}
