//! The nouns of chat: valid once made.

use std::sync::Arc;

use kit::clock::Timestamp;
use kit::problem::FieldError;
use serde::{Deserialize, Serialize};

/// Bytes of a room's or a user's name, and of a client's message id, at most.
const NAME_BYTES_MAX: usize = 64;

/// A room's name: `[a-z0-9._-]{1,64}`, but not `.` or `..`, which no path can name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct RoomName(Arc<str>);

/// A user's name: `[A-Za-z0-9._-]{1,64}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct UserName(Arc<str>);

/// A client's own id of a message: 1 to 64 characters, none of them a control character. A retry carries the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ClientId(Arc<str>);

impl RoomName {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl UserName {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ClientId {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RoomName {
    type Error = FieldError;

    fn try_from(text: String) -> Result<Self, FieldError> {
        let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        let is_dots = matches!(text.as_str(), "." | "..");
        if (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_allowed) && !is_dots {
            return Ok(Self(text.into()));
        }
        Err(FieldError::new("/room", "invalid_room", "a room's name has 1 to 64 characters of a-z 0-9 . _ - and is not . or .. alone"))
    }
}

impl TryFrom<String> for UserName {
    type Error = FieldError;

    fn try_from(text: String) -> Result<Self, FieldError> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_allowed) {
            return Ok(Self(text.into()));
        }
        Err(FieldError::new("/user", "invalid_user", "a user's name has 1 to 64 characters of A-Z a-z 0-9 . _ -"))
    }
}

impl TryFrom<String> for ClientId {
    type Error = FieldError;

    fn try_from(text: String) -> Result<Self, FieldError> {
        check_id(&text)?;
        Ok(Self(text.into()))
    }
}

/// Judges the `id` of a frame, which is a message's own where the frame is one.
pub(crate) fn check_id(text: &str) -> Result<(), FieldError> {
    if (1..=NAME_BYTES_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(FieldError::new("/id", "invalid_id", "an id has 1 to 64 characters, none of them a control character"))
}

/// Judges the text of a message: some, without NUL, at most `bytes_max` bytes.
pub(crate) fn check_text(text: &str, bytes_max: usize) -> Result<(), FieldError> {
    match () {
        () if text.len() > bytes_max => {
            Err(FieldError::new("/text", "text_too_long", format!("a message has at most {bytes_max} bytes of text")))
        }
        () if text.is_empty() => Err(FieldError::new("/text", "invalid_text", "a message has some text")),
        () if text.contains('\0') => Err(FieldError::new("/text", "invalid_text", "a message has no NUL in its text")),
        () => Ok(()),
    }
}

/// A message on its way into the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// Where it is said.
    pub room: RoomName,
    /// Who says it.
    pub user: UserName,
    /// What is said.
    pub text: String,
    /// The sender's own id of it.
    pub id: Option<ClientId>,
    /// When it came in.
    pub at: Timestamp,
}

/// An event of a room's log.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Where.
    pub room: RoomName,
    /// Its place in the room's log, from 1, without holes.
    pub seq: u64,
    /// Who.
    pub user: UserName,
    /// What.
    pub text: String,
    /// When.
    pub at: Timestamp,
    /// The sender's own id of it; shown to its sender only.
    pub id: Option<ClientId>,
}

/// A room as listed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Room {
    /// Its name.
    pub room: RoomName,
    /// The seq of its newest event.
    pub head: u64,
    /// When that was.
    pub last_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        assert!(RoomName::try_from("team-1.ops_x".to_owned()).is_ok());
        assert!(UserName::try_from("Alice.B-2_c".to_owned()).is_ok());
        let long = "a".repeat(65);
        for bad in ["", " ", "a b", "a/b", "../x", "ü", "a\0", "a\n", "'; drop table rooms --", &long] {
            assert!(RoomName::try_from(bad.to_owned()).is_err(), "{bad:?}");
            assert!(UserName::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
        for (room, is_fine) in [("Ops", false), (".", false), ("..", false), ("...", true), (".a", true)] {
            assert_eq!(RoomName::try_from(room.to_owned()).is_ok(), is_fine, "{room:?}");
        }
    }

    #[test]
    fn a_client_id_is_any_short_text() {
        assert!(ClientId::try_from("9b1c… ü".to_owned()).is_ok());
        for bad in [String::new(), "x".repeat(65), "a\0".to_owned(), "a\n".to_owned()] {
            assert!(ClientId::try_from(bad).is_err());
        }
    }
}
