//! How a socket ends: with a code the client can act on. 4000–4499 mean "reconnect", 4500–4999 "don't".

use std::time::Duration;

use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};

use super::{Socket, Stream};
use crate::Error;
use crate::frames::{ErrorFrame, ServerFrame};

/// How long each step of a polite end may take.
const STEP_MAX: Duration = Duration::from_secs(1);
/// Bytes of a close reason at most (RFC 6455, section 5.5, less the code).
const REASON_BYTES_MAX: usize = 123;

/// Why a socket ends.
#[derive(Debug)]
pub(super) enum End {
    /// The client said so.
    Closed,
    /// The connection is no more.
    Gone,
    /// The replica stops.
    Goodbye,
    /// Nothing was heard of the client for too long.
    Silent,
    /// The database is away when the client comes; he may try another replica.
    Unavailable,
    /// A room's log is behind what the client has seen of it.
    StartedOver,
    /// A flood of pings.
    Flood,
    /// A binary frame.
    Binary,
    /// A frame or message larger than allowed.
    TooBig,
    /// A text that is no UTF-8.
    NotUtf8,
    /// Not WebSocket.
    Protocol(ProtocolError),
}

impl From<tungstenite::Error> for End {
    fn from(error: tungstenite::Error) -> Self {
        match error {
            tungstenite::Error::Capacity(CapacityError::MessageTooLong { .. }) => End::TooBig,
            tungstenite::Error::Utf8(_) => End::NotUtf8,
            // The client closed the connection without a close frame: that is no offence worth an answer.
            tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => End::Gone,
            tungstenite::Error::Protocol(error) => End::Protocol(error),
            _ => End::Gone,
        }
    }
}

impl End {
    fn code(&self) -> Option<(CloseCode, String)> {
        let (code, reason) = match self {
            End::Closed | End::Gone => return None,
            End::Goodbye => (CloseCode::Restart, "the server restarts: come back".to_owned()),
            End::Silent => (CloseCode::Library(4000), "nothing was heard of you for too long".to_owned()),
            End::Unavailable => (CloseCode::Library(4001), "the database is away: come back".to_owned()),
            End::StartedOver => (CloseCode::Library(4002), "the log of a room went back: come again".to_owned()),
            End::Flood => (CloseCode::Policy, "too many pings".to_owned()),
            End::Binary => (CloseCode::Unsupported, "only text frames are understood".to_owned()),
            End::TooBig => (CloseCode::Size, "the frame is too large".to_owned()),
            End::NotUtf8 => (CloseCode::Invalid, "the text is not valid UTF-8".to_owned()),
            End::Protocol(error) => (CloseCode::Protocol, error.to_string()),
        };
        Some((code, reason))
    }
}

impl Socket {
    /// Ends the socket. Messages that are on their way into the log get their acks first when it is we who leave.
    pub(super) async fn close(mut self, end: End) {
        if let End::Goodbye = end {
            let _ = tokio::time::timeout(STEP_MAX, self.say_goodbye()).await;
        }
        // The rooms are left before the client is waited for.
        self.rooms.clear();
        close(&mut self.stream, end.code()).await;
    }

    async fn say_goodbye(&mut self) -> Result<(), End> {
        while !self.acks.is_empty() {
            self.acks.known().await;
            self.tell_outcomes().await?;
        }
        self.deliver().await?;
        let reconnect_after_ms = self.replica.config.reconnect_after_ms;
        self.send(&ServerFrame::Goodbye { reconnect_after_ms }).await?;
        self.flush().await
    }
}

/// Tells a client that it cannot be served as it asks, and not to come back so.
pub(super) async fn refuse(stream: &mut Stream, error: Error) {
    let frame = ErrorFrame::new(error, None);
    let reason = frame.detail().to_owned();
    let frame = ServerFrame::Error(frame).to_text();
    let _ = tokio::time::timeout(STEP_MAX, stream.send(Message::Text(frame.into()))).await;
    close(stream, Some((CloseCode::Library(4500), reason))).await;
}

/// Sends the close frame, waits a while for the client's, and ends the connection so that ours can still be read.
async fn close(stream: &mut Stream, code: Option<(CloseCode, String)>) {
    let polite = async {
        match code {
            Some((code, reason)) => {
                let reason = shortened(reason).into();
                stream.send(Message::Close(Some(CloseFrame { code, reason }))).await?;
                while stream.next().await.transpose()?.is_some() {}
            }
            // The answer to the client's own close frame.
            None => stream.flush().await?,
        }
        Ok::<_, tungstenite::Error>(())
    };
    let _ = tokio::time::timeout(STEP_MAX, polite).await;
    // Half-closes, and throws away for a while what is still coming (see `kit::http`).
    let _ = stream.get_mut().shutdown().map(|_| ()).await;
}

fn shortened(mut reason: String) -> String {
    let mut end = reason.len().min(REASON_BYTES_MAX);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason.truncate(end);
    reason
}
