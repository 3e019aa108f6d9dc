//! A client's connection as pingora reads HTTP/2 from it, with the limit that HTTP/2 libraries lack: what must be complete before
//! anything can be done with it, must be complete in time.
//!
//! Those are the heads of requests, over however many frames, and all frames but DATA. Bodies have limits of their own, and
//! a connection without a request is let go when it has been idle. What leaves is looked at for what the libraries refuse.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use async_trait::async_trait;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream, TimingDigest, UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::leaving::{Leaving, Refused};
use crate::Gateway;
use crate::exchange::{Exchange, Protocol};
use crate::lane::Alarm;
use crate::problem::Problem;

/// Bytes of a frame's head (RFC 9113, section 4.1).
const FRAME_HEAD: usize = 9;
/// What comes before the first frame.
const PREFACE: usize = 24;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// The connection.
pub(crate) struct Arriving {
    stream: Stream,
    gateway: Gateway,
    client: Option<Arc<str>>,
    frames: Frames,
    leaving: Leaving,
    alarm: Option<Alarm>,
}

/// How far a client has come with its frames.
#[derive(Debug)]
struct Frames {
    head: [u8; FRAME_HEAD],
    head_length: usize,
    /// Bytes of the frame under way that are still to come.
    left: usize,
    /// The head of a request goes on in the next frame.
    is_in_head: bool,
    /// When what must be complete began.
    began: Option<Instant>,
}

impl Arriving {
    /// From the preface on.
    pub(crate) fn new(stream: Stream, gateway: Gateway, client: Option<Arc<str>>) -> Arriving {
        let frames = Frames { head: [0; FRAME_HEAD], head_length: 0, left: PREFACE, is_in_head: false, began: None };
        Arriving { stream, gateway, client, frames, leaving: Leaving::default(), alarm: None }
    }

    /// Ready when the client has had all the time there is.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(began) = self.frames.began else { return Poll::Pending };
        let due = began + self.gateway.config().header_timeout();
        let alarm = self.alarm.get_or_insert_with(|| Alarm::at(due));
        alarm.set(due);
        alarm.poll_due(cx)
    }

    /// So many of these bytes have gone out.
    fn note_left(&mut self, slices: &[io::IoSlice<'_>], mut count: usize) {
        let mut refused = Vec::new();
        for slice in slices {
            let written = slice.get(..count).unwrap_or(slice);
            self.leaving.feed(written, &mut refused);
            count -= written.len();
        }
        for refused in refused {
            self.note_refused(refused);
        }
    }

    /// An answer of a library's is the only one there is. A reset may be the end of a request that is logged already.
    fn note_refused(&self, refused: Refused) {
        let problem = match refused {
            Refused::Malformed => Problem::BadRequest("the request is malformed"),
            Refused::TooLarge => Problem::HeadTooLarge { bytes_max: self.gateway.config().header_bytes_max },
            Refused::Reset => return metrics::counter!("gateway_http2_malformed_total").increment(1),
        };
        let mut exchange = Exchange::begin(&self.gateway, self.client.clone(), Protocol::Http2, Instant::now());
        exchange.status = exchange.refuse(problem).status.as_u16();
    }

    /// Counted and logged like every request that is refused. The client is told by the end of the connection.
    fn note_late(&mut self) {
        let began = self.frames.began.take().unwrap_or_else(Instant::now);
        Exchange::begin(&self.gateway, self.client.clone(), Protocol::Http2, began).refuse(Problem::RequestTimeout);
    }
}

impl Frames {
    /// These bytes have come.
    fn feed(&mut self, mut bytes: &[u8], now: Instant) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let count = self.left.min(bytes.len());
                self.left -= count;
                bytes = bytes.get(count..).unwrap_or_default();
            } else {
                self.began.get_or_insert(now);
                let wanted = self.head.get_mut(self.head_length..).unwrap_or_default();
                let count = wanted.len().min(bytes.len());
                let (first, rest) = bytes.split_at(count);
                wanted.get_mut(..count).unwrap_or_default().copy_from_slice(first);
                self.head_length += count;
                bytes = rest;
                if self.head_length < FRAME_HEAD {
                    return;
                }
                self.head_length = 0;
                self.begin_frame();
            }
            if self.left == 0 && !self.is_in_head {
                self.began = None;
            }
        }
    }

    /// The head of a frame is complete.
    fn begin_frame(&mut self) {
        let [high, middle, low, kind, flags, ..] = self.head;
        self.left = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        if matches!(kind, HEADERS | CONTINUATION) {
            self.is_in_head = flags & END_HEADERS == 0;
        }
        if kind == DATA && !self.is_in_head {
            self.began = None;
        }
    }
}

impl AsyncRead for Arriving {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let this = &mut *self;
        match Pin::new(&mut this.stream).poll_read(cx, buffer) {
            Poll::Ready(read) => {
                let new = buffer.filled().get(before..).unwrap_or_default();
                this.frames.feed(new, Instant::now());
                Poll::Ready(read)
            }
            Poll::Pending if this.poll_late(cx).is_ready() => {
                this.note_late();
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncWrite for Arriving {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.note_left(&[io::IoSlice::new(bytes)], written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, slices))?;
        self.note_left(slices, written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

impl std::fmt::Debug for Arriving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Arriving").field("stream", &self.stream).field("frames", &self.frames).finish_non_exhaustive()
    }
}

#[async_trait]
impl Shutdown for Arriving {
    async fn shutdown(&mut self) {
        self.stream.shutdown().await;
    }
}

impl UniqueID for Arriving {
    fn id(&self) -> UniqueIDType {
        self.stream.id()
    }
}

/// There is no TLS here.
impl Ssl for Arriving {}

/// Nobody has to look ahead: that it is HTTP/2 is known.
impl Peek for Arriving {}

impl GetTimingDigest for Arriving {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.stream.get_timing_digest()
    }
}

impl GetProxyDigest for Arriving {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.stream.get_proxy_digest()
    }
}

impl GetSocketDigest for Arriving {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.stream.get_socket_digest()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(length: u16, kind: u8, flags: u8) -> Vec<u8> {
        let mut bytes = vec![0, (length >> 8) as u8, length as u8, kind, flags, 0, 0, 0, 1];
        bytes.resize(FRAME_HEAD + usize::from(length), b'x');
        bytes
    }

    /// Whether something must be complete soon, after each byte of these.
    fn after_each(parts: &[&[u8]]) -> Vec<bool> {
        let mut frames = Frames { head: [0; FRAME_HEAD], head_length: 0, left: PREFACE, is_in_head: false, began: None };
        let bytes = parts.concat();
        let urgent = bytes.iter().map(|byte| {
            frames.feed(&[*byte], Instant::now());
            frames.began.is_some()
        });
        let bytewise: Vec<bool> = urgent.collect();
        // In other pieces it is the same.
        for size in [2, 7, 100] {
            let mut frames = Frames { head: [0; FRAME_HEAD], head_length: 0, left: PREFACE, is_in_head: false, began: None };
            let mut length = 0;
            for piece in bytes.chunks(size) {
                frames.feed(piece, Instant::now());
                length += piece.len();
                assert_eq!(frames.began.is_some(), bytewise[length - 1], "{length} bytes in pieces of {size}");
            }
        }
        bytewise
    }

    #[test]
    fn what_is_not_complete_is_urgent_and_nothing_else() {
        let preface = [b'x'; PREFACE];
        let in_frame = |length: usize| [vec![true; FRAME_HEAD + length - 1], vec![false]].concat();
        let settings = frame(6, 4, 0);
        let expected = [vec![false; PREFACE], in_frame(6), in_frame(20)].concat();
        assert_eq!(after_each(&[&preface, &settings, &frame(20, HEADERS, END_HEADERS)]), expected);
        // A body may take its time; the head of its frame may not.
        let expected = [vec![false; PREFACE], vec![true; FRAME_HEAD - 1], vec![false; 31], in_frame(0)].concat();
        assert_eq!(after_each(&[&preface, &frame(30, DATA, 0), &frame(0, DATA, 1)]), expected);
    }

    #[test]
    fn a_head_of_several_frames_is_complete_with_the_last_and_began_with_the_first() {
        let preface = [b'x'; PREFACE];
        let parts = [frame(5, HEADERS, 0), frame(0, CONTINUATION, 0), frame(5, CONTINUATION, END_HEADERS)];
        let expected = [vec![false; PREFACE], vec![true; 3 * FRAME_HEAD + 9], vec![false]].concat();
        assert_eq!(after_each(&[&preface, &parts[0], &parts[1], &parts[2]]), expected);

        let mut frames = Frames { head: [0; FRAME_HEAD], head_length: 0, left: 0, is_in_head: false, began: None };
        let began = Instant::now();
        frames.feed(&parts[0], began);
        frames.feed(&parts[1], began + std::time::Duration::from_secs(1));
        assert_eq!(frames.began, Some(began));
    }
}
