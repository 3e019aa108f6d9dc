//! What can go wrong with a request for users.

use kit::http::{BodyError, QueryError};
use kit::problem::{Describe, FieldError, Kind};

/// An error a caller can tell apart by its code.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The id in the path is no UUID.
    #[error("the id is not a UUID")]
    InvalidId,
    /// The cursor was not given out by a list.
    #[error("the cursor is not one of ours: follow the Link header of the page before")]
    InvalidCursor,
    /// The query string has unknown, repeated or bad values.
    #[error(transparent)]
    InvalidQuery(#[from] QueryError),
    /// The body cannot be read.
    #[error(transparent)]
    InvalidBody(#[from] BodyError),
    /// Fields of the body break the rules.
    #[error("some fields are invalid")]
    InvalidUser(Vec<FieldError>),
    /// No user has this id.
    #[error("there is no user with this id")]
    NotFound,
    /// Someone has this address, without regard to case.
    #[error("a user with this email address exists already")]
    EmailTaken,
    /// The user is not in the version that `If-Match` names.
    #[error("the user has changed since: read it again")]
    PreconditionFailed,
    /// The database did not do it.
    #[error(transparent)]
    Store(kit::database::Error),
}

impl From<kit::database::Error> for Error {
    fn from(error: kit::database::Error) -> Self {
        match error {
            // Of a user, only the address must be unique and can be chosen.
            kit::database::Error::Taken => Error::EmailTaken,
            other => Error::Store(other),
        }
    }
}

impl Describe for Error {
    fn kind(&self) -> Kind {
        match self {
            Error::InvalidId | Error::InvalidCursor => Kind::Malformed,
            Error::InvalidQuery(error) => error.kind(),
            Error::InvalidBody(error) => error.kind(),
            Error::InvalidUser(_) => Kind::Invalid,
            Error::NotFound => Kind::NotFound,
            Error::EmailTaken => Kind::Conflict,
            Error::PreconditionFailed => Kind::PreconditionFailed,
            Error::Store(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Error::InvalidId => "invalid_id",
            Error::InvalidCursor => "invalid_cursor",
            Error::InvalidQuery(error) => error.code(),
            Error::InvalidBody(error) => error.code(),
            Error::InvalidUser(_) => "invalid_user",
            Error::NotFound => "user_not_found",
            Error::EmailTaken => "email_taken",
            Error::PreconditionFailed => "precondition_failed",
            Error::Store(error) => error.code(),
        }
    }

    fn fields(&self) -> &[FieldError] {
        match self {
            Error::InvalidUser(fields) => fields,
            Error::InvalidBody(error) => error.fields(),
            _ => &[],
        }
    }
}
