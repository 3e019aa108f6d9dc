//! From HTTP to WebSocket: the handshake of RFC 6455, section 4.2, on a connection that warp has routed.
//!
//! Ours and not warp's, whose sockets keep buffers of 128 KiB each that cannot be made smaller.

use http::header::{CONNECTION, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use kit::http::Query;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::replica::Shared;
use crate::{Error, socket};

/// What a client brings to become a socket.
pub(crate) struct Handshake {
    headers: HeaderMap,
    connection: Option<OnUpgrade>,
}

impl Handshake {
    pub(crate) fn new(headers: HeaderMap, connection: Option<OnUpgrade>) -> Self {
        Self { headers, connection }
    }

    /// The client's key, when this is a handshake as it should be.
    fn key(&self) -> Option<&[u8]> {
        let header = |name| self.headers.get(name).map_or(&[][..], HeaderValue::as_bytes);
        let is_websocket = header(UPGRADE).eq_ignore_ascii_case(b"websocket");
        let is_upgrade = has_token(&self.headers, CONNECTION, "upgrade");
        let is_known_version = header(SEC_WEBSOCKET_VERSION) == b"13";
        let key = header(SEC_WEBSOCKET_KEY);
        (is_websocket && is_upgrade && is_known_version && !key.is_empty()).then_some(key)
    }
}

fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|each| each.trim().eq_ignore_ascii_case(token))
}

/// Answers 101 and starts the socket's task. Who the user is, is judged after: a browser shows no answer but a 101.
pub(crate) fn upgrade(handshake: Handshake, query: Query, replica: Shared) -> Result<Response<()>, Error> {
    let accept = derive_accept_key(handshake.key().ok_or(Error::UpgradeRequired)?);
    let connection = handshake.connection.ok_or(Error::UpgradeRequired)?;
    let place = replica.take_place()?;
    replica.clone().spawn_socket(async move {
        // Kept as long as the socket.
        let _place = place;
        match connection.await {
            Ok(upgraded) => socket::run(upgraded, query, replica).await,
            Err(error) => tracing::debug!(%error, "a connection broke while it was upgraded"),
        }
    });
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::try_from(accept) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    Ok(response)
}

/// What a 426 must name (RFC 9110, section 15.5.22).
pub(crate) fn required_headers() -> HeaderMap {
    HeaderMap::from_iter([
        (CONNECTION, HeaderValue::from_static("Upgrade")),
        (UPGRADE, HeaderValue::from_static("websocket")),
        (SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13")),
    ])
}
