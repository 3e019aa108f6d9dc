//! What can go wrong with a request for analytics.

use kit::http::{BodyError, QueryError};
use kit::problem::{Describe, FieldError, Kind};

/// An error a caller can tell apart by its code.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The query string has unknown, repeated or bad values.
    #[error(transparent)]
    InvalidQuery(#[from] QueryError),
    /// The body cannot be read.
    #[error(transparent)]
    InvalidBody(#[from] BodyError),
    /// The one event of the body breaks the rules.
    #[error("some fields are invalid")]
    InvalidEvent(Vec<FieldError>),
    /// The body has more events than one request may bring.
    #[error("one request may bring {max} events at most: send several")]
    TooManyEvents {
        /// What it may bring.
        max: usize,
    },
    /// The database did not do it.
    #[error(transparent)]
    Store(#[from] kit::database::Error),
}

impl Describe for Error {
    fn kind(&self) -> Kind {
        match self {
            Error::InvalidQuery(error) => error.kind(),
            Error::InvalidBody(error) => error.kind(),
            Error::InvalidEvent(_) => Kind::Invalid,
            Error::TooManyEvents { .. } => Kind::TooLarge,
            Error::Store(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Error::InvalidQuery(error) => error.code(),
            Error::InvalidBody(error) => error.code(),
            Error::InvalidEvent(_) => "invalid_event",
            Error::TooManyEvents { .. } => "too_many_events",
            Error::Store(error) => error.code(),
        }
    }

    fn fields(&self) -> &[FieldError] {
        match self {
            Error::InvalidBody(error) => error.fields(),
            Error::InvalidEvent(fields) => fields,
            _ => &[],
        }
    }
}
