//! Texts that conditions ask for, by number: a column is looked through once, whoever asks.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::Result;

use super::outline::Outline;

/// Numbers that a text may have: a byte's.
pub(super) const CODES: usize = 256;
/// The number of every text that nobody asks for.
const OTHER: u8 = u8::MAX;
/// Columns whose codes are remembered: those of one batch that conditions are on, as far as that is common.
const COLUMNS_MAX: usize = 4;

/// The texts that conditions of some queries ask for, and the codes of the columns that were asked for last.
///
/// Several conditions on one column are mostly on the same few texts: `event_type` above all. Instead of comparing each row with each
/// text of each condition, a row's text is looked up once.
#[derive(Debug, Default)]
pub struct TextCodes {
    state: Mutex<State>,
}

/// A column, and the codes of its rows.
type Coded = (Weak<dyn Array>, Arc<[u8]>);

#[derive(Debug, Default)]
struct State {
    table: Table,
    /// The one that was asked for last first. Of a column that is gone the address stays its own for as long as it is remembered.
    columns: Vec<Coded>,
}

impl TextCodes {
    /// The codes of some texts, now and from now on; none if that would be too many.
    pub(super) fn codes(&self, texts: &[String]) -> Option<Vec<u8>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let new = texts.iter().filter(|text| !state.table.knows(text)).count();
        if state.table.texts.len() + new > usize::from(OTHER) {
            return None;
        }
        // Codes that were given out before the table knew a text say "other" of it.
        state.columns.clear();
        texts.iter().map(|text| state.table.add(text)).collect()
    }

    /// The code of each row of a column of texts; that of a NULL means nothing.
    ///
    /// # Errors
    /// If the column is not of texts.
    pub(super) fn of(&self, column: &ArrayRef) -> Result<Arc<[u8]>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { table, columns } = &mut *state;
        let address = Arc::as_ptr(column);
        if let Some(place) = columns.iter().position(|(known, _)| std::ptr::addr_eq(known.as_ptr(), address)) {
            columns[..=place].rotate_right(1);
            return Ok(Arc::clone(&columns[0].1));
        }
        // Another form of texts, as a dictionary, counts as its texts.
        let texts = cast(column, &DataType::Utf8)?;
        let codes = table.codes(texts.as_string::<i32>());
        columns.truncate(COLUMNS_MAX - 1);
        columns.insert(0, (Arc::downgrade(column), Arc::clone(&codes)));
        Ok(codes)
    }
}

/// Texts and where they stand in a hash table with few collisions.
#[derive(Debug, Default)]
struct Table {
    /// By code.
    texts: Vec<Box<[u8]>>,
    /// Empty without texts.
    slots: Vec<Slot>,
    bits: u32,
}

/// A place for a text; free if its code is [`OTHER`].
#[derive(Debug, Clone, Copy)]
struct Slot {
    outline: Outline,
    code: u8,
}

impl Table {
    fn knows(&self, text: &str) -> bool {
        self.texts.iter().any(|known| known.as_ref() == text.as_bytes())
    }

    fn add(&mut self, text: &str) -> Option<u8> {
        let wanted = text.as_bytes();
        if let Some(known) = self.texts.iter().position(|text| text.as_ref() == wanted) {
            return u8::try_from(known).ok();
        }
        let code = u8::try_from(self.texts.len()).ok().filter(|code| *code != OTHER)?;
        self.texts.push(wanted.into());
        // An eighth of the slots at most is taken, so that a text that nobody asks for mostly meets an empty one.
        self.bits = (self.texts.len() * 8).next_power_of_two().ilog2();
        self.slots = vec![Slot { outline: Outline::of(&[]), code: OTHER }; 1 << self.bits];
        for (code, text) in self.texts.iter().enumerate() {
            let outline = Outline::of(text);
            let mut slot = slot_of(outline, self.bits);
            while self.slots[slot].code != OTHER {
                slot = (slot + 1) & (self.slots.len() - 1);
            }
            self.slots[slot] = Slot { outline, code: code as u8 };
        }
        Some(code)
    }

    fn codes(&self, texts: &StringArray) -> Arc<[u8]> {
        if self.slots.is_empty() {
            return vec![OTHER; texts.len()].into();
        }
        let (offsets, bytes) = (texts.value_offsets(), texts.value_data());
        // Most rows have the text of the one before.
        let mut last = (Outline::of(&[]), self.code(&[], Outline::of(&[])));
        let code = |ends: &[i32]| {
            let text = &bytes[ends[0] as usize..ends[1] as usize];
            let outline = Outline::of(text);
            if outline != last.0 || !outline.is_whole() {
                last = (outline, self.code(text, outline));
            }
            last.1
        };
        offsets.windows(2).map(code).collect::<Vec<_>>().into()
    }

    #[inline]
    fn code(&self, text: &[u8], outline: Outline) -> u8 {
        let mut slot = slot_of(outline, self.bits);
        loop {
            let known = &self.slots[slot];
            if known.code == OTHER {
                return OTHER;
            }
            if known.outline == outline && (outline.is_whole() || self.texts[usize::from(known.code)].as_ref() == text)
            {
                return known.code;
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
    }
}

/// Where a text of this outline is looked for first, among two to the power of `bits` slots.
#[inline]
fn slot_of(outline: Outline, bits: u32) -> usize {
    let mixed = outline.head.rotate_left(25) ^ outline.tail ^ outline.len as u64;
    (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - bits)) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn a_text_is_told_from_those_that_look_like_it() {
        let mut table = Table::default();
        let wanted =
            ["", "a", "aa", "view.started", "view.heartbeat", "0123456789abcdefX", "01234567_________89abcdef"];
        let by_text: HashMap<&str, u8> = wanted.iter().map(|text| (*text, table.add(text).unwrap())).collect();
        assert_eq!(table.add("aa"), by_text.get("aa").copied(), "known already");
        let others =
            ["b", "aaa", "view.starteD", "View.started", "0123456789abcdefY", "01234567_____X___89abcdef", "\0", "\0a"];
        for text in wanted.iter().chain(&others) {
            assert_eq!(
                table.code(text.as_bytes(), Outline::of(text.as_bytes())),
                by_text.get(text).copied().unwrap_or(OTHER),
                "{text:?}"
            );
        }
    }

    #[test]
    fn as_many_texts_as_a_byte_can_tell_apart() {
        let mut table = Table::default();
        let texts: Vec<String> = (0..300).map(|n| format!("text {n}")).collect();
        let codes: Vec<Option<u8>> = texts.iter().map(|text| table.add(text)).collect();
        assert!(codes[..255].iter().enumerate().all(|(n, code)| *code == Some(n as u8)), "{codes:?}");
        assert!(codes[255..].iter().all(Option::is_none), "{codes:?}");
        let found = texts.iter().map(|text| table.code(text.as_bytes(), Outline::of(text.as_bytes())));
        assert_eq!(found.collect::<Vec<_>>(), codes.iter().map(|code| code.unwrap_or(OTHER)).collect::<Vec<_>>());
    }

    #[test]
    fn a_column_is_remembered_until_another_text_is_asked_for() {
        let codes = TextCodes::default();
        let code = |text: &str| codes.codes(&[text.to_owned()]).unwrap()[0];
        let a = code("a");
        let column: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
        let first = codes.of(&column).unwrap();
        assert_eq!(first.as_ref(), [a, OTHER]);
        assert!(Arc::ptr_eq(&first, &codes.of(&column).unwrap()));
        let b = code("b");
        assert_eq!(codes.of(&column).unwrap().as_ref(), [a, b]);
        for n in 0..2 * COLUMNS_MAX {
            let other: ArrayRef = Arc::new(StringArray::from(vec![if n % 2 == 0 { "b" } else { "c" }]));
            assert_eq!(codes.of(&other).unwrap().as_ref(), [if n % 2 == 0 { b } else { OTHER }]);
            // A column that is asked for now and then stays.
            assert!(Arc::ptr_eq(&codes.of(&column).unwrap(), &codes.of(&column).unwrap()));
        }
    }

    #[test]
    fn all_texts_of_a_condition_have_codes_or_none() {
        let codes = TextCodes::default();
        let texts = |n: std::ops::Range<usize>| n.map(|n| format!("text {n}")).collect::<Vec<_>>();
        assert_eq!(codes.codes(&texts(0..200)).unwrap().len(), 200);
        assert_eq!(codes.codes(&texts(190..256)), None);
        assert_eq!(codes.codes(&texts(190..255)).unwrap(), (190..255).collect::<Vec<u8>>(), "nothing was added");
        assert_eq!(codes.codes(&["another".to_owned()]), None);
    }
}
