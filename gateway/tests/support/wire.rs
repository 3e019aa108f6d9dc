//! HTTP/1.1 read to the letter, from either side of the door: what is not exactly a message is a fault, never repaired.

use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::LIMIT;

/// A head of more bytes is a fault: of ours, as no test means to send one.
const HEAD_BYTES_MAX: usize = 256 * 1024;

/// Names are in lower case; bytes are taken as Latin-1, so that nothing is lost.
pub type Headers = Vec<(String, String)>;

/// One side of a connection.
pub struct Wire {
    pub stream: BufReader<TcpStream>,
}

/// Why there is no whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The other side ended or reset the connection in the middle.
    Cut,
    Malformed(String),
}

/// A request line or a status line, and the headers.
#[derive(Clone, Debug)]
pub struct Head {
    pub start: String,
    pub headers: Headers,
}

/// How the end of a body shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    None,
    Length(usize),
    Chunked,
    UntilClose,
}

/// What follows a head.
#[derive(Clone, Debug, Default)]
pub struct Body {
    pub bytes: Vec<u8>,
    pub trailers: Headers,
    /// `None`: it is complete.
    pub fault: Option<Fault>,
}

/// An answer, with the interim ones before it.
#[derive(Clone, Debug)]
pub struct Answer {
    pub interim: Vec<u16>,
    pub status: u16,
    pub head: Head,
    pub framing: Framing,
    pub body: Body,
}

impl Wire {
    pub fn new(stream: TcpStream) -> Wire {
        stream.set_nodelay(true).unwrap();
        Wire { stream: BufReader::new(stream) }
    }

    pub async fn connect(address: SocketAddr) -> Wire {
        Wire::new(TcpStream::connect(address).await.unwrap())
    }

    /// Sends bytes. The other side may have gone already: what it says, or does not say, is what a test looks at.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let writing = self.stream.write_all(bytes.as_ref());
        tokio::time::timeout(LIMIT, writing).await.expect("somebody reads").is_ok()
    }

    /// Ends our half of the connection.
    pub async fn end(&mut self) {
        // It may be gone altogether.
        let _ = self.stream.shutdown().await;
    }

    /// The next answer to a request of this method; `None` when the connection ended before one began.
    pub async fn answer(&mut self, method: &str) -> Result<Option<Answer>, Fault> {
        tokio::time::timeout(LIMIT, self.read_answer(method)).await.expect("an answer or an end, in time")
    }

    /// The next answer, which must be there and whole.
    pub async fn whole_answer(&mut self, method: &str) -> Answer {
        let answer = self.answer(method).await.unwrap().expect("an answer");
        assert_eq!(answer.body.fault, None, "{answer:?}");
        answer
    }

    /// The other side ends the connection without another word.
    pub async fn ends(&mut self) -> bool {
        let mut rest = Vec::new();
        // A reset is an end, too.
        let has_ended = tokio::time::timeout(LIMIT, self.stream.read_to_end(&mut rest)).await.is_ok();
        assert!(rest.is_empty(), "said more: {}", rest.escape_ascii());
        has_ended
    }

    async fn read_answer(&mut self, method: &str) -> Result<Option<Answer>, Fault> {
        let mut interim = Vec::new();
        loop {
            let Some(head) = self.head().await? else { return Ok(None) };
            let status = head.status()?;
            if (100..200).contains(&status) && status != 101 {
                interim.push(status);
                continue;
            }
            let framing = head.answer_framing(method, status)?;
            let body = self.body(framing).await;
            return Ok(Some(Answer { interim, status, head, framing, body }));
        }
    }

    /// The next head; `None` when the connection ends instead.
    pub async fn head(&mut self) -> Result<Option<Head>, Fault> {
        let Some(start) = self.line(HEAD_BYTES_MAX).await? else { return Ok(None) };
        let headers = self.fields(HEAD_BYTES_MAX).await?;
        Ok(Some(Head { start, headers }))
    }

    pub async fn body(&mut self, framing: Framing) -> Body {
        let mut body = Body::default();
        let read = match framing {
            Framing::None => Ok(()),
            Framing::Length(length) => self.exactly(length, &mut body.bytes).await,
            Framing::Chunked => self.chunks(&mut body).await,
            // A reset instead of an end says that something is missing.
            Framing::UntilClose => self.stream.read_to_end(&mut body.bytes).await.map(drop).map_err(|_| Fault::Cut),
        };
        body.fault = read.err();
        body
    }

    async fn chunks(&mut self, body: &mut Body) -> Result<(), Fault> {
        loop {
            let line = self.line(HEAD_BYTES_MAX).await?.ok_or(Fault::Cut)?;
            let digits = line.split(';').next().unwrap_or_default();
            let is_size = (1..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            if !is_size {
                return malformed("chunk size", &line);
            }
            let size = usize::from_str_radix(digits, 16).unwrap();
            if size == 0 {
                body.trailers = self.fields(HEAD_BYTES_MAX).await?;
                return Ok(());
            }
            self.exactly(size, &mut body.bytes).await?;
            let mut end = Vec::new();
            self.exactly(2, &mut end).await?;
            if end != b"\r\n" {
                return malformed("end of a chunk", &end.escape_ascii().to_string());
            }
        }
    }

    /// Reads what is there even when it turns out to be too little.
    async fn exactly(&mut self, length: usize, into: &mut Vec<u8>) -> Result<(), Fault> {
        let read = (&mut self.stream).take(length as u64).read_to_end(into).await;
        match read {
            Ok(read) if read == length => Ok(()),
            _ => Err(Fault::Cut),
        }
    }

    async fn fields(&mut self, bytes_max: usize) -> Result<Headers, Fault> {
        let mut fields = Vec::new();
        let mut left = bytes_max;
        loop {
            let line = self.line(left).await?.ok_or(Fault::Cut)?;
            if line.is_empty() {
                return Ok(fields);
            }
            left = left.saturating_sub(line.len() + 2);
            let field = line.split_once(':').filter(|(name, value)| is_token(name) && !value.chars().any(is_forbidden));
            match field {
                Some((name, value)) => fields.push((name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned())),
                None => return malformed("header", &line),
            }
        }
    }

    /// A line without its end, which must be CR LF; `None` when the connection ends before it begins.
    async fn line(&mut self, bytes_max: usize) -> Result<Option<String>, Fault> {
        let mut line = Vec::new();
        let read = (&mut self.stream).take(bytes_max as u64).read_until(b'\n', &mut line).await;
        match read {
            Ok(0) if bytes_max > 0 => return Ok(None),
            Ok(_) if line.ends_with(b"\n") => {}
            Ok(read) if read == bytes_max => return malformed("head", "larger than any here"),
            Ok(_) | Err(_) => return Err(Fault::Cut),
        }
        let text: String = line.iter().map(|byte| char::from(*byte)).collect();
        match text.strip_suffix("\r\n") {
            Some(text) if !text.contains(['\r', '\0']) => Ok(Some(text.to_owned())),
            _ => malformed("line", &text),
        }
    }
}

impl Head {
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The value of a header that is there at most once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} more than once: {self:?}");
        all.first().copied()
    }

    pub fn method(&self) -> &str {
        self.start.split(' ').next().unwrap_or_default()
    }

    pub fn target(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    pub fn status(&self) -> Result<u16, Fault> {
        let rest = self.start.strip_prefix("HTTP/1.1 ").or_else(|| self.start.strip_prefix("HTTP/1.0 "));
        let status = rest.and_then(|rest| rest.get(..3)).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        status.and_then(|digits| digits.parse().ok()).map_or_else(|| malformed("status line", &self.start), Ok)
    }

    pub fn request_framing(&self) -> Result<Framing, Fault> {
        let parts: Vec<_> = self.start.split(' ').collect();
        let [method, target, "HTTP/1.1" | "HTTP/1.0"] = parts[..] else { return malformed("request line", &self.start) };
        if !is_token(method) || target.is_empty() || target.chars().any(|each| is_forbidden(each) || each == '\t') {
            return malformed("request line", &self.start);
        }
        Ok(self.announced()?.unwrap_or(Framing::None))
    }

    fn answer_framing(&self, method: &str, status: u16) -> Result<Framing, Fault> {
        let announced = self.announced()?;
        let has_none = method == "HEAD" || matches!(status, 101 | 204 | 304);
        Ok(if has_none { Framing::None } else { announced.unwrap_or(Framing::UntilClose) })
    }

    fn announced(&self) -> Result<Option<Framing>, Fault> {
        match (&self.all("content-length")[..], &self.all("transfer-encoding")[..]) {
            ([], []) => Ok(None),
            ([length], []) if !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit()) => {
                length.parse().map_or_else(|_| malformed("length", length), |length| Ok(Some(Framing::Length(length))))
            }
            ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => Ok(Some(Framing::Chunked)),
            _ => malformed("framing", &format!("{:?}", self.headers)),
        }
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body.bytes).into_owned()
    }

    pub fn is_whole(&self) -> bool {
        self.body.fault.is_none()
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn is_forbidden(character: char) -> bool {
    character.is_ascii_control() && character != '\t'
}

fn malformed<T>(what: &str, found: &str) -> Result<T, Fault> {
    Err(Fault::Malformed(format!("{what}: {}", found.escape_debug())))
}
