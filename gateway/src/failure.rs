//! What can go wrong between the door and a replica, in words both engines translate their errors into.

use crate::problem::Problem;

/// Why a replica did not give an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Nobody listens there.
    Refused,
    /// It did not take the connection in time.
    ConnectTimeout,
    /// There is no way there, or connecting failed otherwise.
    NoRoute,
    /// We have no ports or descriptors left; that says nothing about the replica.
    OwnLimit,
    /// It broke the connection off.
    Broken,
    /// It did not answer in time.
    Timeout,
    /// What it answered is no HTTP, or could be read in two ways.
    InvalidAnswer,
}

impl Failure {
    /// The word in metrics.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Failure::Refused => "connect_refused",
            Failure::ConnectTimeout => "connect_timeout",
            Failure::NoRoute => "connect",
            Failure::OwnLimit => "own_limit",
            Failure::Broken => "broken",
            Failure::Timeout => "timeout",
            Failure::InvalidAnswer => "invalid_answer",
        }
    }

    /// In the words an operator uses.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Failure::Refused => "connection refused",
            Failure::ConnectTimeout => "connection timed out",
            Failure::NoRoute => "cannot connect",
            Failure::OwnLimit => "no ports or descriptors left",
            Failure::Broken => "connection broken",
            Failure::Timeout => "timed out",
            Failure::InvalidAnswer => "invalid answer",
        }
    }

    /// Nothing can have been sent.
    pub(crate) fn is_before_sending(self) -> bool {
        matches!(self, Failure::Refused | Failure::ConnectTimeout | Failure::NoRoute | Failure::OwnLimit)
    }

    /// What the client is told when nobody else can be asked.
    pub(crate) fn problem(self) -> Problem {
        match self {
            Failure::Refused | Failure::ConnectTimeout | Failure::NoRoute | Failure::OwnLimit => Problem::Unavailable,
            Failure::Broken | Failure::InvalidAnswer => Problem::BadGateway,
            Failure::Timeout => Problem::GatewayTimeout,
        }
    }

    /// What an error of connecting means.
    pub(crate) fn of_connecting(error: &std::io::Error) -> Failure {
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => Failure::Refused,
            ErrorKind::TimedOut => Failure::ConnectTimeout,
            ErrorKind::AddrNotAvailable => Failure::OwnLimit,
            // ENFILE, EMFILE.
            _ if error.raw_os_error().is_some_and(|code| matches!(code, 23 | 24)) => Failure::OwnLimit,
            _ => Failure::NoRoute,
        }
    }
}
