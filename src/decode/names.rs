//! The keys that are looked for in events, and which came after which: the producers of a platform are few, and each writes its keys in
//! one order.

use std::cell::Cell;
use std::collections::HashMap;

use super::rows::Told;
use super::specials::is_special;
use crate::schema::{Field, Kind};

/// Known keys, each with its place among the values of an event.
#[derive(Debug)]
pub(super) struct Names {
    places: HashMap<String, usize, ahash::RandomState>,
    /// By place, and after the last one what stands for the beginning of an event.
    keys: Vec<Key>,
}

/// A key, as compact JSON writes it. Keys of a contract need no escapes: they are names of columns, which the contract's parser sees to.
#[derive(Debug)]
pub(super) struct Key {
    /// `"key":`, or `"key":"` before a value that is mostly written as a string.
    text: Box<[u8]>,
    /// The text's first bytes, and which bits of them count.
    head: [u64; HEAD_WORDS],
    mask: [u64; HEAD_WORDS],
    /// Which of them count for the key and its colon alone.
    bare_mask: [u64; HEAD_WORDS],
    /// Whether the text has the quote that begins a string.
    quoted: bool,
    /// How long it is with a mark before it; more than any text if it is longer than what is compared.
    skip: usize,
    /// Its place among the values of an event.
    pub(super) place: usize,
    /// What stands for that place in [`Told`], if it has room for it.
    pub(super) bit: u64,
    /// How its values are read.
    pub(super) reading: Reading,
    /// How long its last text was: more than any if texts of this key are of one length and another.
    len: Cell<usize>,
    /// How often in a row that came as a surprise, soon after it had, and the row in which it last did.
    surprises: Cell<u8>,
    surprised_at: Cell<usize>,
    /// The places of the key that came after this one last time, which is likely the next, and of the one that came before that.
    followers: Cell<[usize; 2]>,
}

/// How a value is read, if it is as most are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// Any text.
    Text,
    /// One of few texts.
    Choice,
    /// A timestamp.
    Time,
    /// An integer.
    Whole,
    /// By looking at it first.
    Other,
}

impl Reading {
    fn of(place: usize, field: &Field) -> Self {
        match field.kind {
            // There it takes more to tell that there is a value.
            _ if Told::bit(place) == 0 => Reading::Other,
            Kind::String if field.allowed.is_empty() => Reading::Text,
            // Of a text with an escape the bytes are others.
            Kind::String if field.allowed.iter().any(|choice| choice.bytes().any(is_special)) => Reading::Other,
            Kind::String => Reading::Choice,
            Kind::Timestamp => Reading::Time,
            Kind::Int32 | Kind::Int64 => Reading::Whole,
            Kind::Json | Kind::Bool => Reading::Other,
        }
    }
}

/// A length that surprises within so many rows does so often, and after so many such surprises none is expected any more: to be wrong costs
/// more than to wait.
const OFTEN: usize = 16;
const SURPRISES_MAX: u8 = 16;

/// Most keys are no longer than this many words of eight bytes, so that they are told from others without a loop.
const HEAD_WORDS: usize = 3;
const HEAD: usize = 8 * HEAD_WORDS;

impl Key {
    fn new(place: usize, next: usize, field: &Field) -> Self {
        let quoted = matches!(field.kind, Kind::String | Kind::Timestamp);
        let bare = format!("\"{}\":", field.name);
        let text = if quoted { format!("{bare}\"") } else { bare.clone() };
        let mask_of = |len: usize| words(&std::array::from_fn(|at| if at < len { 0xff } else { 0 }));
        Self {
            head: words(&std::array::from_fn(|at| text.as_bytes().get(at).copied().unwrap_or_default())),
            mask: mask_of(text.len()),
            bare_mask: mask_of(bare.len()),
            quoted,
            skip: if text.len() <= HEAD { 1 + text.len() } else { usize::MAX },
            text: text.into_bytes().into(),
            place,
            bit: Told::bit(place),
            reading: Reading::of(place, field),
            len: Cell::new(0),
            surprises: Cell::new(0),
            surprised_at: Cell::new(0),
            followers: Cell::new([next; 2]),
        }
    }

    /// What comes before the first key of an event, at a place behind all. It is never guessed.
    fn start(place: usize) -> Self {
        let none = [0; HEAD_WORDS];
        Self {
            text: Box::default(),
            head: none,
            mask: none,
            bare_mask: none,
            quoted: false,
            skip: usize::MAX,
            place,
            bit: 0,
            reading: Reading::Other,
            len: Cell::default(),
            surprises: Cell::default(),
            surprised_at: Cell::default(),
            followers: Cell::default(),
        }
    }

    /// What comes behind `mark`, this key, its colon and, if its value is mostly a string, that one's quote, if `text` begins with them.
    #[inline(always)]
    pub(super) fn behind<'t>(&self, mark: u8, text: &'t [u8]) -> Option<&'t [u8]> {
        let Some([first, head @ ..]) = text.first_chunk::<{ 1 + HEAD }>() else {
            return self.behind_near_end(mark, text);
        };
        let behind = text.get(self.skip..)?;
        (*first == mark && self.differs(head, self.mask) == 0).then_some(behind)
    }

    #[inline(never)]
    fn behind_near_end<'t>(&self, mark: u8, text: &'t [u8]) -> Option<&'t [u8]> {
        let (first, text) = text.split_first()?;
        text.strip_prefix(&*self.text).filter(|_| *first == mark)
    }

    /// How long the next text of this key is if it is as long as the last one; more than any if that says nothing.
    #[inline(always)]
    pub(super) fn expected_len(&self) -> usize {
        self.len.get()
    }

    /// That of `row` is `len` long, which was not expected.
    #[inline(never)]
    pub(super) fn learn_len(&self, row: usize, len: usize) {
        if self.surprises.get() < SURPRISES_MAX {
            let is_often = row.wrapping_sub(self.surprised_at.get()) < OFTEN;
            self.surprises.set(if is_often { self.surprises.get() + 1 } else { 0 });
            self.surprised_at.set(row);
            self.len.set(if self.surprises.get() < SURPRISES_MAX { len } else { usize::MAX });
        }
    }

    /// How long this key and its colon are, if `text` begins with them.
    #[inline]
    pub(super) fn begins(&self, text: &[u8]) -> Option<usize> {
        let bare = self.text.get(..self.text.len() - usize::from(self.quoted))?;
        let same = match text.first_chunk() {
            Some(head) => self.differs(head, self.bare_mask) == 0 && (bare.len() <= HEAD || text.starts_with(bare)),
            None => text.starts_with(bare),
        };
        same.then_some(bare.len())
    }

    #[inline(always)]
    fn differs(&self, head: &[u8; HEAD], [m0, m1, m2]: [u64; HEAD_WORDS]) -> u64 {
        let ([t0, t1, t2], [h0, h1, h2]) = (words(head), self.head);
        (t0 ^ h0) & m0 | (t1 ^ h1) & m1 | (t2 ^ h2) & m2
    }
}

#[inline(always)]
fn words(bytes: &[u8; HEAD]) -> [u64; HEAD_WORDS] {
    match bytes.as_chunks::<8>() {
        // Not by `map`, which is a call for each word where it is not inlined.
        ([a, b, c], []) => [u64::from_le_bytes(*a), u64::from_le_bytes(*b), u64::from_le_bytes(*c)],
        // The lengths are those of the types.
        _ => [0; HEAD_WORDS],
    }
}

impl Names {
    /// The names of these fields, by their places.
    pub(super) fn of(fields: &[Field]) -> Self {
        let places = fields.iter().enumerate().map(|(place, field)| (field.name.clone(), place)).collect();
        let next = (1..fields.len()).chain([0]);
        let keys = fields.iter().zip(next).enumerate().map(|(place, (field, next))| Key::new(place, next, field));
        let mut keys: Vec<Key> = keys.collect();
        keys.push(Key::start(fields.len()));
        Self { places, keys }
    }

    /// Expects lengths of texts again where that was given up: they may vary no longer.
    pub(super) fn try_lengths_again(&self) {
        self.keys.iter().filter(|key| key.len.get() == usize::MAX).for_each(|key| {
            key.surprises.set(0);
            key.len.set(0);
        });
    }

    /// The place of the key `name`, if it is known.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    /// The key `name`, if it is known.
    pub(super) fn get(&self, name: &str) -> Option<&Key> {
        self.keys.get(self.place(name)?)
    }

    /// What comes before an event's first key.
    pub(super) fn start(&self) -> Option<&Key> {
        self.keys.last()
    }

    /// The key that is likely to come after `before`.
    #[inline]
    pub(super) fn guess(&self, before: &Key) -> Option<&Key> {
        self.keys.get(before.followers.get()[0])
    }

    /// The one that is likely if it is not that.
    pub(super) fn second_guess(&self, before: &Key) -> Option<&Key> {
        self.keys.get(before.followers.get()[1])
    }

    /// `key` came after `before`.
    pub(super) fn learn(&self, before: &Key, key: &Key) {
        let [last, _] = before.followers.get();
        if last != key.place {
            before.followers.set([key.place, last]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_of(names: &[&str], kind: Kind) -> Names {
        let field = |name: &&str| Field {
            name: (*name).to_owned(),
            kind,
            required: false,
            description: String::new(),
            allowed: vec![],
        };
        Names::of(&names.iter().map(field).collect::<Vec<_>>())
    }

    #[test]
    fn the_last_followers_are_guessed() {
        let names = names_of(&["a", "b", "c"], Kind::Bool);
        let [a, b, c] = ["a", "b", "c"].map(|name| names.get(name).unwrap());
        let start = names.start().unwrap();
        let guesses = |before: &Key| [names.guess(before), names.second_guess(before)].map(|key| key.unwrap().place);
        assert_eq!([start, a, c].map(guesses), [[0, 0], [1, 1], [0, 0]]);
        names.learn(start, c);
        names.learn(c, b);
        assert_eq!([start, c].map(guesses), [[2, 0], [1, 0]]);
        names.learn(c, a);
        assert_eq!(guesses(c), [0, 1]);
    }

    #[test]
    fn names_have_places() {
        let names = names_of(&["a", "b"], Kind::Bool);
        assert_eq!((names.place("b"), names.place("c")), (Some(1), None));
        assert_eq!((names.get("b").unwrap().place, names.get("c").is_none()), (1, true));
    }

    #[test]
    fn a_length_is_expected_until_it_varies() {
        let names = names_of(&["a"], Kind::String);
        let key = names.get("a").unwrap();
        // Now and then another one.
        for row in (0..1_000).step_by(OFTEN) {
            key.learn_len(row, row % 3);
            assert_eq!(key.expected_len(), row % 3);
        }
        // In each row another one, also where a read ends and another begins.
        for row in (0..10).chain(0..10) {
            key.learn_len(row, row % 3);
        }
        assert_eq!(key.expected_len(), 9 % 3);
        (10..20).for_each(|row| key.learn_len(row, row % 3));
        assert_eq!(key.expected_len(), usize::MAX);
        key.learn_len(1_000, 7);
        assert_eq!(key.expected_len(), usize::MAX);
        names.try_lengths_again();
        key.learn_len(1_001, 7);
        assert_eq!(key.expected_len(), 7);
    }

    #[test]
    fn a_key_of_any_length_is_told_from_all_others() {
        for (len, kind) in (1..40).flat_map(|len| [(len, Kind::String), (len, Kind::Int64)]) {
            let name: String = ('a'..='z').cycle().take(len).collect();
            let names = names_of(&[&name], kind);
            let key = names.get(&name).unwrap();
            assert_eq!(key.quoted, kind == Kind::String);
            let whole = len + 3 + usize::from(key.quoted);
            for more in ["", "1", "more than the head of a key", &"x".repeat(30)] {
                let text = format!(",\"{name}\":\"{more}").into_bytes();
                // A long one is told near the end of an event alone.
                let behind = (whole <= HEAD || text.len() <= HEAD).then(|| &text[1 + whole..]);
                assert_eq!((key.behind(b',', &text), key.begins(&text[1..])), (behind, Some(len + 3)));
                assert_eq!(key.behind(b'{', &text), None);
                assert_eq!((key.behind(b',', &text[..whole]), key.begins(&text[1..len + 3])), (None, None));
                for at in 0..whole {
                    let mut other = text.clone();
                    other[1 + at] ^= 1;
                    assert_eq!(key.behind(b',', &other), None, "{len} {at}");
                    assert_eq!(key.begins(&other[1..]).is_none(), at < len + 3, "{len} {at}");
                }
            }
        }
    }
}
