//! All that reads bytes of strangers, as functions that assert what must hold whatever the bytes are. Called by the targets in
//! `fuzz/`, and by `tests/fuzz_corpus.rs` with their corpora; nobody else.

use std::mem::MaybeUninit;
use std::time::Instant;

use http::Method;

use super::body::{Decoder, Framing};
use super::forward;
use super::head::{self, FIELDS_MAX, Head, Scan, Scanned};
use super::reply::{self, ReplyHead, Terms};
use super::tunnel::frames::Frames;
use crate::exchange::{Exchange, Protocol};
use crate::route::{self, Route};
use crate::{Gateway, request_id, trace};

/// Bytes come in pieces of these sizes, and all at once.
const PIECES: [usize; 5] = [1, 2, 7, 61, 1000];
/// We add some of our own to what a client sent.
const FIELDS_ADDED_MAX: usize = 16;

/// The head of a request: found in whatever pieces it comes; and what a backend gets of it is the same request to a strict reader.
pub fn request_head(gateway: &Gateway, bytes: &[u8]) {
    let found = Scan::default().find_end(bytes);
    for size in PIECES {
        assert_eq!(scan_in_pieces(bytes, size), found, "in pieces of {size}");
    }
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let Scanned::Complete(length) = found else {
        // It may be refused early; but it must come to an end.
        let _ = head::check_beginning(bytes);
        return;
    };
    let text = part(bytes, 0, length);
    let head = match head::read(text, &mut fields) {
        Ok(head) => head,
        Err(problem) => {
            let status = problem.answer("x").status.as_u16();
            assert!(matches!(status, 400..=499 | 501 | 505), "refused with {status}");
            return;
        }
    };
    for (at, _) in text.iter().enumerate().filter(|(_, byte)| matches!(byte, b'\n' | b' ' | b':')) {
        assert!(head::check_beginning(part(text, 0, at)).is_ok(), "refused before its end, {at}");
    }
    let is_routable = route::origin_form(head.target).is_ok_and(|target| route::check(&target).is_ok());
    if is_routable {
        check_forwarded(gateway, &head);
    }
}

fn scan_in_pieces(bytes: &[u8], size: usize) -> Scanned {
    let mut scan = Scan::default();
    let ends = (size..bytes.len()).step_by(size).chain([bytes.len()]);
    ends.map(|end| scan.find_end(part(bytes, 0, end))).find(|found| *found != Scanned::Partial).unwrap_or(Scanned::Partial)
}

fn check_forwarded(gateway: &Gateway, head: &Head<'_>) {
    let mut exchange = Exchange::begin(gateway, None, Protocol::Http11, Instant::now());
    exchange.request_id = request_id::choose(head.field(request_id::HEADER), request_id::new);
    exchange.traceparent = trace::continue_or_begin(head.field(trace::HEADER));
    exchange.is_socket = head.is_upgrade && head.framing == Framing::None;
    let mut bytes = Vec::new();
    forward::write(&mut bytes, head, &exchange);
    assert_eq!(Scan::default().find_end(&bytes), Scanned::Complete(bytes.len()), "{}", bytes.escape_ascii());
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX + FIELDS_ADDED_MAX];
    // An old client may come without a host, and a backend is told so.
    let has_host = head.host.is_some() || route::authority(head.target).is_some();
    let again = match head::read(&bytes, &mut fields) {
        Ok(again) => again,
        Err(problem) => return assert!(!has_host, "{problem:?}: {}", bytes.escape_ascii()),
    };
    assert_eq!((&again.method, again.framing), (&head.method, head.framing), "{}", bytes.escape_ascii());
    assert_eq!(again.is_upgrade, exchange.is_socket);
    assert!(again.keeps_alive && again.is_http_11 && !again.has_named_hops, "{}", bytes.escape_ascii());
    assert_eq!(again.target, &*route::origin_form(head.target).unwrap_or_default());
    for name in [request_id::HEADER, trace::HEADER, "forwarded", "x-forwarded-for", "x-forwarded-host", "host"] {
        let count = again.fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name)).count();
        assert!(count < 2, "{name}: {}", bytes.escape_ascii());
    }
}

/// The head of an answer: read the same in whatever pieces it comes; and what a client gets of it is the same answer.
pub fn reply_head(gateway: &Gateway, bytes: &[u8]) {
    for is_answer_to_head in [false, true] {
        let whole = read_reply(bytes, is_answer_to_head);
        for size in PIECES {
            for end in (size..bytes.len()).step_by(size) {
                match read_reply(part(bytes, 0, end), is_answer_to_head) {
                    Ok(None) => {}
                    early => return assert_eq!(early, whole, "at {end}"),
                }
            }
        }
        let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
        if let Ok(Some(head)) = reply::read(bytes, &mut fields, is_answer_to_head) {
            check_passed_on(gateway, &head, is_answer_to_head);
        }
    }
}

/// Status, framing and length.
fn read_reply(bytes: &[u8], is_answer_to_head: bool) -> Result<Option<(u16, Framing, usize)>, reply::Malformed> {
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX + FIELDS_ADDED_MAX];
    let head = reply::read(bytes, &mut fields, is_answer_to_head)?;
    Ok(head.map(|head| (head.status, head.framing, head.length)))
}

fn check_passed_on(gateway: &Gateway, head: &ReplyHead<'_>, is_answer_to_head: bool) {
    let mut bytes = Vec::new();
    if head.is_interim() {
        head.write_interim(&mut bytes);
        let expected = Ok(Some((head.status, Framing::None, bytes.len())));
        return assert_eq!(read_reply(&bytes, is_answer_to_head), expected, "{}", bytes.escape_ascii());
    }
    let mut exchange = Exchange::begin(gateway, None, Protocol::Http11, Instant::now());
    exchange.request_id = request_id::new();
    let has_end = !matches!(head.framing, Framing::Chunked | Framing::UntilClose);
    for (is_http_11, keeps_alive) in [(true, true), (true, false), (false, true), (false, false)] {
        let is_chunked = is_http_11 && !has_end;
        let terms = Terms { keeps_alive: keeps_alive && (is_http_11 || has_end), is_chunked };
        let framing = match (has_end, is_chunked) {
            (true, _) => head.framing,
            (false, true) => Framing::Chunked,
            (false, false) => Framing::UntilClose,
        };
        bytes.clear();
        head.write(&mut bytes, &exchange, &terms);
        let expected = Ok(Some((head.status, framing, bytes.len())));
        assert_eq!(read_reply(&bytes, is_answer_to_head), expected, "{}", bytes.escape_ascii());
    }
}

/// A body: the same in whatever pieces it comes, never more than was there, and what was taken is taken again when it is written
/// anew.
pub fn chunked_body(bytes: &[u8]) {
    for framing in [Framing::Chunked, Framing::UntilClose, Framing::Length(bytes.len() as u64 / 2), Framing::Length(u64::MAX)] {
        let whole = decode(framing, bytes, bytes.len().max(1));
        for size in PIECES {
            assert_eq!(decode(framing, bytes, size), whole, "{framing:?} in pieces of {size}");
        }
        let Some(body) = whole else {
            assert_eq!(framing, Framing::Chunked, "only chunks can be malformed");
            continue;
        };
        assert!(body.payload.len() <= body.used && body.used <= bytes.len());
        if framing == Framing::Chunked {
            check_chunks(bytes, body);
        } else {
            assert_eq!(body.payload, part(bytes, 0, body.used));
        }
    }
}

/// A body as far as it has come.
#[derive(Debug, PartialEq)]
struct Body {
    payload: Vec<u8>,
    used: usize,
    is_done: bool,
    announced: u64,
    trailers: Vec<u8>,
}

/// Decodes pieces of `size`; nothing for what is malformed.
fn decode(framing: Framing, bytes: &[u8], size: usize) -> Option<Body> {
    let mut decoder = Decoder::new(framing);
    let (mut payload, mut used) = (Vec::new(), 0);
    for piece in bytes.chunks(size) {
        let mut piece = piece.to_vec();
        let decoded = decoder.decode(&mut piece).ok()?;
        assert!(decoded.payload <= decoded.used && decoded.used <= piece.len());
        assert!(decoded.used == piece.len() || decoder.is_done(), "it stopped in the middle");
        payload.extend_from_slice(part(&piece, 0, decoded.payload));
        used += decoded.used;
        if decoder.is_done() {
            break;
        }
    }
    let trailers = decoder.trailers().to_vec();
    Some(Body { payload, used, is_done: decoder.is_done(), announced: decoder.announced(), trailers })
}

fn check_chunks(bytes: &[u8], body: Body) {
    if !body.is_done {
        return;
    }
    let end = [b"\r\n0\r\n", &body.trailers[..], b"\r\n"].concat();
    let size = format!("{:x}\r\n", body.payload.len());
    // Without payload, its size is the end.
    let anew = if body.payload.is_empty() { part(&end, 2, end.len()).to_vec() } else { [size.as_bytes(), &body.payload, &end].concat() };
    let expected = Some(Body { used: anew.len(), payload: body.payload.clone(), trailers: body.trailers.clone(), ..body });
    assert_eq!(decode(Framing::Chunked, &anew, anew.len()), expected, "{}", anew.escape_ascii());
    assert_eq!(join_chunks(part(bytes, 0, body.used)).as_deref(), Some(&body.payload[..]), "{}", bytes.escape_ascii());
}

/// The payload of chunks that are in order, found in another way; no size has more digits than a number has room for.
fn join_chunks(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut payload = Vec::new();
    loop {
        let line_len = bytes.windows(2).position(|pair| pair == b"\r\n")?;
        let line = std::str::from_utf8(bytes.get(..line_len)?.split(|byte| *byte == b';').next()?).ok()?;
        let size = Some(line).filter(|line| line.len() <= 16).and_then(|line| usize::from_str_radix(line, 16).ok())?;
        let rest = bytes.get(line_len + 2..)?;
        if size == 0 {
            return Some(payload);
        }
        payload.extend_from_slice(rest.get(..size)?);
        bytes = rest.get(size..)?.strip_prefix(b"\r\n")?;
    }
}

/// The target of a request: one that is let through leads to the same place for everybody.
pub fn target(bytes: &[u8]) {
    let text = [b"GET ", bytes, b" HTTP/1.1\r\nhost: door\r\n\r\n"].concat();
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let Ok(Head { method: Method::GET, target, .. }) = head::read(&text, &mut fields) else { return };
    assert_eq!(target, bytes);
    let Ok(origin) = route::origin_form(target) else { return };
    assert!(matches!(origin.first(), Some(b'/')) && target.ends_with(origin.strip_prefix(b"/").unwrap_or_default()));
    assert_eq!(route::origin_form(&origin).as_deref(), Ok(&*origin), "its own origin form");
    let Ok(path) = route::check(&origin) else { return };
    let decoded = percent_encoding::percent_decode_str(path).collect::<Vec<u8>>();
    let decoded = String::from_utf8(decoded).expect("a path that was let through is UTF-8, also when it is decoded");
    assert!(!decoded.chars().any(char::is_control) && !decoded.contains('\\') && !path.contains(['?', '#', ' ']), "{path}");
    assert_eq!(decoded.matches('/').count(), path.matches('/').count(), "{path}");
    let segments: Vec<_> = decoded.split('/').collect();
    let (last, others) = segments.split_last().expect("at least one");
    assert!(others.iter().skip(1).all(|segment| !segment.is_empty()), "{path}");
    assert!(!segments.iter().any(|segment| matches!(*segment, "." | "..")) && *last != ".", "{path}");
    if let Some(Route::Backend(_, prefix)) = Route::find(path) {
        assert!(decoded.starts_with(prefix), "{path}");
    }
}

/// The frames of a WebSocket: counted the same in whatever pieces they come, and as a simple reader counts them.
pub fn websocket_frames(bytes: &[u8]) {
    let whole = count(&[bytes]);
    let (is_between, saw_close) = count_simply(bytes);
    assert_eq!((whole.is_between(), whole.saw_close()), (is_between, saw_close));
    for size in PIECES {
        let pieces = count(&bytes.chunks(size).collect::<Vec<_>>());
        assert_eq!((pieces.is_between(), pieces.saw_close()), (is_between, saw_close), "in pieces of {size}");
    }
    for passed in (0..bytes.len().min(64)).chain([bytes.len() / 2]) {
        let (passed, rest) = bytes.split_at(passed);
        let frames = count(&[passed]);
        let left = frames.rest_of_frame(rest);
        let ends = |end: &usize| count(&[passed, part(rest, 0, *end)]).is_between();
        assert!(left == rest.len() || ends(&left), "{left} of {}", rest.len());
        assert!(frames.is_between() == (left == 0) || rest.is_empty());
        // Nowhere before.
        assert!(!(0..left).rev().take(64).any(|end| ends(&end)), "{left} is more than the rest of a frame");
    }
}

fn count(pieces: &[&[u8]]) -> Frames {
    let mut frames = Frames::default();
    pieces.iter().for_each(|piece| frames.pass(piece));
    frames
}

/// Whether these bytes end between two frames, and whether one of them has begun to be a Close.
fn count_simply(mut bytes: &[u8]) -> (bool, bool) {
    let mut saw_close = false;
    while let [first, rest @ ..] = bytes {
        let [second, rest @ ..] = rest else { return (false, saw_close) };
        let length_len = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let Some((length, rest)) = rest.split_at_checked(length_len) else { return (false, saw_close) };
        let mut wide = [0; 8];
        wide.iter_mut().rev().zip(length.iter().rev()).for_each(|(to, from)| *to = *from);
        let length = if length_len == 0 { u64::from(second & 0x7f) } else { u64::from_be_bytes(wide) };
        let mask_len = if second & 0x80 == 0 { 0 } else { 4 };
        let Some((_, rest)) = rest.split_at_checked(mask_len) else { return (false, saw_close) };
        saw_close |= first & 0x0f == 8;
        let payload = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length));
        let Some((_, rest)) = payload else { return (false, saw_close) };
        bytes = rest;
    }
    (true, saw_close)
}

fn part(bytes: &[u8], start: usize, end: usize) -> &[u8] {
    bytes.get(start..end).unwrap_or_default()
}
