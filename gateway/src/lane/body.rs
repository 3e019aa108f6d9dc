//! Where a body ends (RFC 9112, sections 6 and 7), read strictly: what could be read in two ways is invalid.

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none.
    None,
    Length(u64),
    Chunked,
    /// Only of answers: it ends with the connection.
    UntilClose,
}

/// The body breaks the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Invalid(pub(super) &'static str);

/// Digits of a chunk's size, zeros in front included: as many as its number has room for.
const SIZE_DIGITS_MAX: u32 = 16;
/// Bytes of chunk extensions, all together: nobody uses them.
const EXTENSION_BYTES_MAX: usize = 16 * 1024;
/// Bytes of trailers.
const TRAILER_BYTES_MAX: usize = 8 * 1024;
const TRAILERS_MAX: usize = 32;

/// Finds the end of a body while it arrives.
pub(super) struct Decoder {
    state: State,
    extension_bytes: usize,
    /// Trailers as they came, each line with its end.
    trailers: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Length(u64),
    UntilClose,
    /// The size of a chunk, and how many digits of it have been read.
    Size(u64, u32),
    Extension(u64),
    SizeLf(u64),
    Data(u64),
    DataCr,
    DataLf,
    /// Lines after the last chunk; whether the line under way is empty so far.
    Trailer {
        is_empty: bool,
    },
    TrailerLf {
        is_empty: bool,
    },
    Done,
}

/// What a look at some bytes found. The payload was moved to their front.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    /// Bytes that have been read.
    pub(super) used: usize,
    /// Of these, payload.
    pub(super) payload: usize,
}

impl Decoder {
    pub(super) fn new(framing: Framing) -> Decoder {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Size(0, 0),
            Framing::UntilClose => State::UntilClose,
        };
        Decoder { state, extension_bytes: 0, trailers: Vec::new() }
    }

    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// How much more is announced already: the rest of the body, or of the chunk under way.
    pub(super) fn announced(&self) -> u64 {
        match self.state {
            State::Length(left) | State::Size(left, 1..) | State::Extension(left) | State::SizeLf(left) | State::Data(left) => left,
            _ => 0,
        }
    }

    /// The connection has ended; whether the body ends with it.
    pub(super) fn ends_with_connection(&mut self) -> bool {
        if self.state == State::UntilClose {
            self.state = State::Done;
        }
        self.is_done()
    }

    /// The trailers of a body that is done, each line with its end.
    pub(super) fn trailers(&self) -> &[u8] {
        &self.trailers
    }

    /// Reads on. Payload is moved to the front of `bytes`; what comes after the body is left where it is.
    pub(super) fn decode(&mut self, bytes: &mut [u8]) -> Result<Decoded, Invalid> {
        let mut decoded = Decoded { used: 0, payload: 0 };
        while decoded.used < bytes.len() && self.state != State::Done {
            let left = bytes.len() - decoded.used;
            match self.state {
                State::UntilClose => take(bytes, &mut decoded, left),
                State::Length(length) | State::Data(length) => {
                    let count = usize::try_from(length).unwrap_or(usize::MAX).min(left);
                    take(bytes, &mut decoded, count);
                    self.state = self.after_data(length - count as u64);
                }
                _ => {
                    let byte = bytes.get(decoded.used).copied().unwrap_or_default();
                    decoded.used += 1;
                    self.state = self.read_frame(byte)?;
                }
            }
        }
        Ok(decoded)
    }

    fn after_data(&self, left: u64) -> State {
        match (self.state, left) {
            (State::Length(_), 0) => State::Done,
            (State::Length(_), left) => State::Length(left),
            (_, 0) => State::DataCr,
            (_, left) => State::Data(left),
        }
    }

    /// One byte of what is around chunks.
    fn read_frame(&mut self, byte: u8) -> Result<State, Invalid> {
        Ok(match (self.state, byte) {
            (State::Size(size, digits), _) => match char::from(byte).to_digit(16) {
                Some(digit) if digits < SIZE_DIGITS_MAX => State::Size(size << 4 | u64::from(digit), digits + 1),
                Some(_) => return Err(Invalid("a chunk's size has too many digits")),
                None if digits == 0 => return Err(Invalid("a chunk has no size")),
                None if byte == b';' => State::Extension(size),
                None if byte == b'\r' => State::SizeLf(size),
                None => return Err(Invalid("a chunk's size is no hexadecimal number")),
            },
            (State::Extension(size), b'\r') => State::SizeLf(size),
            (State::Extension(size), b'\t' | b' '..=b'~' | 0x80..) => {
                self.extension_bytes += 1;
                if self.extension_bytes > EXTENSION_BYTES_MAX {
                    return Err(Invalid("chunk extensions are too long"));
                }
                State::Extension(size)
            }
            (State::SizeLf(0), b'\n') => State::Trailer { is_empty: true },
            (State::SizeLf(size), b'\n') => State::Data(size),
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size(0, 0),
            (State::Trailer { is_empty }, b'\r') => State::TrailerLf { is_empty },
            (State::Trailer { .. }, _) if byte != b'\n' => {
                self.trailers.push(byte);
                if self.trailers.len() > TRAILER_BYTES_MAX {
                    return Err(Invalid("trailers are too long"));
                }
                State::Trailer { is_empty: false }
            }
            (State::TrailerLf { is_empty: true }, b'\n') => {
                check_trailers(&self.trailers)?;
                State::Done
            }
            (State::TrailerLf { is_empty: false }, b'\n') => {
                self.trailers.extend_from_slice(b"\r\n");
                State::Trailer { is_empty: true }
            }
            _ => return Err(Invalid("chunks are not separated as they must be")),
        })
    }
}

/// Moves `count` bytes of payload to the front.
fn take(bytes: &mut [u8], decoded: &mut Decoded, count: usize) {
    if decoded.used != decoded.payload {
        bytes.copy_within(decoded.used..decoded.used + count, decoded.payload);
    }
    decoded.used += count;
    decoded.payload += count;
}

/// Trailers are fields like others, but none that would change how the message is read (RFC 9110, section 6.5.1).
fn check_trailers(lines: &[u8]) -> Result<(), Invalid> {
    const FORBIDDEN: [&str; 20] = [
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "cookie",
        "expect",
        "forwarded",
        "host",
        "set-cookie",
        "te",
        "traceparent",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-request-id",
    ];
    if lines.is_empty() {
        return Ok(());
    }
    let text = [lines, b"\r\n"].concat();
    let mut fields = [httparse::EMPTY_HEADER; TRAILERS_MAX];
    let Ok(httparse::Status::Complete((_, fields))) = httparse::parse_headers(&text, &mut fields) else {
        return Err(Invalid("trailers are malformed"));
    };
    let is_forbidden = |name: &str| FORBIDDEN.iter().any(|forbidden| name.eq_ignore_ascii_case(forbidden));
    if fields.iter().any(|field| is_forbidden(field.name)) { Err(Invalid("a trailer is not allowed")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes `text` in pieces of `size`; the payload, and what is left over.
    fn decode(framing: Framing, text: &[u8], size: usize) -> Result<(Vec<u8>, usize, Decoder), Invalid> {
        let mut decoder = Decoder::new(framing);
        let (mut payload, mut used) = (Vec::new(), 0);
        for piece in text.chunks(size) {
            let mut piece = piece.to_vec();
            let decoded = decoder.decode(&mut piece)?;
            payload.extend_from_slice(&piece[..decoded.payload]);
            used += decoded.used;
        }
        Ok((payload, text.len() - used, decoder))
    }

    #[test]
    fn a_body_is_the_same_in_whatever_pieces_it_comes() {
        let chunked = b"5;x=y\r\nhello\r\n0A\r\n0123456789\r\n0\r\nx-sum: 1\r\n\r\nGET / ";
        for size in 1..=chunked.len() {
            let (payload, left, decoder) = decode(Framing::Chunked, chunked, size).unwrap();
            assert_eq!((payload.as_slice(), left), (&b"hello0123456789"[..], 6), "{size}");
            assert!(decoder.is_done());
            assert_eq!(decoder.trailers(), b"x-sum: 1\r\n");
            let (payload, left, decoder) = decode(Framing::Length(5), b"helloGET", size).unwrap();
            assert_eq!((payload.as_slice(), left, decoder.is_done()), (&b"hello"[..], 3, true));
        }
        assert!(Decoder::new(Framing::Length(0)).is_done() && Decoder::new(Framing::None).is_done());
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_invalid() {
        for text in [
            "x\r\n",
            "\r\n",
            "-1\r\n",
            "+1\r\n",
            "0x5\r\nhello",
            " 5\r\nhello",
            "5 \r\nhello",
            "5\nhello",
            "5;a\nhello",
            "5;\x01\r\n",
            "5\r\nhelloX\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "5\r\nhello\r0\r\n\r\n",
            "11111111111111111\r\n",
            "00000000000000005\r\nhello",
            "0\r\nhost: x\r\n\r\n",
            "0\r\nContent-Length: 5\r\n\r\n",
            "0\r\nno colon\r\n\r\n",
            "0\r\na : b\r\n\r\n",
            "0\r\na: b\n\r\n",
            "0\r\n\n",
        ] {
            for size in [1, 7, text.len()] {
                assert!(decode(Framing::Chunked, text.as_bytes(), size).is_err(), "{text:?}");
            }
        }
        assert!(decode(Framing::Chunked, b"0000000000000005\r\nhello", 1).is_ok());
        assert!(decode(Framing::Chunked, b"ffffffffffffffff\r\nhello", 1).is_ok());
        assert!(decode(Framing::Chunked, format!("5;{}\r\n", "x".repeat(17_000)).as_bytes(), 100).is_err());
        assert!(decode(Framing::Chunked, format!("0\r\na: {}\r\n\r\n", "x".repeat(9000)).as_bytes(), 100).is_err());
    }

    #[test]
    fn only_an_answer_without_length_ends_with_its_connection() {
        assert!(Decoder::new(Framing::UntilClose).ends_with_connection());
        assert!(!Decoder::new(Framing::Chunked).ends_with_connection());
        assert!(!Decoder::new(Framing::Length(1)).ends_with_connection());
    }
}
