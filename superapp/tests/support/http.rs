//! Answers, and requests that no decent client would send.

use std::net::SocketAddr;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::LIMIT;

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap_or_else(|error| panic!("no answer: {error:?}"));
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.unwrap_or_else(|error| panic!("half an answer: {error:?}"));
        Self { status, headers, body: body.into() }
    }

    /// A header that is there once, or not.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next().map(|value| value.to_str().unwrap());
        assert!(values.next().is_none(), "{name} more than once: {self:?}");
        value
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The body, which is JSON and ends with a newline.
    pub(crate) fn json(&self) -> Value {
        assert!(self.body.ends_with(b"\n"), "no newline at the end: {}", self.text());
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The code of a problem that is one in every respect.
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.header(CONTENT_TYPE.as_str()), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{problem}");
        assert_eq!(problem["request_id"].as_str(), self.header("x-request-id"), "{problem}");
        let code = problem["code"].as_str().unwrap().to_owned();
        assert_eq!(problem["type"], format!("/problems/{code}"), "{problem}");
        assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
        code
    }

    /// Pointer and code of each field that is wrong.
    pub(crate) fn faults(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let errors = self.json()["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().map(|error| (text(&error["pointer"]), text(&error["code"]))).collect()
    }
}

/// Sends these bytes on a connection of their own, all of them if the server lets us, and reads the one answer.
/// The request should ask to close the connection.
pub(crate) async fn raw(address: SocketAddr, request: &[u8]) -> Reply {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let request = request.to_owned();
    let writing = tokio::spawn(async move {
        // The server may answer and stop reading in the middle.
        let _ = write.write_all(&request).await;
        // A client that closes its half has gone, as the door sees it.
        std::future::pending::<()>().await;
    });
    let mut answer = Vec::new();
    let reading = tokio::time::timeout(LIMIT, read.read_to_end(&mut answer)).await.expect("an answer in time");
    writing.abort();
    assert!(reading.is_ok() || !answer.is_empty(), "no answer: {reading:?}");
    parse(&answer)
}

fn parse(answer: &[u8]) -> Reply {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or_else(|| panic!("no head: {}", answer.escape_ascii()));
    let head = std::str::from_utf8(&answer[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(':').unwrap();
        (HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value.trim()).unwrap())
    });
    Reply { status, headers: headers.collect(), body: answer[end + 4..].to_owned() }
}
