//! A connection that notes when the client last showed that it is there.
//!
//! Bytes from the client show it, and so does room for ours where there was none: then the client has read. A slow reader who
//! reads on is alive however long one turn takes; one who takes nothing is not.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// When the client was last there. Clones share it.
#[derive(Clone)]
pub(super) struct LastHeard {
    since: Instant,
    millis: Arc<AtomicU64>,
}

impl LastHeard {
    pub(super) fn now() -> Self {
        Self { since: Instant::now(), millis: Arc::default() }
    }

    pub(super) fn at(&self) -> Instant {
        self.since + Duration::from_millis(self.millis.load(Ordering::Relaxed))
    }

    fn note(&self) {
        self.millis.store(u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// The connection.
pub(super) struct Lifeline<S> {
    stream: S,
    heard: LastHeard,
    /// The last write found no room.
    is_full: bool,
}

impl<S> Lifeline<S> {
    pub(super) fn new(stream: S, heard: LastHeard) -> Self {
        Self { stream, heard, is_full: false }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lifeline<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.heard.note();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Lifeline<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if self.is_full && matches!(written, Poll::Ready(Ok(length)) if length > 0) {
            self.heard.note();
        }
        self.is_full = written.is_pending();
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
