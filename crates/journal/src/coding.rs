//! Pages and batches on their way, compressed: one frame of zstd (RFC 8878).

use thiserror::Error;
use zstd::bulk;
use zstd::zstd_safe::get_frame_content_size;

/// Quick, and of changes nearly as short as the slow levels: hashes and salts do not get shorter at any.
const LEVEL: i32 = 1;

/// Bytes that cannot be decompressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CodingError {
    /// It is longer than what is taken.
    #[error("more than {max} bytes once decompressed")]
    TooLong {
        /// What is taken, in bytes.
        max: usize,
    },
    /// It is no frame of zstd, or not the whole of one, or another length than it says.
    #[error("not one whole frame of zstd")]
    Damaged,
}

/// The bytes as one frame, which says how long they are. At most a few dozen bytes longer than they are.
pub fn compress(bytes: &[u8]) -> Vec<u8> {
    bulk::compress(bytes, LEVEL).expect("the room that the library asks for is enough")
}

/// What is in the frame, of `max` bytes at most: no more room than that is ever taken, whatever the frame says.
///
/// # Errors
///
/// When it is longer, or no such frame.
pub fn decompress(frame: &[u8], max: usize) -> Result<Vec<u8>, CodingError> {
    let claimed = get_frame_content_size(frame).map_err(|_| CodingError::Damaged)?;
    // A frame that was made as a stream does not say its length.
    let len = match claimed.map(usize::try_from) {
        Some(Ok(len)) if len <= max => len,
        Some(_) => return Err(CodingError::TooLong { max }),
        None => max,
    };
    let bytes = bulk::decompress(frame, len).map_err(|_| CodingError::Damaged)?;
    match claimed {
        Some(_) if bytes.len() != len => Err(CodingError::Damaged),
        _ => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn repeated_words_get_short_and_come_back() {
        let text = "一行一行, line by line\n".repeat(1000);
        let frame = compress(text.as_bytes());
        assert!(frame.len() < 200, "{}", frame.len());
        assert_eq!(decompress(&frame, text.len()).unwrap(), text.as_bytes());
        let max = text.len() - 1;
        assert_eq!(decompress(&frame, max), Err(CodingError::TooLong { max }));
    }

    #[test]
    fn a_frame_that_claims_more_than_it_has_or_nothing_at_all_takes_no_room() {
        // Magic, single segment with eight bytes of length, 2^62 bytes; then nothing (RFC 8878 §3.1.1).
        let mut claims = vec![0x28, 0xb5, 0x2f, 0xfd, 0xe0];
        claims.extend((1u64 << 62).to_le_bytes());
        assert_eq!(decompress(&claims, 1 << 20), Err(CodingError::TooLong { max: 1 << 20 }));
        // No length, a window of 2 GiB, and an empty last block.
        let window = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00];
        assert!(matches!(decompress(&window, 1 << 10), Ok(empty) if empty.is_empty()));
        // The same, whose block repeats a byte 100,000 times.
        let repeats = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x50, 0x03, 0x35, 0x0c, b'a'];
        assert_eq!(decompress(&repeats, 99_000), Err(CodingError::Damaged));
        assert_eq!(decompress(&repeats, 1 << 20).unwrap().len(), 100_000);
    }

    proptest! {
        #[test]
        fn whatever_goes_in_comes_out(bytes: Vec<u8>) {
            let frame = compress(&bytes);
            prop_assert!(frame.len() <= bytes.len() + 64);
            prop_assert_eq!(decompress(&frame, bytes.len()).unwrap(), bytes);
        }

        #[test]
        fn rude_bytes_do_no_harm(bytes: Vec<u8>, at: usize, other: u8) {
            let mut frame = compress(&bytes);
            let at = at % frame.len();
            frame[at] = other;
            for rude in [&bytes[..], &frame, &frame[..at]] {
                let len = decompress(rude, 1000).map_or(0, |back| back.len());
                prop_assert!(len <= 1000);
            }
        }
    }
}
