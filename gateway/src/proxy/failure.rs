//! What an engine's error means: for the client, for the replica, and for trying once more. Pure functions over the error.

use pingora_core::{Error, ErrorSource, ErrorType};

use crate::problem::Problem;

/// What to tell the client about an engine's error; `None` when there is nobody left to tell.
pub(super) fn problem(error: &Error, body_bytes_max: usize) -> Option<Problem> {
    use ErrorType::*;
    let problem = match (error.esource(), error.etype()) {
        (_, HTTPStatus(413)) => Problem::BodyTooLarge { bytes_max: body_bytes_max },
        (_, HTTPStatus(503)) => Problem::Unavailable,
        (ErrorSource::Upstream, ConnectTimedout | ConnectRefused | ConnectNoRoute | ConnectError) => Problem::Unavailable,
        (ErrorSource::Upstream, ReadTimedout | WriteTimedout) => Problem::GatewayTimeout,
        (ErrorSource::Upstream, _) => Problem::BadGateway,
        (ErrorSource::Downstream, ReadTimedout) => Problem::RequestTimeout,
        (ErrorSource::Downstream, ReadError | WriteError | WriteTimedout | ConnectionClosed) => {
            return None;
        }
        (ErrorSource::Downstream, _) => Problem::BadRequest,
        (ErrorSource::Internal | ErrorSource::Unset, _) => Problem::Internal,
    };
    Some(problem)
}

/// Did the replica refuse us? Running out of our own ports or descriptors says nothing about it.
pub(super) fn is_replicas_fault(connecting: &Error) -> bool {
    matches!(
        connecting.etype(),
        ErrorType::ConnectRefused | ErrorType::ConnectTimedout | ErrorType::ConnectNoRoute | ErrorType::ConnectError
    )
}

/// Did the replica break off, as happens when it closes a kept connection while a request is on its way?
pub(super) fn broke_off(proxying: &Error) -> bool {
    *proxying.esource() == ErrorSource::Upstream
        && matches!(proxying.etype(), ErrorType::ConnectionClosed | ErrorType::ReadError | ErrorType::WriteError)
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
            (Error::new_down(HTTPStatus(413)), Some(too_large)),
            (Error::new_up(ConnectRefused), Some(Problem::Unavailable)),
            (Error::new_up(ReadTimedout), Some(Problem::GatewayTimeout)),
            (Error::new_up(ConnectionClosed), Some(Problem::BadGateway)),
            (Error::new_up(InvalidHTTPHeader), Some(Problem::BadGateway)),
            (Error::new_down(ConnectionClosed), None),
            (Error::new_down(ReadTimedout), Some(Problem::RequestTimeout)),
            (Error::new_down(InvalidHTTPHeader), Some(Problem::BadRequest)),
            (Error::new_in(InternalError), Some(Problem::Internal)),
        ];
        for (error, expected) in table {
            assert_eq!(problem(&error, 7), expected, "{error}");
        }
    }
}
