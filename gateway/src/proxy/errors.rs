//! pingora's errors in the words of the door.

use pingora_core::{Error, ErrorSource, ErrorType};

use crate::failure::Failure;
use crate::problem::Problem;

/// What an error between us and a replica means.
pub(super) fn failure(error: &Error) -> Failure {
    match error.root_etype() {
        ErrorType::ConnectRefused => Failure::Refused,
        ErrorType::ConnectTimedout => Failure::ConnectTimeout,
        ErrorType::ConnectNoRoute | ErrorType::ConnectError => Failure::NoRoute,
        ErrorType::SocketError | ErrorType::BindError => Failure::OwnLimit,
        ErrorType::ReadTimedout | ErrorType::WriteTimedout => Failure::Timeout,
        ErrorType::InvalidHTTPHeader | ErrorType::H1Error => Failure::InvalidAnswer,
        _ => Failure::Broken,
    }
}

/// What to tell the client about an engine's error; `None` when there is nobody left to tell.
pub(super) fn problem(error: &Error, body_bytes_max: usize) -> Option<Problem> {
    use ErrorType::*;
    let problem = match (error.esource(), error.etype()) {
        (_, HTTPStatus(408)) => Problem::RequestTimeout,
        (_, HTTPStatus(413)) => Problem::BodyTooLarge { bytes_max: body_bytes_max },
        (_, HTTPStatus(503)) => Problem::Unavailable,
        (ErrorSource::Upstream, _) => failure(error).problem(),
        (ErrorSource::Downstream, ReadTimedout) => Problem::RequestTimeout,
        (ErrorSource::Downstream, ReadError | WriteError | WriteTimedout | ConnectionClosed) => {
            return None;
        }
        (ErrorSource::Downstream, _) => Problem::BadRequest("the request is malformed"),
        (ErrorSource::Internal | ErrorSource::Unset, _) => Problem::Internal,
    };
    Some(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_its_answer() {
        use ErrorType::*;
        let too_large = Problem::BodyTooLarge { bytes_max: 7 };
        let table = [
            (Error::new_in(HTTPStatus(503)), Some(Problem::Unavailable)),
            (Error::new_down(HTTPStatus(408)), Some(Problem::RequestTimeout)),
            (Error::new_down(HTTPStatus(413)), Some(too_large)),
            (Error::new_up(ConnectRefused), Some(Problem::Unavailable)),
            (Error::new_up(ReadTimedout), Some(Problem::GatewayTimeout)),
            (Error::new_up(ConnectionClosed), Some(Problem::BadGateway)),
            (Error::new_up(InvalidHTTPHeader), Some(Problem::BadGateway)),
            (Error::new_down(ConnectionClosed), None),
            (Error::new_down(ReadTimedout), Some(Problem::RequestTimeout)),
            (Error::new_down(InvalidHTTPHeader), Some(Problem::BadRequest("the request is malformed"))),
            (Error::new_in(InternalError), Some(Problem::Internal)),
        ];
        for (error, expected) in table {
            assert_eq!(problem(&error, 7), expected, "{error}");
        }
    }
}
