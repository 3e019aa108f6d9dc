//! The head of a request, read strictly (RFC 9112): whatever another reader could take differently is refused.

use std::mem::MaybeUninit;

use http::Method;
use httparse::Header;

use super::body::Framing;
use crate::host::is_host;
use crate::problem::Problem;

/// Fields of a head.
pub(crate) const FIELDS_MAX: usize = 128;

/// Looks for the end of a head while it arrives, and for lines that do not end as they must.
#[derive(Default)]
pub(super) struct Scan {
    /// So many bytes have been looked at.
    seen: usize,
    /// Where the line under way begins.
    line: usize,
}

/// What a scan found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Scanned {
    /// The head ends here.
    Complete(usize),
    Partial,
    /// A line ends without a carriage return.
    BareLf,
}

impl Scan {
    /// Looks at what is new in `bytes`.
    pub(super) fn find_end(&mut self, bytes: &[u8]) -> Scanned {
        for at in memchr::memchr_iter(b'\n', bytes.get(self.seen..).unwrap_or_default()) {
            let at = self.seen + at;
            if at == 0 || bytes.get(at - 1) != Some(&b'\r') {
                return Scanned::BareLf;
            }
            // The empty line that some clients send before a request is not its end.
            let is_empty_line = at == self.line + 1;
            if is_empty_line && self.line > 0 {
                return Scanned::Complete(at + 1);
            }
            self.line = at + 1;
        }
        self.seen = bytes.len();
        Scanned::Partial
    }
}

/// A head that is in order.
pub(super) struct Head<'a> {
    pub(super) method: Method,
    /// As sent.
    pub(super) target: &'a [u8],
    pub(super) is_http_11: bool,
    pub(super) fields: &'a [Header<'a>],
    pub(super) host: Option<&'a [u8]>,
    pub(super) framing: Framing,
    /// The client keeps the connection for more.
    pub(super) keeps_alive: bool,
    /// It asks to become a WebSocket.
    pub(super) is_upgrade: bool,
    /// It waits for a 100 before it sends its body.
    pub(super) expects_continue: bool,
    /// Names in `Connection` other than the usual ones: these fields end here.
    pub(super) has_named_hops: bool,
}

/// Reads a complete head.
pub(super) fn read<'a>(bytes: &'a [u8], fields: &'a mut [MaybeUninit<Header<'a>>]) -> Result<Head<'a>, Problem> {
    let bytes = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(bytes, fields) {
        Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
        Ok(_) => return Err(Problem::BadRequest("the head of the request is malformed")),
        Err(error) => return Err(refusal(error, bytes)),
    }
    check_request_line(bytes)?;
    let httparse::Request { method: Some(method), path: Some(target), version: Some(version), headers } = request else {
        return Err(Problem::BadRequest("the request line is incomplete"));
    };
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| Problem::BadRequest("the method is no token"))?;
    let mut head = Head {
        method,
        target: target.as_bytes(),
        is_http_11: version == 1,
        fields: headers,
        host: None,
        framing: Framing::None,
        keeps_alive: version == 1,
        is_upgrade: false,
        expects_continue: false,
        has_named_hops: false,
    };
    head.read_fields()?;
    Ok(head)
}

/// Says what is wrong with the beginning of a head, before its end has come; a mere beginning is fine.
pub(super) fn check_beginning(bytes: &[u8]) -> Result<(), Problem> {
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let bytes = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
    let mut request = httparse::Request::new(&mut []);
    request.parse_with_uninit_headers(bytes, &mut fields).map(drop).map_err(|error| refusal(error, bytes))
}

fn refusal(error: httparse::Error, bytes: &[u8]) -> Problem {
    use httparse::Error;
    match error {
        Error::Version if names_another_version(bytes) => Problem::VersionNotSupported,
        Error::Version => Problem::BadRequest("the request line does not end with a version"),
        Error::TooManyHeaders => Problem::HeadTooLarge { bytes_max: super::HEAD_BYTES_MAX },
        Error::HeaderName => Problem::BadRequest("a header's name is malformed"),
        Error::HeaderValue => Problem::BadRequest("a header's value is malformed"),
        Error::NewLine => Problem::BadRequest("a line does not end as it must"),
        Error::Status | Error::Token => Problem::BadRequest("the request line is malformed"),
    }
}

/// `HTTP/` and two digits with a dot, at the end of the first line.
fn names_another_version(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let version = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    matches!(version.strip_prefix(b"HTTP/"), Some([major, b'.', minor]) if major.is_ascii_digit() && minor.is_ascii_digit())
}

/// Exactly one space between method, target and version.
fn check_request_line(bytes: &[u8]) -> Result<(), Problem> {
    let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let spaces = line.iter().filter(|byte| **byte == b' ').count();
    if spaces == 2 && !line.contains(&b'\t') { Ok(()) } else { Err(Problem::BadRequest("the request line is malformed")) }
}

impl<'a> Head<'a> {
    fn read_fields(&mut self) -> Result<(), Problem> {
        let mut length = None;
        let mut has_transfer_encoding = false;
        let mut upgrades_to_websocket = false;
        let mut connection_upgrades = false;
        let fields = self.fields;
        for field in fields {
            let (name, value) = (field.name, field.value);
            // By length first: most fields are none of these.
            match name.len() {
                4 if name.eq_ignore_ascii_case("host") => {
                    let is_second = self.host.replace(value).is_some();
                    if is_second {
                        return Err(Problem::BadRequest("there is more than one Host"));
                    }
                }
                6 if name.eq_ignore_ascii_case("expect") => {
                    self.expects_continue |= self.is_http_11 && value.eq_ignore_ascii_case(b"100-continue");
                }
                7 if name.eq_ignore_ascii_case("upgrade") => {
                    upgrades_to_websocket |= tokens(value).any(|token| token.eq_ignore_ascii_case(b"websocket"));
                }
                10 if name.eq_ignore_ascii_case("connection") => connection_upgrades |= self.read_connection(value)?,
                14 if name.eq_ignore_ascii_case("content-length") => {
                    let is_second = length.replace(read_length(value)?).is_some();
                    if is_second {
                        return Err(Problem::BadRequest("there is more than one Content-Length"));
                    }
                }
                17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                    if std::mem::replace(&mut has_transfer_encoding, true) {
                        return Err(Problem::BadRequest("there is more than one Transfer-Encoding"));
                    }
                    check_coding(value)?;
                }
                _ => {}
            }
        }
        self.check_host()?;
        self.framing = match (length, has_transfer_encoding) {
            (Some(_), true) => return Err(Problem::BadRequest("there are both Content-Length and Transfer-Encoding")),
            (None, true) if !self.is_http_11 => return Err(Problem::BadRequest("HTTP/1.0 has no Transfer-Encoding")),
            (None, true) => Framing::Chunked,
            (Some(0) | None, false) => Framing::None,
            (Some(length), false) => Framing::Length(length),
        };
        self.is_upgrade = self.is_http_11 && upgrades_to_websocket && connection_upgrades;
        Ok(())
    }

    /// Whether it names `upgrade`.
    fn read_connection(&mut self, value: &[u8]) -> Result<bool, Problem> {
        let (mut upgrades, mut asks_to_keep, mut closes) = (false, false, false);
        for token in tokens(value) {
            if token.eq_ignore_ascii_case(b"close") {
                closes = true;
            } else if token.eq_ignore_ascii_case(b"keep-alive") {
                // Only HTTP/1.0 needs to say so.
                asks_to_keep = true;
            } else if token.eq_ignore_ascii_case(b"upgrade") {
                upgrades = true;
            } else {
                self.has_named_hops = true;
            }
        }
        self.keeps_alive = (self.keeps_alive || asks_to_keep) && !closes;
        Ok(upgrades)
    }

    fn check_host(&mut self) -> Result<(), Problem> {
        let Some(host) = self.host else {
            return if self.is_http_11 { Err(Problem::BadRequest("there is no Host")) } else { Ok(()) };
        };
        if !is_host(host) {
            return Err(Problem::BadRequest("the Host is malformed"));
        }
        Ok(())
    }

    /// The first field with this name, given in lower case.
    pub(super) fn field(&self, name: &str) -> Option<&'a [u8]> {
        self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    }
}

/// The parts of a list, without the spaces around them.
pub(super) fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|token| !token.is_empty())
}

/// Digits and nothing else, and not more than makes sense.
pub(crate) fn read_length(value: &[u8]) -> Result<u64, Problem> {
    let is_number = (1..=18).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    if !is_number {
        return Err(Problem::BadRequest("the Content-Length is no number"));
    }
    Ok(value.iter().fold(0, |length, digit| length * 10 + u64::from(digit - b'0')))
}

/// Only `chunked`, alone. A coding nobody here knows is another matter than one that is spelt wrong.
fn check_coding(value: &[u8]) -> Result<(), Problem> {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    let ends_chunked = tokens(value).last().is_some_and(|token| token.eq_ignore_ascii_case(b"chunked"));
    let is_known_list = tokens(value)
        .all(|token| [&b"gzip"[..], b"deflate", b"compress", b"x-gzip", b"chunked"].iter().any(|known| token.eq_ignore_ascii_case(known)));
    if ends_chunked && is_known_list && tokens(value).filter(|token| token.eq_ignore_ascii_case(b"chunked")).count() == 1 {
        return Err(Problem::NotImplemented);
    }
    Err(Problem::BadRequest("the Transfer-Encoding is not chunked"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(text: &str) -> Result<Framing, u16> {
        let mut scan = Scan::default();
        match scan.find_end(text.as_bytes()) {
            Scanned::Complete(end) if end == text.len() => {}
            Scanned::BareLf => return Err(400),
            found => panic!("{found:?}: {text:?}"),
        }
        let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
        read(text.as_bytes(), &mut fields).map(|head| head.framing).map_err(|problem| problem.answer("x").status.as_u16())
    }

    #[test]
    fn what_is_in_order_is_read() {
        for (text, framing) in [
            ("GET / HTTP/1.1\r\nhost: door\r\n\r\n", Framing::None),
            ("\r\nGET / HTTP/1.1\r\nhost: door\r\n\r\n", Framing::None),
            ("GET / HTTP/1.0\r\n\r\n", Framing::None),
            ("POST /x HTTP/1.1\r\nHost: [::1]:8080\r\nContent-Length: 12\r\n\r\n", Framing::Length(12)),
            ("POST /x HTTP/1.1\r\nhost: d\r\ncontent-length: 0\r\n\r\n", Framing::None),
            ("POST /x HTTP/1.1\r\nhost: d\r\nTransfer-Encoding: Chunked\r\n\r\n", Framing::Chunked),
        ] {
            assert_eq!(status(text), Ok(framing), "{text:?}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        let with = |fields: &str| format!("POST / HTTP/1.1\r\nhost: d\r\n{fields}\r\n\r\n");
        for fields in [
            "content-length: 5\r\ntransfer-encoding: chunked",
            "content-length: 5\r\ncontent-length: 5",
            "content-length: 5, 5",
            "content-length: +5",
            "content-length: 0x5",
            "content-length:",
            "content-length: 99999999999999999999",
            "transfer-encoding: xchunked",
            "transfer-encoding: chunked, identity",
            "transfer-encoding: chunked, chunked",
            "transfer-encoding: \x0bchunked",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
            "transfer-encoding : chunked",
            "host: e",
            "a: b\r\n folded",
            "a\0: b",
            "a: b\0",
            ": b",
            "a: b\rc",
        ] {
            assert_eq!(status(&with(fields)), Err(400), "{fields:?}");
        }
        assert_eq!(status(&with("transfer-encoding: gzip, chunked")), Err(501));
        for (text, expected) in [
            ("POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nhost: a b\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nhost: a@b\r\n\r\n", 400),
            ("GET  / HTTP/1.1\r\nhost: a\r\n\r\n", 400),
            ("GET / HTTP/1.1 \r\nhost: a\r\n\r\n", 400),
            ("GET / HTTP/1.1\nhost: a\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nhost: a\n\r\n", 400),
            ("GET / HTTP/1.2\r\nhost: a\r\n\r\n", 505),
            ("GET / HTTP/2.0\r\nhost: a\r\n\r\n", 505),
            ("GET / http/1.1\r\nhost: a\r\n\r\n", 400),
            ("G(T / HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        ] {
            assert_eq!(status(text), Err(expected), "{text:?}");
        }
    }

    #[test]
    fn the_end_is_found_in_whatever_pieces_the_head_comes() {
        let text = b"\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\nrest";
        let mut scan = Scan::default();
        let found = (1..=text.len()).map(|end| scan.find_end(&text[..end])).find(|found| *found != Scanned::Partial);
        assert_eq!(found, Some(Scanned::Complete(text.len() - 4)));
    }

    #[test]
    fn connections_are_kept_as_the_versions_say() {
        let keeps = |text: &str| {
            let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
            read(text.as_bytes(), &mut fields).unwrap().keeps_alive
        };
        assert!(keeps("GET / HTTP/1.1\r\nhost: a\r\n\r\n"));
        assert!(!keeps("GET / HTTP/1.1\r\nhost: a\r\nconnection: x, Close\r\n\r\n"));
        assert!(!keeps("GET / HTTP/1.0\r\n\r\n"));
        assert!(keeps("GET / HTTP/1.0\r\nconnection: Keep-Alive\r\n\r\n"));
    }
}
