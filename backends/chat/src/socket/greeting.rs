//! What a client wants, from the query of `/ws`: `user`, and where it likes `room`, `after`, `batch`.

use kit::http::Query;
use serde::Deserialize;

use crate::Error;
use crate::model::{RoomName, UserName};

/// The room of those who name none.
const LOBBY: &str = "lobby";

/// A client's wishes.
#[derive(Debug, PartialEq)]
pub(super) struct Greeting {
    pub(super) user: UserName,
    pub(super) room: RoomName,
    /// The last seq the client has seen.
    pub(super) after: Option<u64>,
    /// Several events may come in one text message, a line each.
    pub(super) batch: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    user: Option<String>,
    room: Option<String>,
    after: Option<u64>,
    batch: Option<bool>,
}

impl Greeting {
    pub(super) fn parse(query: &Query) -> Result<Self, Error> {
        let parameters: Parameters = query.parse()?;
        let user = parameters.user.unwrap_or_default().try_into().map_err(Error::InvalidField)?;
        let room = parameters.room.unwrap_or_else(|| LOBBY.to_owned()).try_into().map_err(Error::InvalidField)?;
        Ok(Self { user, room, after: parameters.after, batch: parameters.batch.unwrap_or(false) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<Greeting, &'static str> {
        Greeting::parse(&Query(query.to_owned())).map_err(|error| kit::problem::Describe::code(&error))
    }

    #[test]
    fn only_the_user_must_be_named() {
        let alice = parse("user=alice").unwrap();
        assert_eq!((alice.user.as_str(), alice.room.as_str(), alice.after, alice.batch), ("alice", "lobby", None, false));
        let all = parse("user=alice&room=ops&after=41&batch=true").unwrap();
        assert_eq!((all.room.as_str(), all.after, all.batch), ("ops", Some(41), true));
    }

    #[test]
    fn a_bad_greeting_is_told_what_is_wrong() {
        for (query, code) in [
            ("", "invalid_user"),
            ("user=", "invalid_user"),
            ("user=a%20b", "invalid_user"),
            ("user=%00", "invalid_query"),
            ("user=%ff", "invalid_query"),
            ("user=a&room=../x", "invalid_room"),
            ("user=a&after=x", "invalid_query"),
            ("user=a&user=b", "invalid_query"),
            ("user=a&admin=1", "invalid_query"),
        ] {
            assert_eq!(parse(query), Err(code), "{query}");
        }
    }
}
