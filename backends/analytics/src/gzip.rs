//! Bodies that were compressed on the way (RFC 1952), undone within a limit.

use std::io::Read;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use kit::http::BodyError;

/// The bytes that were compressed, if they are no more than `limit`: a small body can hold a huge one.
pub(crate) fn decompress(compressed: &[u8], limit: usize) -> Result<Bytes, BodyError> {
    let mut bytes = Vec::new();
    // One more than allowed tells that there is more.
    let mut decoder = MultiGzDecoder::new(compressed).take(limit as u64 + 1);
    decoder.read_to_end(&mut bytes).map_err(|error| BodyError::Encoding(format!("the body is not valid gzip: {error}")))?;
    if bytes.len() > limit {
        return Err(BodyError::TooLarge { limit });
    }
    Ok(Bytes::from(bytes))
}

#[cfg(test)]
pub(crate) fn compress(bytes: &[u8]) -> Bytes {
    let mut encoder = flate2::read::GzEncoder::new(bytes, flate2::Compression::best());
    let mut compressed = Vec::new();
    encoder.read_to_end(&mut compressed).expect("gzip in memory");
    Bytes::from(compressed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_compressed_comes_back() {
        assert_eq!(decompress(&compress(b"hello"), 5).expect("gzip"), "hello");
        assert_eq!(decompress(&[compress(b"hel"), compress(b"lo")].concat(), 5).expect("gzip of two members"), "hello");
        assert_eq!(decompress(&compress(b""), 5).expect("gzip"), "");
    }

    #[test]
    fn a_bomb_does_not_go_off() {
        let bomb = compress(&vec![b' '; 50_000_000]);
        assert!(bomb.len() < 100_000);
        assert!(matches!(decompress(&bomb, 1000), Err(BodyError::TooLarge { limit: 1000 })));
    }

    #[test]
    fn broken_gzip_is_told() {
        let whole = compress(b"hello, hello, hello");
        let mut flipped = whole.to_vec();
        flipped[12] ^= 0xff;
        let trailing = [&whole[..], b"more"].concat();
        for broken in [&b""[..], b"plain", &whole[..whole.len() - 1], &whole[..5], &flipped, &trailing] {
            assert!(matches!(decompress(broken, 1000), Err(BodyError::Encoding(_))), "{broken:?}");
        }
    }
}
