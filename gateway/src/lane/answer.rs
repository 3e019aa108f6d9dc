//! Answers of our own, and how a connection ends so that they can be read.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use http::Method;
use tokio::io::AsyncWrite;

use super::body::Framing;
use super::connection::{After, Connection, Plan};
use super::forward::{field, line};
use crate::answer::Answer;
use crate::exchange::Exchange;
use crate::request_id;

/// How much of a refused body is read after the answer, and for how long: so that the client reads the answer, not a reset.
const LINGER_BYTES: usize = 256 * 1024;
const LINGER: Duration = Duration::from_secs(1);

/// Answers a request ourselves. With a body still on its way, the connection ends with it, politely.
pub(super) async fn send_own(connection: &mut Connection, exchange: &mut Exchange, answer: Answer, plan: &Plan) -> After {
    let has_body_left = match plan.framing {
        Framing::None => false,
        Framing::Length(length) if length <= connection.inbox.filled().len() as u64 => {
            connection.inbox.consume(usize::try_from(length).unwrap_or(usize::MAX));
            false
        }
        Framing::Length(_) | Framing::Chunked | Framing::UntilClose => true,
    };
    // What could be read in two ways is not read on.
    let is_doubtful = answer.status == http::StatusCode::BAD_REQUEST;
    let keeps_alive = connection.keeps_alive(plan) && !has_body_left && !is_doubtful;
    let is_sent = send(connection, exchange, answer, keeps_alive).await;
    match (is_sent, has_body_left) {
        (false, _) => After::Close,
        (true, false) if keeps_alive => After::Next,
        (true, _) if has_body_left || !connection.inbox.is_empty() => After::Linger,
        (true, _) => After::Close,
    }
}

/// Writes an answer; whether the client took it.
pub(super) async fn send(connection: &mut Connection, exchange: &mut Exchange, answer: Answer, keeps_alive: bool) -> bool {
    let mut bytes = Vec::with_capacity(512 + answer.body.len());
    let reason = answer.status.canonical_reason().unwrap_or_default();
    line(&mut bytes, &[b"HTTP/1.1 ", answer.status.as_str().as_bytes(), b" ", reason.as_bytes()]);
    for (name, value) in &answer.headers {
        field(&mut bytes, name.as_str(), value.as_bytes());
    }
    for (name, value) in exchange.cors_fields() {
        field(&mut bytes, name, value.as_bytes());
    }
    if answer.has_length() {
        field(&mut bytes, "content-length", itoa::Buffer::new().format(answer.body.len()).as_bytes());
    }
    field(&mut bytes, request_id::HEADER, exchange.request_id.as_bytes());
    field(&mut bytes, "connection", if keeps_alive { b"keep-alive" } else { b"close" });
    bytes.extend_from_slice(b"\r\n");
    let head = bytes.len();
    if exchange.method != Method::HEAD {
        bytes.extend_from_slice(&answer.body);
    }
    let written = write_all(connection, &bytes).await;
    if written > 0 {
        exchange.status = answer.status.as_u16();
    }
    exchange.note_sent(written.saturating_sub(head) as u64, written == bytes.len());
    written == bytes.len()
}

/// Writes everything, unless the client takes nothing for too long; how much it took.
pub(super) async fn write_all(connection: &mut Connection, bytes: &[u8]) -> usize {
    let mut written = 0;
    let timeout = connection.gateway.config().write_timeout();
    let mut is_waiting = false;
    poll_fn(|cx| {
        while let Some(rest @ [_, ..]) = bytes.get(written..) {
            match Pin::new(&mut connection.client).poll_write(cx, rest) {
                Poll::Ready(Ok(count @ 1..)) => {
                    written += count;
                    is_waiting = false;
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => {
                    if !std::mem::replace(&mut is_waiting, true) {
                        connection.alarm.set(Instant::now() + timeout);
                    }
                    return connection.alarm.poll_due(cx);
                }
            }
        }
        Poll::Ready(())
    })
    .await;
    written
}

/// Closes our half and discards what the client still sends, within limits.
///
/// Closing outright while bytes keep arriving makes the kernel send a reset, and a reset makes the client's kernel throw away
/// the answer before it is read. Past the byte limit we stop reading but leave the connection for the rest of the time: the
/// client then meets a full pipe, looks up and finds the answer.
pub(super) async fn linger(connection: &mut Connection) {
    let _in_flight = connection.gateway.enter();
    connection.inbox = super::buffer::Inbox::default();
    connection.alarm.set(Instant::now() + LINGER);
    let mut discarded = 0;
    let mut is_shut = false;
    poll_fn(|cx| {
        if !is_shut {
            is_shut = Pin::new(&mut connection.client).poll_shutdown(cx).is_ready();
        }
        while discarded < LINGER_BYTES {
            match connection.inbox.poll_fill(Pin::new(&mut connection.client), cx) {
                Poll::Ready(Ok(read @ 1..)) => {
                    discarded += read;
                    connection.inbox.consume(read);
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        connection.alarm.poll_due(cx)
    })
    .await;
}
