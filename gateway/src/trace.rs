//! W3C Trace Context: a caller's `traceparent` is continued, and one is begun for callers without.
//!
//! The gateway reports no spans of its own, so a well-formed header goes through as it is. See <https://www.w3.org/TR/trace-context/>.

use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use crate::balance::scatter;

/// The header that carries it.
pub(crate) const HEADER: &str = "traceparent";

/// The caller's context where it is well formed, else a new one that is not sampled.
pub(crate) fn continue_or_begin(from_caller: Option<&[u8]>) -> String {
    match from_caller.filter(|value| is_well_formed(value)) {
        Some(value) => String::from_utf8_lossy(value).into_owned(),
        None => begin(),
    }
}

fn begin() -> String {
    let (high, low, span) = (random(), random(), random());
    let mut text = Vec::with_capacity(55);
    text.extend_from_slice(b"00-");
    hex(&mut text, high);
    hex(&mut text, low);
    text.push(b'-');
    hex(&mut text, span);
    text.extend_from_slice(b"-00");
    String::from_utf8(text).unwrap_or_default()
}

/// Never zero, which would be no id. It need not be hard to guess, only never the same.
fn random() -> u64 {
    thread_local! {
        // The standard library's own seed for hashes is random in each thread.
        static STATE: Cell<u64> = Cell::new(RandomState::new().build_hasher().finish());
    }
    let number = STATE.get();
    STATE.set(number.wrapping_add(1));
    scatter(number).max(1)
}

/// The two digits of each byte.
const DIGITS: [[u8; 2]; 256] = {
    let (digits, mut pairs, mut byte) = (*b"0123456789abcdef", [[0; 2]; 256], 0);
    while byte < pairs.len() {
        pairs[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    pairs
};

fn hex(text: &mut Vec<u8>, number: u64) {
    text.extend_from_slice(number.to_be_bytes().map(|byte| DIGITS[usize::from(byte)]).as_flattened());
}

/// `00-<32 hex>-<16 hex>-<2 hex>`, no id all zeros; later versions may add fields behind a dash.
fn is_well_formed(value: &[u8]) -> bool {
    let is_hex =
        |part: &[u8], len: usize| part.len() == len && part.iter().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte));
    let is_id = |part: &[u8], len: usize| is_hex(part, len) && part.iter().any(|byte| *byte != b'0');
    let mut parts = value.split(|byte| *byte == b'-');
    let (Some(version), Some(trace), Some(span), Some(flags)) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let is_known_length = version != b"00" || parts.next().is_none();
    let is_legal_version = is_hex(version, 2) && version != b"ff";
    value.len() <= 128 && is_legal_version && is_known_length && is_id(trace, 32) && is_id(span, 16) && is_hex(flags, 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_continued_or_begun() {
        let known = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(continue_or_begin(Some(known.as_bytes())), known);
        for bad in
            ["", "00-aa-bb-01", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", &format!("{known}-x"), &known.to_uppercase()]
        {
            let begun = continue_or_begin(Some(bad.as_bytes()));
            assert!(begun != bad && is_well_formed(begun.as_bytes()), "{bad}: {begun}");
        }
        assert_ne!(continue_or_begin(None), continue_or_begin(None));
        assert!(is_well_formed(b"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more"));
    }
}
