//! The bytes at which a string of JSON ends, or is more than it seems.

use wide::u8x16;

/// How many bytes are looked at together.
pub(super) const CHUNK: usize = 16;

/// Whether a byte is a quote, a backslash or a control character.
#[inline]
pub(super) fn is_special(byte: u8) -> bool {
    byte == b'"' || byte == b'\\' || byte < 0x20
}

/// Which of these bytes are [special](is_special): the lowest bit stands for the first byte.
#[inline]
pub(super) fn specials(bytes: &[u8; CHUNK]) -> u32 {
    let bytes = u8x16::new(*bytes);
    let control = bytes.min(u8x16::splat(0x1f)).simd_eq(bytes);
    (bytes.simd_eq(u8x16::splat(b'"')) | bytes.simd_eq(u8x16::splat(b'\\')) | control).to_bitmask()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_is_told_at_each_place() {
        for byte in 0..=u8::MAX {
            for others in [b'a', b'"'] {
                for place in 0..CHUNK {
                    let mut bytes = [others; CHUNK];
                    bytes[place] = byte;
                    let expected = (0..CHUNK).filter(|&at| is_special(bytes[at])).fold(0, |bits, at| bits | 1 << at);
                    assert_eq!(specials(&bytes), expected, "{byte} at {place}");
                }
            }
        }
    }
}
