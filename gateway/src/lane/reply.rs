//! The head of a replica's answer: read strictly, and written anew for the client.

use std::mem::MaybeUninit;

use httparse::Header;

use super::body::Framing;
use super::forward::{field, is_named_hop, line};
use super::head::{read_length, tokens};
use crate::exchange::Exchange;
use crate::request_id;

/// An answer that is no HTTP, or could be read in two ways.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// A head that is in order.
pub(super) struct ReplyHead<'a> {
    pub(super) status: u16,
    reason: &'a [u8],
    fields: &'a [Header<'a>],
    pub(super) framing: Framing,
    /// The replica keeps the connection.
    pub(super) keeps_alive: bool,
    /// It is a stream of events, which has no end.
    pub(super) is_event_stream: bool,
    has_named_hops: bool,
    has_retry_after: bool,
    /// Bytes of the head.
    pub(super) length: usize,
}

/// How the client is answered.
pub(super) struct Terms {
    /// The connection is kept for its next request.
    pub(super) keeps_alive: bool,
    /// The body goes out in chunks.
    pub(super) is_chunked: bool,
}

/// Reads the head of an answer; `None` when its end has not come yet.
pub(super) fn read<'a>(
    bytes: &'a [u8],
    fields: &'a mut [MaybeUninit<Header<'a>>],
    is_answer_to_head: bool,
) -> Result<Option<ReplyHead<'a>>, Malformed> {
    let mut response = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let parsed = config.parse_response_with_uninit_headers(&mut response, bytes, fields).map_err(|_| Malformed)?;
    let httparse::Status::Complete(length) = parsed else { return Ok(None) };
    let text = bytes.get(..length).unwrap_or_default();
    // All of it is looked at, which is quicker than to stop at each line.
    let pairs = text.iter().zip(text.get(1..).unwrap_or_default());
    let has_bare_lf = pairs.fold(text.starts_with(b"\n"), |has, (one, next)| has | ((*next == b'\n') & (*one != b'\r')));
    let (Some(version), Some(status @ 100..=999), false) = (response.version, response.code, has_bare_lf) else { return Err(Malformed) };
    let mut head = ReplyHead {
        status,
        reason: response.reason.unwrap_or_default().as_bytes(),
        fields: response.headers,
        framing: Framing::UntilClose,
        keeps_alive: version == 1,
        is_event_stream: false,
        has_named_hops: false,
        has_retry_after: false,
        length,
    };
    head.read_fields(version == 1, is_answer_to_head)?;
    Ok(Some(head))
}

impl ReplyHead<'_> {
    /// One of those that come before the answer. 101 is not: with it the connection becomes another.
    pub(super) fn is_interim(&self) -> bool {
        matches!(self.status, 100 | 102..=199)
    }

    fn read_fields(&mut self, is_http_11: bool, is_answer_to_head: bool) -> Result<(), Malformed> {
        let (mut length, mut is_chunked, mut is_websocket) = (None, false, false);
        for one in self.fields {
            let (name, value) = (one.name, one.value);
            match name.len() {
                7 if name.eq_ignore_ascii_case("upgrade") => is_websocket = value.eq_ignore_ascii_case(b"websocket"),
                10 if name.eq_ignore_ascii_case("connection") => self.read_connection(value),
                11 if name.eq_ignore_ascii_case("retry-after") => self.has_retry_after = true,
                12 if name.eq_ignore_ascii_case("content-type") => {
                    self.is_event_stream = value.get(..17).is_some_and(|start| start.eq_ignore_ascii_case(b"text/event-stream"));
                }
                14 if name.eq_ignore_ascii_case("content-length") => {
                    let is_second = length.replace(read_length(value).map_err(|_| Malformed)?).is_some();
                    if is_second {
                        return Err(Malformed);
                    }
                }
                17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                    let is_second = std::mem::replace(&mut is_chunked, true);
                    if is_second || !value.eq_ignore_ascii_case(b"chunked") || !is_http_11 {
                        return Err(Malformed);
                    }
                }
                _ => {}
            }
        }
        // It may become nothing else than what was asked for.
        if self.status == 101 && !is_websocket {
            return Err(Malformed);
        }
        let has_no_body = is_answer_to_head || matches!(self.status, 100..=199 | 204 | 304);
        self.framing = match (length, is_chunked) {
            (Some(_), true) => return Err(Malformed),
            _ if has_no_body => Framing::None,
            (None, true) => Framing::Chunked,
            (Some(length), false) => Framing::Length(length),
            (None, false) => Framing::UntilClose,
        };
        self.keeps_alive &= self.framing != Framing::UntilClose;
        Ok(())
    }

    fn read_connection(&mut self, value: &[u8]) {
        for token in tokens(value) {
            if token.eq_ignore_ascii_case(b"close") {
                self.keeps_alive = false;
            } else if !token.eq_ignore_ascii_case(b"keep-alive") && !token.eq_ignore_ascii_case(b"upgrade") {
                self.has_named_hops = true;
            }
        }
    }

    /// Writes the head for the client.
    pub(super) fn write(&self, out: &mut Vec<u8>, exchange: &Exchange, terms: &Terms) {
        self.write_line(out);
        // 204 has no length, and what is sent in chunks has none beforehand. An answer to HEAD keeps the one a GET would have.
        let drops_length = terms.is_chunked || self.status == 204;
        for one in self.fields {
            let name = one.name;
            let is_ours = match name.len() {
                7 => name.eq_ignore_ascii_case("upgrade"),
                10 => name.eq_ignore_ascii_case("connection") || name.eq_ignore_ascii_case("keep-alive"),
                12 => name.eq_ignore_ascii_case(request_id::HEADER),
                14 => drops_length && name.eq_ignore_ascii_case("content-length"),
                16 => name.eq_ignore_ascii_case("proxy-connection"),
                17 => name.eq_ignore_ascii_case("transfer-encoding"),
                _ => false,
            };
            // A length tells where the answer ends, whatever `Connection` says of it.
            let ends_here = self.has_named_hops && !name.eq_ignore_ascii_case("content-length") && is_named_hop(name, self.fields);
            if !is_ours && !ends_here {
                field(out, name, one.value);
            }
        }
        field(out, request_id::HEADER, exchange.request_id.as_bytes());
        for (name, value) in exchange.cors_fields() {
            field(out, name, value.as_bytes());
        }
        // Every 503 says when to come back, whoever says it.
        if self.status == 503 && !self.has_retry_after {
            field(out, "retry-after", b"1");
        }
        if terms.is_chunked {
            field(out, "transfer-encoding", b"chunked");
        }
        out.extend_from_slice(match (self.status, terms.keeps_alive) {
            (101, _) => b"connection: upgrade\r\nupgrade: websocket\r\n\r\n",
            (_, true) => b"connection: keep-alive\r\n\r\n",
            (_, false) => b"connection: close\r\n\r\n",
        });
    }

    /// Writes the head of an answer that comes before the answer.
    pub(super) fn write_interim(&self, out: &mut Vec<u8>) {
        self.write_line(out);
        for one in self.fields {
            let is_framing = ["connection", "content-length", "transfer-encoding"].iter().any(|name| one.name.eq_ignore_ascii_case(name));
            if !is_framing {
                field(out, one.name, one.value);
            }
        }
        out.extend_from_slice(b"\r\n");
    }

    fn write_line(&self, out: &mut Vec<u8>) {
        line(out, &[b"HTTP/1.1 ", itoa::Buffer::new().format(self.status).as_bytes(), b" ", self.reason]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::head::FIELDS_MAX;
    use super::*;

    fn framing(text: &str, is_answer_to_head: bool) -> Result<Option<Framing>, Malformed> {
        let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
        read(text.as_bytes(), &mut fields, is_answer_to_head).map(|head| head.map(|head| head.framing))
    }

    #[test]
    fn an_answer_ends_where_its_head_says() {
        for (text, expected) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", Framing::Length(5)),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", Framing::Chunked),
            ("HTTP/1.0 200 OK\r\n\r\n", Framing::UntilClose),
            ("HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n", Framing::None),
            ("HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", Framing::None),
            ("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n", Framing::None),
        ] {
            assert_eq!(framing(text, false), Ok(Some(expected)), "{text:?}");
        }
        assert_eq!(framing("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", true), Ok(Some(Framing::None)));
        assert_eq!(framing("HTTP/1.1 200 OK\r\ncontent-le", false), Ok(None));
    }

    #[test]
    fn an_answer_that_could_be_read_in_two_ways_is_none() {
        for fields in [
            "content-length: 5\r\ntransfer-encoding: chunked",
            "content-length: 5\r\ncontent-length: 5",
            "content-length: x",
            "transfer-encoding: gzip, chunked",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
            "a: b\n",
            "a : b",
            "a: b\r\n c",
        ] {
            assert_eq!(framing(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n"), false), Err(Malformed), "{fields:?}");
        }
        assert_eq!(framing("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", false), Err(Malformed));
        assert_eq!(framing("SSH-2.0-OpenSSH\r\n", false), Err(Malformed));
        assert_eq!(framing("\nHTTP/1.1 204 No Content\r\n\r\n", false), Err(Malformed));
    }
}
