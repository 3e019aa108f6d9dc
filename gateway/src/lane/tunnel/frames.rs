//! Counts WebSocket frames as they pass (RFC 6455, section 5.2), to know where one ends and whether it was a Close.

const CLOSE: u8 = 0x8;

/// Where the stream is: between two frames, in a head, or in a payload.
#[derive(Clone, Default)]
pub(in crate::lane) struct Frames {
    head: [u8; 14],
    head_filled: usize,
    payload_left: u64,
    saw_close: bool,
}

impl Frames {
    /// Whether a frame may be put in here.
    pub(in crate::lane) fn is_between(&self) -> bool {
        self.head_filled == 0 && self.payload_left == 0
    }

    /// Whether the other side has closed; then nothing may follow.
    pub(in crate::lane) fn saw_close(&self) -> bool {
        self.saw_close
    }

    /// These bytes pass.
    pub(in crate::lane) fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let count = self.step(bytes);
            bytes = bytes.get(count..).unwrap_or_default();
        }
    }

    /// How many of these bytes belong to the frame under way.
    pub(in crate::lane) fn rest_of_frame(&self, bytes: &[u8]) -> usize {
        let mut frames = self.clone();
        let mut count = 0;
        while let Some(rest @ [_, ..]) = bytes.get(count..).filter(|_| !frames.is_between()) {
            count += frames.step(rest);
        }
        count
    }

    /// Some of these bytes pass: a byte of a head, or of a payload all there is. How many.
    fn step(&mut self, bytes: &[u8]) -> usize {
        if self.payload_left > 0 {
            let count = usize::try_from(self.payload_left).unwrap_or(usize::MAX).min(bytes.len());
            self.payload_left -= count as u64;
            return count;
        }
        if let (Some(place), Some(byte)) = (self.head.get_mut(self.head_filled), bytes.first()) {
            *place = *byte;
            self.head_filled += 1;
        }
        if let Some(payload) = self.complete_head() {
            self.saw_close |= self.head[0] & 0x0f == CLOSE;
            self.payload_left = payload;
            self.head_filled = 0;
        }
        1
    }

    /// The length of the payload, once the head is complete.
    fn complete_head(&self) -> Option<u64> {
        let [_, second, extended @ ..] = self.head;
        let extended_len = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask_len = if second & 0x80 != 0 { 4 } else { 0 };
        if self.head_filled < 2 + extended_len + mask_len {
            return None;
        }
        let length = extended.iter().take(extended_len).fold(0, |length, byte| length << 8 | u64::from(*byte));
        Some(if extended_len == 0 { u64::from(second & 0x7f) } else { length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_frame_is_known_in_whatever_pieces_it_comes() {
        let mut stream = vec![0x81, 5];
        stream.extend_from_slice(b"hello");
        stream.extend_from_slice(&[0x82, 126, 1, 0]);
        stream.extend_from_slice(&[0; 256]);
        stream.extend_from_slice(&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
        stream.extend_from_slice(&[0; 65536]);
        stream.extend_from_slice(&[0x81, 0x81, 1, 2, 3, 4, 9, 0x89, 0]);
        for size in [1, 3, 7, 1000, stream.len()] {
            let mut frames = Frames::default();
            stream.chunks(size).for_each(|piece| frames.pass(piece));
            assert!(frames.is_between() && !frames.saw_close(), "{size}");
            frames.pass(&[0x88]);
            assert!(!frames.is_between());
            frames.pass(&[0]);
            assert!(frames.is_between() && frames.saw_close(), "{size}");
        }
    }

    #[test]
    fn the_rest_of_a_frame_is_told_from_what_follows_it() {
        let stream = [&[0x82, 126, 1, 0][..], &[0; 256], &[0x81, 1, b'x']].concat();
        for passed in 0..stream.len() {
            let mut frames = Frames::default();
            frames.pass(&stream[..passed]);
            let rest = match passed {
                0 | 260 | 263.. => 0,
                1..260 => 260 - passed,
                _ => 263 - passed,
            };
            assert_eq!(frames.rest_of_frame(&stream[passed..]), rest, "{passed}");
        }
    }
}
