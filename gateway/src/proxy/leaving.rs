//! What the libraries that speak HTTP/2 refuse by themselves, seen in the frames that leave: no hook tells of it.
//!
//! A stream that is reset as malformed is told as that. An answer of theirs is nothing but a status; all of ours have fields.

/// Bytes of a frame's head (RFC 9113, section 4.1).
const FRAME_HEAD: usize = 9;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const END_STREAM_AND_HEADERS: u8 = 5;
const PROTOCOL_ERROR: [u8; 4] = [0, 0, 0, 1];
/// `:status: 400`, as HPACK has it in its table (RFC 7541, appendix A).
const STATUS_400: u8 = 0x8c;
/// More than any answer without fields has.
const KEPT: usize = 8;
/// Streams with an answer of theirs that may be reset as well.
const ANSWERED_MAX: usize = 64;

/// What they did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The request is malformed, and was answered with a bare 400.
    Malformed,
    /// Its head is larger than they read, and was answered with a bare 431.
    TooLarge,
    /// The stream was reset, as what came on it is malformed.
    Reset,
}

/// How far the frames have come.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    head: [u8; FRAME_HEAD],
    head_length: usize,
    /// Bytes of the frame under way that are still to come.
    left: usize,
    /// The first of its payload, where that matters.
    payload: Vec<u8>,
    answered: Vec<[u8; 4]>,
}

impl Leaving {
    /// These bytes have gone out; what they say of refusals is added to `refused`.
    pub(super) fn feed(&mut self, mut bytes: &[u8], refused: &mut Vec<Refused>) {
        while !bytes.is_empty() {
            if self.head_length < FRAME_HEAD {
                let count = bytes.len().min(FRAME_HEAD - self.head_length);
                let (first, rest) = bytes.split_at(count);
                self.head.get_mut(self.head_length..self.head_length + count).unwrap_or_default().copy_from_slice(first);
                self.head_length += count;
                bytes = rest;
                let [high, middle, low, ..] = self.head;
                self.left = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
            } else {
                let (first, rest) = bytes.split_at(bytes.len().min(self.left));
                let is_watched = matches!(self.head, [_, _, _, HEADERS | RST_STREAM, ..]);
                if is_watched && self.payload.len() <= KEPT {
                    self.payload.extend(first.iter().take(KEPT + 1 - self.payload.len()));
                }
                self.left -= first.len();
                bytes = rest;
            }
            if self.head_length == FRAME_HEAD && self.left == 0 {
                refused.extend(self.end_frame());
                self.head_length = 0;
                self.payload.clear();
            }
        }
    }

    fn end_frame(&mut self) -> Option<Refused> {
        let [_, _, _, kind, flags, stream @ ..] = self.head;
        if kind == RST_STREAM && self.payload == PROTOCOL_ERROR {
            let is_answered =
                self.answered.iter().position(|answered| *answered == stream).map(|at| self.answered.swap_remove(at)).is_some();
            return (!is_answered).then_some(Refused::Reset);
        }
        if kind != HEADERS || flags & END_STREAM_AND_HEADERS != END_STREAM_AND_HEADERS {
            return None;
        }
        let refused = match without_size_updates(&self.payload) {
            [STATUS_400] => Refused::Malformed,
            // By its number in the table, once it has one; before that, spelt out: `:status` is number 8.
            [128..=255] => Refused::TooLarge,
            [0x08 | 0x18 | 0x48, length, value @ ..] if usize::from(length & 127) == value.len() => Refused::TooLarge,
            _ => return None,
        };
        if self.answered.len() == ANSWERED_MAX {
            self.answered.remove(0);
        }
        self.answered.push(stream);
        Some(refused)
    }
}

/// A block of fields without the new sizes of the table that may come first (RFC 7541, section 6.3).
fn without_size_updates(mut block: &[u8]) -> &[u8] {
    while let [first @ 0x20..=0x3f, rest @ ..] = block {
        block = rest;
        if *first == 0x3f {
            let more = block.iter().take_while(|byte| **byte >= 128).count();
            block = block.get(more + 1..).unwrap_or_default();
        }
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        [&[0, 0, payload.len() as u8, kind, flags, 0, 0, 0, 1], payload].concat()
    }

    fn seen(bytes: &[u8]) -> Vec<Refused> {
        let mut all = Vec::new();
        Leaving::default().feed(bytes, &mut all);
        for size in [1, 2, 7] {
            let (mut leaving, mut bytewise) = (Leaving::default(), Vec::new());
            bytes.chunks(size).for_each(|piece| leaving.feed(piece, &mut bytewise));
            assert_eq!(bytewise, all, "in pieces of {size}");
        }
        all
    }

    #[test]
    fn answers_without_fields_and_resets_are_seen_and_nothing_else() {
        for (payload, expected) in [
            (&[0x8c][..], Some(Refused::Malformed)),
            (&[0x20, 0x3f, 0xe1, 0x1f, 0x8c], Some(Refused::Malformed)),
            (&[0x48, 3, b'4', b'3', b'1'], Some(Refused::TooLarge)),
            (&[0xbe], Some(Refused::TooLarge)),
            (&[0x8c, 0xbe], None),
            (&[0x48, 3, b'4', b'3', b'1', 0xbf], None),
            (&[0x88, 0xbe, 0xbf, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6], None),
        ] {
            assert_eq!(seen(&frame(HEADERS, 5, payload)), Vec::from_iter(expected), "{payload:?}");
            assert_eq!(seen(&frame(HEADERS, 4, payload)), [], "{payload:?}, with a body");
        }
        let reset = |code| frame(RST_STREAM, 0, &[0, 0, 0, code]);
        assert_eq!(seen(&[frame(0, 0, b"data"), reset(1), reset(8)].concat()), [Refused::Reset]);
        assert_eq!(seen(&[frame(HEADERS, 5, &[0xbe]), reset(1)].concat()), [Refused::TooLarge], "once");
    }
}
