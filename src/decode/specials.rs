//! The bytes at which a string of JSON ends, or is more than it seems.

use wide::u8x16;

/// How many bytes are looked at together.
pub(super) const CHUNK: usize = 16;

/// Whether a byte is a quote, a backslash or a control character.
#[inline]
pub(super) fn is_special(byte: u8) -> bool {
    byte == b'"' || byte == b'\\' || byte < 0x20
}

/// Which bytes of a chunk are what: the lowest bit stands for the first byte.
#[derive(Debug, Clone, Copy)]
pub(super) struct Specials {
    /// Those that are [special](is_special).
    pub(super) specials: u32,
    /// Those that are no ASCII.
    pub(super) beyond_ascii: u32,
}

impl Specials {
    #[inline(always)]
    pub(super) fn of(bytes: &[u8; CHUNK]) -> Self {
        let bytes = u8x16::new(*bytes);
        let control = bytes.min(u8x16::splat(0x1f)).simd_eq(bytes);
        let specials = bytes.simd_eq(u8x16::splat(b'"')) | bytes.simd_eq(u8x16::splat(b'\\')) | control;
        // (A mask of a vector has its lanes' highest bits.)
        Self { specials: specials.to_bitmask(), beyond_ascii: bytes.to_bitmask() }
    }
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
                    let bits =
                        |is: fn(u8) -> bool| (0..CHUNK).filter(|&at| is(bytes[at])).fold(0, |bits, at| bits | 1 << at);
                    let found = Specials::of(&bytes);
                    assert_eq!(found.specials, bits(is_special), "{byte} at {place}");
                    assert_eq!(found.beyond_ascii, bits(|byte| !byte.is_ascii()), "{byte} at {place}");
                }
            }
        }
    }
}
