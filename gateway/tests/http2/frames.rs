//! HTTP/2 one frame at a time (RFC 9113, section 4), for clients that no library would be.

use std::convert::Infallible as Never;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::interval;

use crate::support::LIMIT;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// A client's end of a connection.
pub struct Frames {
    pub hears: Hears,
    pub says: Says,
}

pub struct Hears(pub OwnedReadHalf);

pub struct Says(OwnedWriteHalf);

#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// What a client gets on one stream until that ends.
#[derive(Debug, Default)]
pub struct Answered {
    pub has_head: bool,
    pub body: String,
    pub is_whole: bool,
}

impl Frames {
    /// A connection on which nothing has been said.
    pub async fn silent(door: SocketAddr) -> Frames {
        let stream = TcpStream::connect(door).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (reading, writing) = stream.into_split();
        Frames { hears: Hears(reading), says: Says(writing) }
    }

    /// One on which the client has introduced itself.
    pub async fn connect(door: SocketAddr) -> Frames {
        let mut client = Frames::silent(door).await;
        client.says.bytes(PREFACE).await;
        client.says.bytes(frame(SETTINGS, 0, 0, b"")).await;
        client
    }
}

impl Says {
    /// Whether somebody took them.
    pub async fn bytes(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let writing = self.0.write_all(bytes.as_ref());
        tokio::time::timeout(LIMIT, writing).await.expect("somebody reads").is_ok()
    }

    /// Says the same again and again, also when nobody takes it any more.
    pub async fn drip(&mut self, bytes: &[u8], pace: Duration) -> Never {
        let mut pace = interval(pace);
        loop {
            pace.tick().await;
            self.bytes(bytes).await;
        }
    }
}

impl Hears {
    /// The next frame; `None` when the connection ends.
    pub async fn next(&mut self) -> Option<Frame> {
        let reading = async {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await.ok()?;
            let number = |bytes: &[u8]| bytes.iter().fold(0_u32, |number, byte| (number << 8) | u32::from(*byte));
            let mut payload = vec![0; number(&head[..3]) as usize];
            self.0.read_exact(&mut payload).await.ok()?;
            Some(Frame { kind: head[3], flags: head[4], stream: number(&head[5..]), payload })
        };
        tokio::time::timeout(LIMIT, reading).await.expect("a frame or an end, in time")
    }

    /// Reads until this stream is answered or reset, or the connection ends.
    pub async fn answer(&mut self, stream: u32) -> Answered {
        let mut answered = Answered::default();
        while let Some(frame) = self.next().await {
            let is_its_end = match frame.kind {
                _ if frame.stream != stream => false,
                HEADERS | DATA => frame.flags & END_STREAM != 0,
                RST_STREAM => return answered,
                _ => false,
            };
            if frame.stream == stream && frame.kind == HEADERS {
                answered.has_head = true;
            }
            if frame.stream == stream && frame.kind == DATA {
                answered.body.push_str(std::str::from_utf8(&frame.payload).unwrap());
            }
            if is_its_end {
                answered.is_whole = true;
                return answered;
            }
        }
        answered
    }

    /// Reads until the connection ends.
    pub async fn end(&mut self) {
        while self.next().await.is_some() {}
    }
}

/// A frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = frame_head(payload.len(), kind, flags, stream);
    bytes.extend_from_slice(payload);
    bytes
}

/// The first nine bytes of one.
pub fn frame_head(length: usize, kind: u8, flags: u8, stream: u32) -> Vec<u8> {
    let mut bytes = (length as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes
}

/// The head of a request, over as many frames as it needs.
pub fn head(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    const FRAME_MAX: usize = 16_384;
    let pieces: Vec<&[u8]> = block.chunks(FRAME_MAX).collect();
    let mut bytes = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        let end = if index + 1 == pieces.len() { END_HEADERS } else { 0 };
        let (kind, flags) = if index == 0 { (HEADERS, flags | end) } else { (CONTINUATION, end) };
        bytes.extend(frame(kind, flags, stream, piece));
    }
    bytes
}

/// The fields of an ordinary request.
pub fn fields(method: &str, path: &str) -> Vec<u8> {
    block(&[(":method", method), (":scheme", "http"), (":authority", "door"), (":path", path)])
}

/// Fields without any compression (RFC 7541, section 6.2.2).
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            length(&mut block, text.len());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// A length in seven bits, or in several bytes (RFC 7541, section 5.1).
fn length(block: &mut Vec<u8>, length: usize) {
    let Some(mut rest) = length.checked_sub(127) else { return block.push(length as u8) };
    block.push(127);
    while rest >= 128 {
        block.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    block.push(rest as u8);
}
