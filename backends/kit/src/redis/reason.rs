//! Errors of Redis in words for an operator: without types, and without anything secret.

use std::error::Error;

use redis::{ErrorKind, RedisError};

/// What went wrong, in one line, as in "redis is away: connection refused".
pub(crate) fn reason(error: &RedisError) -> String {
    let words = words(error);
    words.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it does not say why").to_owned()
}

fn words(error: &RedisError) -> String {
    match error.kind() {
        _ if error.is_timeout() => "no answer in time".to_owned(),
        _ if error.is_connection_refusal() => "connection refused".to_owned(),
        ErrorKind::Parse => "what answers there is not a Redis".to_owned(),
        ErrorKind::AuthenticationFailed => "it does not accept the user and password".to_owned(),
        ErrorKind::Server(_) | ErrorKind::Extension => match (error.code(), error.detail()) {
            (Some("WRONGPASS"), _) => "it does not accept the user and password".to_owned(),
            (Some("NOAUTH"), _) => "it asks for a password".to_owned(),
            // Behind it is which script it was, which says nothing to anybody.
            (Some(code), Some(detail)) => format!("{code} {}", detail.split(" script: ").next().unwrap_or(detail)),
            _ => error.category().to_owned(),
        },
        _ => match error.source() {
            Some(source) => source.to_string(),
            None => error.category().to_owned(),
        },
    }
}
