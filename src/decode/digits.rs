//! Digits of a number, eight at a time.

/// Eight times the digit 0.
const ZEROS: u64 = 0x3030_3030_3030_3030;
const HIGHEST_BITS: u64 = 0x8080_8080_8080_8080;

/// The highest bit of each byte that is over 9, as those are that were no digits before the digit 0 was taken from them (by exclusive or).
/// Bytes behind the first of them may be marked wrongly.
#[inline(always)]
pub(super) fn no_digits(bytes: u64) -> u64 {
    const OVER_NINE: u64 = 0x7676_7676_7676_7676;
    (bytes.wrapping_add(OVER_NINE) | bytes) & HIGHEST_BITS
}

/// The digits that `text` begins with: how many, and their number. `None` if there are none or more than seven, or the first of several is 0.
#[inline(always)]
pub(super) fn leading(text: &[u8]) -> Option<(usize, i64)> {
    // The first digit is in the lowest byte.
    let bytes = text.first_chunk().map_or_else(|| padded(text), |chunk| u64::from_le_bytes(*chunk)) ^ ZEROS;
    let len = (no_digits(bytes).trailing_zeros() / 8) as usize;
    if !(1..8).contains(&len) || (len > 1 && bytes & 0xff == 0) {
        return None;
    }
    // The last digit into the highest byte, behind as many zeros as make eight digits.
    let digits = bytes << (64 - 8 * len);
    // Pairs of digits, pairs of those, pairs of those: each sum comes to lie in the upper half of the pair.
    let twos = (digits.wrapping_mul(1 + (10 << 8)) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (twos.wrapping_mul(1 + (100 << 16)) >> 16) & 0x0000_ffff_0000_ffff;
    let eight = fours.wrapping_mul(1 + (10_000 << 32)) >> 32;
    Some((len, eight.cast_signed()))
}

/// Fewer than eight bytes, and zeros behind them, which are no digits.
#[inline(never)]
fn padded(text: &[u8]) -> u64 {
    text.iter().rev().fold(0, |bytes, &byte| bytes << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_read_up_to_what_is_none() {
        for number in (0..20_000).chain([99_999, 100_000, 999_999, 1_000_000, 1_234_567, 9_999_999]) {
            for end in ["}", ",", " ", ".", "e", "/", ":", "\u{0}", "\u{e9}"] {
                let len = number.to_string().len();
                for more in ["", "9999999"] {
                    let text = format!("{number}{end}{more}");
                    assert_eq!(leading(text.as_bytes()), Some((len, number)), "{text}");
                }
            }
        }
        for text in ["12345678", "01,     ", ",1234567", "-1,     ", "\u{e9}      ", "00000000", "", "x", "00"] {
            assert_eq!(leading(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn each_byte_that_is_no_digit_is_told() {
        for byte in 0..=u8::MAX {
            for place in 0..8 {
                let mut text = *b"01239987";
                text[place] = byte;
                let told = no_digits(u64::from_le_bytes(text) ^ ZEROS);
                assert_eq!(
                    told.trailing_zeros() / 8,
                    if byte.is_ascii_digit() { 8 } else { place as u32 },
                    "{byte} at {place}"
                );
            }
        }
    }
}
