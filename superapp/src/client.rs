//! A small HTTP client, plain http only, for the commands that talk to a running system.

use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(5);
const BODY_BYTES_MAX: usize = 1 << 20;

/// Asks one server.
pub(crate) struct Client {
    host: String,
    port: u16,
    authority: String,
}

impl Client {
    /// A client for `http://host[:port]`; a path is left out.
    pub(crate) fn new(url: &str) -> anyhow::Result<Self> {
        let uri: Uri = url.parse().ok().with_context(|| format!("{url} is no URL: give http://HOST:PORT"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => bail!("{url}: this speaks plain http only, no TLS: give the gateway's own http://HOST:PORT"),
            _ => bail!("{url} is no URL: give http://HOST:PORT"),
        }
        let authority = uri.authority().with_context(|| format!("{url} has no host"))?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { host, port: authority.port_u16().unwrap_or(80), authority: authority.to_string() })
    }

    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<(StatusCode, Bytes)> {
        self.send(Method::GET, path, Bytes::new()).await
    }

    pub(crate) async fn post(&self, path: &str, json: &serde_json::Value) -> anyhow::Result<(StatusCode, Bytes)> {
        self.send(Method::POST, path, Bytes::from(json.to_string())).await
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> anyhow::Result<(StatusCode, Bytes)> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.authority)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))?;
        let answer = tokio::time::timeout(TIMEOUT, self.exchange(request)).await;
        let answer = answer.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {} s", TIMEOUT.as_secs())));
        answer.with_context(|| format!("http://{}", self.authority))
    }

    /// One connection for one request.
    async fn exchange(&self, request: Request<Full<Bytes>>) -> anyhow::Result<(StatusCode, Bytes)> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let exchange = async {
            let (head, body) = sender.send_request(request).await?.into_parts();
            let body = Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(|error| anyhow::anyhow!(error))?;
            Ok((head.status, body.to_bytes()))
        };
        let mut exchange = std::pin::pin!(exchange);
        tokio::select! {
            answer = &mut exchange => answer,
            ended = connection => {
                ended?;
                exchange.await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_http_is_spoken() {
        for good in ["http://localhost:8080", "http://[::1]:8080/readyz", "http://host"] {
            assert!(Client::new(good).is_ok(), "{good}");
        }
        for bad in ["https://host", "localhost:8080", "", "/readyz", "ftp://host"] {
            assert!(Client::new(bad).is_err(), "{bad}");
        }
        let error = Client::new("https://host").err().expect("refused").to_string();
        assert!(error.contains("plain http only"), "{error}");
    }
}
