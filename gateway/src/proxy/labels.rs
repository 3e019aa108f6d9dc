//! Words for metrics and logs, all from closed sets, so that no caller can grow the number of series. `proxy` uses them.

use http::Method;
use pingora_core::ErrorType;

/// The method, where it is one people use.
pub(crate) fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// What went wrong with a replica.
pub(crate) fn upstream_error(error: &ErrorType) -> &'static str {
    match error {
        ErrorType::ConnectRefused => "connect_refused",
        ErrorType::ConnectTimedout => "connect_timeout",
        ErrorType::ConnectNoRoute | ErrorType::ConnectError | ErrorType::SocketError | ErrorType::BindError => "connect",
        ErrorType::ReadTimedout | ErrorType::WriteTimedout => "timeout",
        ErrorType::ReadError | ErrorType::WriteError | ErrorType::ConnectionClosed => "broken",
        ErrorType::InvalidHTTPHeader | ErrorType::H1Error => "invalid_answer",
        _ => "other",
    }
}
