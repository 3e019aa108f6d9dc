//! One look at one replica: `GET` of the health path on a connection of its own, so that it also proves that connecting works.
//! `document` asks the same way for something else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use pingora_core::ErrorType;
use pingora_core::connectors::http::v1::Connector;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_http::RequestHeader;
use serde::Deserialize;

use crate::{Config, Health};

/// A replica that answers more than this is broken, not healthy.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// What a probe found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) health: Health,
    pub(crate) checks: Option<serde_json::Value>,
    pub(crate) error: Option<String>,
    /// It is there, but did not answer in time.
    pub(crate) is_late: bool,
}

/// Asks replicas for something, each time on a connection of its own.
#[derive(Clone)]
pub(crate) struct Asker(Arc<Connector>);

impl Default for Asker {
    fn default() -> Asker {
        Asker(Arc::new(Connector::new(None)))
    }
}

/// Asks replicas how they are.
#[derive(Clone)]
pub(crate) struct Prober {
    asker: Asker,
    path: Arc<str>,
    /// The status that means well.
    expected: u16,
}

/// Where our own backends tell how they are, in words; of any other path only the status counts.
const READYZ: &str = "/readyz";

/// The part of `/readyz` that matters here.
#[derive(Deserialize)]
struct Readyz {
    status: Health,
    checks: Option<serde_json::Value>,
}

impl Prober {
    pub(crate) fn new(config: &Config) -> Prober {
        Prober { asker: Asker::default(), path: config.health_path.as_str().into(), expected: config.health_status }
    }

    /// Asks once. A replica that cannot be asked is failing.
    pub(crate) async fn probe(&self, address: SocketAddr, timeout: Duration) -> Found {
        match tokio::time::timeout(timeout, self.asker.get(address, &self.path, BODY_BYTES_MAX)).await {
            Ok(Ok((status, body))) if &*self.path == READYZ => judge(status, &body, self.expected),
            Ok(Ok((status, _))) => judge_status(status, self.expected),
            Ok(Err(why)) => Found::failing(why),
            Err(_) => Found { is_late: true, ..Found::failing("timed out") },
        }
    }
}

impl Asker {
    /// Status and body of a `GET`, or why there is none.
    pub(crate) async fn get(&self, address: SocketAddr, path: &str, bytes_max: usize) -> Result<(StatusCode, Vec<u8>), &'static str> {
        self.try_get(address, path, bytes_max).await.map_err(|error| describe(error.root_etype()))
    }

    async fn try_get(&self, address: SocketAddr, path: &str, bytes_max: usize) -> pingora_core::Result<(StatusCode, Vec<u8>)> {
        let peer = HttpPeer::new(address, false, String::new());
        let (mut session, _) = self.0.get_http_session(&peer).await?;
        let mut request = RequestHeader::build("GET", path.as_bytes(), None)?;
        request.insert_header(http::header::HOST, address.to_string())?;
        request.insert_header(http::header::CONNECTION, "close")?;
        request.insert_header(http::header::ACCEPT, "application/json")?;
        session.write_request_header(Box::new(request)).await?;
        session.read_response().await?;
        let status = session.get_status().unwrap_or(StatusCode::BAD_GATEWAY);
        let mut body = Vec::new();
        while let Some(chunk) = session.read_body_bytes().await? {
            body.extend_from_slice(&chunk);
            if body.len() > bytes_max {
                return pingora_core::Error::e_explain(ErrorType::InvalidHTTPHeader, "answer too large");
            }
        }
        session.shutdown().await;
        Ok((status, body))
    }
}

impl Found {
    fn failing(error: impl Into<String>) -> Found {
        Found { health: Health::Fail, checks: None, error: Some(error.into()), is_late: false }
    }
}

/// A replica is what it says of itself, except that 503 cannot be anything but failing.
fn judge(status: StatusCode, body: &[u8], expected: u16) -> Found {
    let is_answer = status.as_u16() == expected || status == StatusCode::SERVICE_UNAVAILABLE;
    if !is_answer {
        return Found::failing(format!("answered {}", status.as_u16()));
    }
    let Ok(readyz) = serde_json::from_slice::<Readyz>(body) else {
        return Found::failing("invalid answer");
    };
    let health = if status.as_u16() == expected { readyz.status } else { Health::Fail };
    Found { health, checks: readyz.checks, error: None, is_late: false }
}

fn judge_status(status: StatusCode, expected: u16) -> Found {
    if status.as_u16() != expected {
        return Found::failing(format!("answered {}", status.as_u16()));
    }
    Found { health: Health::Pass, checks: None, error: None, is_late: false }
}

/// An engine's error in the words an operator uses.
pub(crate) fn describe(error: &ErrorType) -> &'static str {
    match error {
        ErrorType::ConnectRefused => "connection refused",
        ErrorType::ConnectTimedout => "connection timed out",
        ErrorType::ConnectNoRoute => "no route to host",
        ErrorType::ConnectError | ErrorType::SocketError | ErrorType::BindError => "cannot connect",
        ErrorType::ConnectionClosed => "connection closed",
        ErrorType::ReadError | ErrorType::WriteError => "connection broken",
        ErrorType::ReadTimedout | ErrorType::WriteTimedout => "timed out",
        ErrorType::InvalidHTTPHeader | ErrorType::H1Error => "invalid answer",
        _ => "failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_is_what_it_says_of_itself() {
        let table = [
            (200, r#"{"status":"pass"}"#, Health::Pass, None),
            (200, r#"{"status":"warn","checks":{}}"#, Health::Warn, None),
            (200, r#"{"status":"fail"}"#, Health::Fail, None),
            (503, r#"{"status":"pass"}"#, Health::Fail, None),
            (200, "ok", Health::Fail, Some("invalid answer")),
            (200, r#"{"status":"fine"}"#, Health::Fail, Some("invalid answer")),
            (404, "{}", Health::Fail, Some("answered 404")),
        ];
        for (status, body, health, error) in table {
            let found = judge(StatusCode::from_u16(status).unwrap(), body.as_bytes(), 200);
            assert_eq!((found.health, found.error.as_deref()), (health, error), "{status} {body}");
        }
    }
}
