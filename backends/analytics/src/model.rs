//! The nouns of this backend: valid once made.

mod draft;
mod properties;

use std::str::FromStr;

use kit::clock::Timestamp;

pub(crate) use draft::Draft;
pub use properties::Properties;

/// Characters of an id at most.
const ID_CHARS_MAX: usize = 64;
/// Characters of a name at most.
const NAME_CHARS_MAX: usize = 64;
/// Characters of a user id at most.
const USER_ID_CHARS_MAX: usize = 128;
/// How far ahead of ours a sender's clock may be.
const AHEAD_MS_MAX: i64 = 24 * 60 * 60 * 1000;
/// The length of a minute.
const MINUTE_MS: i64 = 60_000;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Two events with the same id are the same event.
    pub id: Id,
    /// What happened.
    pub name: Name,
    /// When.
    pub at: Timestamp,
    /// Who did it.
    pub user_id: Option<UserId>,
    /// More about it.
    pub properties: Option<Properties>,
}

impl Event {
    /// The beginning of the minute in which it happened.
    pub(crate) fn minute(&self) -> Timestamp {
        minute_of(self.at)
    }
}

/// The beginning of the minute of a moment.
pub(crate) fn minute_of(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(at.as_millis() - at.as_millis().rem_euclid(MINUTE_MS))
}

/// The minute that begins so many minutes before `minute`.
pub(crate) fn minutes_before(minute: Timestamp, count: u32) -> Timestamp {
    Timestamp::from_millis(minute.as_millis() - i64::from(count) * MINUTE_MS)
}

/// When an event may have happened: since 1970, and at most a day ahead of our clock.
fn judge_at(at: Timestamp, now: Timestamp) -> Result<Timestamp, &'static str> {
    match at.as_millis() {
        millis if millis < 0 => Err("must not be before 1970"),
        millis if millis > now.as_millis() + AHEAD_MS_MAX => Err("must not be more than 24 hours in the future"),
        _ => Ok(at),
    }
}

/// An event's id: 1 to 64 characters, none of them a control character.
#[derive(Debug, Clone, PartialEq)]
pub struct Id(String);

impl Id {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Id {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !is_plain(text, ID_CHARS_MAX) {
            return Err("must be 1 to 64 characters, none of them a control character");
        }
        Ok(Self(text.to_owned()))
    }
}

impl From<uuid::Uuid> for Id {
    fn from(id: uuid::Uuid) -> Self {
        Self(id.to_string())
    }
}

/// What happened, such as `user.created`: 1 to 64 of `A–Z a–z 0–9 . _ : -`.
#[derive(Debug, Clone, PartialEq)]
pub struct Name(String);

impl Name {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'-');
        if !(1..=NAME_CHARS_MAX).contains(&text.len()) || !text.bytes().all(is_allowed) {
            return Err("must be 1 to 64 of the characters A-Z, a-z, 0-9, '.', '_', ':' and '-'");
        }
        Ok(Self(text.to_owned()))
    }
}

/// Who did it, as the sender names him: 1 to 128 characters, none of them a control character.
#[derive(Debug, Clone, PartialEq)]
pub struct UserId(String);

impl UserId {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !is_plain(text, USER_ID_CHARS_MAX) {
            return Err("must be 1 to 128 characters, none of them a control character");
        }
        Ok(Self(text.to_owned()))
    }
}

/// Whether a text has 1 to `chars_max` characters and no control character, which NUL is one of.
fn is_plain(text: &str, chars_max: usize) -> bool {
    // Bytes first: nobody counts the characters of a megabyte.
    !text.is_empty() && text.len() <= 4 * chars_max && text.chars().count() <= chars_max && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_short_plain_text() {
        for good in ["1", "0190a6e2-7c3a-7b3e-8f0a-1b2c3d4e5f60", "a b", &"ü".repeat(64)] {
            assert!(good.parse::<Id>().is_ok(), "{good:?} is fine");
        }
        for bad in ["", "a\0b", "a\nb", &"x".repeat(65), &"ü".repeat(65), &"x".repeat(1_000_000)] {
            assert!(bad.parse::<Id>().is_err(), "{} characters must be refused", bad.chars().count());
        }
    }

    #[test]
    fn a_name_is_of_a_few_characters() {
        for good in ["a", "user.created", "Cart:add_item-2", &"x".repeat(64)] {
            assert!(good.parse::<Name>().is_ok(), "{good:?} is fine");
        }
        for bad in ["", "a b", "ü", "a/b", "a\0", &"x".repeat(65)] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?} must be refused");
        }
    }

    #[test]
    fn an_event_happened_since_1970_and_at_most_a_day_ahead() {
        let now = Timestamp::from_millis(1_767_261_600_000);
        let day = 24 * 60 * 60 * 1000;
        for (millis, is_fine) in [(-1, false), (0, true), (now.as_millis() + day, true), (now.as_millis() + day + 1, false)] {
            assert_eq!(judge_at(Timestamp::from_millis(millis), now).is_ok(), is_fine, "{millis}");
        }
    }

    #[test]
    fn a_minute_begins_at_its_first_millisecond() {
        let minute = Timestamp::from_millis(1_767_261_600_000);
        assert_eq!(minute_of(minute), minute);
        assert_eq!(minute_of(Timestamp::from_millis(1_767_261_659_999)), minute);
        assert_eq!(minutes_before(minute, 2).to_string(), "2026-01-01T09:58:00.000Z");
    }
}
