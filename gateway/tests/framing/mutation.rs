//! Requests made of others: a byte here, a line there, as those would write them who look for a gap between two readers.

use crate::support::dice::Dice;

/// Longer ones say nothing more about heads.
pub const SEED_BYTES_MAX: usize = 3000;

const BYTES: &[u8] = b"\0\t\n\x0b\x0c\r  ::,,;\"'#%&()*+-./0159=?@ABTaefx[\\]_{}~\x7f\x80\xa0\xff";

const LINES: [&str; 24] = [
    "content-length: 5",
    "content-length: 0",
    "Content-Length: 44",
    "content-length: 5, 5",
    "content-length: +5",
    "transfer-encoding: chunked",
    "Transfer-Encoding: Chunked",
    "transfer-encoding: identity",
    "transfer-encoding: gzip, chunked",
    "transfer-encoding : chunked",
    "connection: close",
    "connection: keep-alive, content-length",
    "connection: upgrade",
    "upgrade: websocket",
    "upgrade: h2c",
    "expect: 100-continue",
    "te: trailers",
    "trailer: x-sum",
    "host: door",
    "host: evil",
    " folded",
    "\tfolded: too",
    "x-a",
    "GET /users/smuggled HTTP/1.1",
];

/// One of the seeds, changed in a few places.
pub fn of(good: &[Vec<u8>], bad: &[Vec<u8>], seed: u64) -> Vec<u8> {
    let mut dice = Dice::with_seed(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
    let seeds = if dice.one_in(3) { bad } else { good };
    let mut bytes = dice.pick(seeds).clone();
    for _ in 0..dice.below(4) + 1 {
        mutate(&mut bytes, seeds, &mut dice);
    }
    bytes.truncate(2 * SEED_BYTES_MAX);
    bytes
}

fn mutate(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], dice: &mut Dice) {
    if bytes.is_empty() {
        return;
    }
    let at = dice.below(bytes.len());
    match dice.below(10) {
        0 => bytes[at] = *dice.pick(BYTES),
        1 | 2 => bytes.insert(at, *dice.pick(BYTES)),
        3 => drop(bytes.remove(at)),
        4 => bytes[at] ^= 0x20,
        // A line more.
        5 | 6 => {
            let start = line_start(bytes, at);
            let line = format!("{}\r\n", dice.pick(&LINES));
            bytes.splice(start..start, line.into_bytes());
        }
        // A line twice, perhaps elsewhere.
        7 => {
            let start = line_start(bytes, at);
            let end = bytes[start..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |length| start + length + 1);
            let line = bytes[start..end].to_vec();
            let other = line_start(bytes, dice.below(bytes.len()));
            bytes.splice(other..other, line);
        }
        // Another end of a line.
        8 => {
            if let Some(end) = bytes[at..].windows(2).position(|pair| pair == b"\r\n") {
                let ends: [&[u8]; 5] = [b"\n", b"\r", b"\r\r\n", b"\n\r", b""];
                bytes.splice(at + end..at + end + 2, dice.pick(&ends).to_vec());
            }
        }
        // The rest of another one.
        _ => {
            let other = dice.pick(seeds);
            let from = dice.below(other.len());
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
    }
}

fn line_start(bytes: &[u8], at: usize) -> usize {
    bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1)
}
