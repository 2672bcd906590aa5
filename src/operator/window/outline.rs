//! What a text is told by before it is compared.

/// A text's length, its first and its last eight bytes: all of a text of up to [`Outline::WHOLE_MAX`] bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outline {
    pub len: usize,
    pub head: u64,
    pub tail: u64,
}

impl Outline {
    /// Texts of so many bytes are equal if their outlines are.
    pub(super) const WHOLE_MAX: usize = 16;

    #[inline]
    pub(super) fn of(text: &[u8]) -> Self {
        let (head, tail) = match (text.first_chunk(), text.last_chunk()) {
            (Some(head), Some(tail)) => (u64::from_le_bytes(*head), u64::from_le_bytes(*tail)),
            _ => (text.iter().fold(0, |head, byte| head << 8 | u64::from(*byte)), 0),
        };
        Self { len: text.len(), head, tail }
    }

    /// Whether that is all of the text.
    #[inline]
    pub(super) fn is_whole(&self) -> bool {
        self.len <= Self::WHOLE_MAX
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn short_texts_have_outlines_of_their_own() {
        let bytes = [0_u8, 1, b'a'];
        // All texts of these bytes up to length 7, and around 8 and 16 some that differ in one place.
        let mut texts: Vec<Vec<u8>> = vec![vec![]];
        for start in 0.. {
            if texts[start].len() == 7 {
                break;
            }
            texts.extend(bytes.map(|byte| [texts[start].as_slice(), &[byte]].concat()));
        }
        for len in 7..=Outline::WHOLE_MAX {
            texts.extend((0..len).map(|place| {
                let mut text = vec![b'x'; len];
                text[place] = b'y';
                text
            }));
        }
        let mut by_outline = HashMap::new();
        for text in &texts {
            let Outline { len, head, tail } = Outline::of(text);
            assert!(Outline::of(text).is_whole());
            if let Some(other) = by_outline.insert((len, head, tail), text) {
                assert_eq!(other, text, "one outline of two texts");
            }
        }
        assert!(!Outline::of(b"0123456789abcdefg").is_whole());
    }
}
