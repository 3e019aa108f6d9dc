//! What can go wrong with something a client asks of chat, over HTTP or over a socket.

use std::time::Duration;

use kit::http::{BodyError, QueryError};
use kit::problem::{Describe, FieldError, Kind};

/// An error a caller can tell apart by its code.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The room in the path has no valid name.
    #[error("{}", .0.detail)]
    InvalidRoom(FieldError),
    /// The query string has unknown, repeated or bad values.
    #[error(transparent)]
    InvalidQuery(#[from] QueryError),
    /// The body cannot be read.
    #[error(transparent)]
    InvalidBody(#[from] BodyError),
    /// Fields of a message break the rules.
    #[error("some fields are invalid")]
    InvalidMessage(Vec<FieldError>),
    /// A field of a frame breaks the rules.
    #[error("{}", .0.detail)]
    InvalidField(FieldError),
    /// A frame that begins with `{` is no JSON.
    #[error("a frame that begins with {{ must be JSON: {0}")]
    MalformedFrame(String),
    /// A frame is JSON, but not one we know.
    #[error("the frame does not have the expected shape: {0}")]
    InvalidFrame(String),
    /// A frame has a type we do not know.
    #[error("the frame has an unknown type: {0}")]
    UnknownType(String),
    /// The socket is not in the room it wants to leave.
    #[error("you are not in this room")]
    NotJoined,
    /// The socket is in as many rooms as it may be.
    #[error("a socket may be in at most {0} rooms: leave one first")]
    TooManyRooms(usize),
    /// Too many frames at once.
    #[error("too many frames: slow down")]
    RateLimited(Duration),
    /// `GET /ws` without a WebSocket handshake.
    #[error("this path takes a WebSocket (RFC 6455), version 13")]
    UpgradeRequired,
    /// The replica has as many sockets as it may have, or is about to stop.
    #[error("this replica takes no more sockets")]
    NoMoreSockets,
    /// The database did not do it.
    #[error(transparent)]
    Store(#[from] kit::database::Error),
}

impl Describe for Error {
    fn kind(&self) -> Kind {
        match self {
            Error::InvalidRoom(_) | Error::MalformedFrame(_) => Kind::Malformed,
            Error::InvalidQuery(error) => error.kind(),
            Error::InvalidBody(error) => error.kind(),
            Error::InvalidMessage(_) | Error::InvalidField(_) | Error::InvalidFrame(_) | Error::UnknownType(_) => Kind::Invalid,
            Error::NotJoined | Error::TooManyRooms(_) | Error::RateLimited(_) => Kind::Conflict,
            Error::UpgradeRequired => Kind::UpgradeRequired,
            Error::NoMoreSockets => Kind::Unavailable,
            Error::Store(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Error::InvalidRoom(field) | Error::InvalidField(field) => field.code,
            Error::InvalidQuery(error) => error.code(),
            Error::InvalidBody(error) => error.code(),
            Error::InvalidMessage(_) => "invalid_message",
            Error::MalformedFrame(_) => "malformed_json",
            Error::InvalidFrame(_) => "invalid_frame",
            Error::UnknownType(_) => "unknown_type",
            Error::NotJoined => "not_joined",
            Error::TooManyRooms(_) => "too_many_rooms",
            Error::RateLimited(_) => "rate_limited",
            Error::UpgradeRequired => "upgrade_required",
            Error::NoMoreSockets => "overloaded",
            Error::Store(error) => error.code(),
        }
    }

    fn fields(&self) -> &[FieldError] {
        match self {
            Error::InvalidMessage(fields) => fields,
            Error::InvalidBody(error) => error.fields(),
            _ => &[],
        }
    }
}

impl Error {
    /// When it is worth trying again, where we know.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::RateLimited(wait) => Some(*wait),
            error if error.kind() == Kind::Unavailable => Some(Duration::from_secs(1)),
            _ => None,
        }
    }
}
