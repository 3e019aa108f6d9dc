//! A line of JSON for each request and socket, written when it has ended.
//!
//! Threads that carry requests gather lines and hand them over in pieces to one thread that writes. Where that one cannot keep
//! up, lines are lost and counted (`gateway_access_log_lost_total`): requests never wait for a disk.

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

use crate::exchange::Exchange;
use crate::route::Route;

/// A piece is handed over when it has so many bytes, or when the thread's clock says so.
const PIECE_BYTES: usize = 32 * 1024;
/// Pieces that may wait for the disk.
const PIECES_MAX: usize = 256;
/// How long a flush may take.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);
/// How soon it looks again whether there is room.
const FLUSH_PAUSE: Duration = Duration::from_millis(10);

/// Where lines go. Cloning is cheap; all clones are the same log.
#[derive(Clone)]
pub struct AccessLog {
    pieces: SyncSender<Piece>,
}

enum Piece {
    Lines(Vec<u8>),
    /// Everything before it is to be written out; then it is said so.
    Flush(SyncSender<()>),
}

thread_local! {
    static LINES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    /// What both clocks said at the same moment.
    static COMPARED: Cell<Option<(Instant, SystemTime)>> = const { Cell::new(None) };
    /// The last second that was written, as text.
    static SECOND: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
}

impl AccessLog {
    /// A log that `writer` gets, in pieces of whole lines.
    ///
    /// # Errors
    ///
    /// When no thread can be started.
    pub fn to(writer: impl Write + Send + 'static) -> std::io::Result<AccessLog> {
        let (pieces, waiting) = sync_channel(PIECES_MAX);
        std::thread::Builder::new().name("access-log".to_owned()).spawn(move || write_out(waiting, writer))?;
        Ok(AccessLog { pieces })
    }

    /// Hands over what this thread has gathered.
    pub(crate) fn hand_over(&self) {
        let _ = LINES.try_with(|lines| self.send(&mut lines.borrow_mut()));
    }

    /// Waits until everything that was handed over is written, but not for ever.
    pub fn flush(&self) {
        let (done, is_done) = sync_channel(1);
        let until = Instant::now() + FLUSH_LIMIT;
        let mut piece = Piece::Flush(done);
        // Whoever writes may hang, on its disk or because nobody reads, and then nobody takes this, either.
        while let Err(TrySendError::Full(back)) = self.pieces.try_send(piece) {
            if Instant::now() >= until {
                return;
            }
            piece = back;
            std::thread::sleep(FLUSH_PAUSE);
        }
        let _ = is_done.recv_timeout(until.saturating_duration_since(Instant::now()));
    }

    fn send(&self, lines: &mut Vec<u8>) {
        if lines.is_empty() {
            return;
        }
        let piece = std::mem::replace(lines, Vec::with_capacity(PIECE_BYTES + 1024));
        if let Err(TrySendError::Full(Piece::Lines(piece)) | TrySendError::Disconnected(Piece::Lines(piece))) =
            self.pieces.try_send(Piece::Lines(piece))
        {
            let lost = piece.iter().filter(|byte| **byte == b'\n').count() as u64;
            metrics::counter!("gateway_access_log_lost_total").increment(lost);
        }
    }
}

fn write_out(pieces: Receiver<Piece>, mut writer: impl Write) {
    let mut was_told = false;
    for piece in pieces {
        match piece {
            Piece::Lines(lines) => {
                let written = writer.write_all(&lines).and_then(|()| writer.flush());
                // Once is enough: a full disk stays full for many lines.
                if let Err(error) = &written
                    && !was_told
                {
                    tracing::error!(%error, "the access log cannot be written");
                }
                was_told = written.is_err();
                if was_told {
                    let lost = lines.iter().filter(|byte| **byte == b'\n').count() as u64;
                    metrics::counter!("gateway_access_log_lost_total").increment(lost);
                }
            }
            Piece::Flush(done) => {
                // Whoever asked may have given up waiting.
                let _ = done.send(());
            }
        }
    }
}

/// Writes the line of an exchange that ended just now and took so long.
pub(crate) fn write(log: &AccessLog, exchange: &Exchange, ended: Instant, took: Duration) {
    let now = wall_clock(ended);
    let _ = LINES.try_with(|lines| {
        let mut lines = lines.borrow_mut();
        line(&mut lines, exchange, now, took);
        if lines.len() >= PIECE_BYTES {
            log.send(&mut lines);
        }
    });
}

fn line(out: &mut Vec<u8>, exchange: &Exchange, now: SystemTime, took: Duration) {
    let times = &exchange.times;
    out.extend_from_slice(b"{\"time\":\"");
    time(out, now);
    out.extend_from_slice(b"\",\"client\":\"");
    out.extend_from_slice(exchange.client.as_deref().map_or(b"-", str::as_bytes));
    text(out, "\",\"protocol\":\"", exchange.protocol.as_str());
    text(out, "\",\"method\":\"", exchange.method.as_str());
    out.extend_from_slice(b"\",\"path\":\"");
    // Without the query: it may hold what does not belong in a log.
    escape(out, &exchange.path);
    number(out, "\",\"status\":", exchange.status.into());
    text(out, ",\"why\":\"", exchange.why.as_str());
    text(out, "\",\"route\":\"", exchange.route.map_or("none", Route::label));
    text(out, "\",\"endpoint\":\"", exchange.endpoint().map_or("-", |endpoint| &endpoint.name));
    number(out, "\",\"tries\":", exchange.tries.into());
    number(out, ",\"bytes_in\":", exchange.bytes_in);
    number(out, ",\"bytes_out\":", exchange.bytes_out);
    millis(out, ",\"queue_ms\":", times.queue);
    millis(out, ",\"connect_ms\":", times.connect);
    if let Some(first_byte) = times.first_byte {
        millis(out, ",\"first_byte_ms\":", first_byte);
    }
    millis(out, ",\"total_ms\":", took);
    text(out, ",\"request_id\":\"", &exchange.request_id);
    text(out, "\",\"traceparent\":\"", &exchange.traceparent);
    out.extend_from_slice(b"\"}\n");
}

/// The time of day at a moment. The two clocks are compared once a second, which saves a look at one of them for each request.
fn wall_clock(moment: Instant) -> SystemTime {
    let (known, time) = COMPARED.get().unwrap_or_else(|| (moment, SystemTime::now()));
    let since = moment.saturating_duration_since(known);
    if since >= Duration::from_secs(1) || COMPARED.get().is_none() {
        let now = (Instant::now(), SystemTime::now());
        COMPARED.set(Some(now));
        return now.1.checked_sub(now.0.saturating_duration_since(moment)).unwrap_or(now.1);
    }
    time + since
}

/// RFC 3339 in UTC, with milliseconds. Seconds repeat, so their text is kept.
fn time(out: &mut Vec<u8>, now: SystemTime) {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let second = i64::try_from(since.as_secs()).unwrap_or_default();
    SECOND.with_borrow_mut(|(known, text)| {
        if *known != second {
            *known = second;
            *text = Timestamp::from_second(second).map(|at| format!("{at:.0}")).unwrap_or_default();
            text.pop();
        }
        out.extend_from_slice(text.as_bytes());
    });
    thousandths(out, since.subsec_millis());
    out.push(b'Z');
}

fn text(out: &mut Vec<u8>, before: &str, value: &str) {
    out.extend_from_slice(before.as_bytes());
    out.extend_from_slice(value.as_bytes());
}

fn number(out: &mut Vec<u8>, before: &str, value: u64) {
    out.extend_from_slice(before.as_bytes());
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Milliseconds with three decimals.
fn millis(out: &mut Vec<u8>, before: &str, value: Duration) {
    let micros = value.subsec_micros();
    number(out, before, value.as_secs() * 1000 + u64::from(micros / 1000));
    thousandths(out, micros % 1000);
}

/// A dot and three digits.
fn thousandths(out: &mut Vec<u8>, value: u32) {
    let digit = |value: u32| b'0' + (value % 10) as u8;
    out.extend_from_slice(&[b'.', digit(value / 100), digit(value / 10), digit(value)]);
}

/// JSON text. Paths are UTF-8 without control characters once they have passed the router; quotes and backslashes remain.
fn escape(out: &mut Vec<u8>, path: &str) {
    for byte in path.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => drop(write!(out, "\\u{byte:04x}")),
            byte => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing;
    use crate::exchange::Protocol;

    /// Says that it has been given something, and writes nothing until the other side is dropped.
    struct Stuck(SyncSender<()>, Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let _ = self.0.try_send(());
            let _ = self.1.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn whom_nobody_reads_ends_all_the_same() {
        let ((has_begun, begins), (reader, is_read)) = (sync_channel(1), sync_channel(0));
        let log = AccessLog::to(Stuck(has_begun, is_read)).unwrap();
        log.send(&mut b"{}\n".to_vec());
        begins.recv().unwrap();
        for _ in 0..2 * PIECES_MAX {
            log.send(&mut b"{}\n".to_vec());
        }
        let (done, is_done) = sync_channel(1);
        let flushing = log.clone();
        std::thread::spawn(move || {
            flushing.flush();
            done.send(()).unwrap();
        });
        assert!(is_done.recv_timeout(5 * FLUSH_LIMIT).is_ok(), "it waits for ever");
        drop(reader);
    }

    #[test]
    fn a_line_is_json_with_everything_one_asks_for() {
        let gateway = crate::Gateway::new(testing::config(), "0").unwrap();
        let mut exchange = Exchange::begin(&gateway, Some("10.0.0.1".into()), Protocol::Http11, Instant::now());
        exchange.path = "/users/\"x\"\\".to_owned();
        exchange.status = 200;
        exchange.request_id = "abc".to_owned();
        let mut out = Vec::new();
        let now = UNIX_EPOCH + Duration::from_millis(1_700_000_000_042);
        line(&mut out, &exchange, now, Duration::from_micros(1_234_567));
        let line: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert!(out.ends_with(b"\n"));
        assert_eq!(line["time"], "2023-11-14T22:13:20.042Z");
        assert_eq!(line["client"], "10.0.0.1");
        assert_eq!(line["path"], "/users/\"x\"\\");
        assert_eq!((line["status"].as_u64(), line["total_ms"].as_f64()), (Some(200), Some(1234.567)));
        assert_eq!(
            (line["why"].as_str(), line["route"].as_str(), line["endpoint"].as_str()),
            (Some("client_left"), Some("none"), Some("-"))
        );
        assert!(line.get("first_byte_ms").is_none());
    }

    #[test]
    fn what_was_handed_over_is_written_by_a_flush() {
        #[derive(Clone, Default)]
        struct Shared(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
        impl Write for Shared {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let written = Shared::default();
        let log = AccessLog::to(written.clone()).unwrap();
        LINES.with_borrow_mut(|lines| lines.extend_from_slice(b"{}\n"));
        log.hand_over();
        log.flush();
        assert_eq!(*written.0.lock().unwrap(), b"{}\n");
    }
}
