//! Buffers of a thread: few, used again at once, so that they stay in the processor's cache.
//!
//! Nobody holds one while waiting. Bytes that must be kept, such as half a head, are parked in a small vector of their own, so
//! that ten thousand slow clients cost what they sent and not ten thousand buffers.

use std::cell::RefCell;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

/// Room in front of what is read: for a head, or the size of a chunk.
const HEADROOM: usize = 4 * 1024;
/// What one read takes at most.
pub(super) const CAPACITY: usize = 64 * 1024;
/// Room behind: for the end of a chunk, and of a chunked body.
const TAILROOM: usize = 16;
/// Buffers a thread keeps.
const KEPT_MAX: usize = 16;

thread_local! {
    static KEPT: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes that were read, with room around them.
pub(super) struct Buffer {
    bytes: Box<[u8]>,
    filled: Range<usize>,
}

impl Buffer {
    pub(super) fn take() -> Buffer {
        let kept = KEPT.with_borrow_mut(Vec::pop);
        let bytes = kept.unwrap_or_else(|| vec![0; HEADROOM + CAPACITY + TAILROOM].into_boxed_slice());
        Buffer { bytes, filled: HEADROOM..HEADROOM }
    }

    pub(super) fn filled(&self) -> &[u8] {
        self.bytes.get(self.filled.clone()).unwrap_or_default()
    }

    fn poll_read(&mut self, stream: Pin<&mut (impl AsyncRead + ?Sized)>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let room = self.bytes.get_mut(self.filled.end..HEADROOM + CAPACITY).unwrap_or_default();
        if room.is_empty() {
            return Poll::Ready(Err(io::ErrorKind::OutOfMemory.into()));
        }
        let mut room = ReadBuf::new(room);
        ready!(stream.poll_read(cx, &mut room))?;
        let read = room.filled().len();
        self.filled.end += read;
        Poll::Ready(Ok(read))
    }

    fn extend(&mut self, bytes: &[u8]) {
        let end = self.filled.end + bytes.len();
        if let Some(room) = self.bytes.get_mut(self.filled.end..end) {
            room.copy_from_slice(bytes);
            self.filled.end = end;
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        // While a thread ends there is nothing to keep them in.
        let _ = KEPT.try_with(|kept| {
            let mut kept = kept.borrow_mut();
            if kept.len() < KEPT_MAX {
                kept.push(bytes);
            }
        });
    }
}

/// What has come from one side and was not used yet.
#[derive(Default)]
pub(super) struct Inbox {
    buffer: Option<Buffer>,
    /// Used while nobody works on it; then there is no buffer.
    parked: Vec<u8>,
}

impl Inbox {
    /// Reads more, behind what is there. Zero is the end of the stream.
    pub(super) fn poll_fill(&mut self, stream: Pin<&mut (impl AsyncRead + ?Sized)>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut buffer = self.buffer.take().unwrap_or_else(Buffer::take);
        if buffer.filled.is_empty() {
            buffer.filled = HEADROOM..HEADROOM;
        }
        buffer.extend(&self.parked);
        let read = match buffer.poll_read(stream, cx) {
            Poll::Pending => {
                self.parked = keep(&buffer, std::mem::take(&mut self.parked));
                return Poll::Pending;
            }
            Poll::Ready(read) => read,
        };
        self.parked = Vec::new();
        self.buffer = Some(buffer);
        Poll::Ready(read)
    }

    /// Gives the buffer back; what is left is kept aside.
    pub(super) fn park(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            self.parked = buffer.filled().to_vec();
        }
    }

    /// Works on it again.
    pub(super) fn unpark(&mut self) {
        if self.buffer.is_none() && !self.parked.is_empty() {
            let mut buffer = Buffer::take();
            buffer.extend(&self.parked);
            self.parked = Vec::new();
            self.buffer = Some(buffer);
        }
    }

    pub(super) fn filled(&self) -> &[u8] {
        match &self.buffer {
            Some(buffer) => buffer.filled(),
            None => &self.parked,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.filled().is_empty()
    }

    /// Whether no more fits in behind what is there.
    pub(super) fn is_full(&self) -> bool {
        self.filled().len() >= CAPACITY - 1024
    }

    /// The first bytes have been used.
    pub(super) fn consume(&mut self, count: usize) {
        self.unpark();
        if let Some(buffer) = &mut self.buffer {
            buffer.filled.start = (buffer.filled.start + count).min(buffer.filled.end);
            if buffer.filled.is_empty() {
                self.buffer = None;
            }
        }
    }

    /// What is there, to be worked on in place, and where it begins.
    pub(super) fn filled_mut(&mut self) -> (&mut [u8], usize) {
        self.unpark();
        match &mut self.buffer {
            Some(buffer) => (buffer.bytes.get_mut(buffer.filled.clone()).unwrap_or_default(), buffer.filled.start),
            None => (&mut [], 0),
        }
    }

    /// From now on what is left begins at `start`.
    pub(super) fn set_start(&mut self, start: usize) {
        if let Some(buffer) = &mut self.buffer {
            buffer.filled.start = start.min(buffer.filled.end);
        }
    }

    /// Gives an empty buffer back.
    pub(super) fn release(&mut self) {
        if self.buffer.as_ref().is_some_and(|buffer| buffer.filled.is_empty()) {
            self.buffer = None;
        }
    }

    /// A buffer, also when there is nothing in it.
    fn buffer_mut(&mut self) -> &mut Buffer {
        self.unpark();
        self.buffer.get_or_insert_with(Buffer::take)
    }

    /// Writes `bytes` directly before `at`, where nothing is needed any more; where they begin, or `None` without room.
    pub(super) fn write_before(&mut self, at: usize, bytes: &[u8]) -> Option<usize> {
        let start = at.checked_sub(bytes.len())?;
        self.buffer_mut().bytes.get_mut(start..at)?.copy_from_slice(bytes);
        Some(start)
    }

    /// Writes `bytes` at `at`, if what is left begins only after them, or there is nothing left.
    pub(super) fn write_behind(&mut self, at: usize, bytes: &[u8]) -> bool {
        let buffer = self.buffer_mut();
        let is_free = buffer.filled.is_empty() || at + bytes.len() <= buffer.filled.start;
        let Some(room) = buffer.bytes.get_mut(at..at + bytes.len()).filter(|_| is_free) else { return false };
        room.copy_from_slice(bytes);
        true
    }

    /// Any part of the buffer.
    pub(super) fn at(&self, range: Range<usize>) -> &[u8] {
        self.buffer.as_ref().and_then(|buffer| buffer.bytes.get(range)).unwrap_or_default()
    }

    /// Where what is left begins.
    pub(super) fn start(&mut self) -> usize {
        self.buffer_mut().filled.start
    }
}

/// What a buffer holds, in a vector that is made again only when it holds something else.
fn keep(buffer: &Buffer, parked: Vec<u8>) -> Vec<u8> {
    if parked.len() == buffer.filled().len() { parked } else { buffer.filled().to_vec() }
}
