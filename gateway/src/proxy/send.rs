//! Writes an answer of our own to a client that speaks HTTP/2, and makes sure that it can be read.

use std::time::Duration;

use http::{Method, header};
use pingora_core::Result;
use pingora_http::ResponseHeader;
use pingora_proxy::Session;

use crate::answer::Answer;
use crate::exchange::Exchange;
use crate::request_id;

/// How much of a refused body is read after the answer, and for how long: so that the client reads the answer, not a reset.
const LINGER_BYTES: usize = 256 * 1024;
const LINGER: Duration = Duration::from_secs(1);

/// Writes an answer of our own. With a request body still on its way, the stream ends a little after it.
pub(super) async fn send(session: &mut Session, answer: Answer, exchange: &Exchange) -> Result<()> {
    let has_body_left = !session.is_body_done();
    if has_body_left {
        session.set_keepalive(None);
    }
    let mut header = ResponseHeader::build(answer.status, Some(answer.headers.len() + 6))?;
    if answer.has_length() {
        header.insert_header(header::CONTENT_LENGTH, answer.body.len())?;
    }
    for (name, value) in answer.headers {
        header.append_header(name, value)?;
    }
    for (name, value) in exchange.cors_fields() {
        header.append_header(*name, value.as_str())?;
    }
    header.insert_header(request_id::HEADER, exchange.request_id.as_str())?;
    let is_head = session.req_header().method == Method::HEAD;
    session.write_response_header(Box::new(header), is_head).await?;
    match is_head {
        true => session.finish_body().await?,
        false => session.write_response_body(Some(answer.body), true).await?,
    }
    if has_body_left {
        session.finish_body().await?;
        linger(session).await;
    }
    Ok(())
}

/// Discards what the client still sends, within limits, before the stream is let go.
///
/// A stream that is dropped with some of its request unread is reset, and curl throws an answer away whose stream is reset while
/// it still sends. Past the byte limit the stream is left as it is for the rest of the time: the client then finds no more window
/// to send into, looks up and finds the answer.
async fn linger(session: &mut Session) {
    session.shutdown().await;
    let discard = async {
        let mut discarded = 0;
        while discarded < LINGER_BYTES {
            match session.read_request_body().await {
                Ok(Some(chunk)) => discarded += chunk.len(),
                Ok(None) | Err(_) => return,
            }
        }
        std::future::pending::<()>().await;
    };
    // Running out of time is the expected end.
    let _ = tokio::time::timeout(LINGER, discard).await;
}
