//! A body on its way from one side to the other: read, checked, framed anew, written. Both directions are the same.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite};

use super::body::{Decoder, Framing, Invalid};
use super::buffer::Inbox;

/// Why a body did not arrive.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The side it comes from closed or broke the connection before its end.
    SourceClosed,
    /// Its framing is wrong.
    Invalid(Invalid),
    /// It is larger than it may be.
    TooLarge,
    /// The side it goes to does not take it.
    SinkClosed,
}

/// One body under way.
pub(super) struct Flow {
    decoder: Decoder,
    /// The other side gets chunks.
    is_chunked_out: bool,
    /// What is to be written first: a head that has no room in front of the body.
    head: Vec<u8>,
    /// Of the inbox's buffer, what is to be written then.
    out: Range<usize>,
    /// What is to be written behind it.
    tail: Vec<u8>,
    /// The end has been framed.
    is_ended: bool,
    /// Payload so far, and how much there may be.
    payload: u64,
    payload_max: u64,
    /// Bytes written so far, framing included.
    written: u64,
    is_blocked: bool,
}

impl Flow {
    pub(super) fn new(framing: Framing, is_chunked_out: bool, payload_max: u64) -> Flow {
        let decoder = Decoder::new(framing);
        // Nothing is written for a body that is not there; an empty chunked one still has its end.
        let is_ended = decoder.is_done();
        Flow {
            decoder,
            is_chunked_out,
            head: Vec::new(),
            out: 0..0,
            tail: Vec::new(),
            is_ended,
            payload: 0,
            payload_max,
            written: 0,
            is_blocked: false,
        }
    }

    /// Everything has been read and written.
    pub(super) fn is_done(&self) -> bool {
        self.is_ended && self.head.is_empty() && self.out.is_empty() && self.tail.is_empty()
    }

    pub(super) fn payload(&self) -> u64 {
        self.payload
    }

    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// The side it goes to takes no more for now.
    pub(super) fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    /// Puts a head before the first of the body, so that both are one write where there is room for it.
    pub(super) fn begin(&mut self, inbox: &mut Inbox, head: &[u8]) -> Result<(), Stopped> {
        self.frame_next(inbox)?;
        let at = if self.out.is_empty() { inbox.start() } else { self.out.start };
        match inbox.write_before(at, head) {
            Some(start) if self.out.is_empty() => self.out = start..at,
            Some(start) => self.out.start = start,
            None => self.head = head.to_vec(),
        }
        Ok(())
    }

    /// Carries on as far as it can without waiting. Ready when all is written.
    pub(super) fn poll(
        &mut self,
        inbox: &mut Inbox,
        mut from: Pin<&mut (impl AsyncRead + ?Sized)>,
        mut to: Pin<&mut (impl AsyncWrite + ?Sized)>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Stopped>> {
        loop {
            ready!(self.poll_write(inbox, to.as_mut(), cx)).map_err(|_| Stopped::SinkClosed)?;
            if self.is_ended {
                inbox.release();
                return Poll::Ready(Ok(()));
            }
            if self.frame_next(inbox)? {
                continue;
            }
            inbox.release();
            match inbox.poll_fill(from.as_mut(), cx) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Ok(0)) if self.decoder.ends_with_connection() => self.frame_end(inbox, 0),
                Poll::Ready(Ok(_) | Err(_)) => return Poll::Ready(Err(Stopped::SourceClosed)),
                Poll::Pending => {
                    inbox.park();
                    return Poll::Pending;
                }
            }
        }
    }

    fn poll_write(
        &mut self,
        inbox: &mut Inbox,
        mut to: Pin<&mut (impl AsyncWrite + ?Sized)>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.is_blocked = true;
        while !self.head.is_empty() || !self.out.is_empty() || !self.tail.is_empty() {
            let bytes = match (self.head.is_empty(), self.out.is_empty()) {
                (false, _) => &self.head,
                (true, false) => inbox.at(self.out.clone()),
                (true, true) => &self.tail,
            };
            let written = ready!(to.as_mut().poll_write(cx, bytes))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += written as u64;
            match (self.head.is_empty(), self.out.is_empty()) {
                (false, _) => drop(self.head.drain(..written)),
                (true, false) => self.out.start += written,
                (true, true) => drop(self.tail.drain(..written)),
            }
        }
        self.is_blocked = false;
        Poll::Ready(Ok(()))
    }

    /// Frames what the inbox has of the body; whether there was anything.
    fn frame_next(&mut self, inbox: &mut Inbox) -> Result<bool, Stopped> {
        if self.is_ended || inbox.is_empty() {
            return Ok(false);
        }
        let (bytes, start) = inbox.filled_mut();
        let decoded = self.decoder.decode(bytes).map_err(Stopped::Invalid)?;
        inbox.set_start(start + decoded.used);
        self.payload += decoded.payload as u64;
        // What is announced need not arrive to be too much.
        if self.payload.saturating_add(self.decoder.announced()) > self.payload_max {
            return Err(Stopped::TooLarge);
        }
        self.out = start..start + decoded.payload;
        if self.is_chunked_out && decoded.payload > 0 {
            let size = format!("{:x}\r\n", decoded.payload);
            match inbox.write_before(start, size.as_bytes()) {
                Some(start) => self.out.start = start,
                None => return Err(Stopped::Invalid(Invalid("no room for a chunk"))),
            }
            self.push(inbox, b"\r\n");
        }
        if self.decoder.is_done() {
            self.frame_end(inbox, start + decoded.payload);
        }
        Ok(true)
    }

    /// Writes the end of a chunked body. Without payload before it, it begins at `at`.
    fn frame_end(&mut self, inbox: &mut Inbox, at: usize) {
        self.is_ended = true;
        if !self.is_chunked_out {
            return;
        }
        if self.out.is_empty() {
            self.out = at..at;
        }
        self.push(inbox, b"0\r\n");
        let trailers = self.decoder.trailers().to_vec();
        self.push(inbox, &trailers);
        self.push(inbox, b"\r\n");
    }

    /// Adds bytes behind what is to be written: in the buffer where they fit, so that all is one write.
    fn push(&mut self, inbox: &mut Inbox, bytes: &[u8]) {
        let fits = self.tail.is_empty() && self.out.end > 0 && inbox.write_behind(self.out.end, bytes);
        if fits {
            self.out.end += bytes.len();
        } else {
            self.tail.extend_from_slice(bytes);
        }
    }
}
