//! The keys that are looked for in events, and which came after which: the producers of a platform are few, and each writes its keys in
//! one order.

use std::cell::Cell;
use std::collections::HashMap;

use super::rows::Told;
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
    /// Its place among the values of an event.
    pub(super) place: usize,
    /// What stands for that place in [`Told`], if it has room for it.
    pub(super) bit: u64,
    /// Whether its values are texts, any of which will do.
    pub(super) any_text: bool,
    /// Whether only some values are allowed.
    pub(super) limited: bool,
    /// The places of the key that came after this one last time, which is likely the next, and of the one that came before that.
    followers: Cell<[usize; 2]>,
}

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
            text: text.into_bytes().into(),
            quoted,
            place,
            bit: Told::bit(place),
            any_text: field.kind == Kind::String && field.allowed.is_empty(),
            limited: !field.allowed.is_empty(),
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
            place,
            bit: 0,
            any_text: false,
            limited: false,
            followers: Cell::default(),
        }
    }

    /// How long `mark`, this key, its colon and, if its value is mostly a string, that one's quote are, if `text` begins with them.
    #[inline(always)]
    pub(super) fn begins_behind(&self, mark: u8, text: &[u8]) -> Option<usize> {
        let len = self.text.len();
        let Some([first, head @ ..]) = text.first_chunk::<{ 1 + HEAD }>() else {
            let (first, rest) = text.split_first()?;
            return (*first == mark && rest.starts_with(&self.text)).then_some(1 + len);
        };
        let same = *first == mark && self.differs(head, self.mask) == 0;
        (same && (len <= HEAD || text.get(1..)?.starts_with(&self.text))).then_some(1 + len)
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

    /// Whether what [`Key::begins_behind`] tells has the quote that begins a string.
    #[inline]
    pub(super) fn is_quoted(&self) -> bool {
        self.quoted
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
    fn a_key_of_any_length_is_told_from_all_others() {
        for (len, kind) in (1..40).flat_map(|len| [(len, Kind::String), (len, Kind::Int64)]) {
            let name: String = ('a'..='z').cycle().take(len).collect();
            let names = names_of(&[&name], kind);
            let key = names.get(&name).unwrap();
            assert_eq!(key.is_quoted(), kind == Kind::String);
            let whole = len + 3 + usize::from(key.is_quoted());
            for more in ["", "1", "more than the head of a key", &"x".repeat(30)] {
                let text = format!(",\"{name}\":\"{more}").into_bytes();
                assert_eq!((key.begins_behind(b',', &text), key.begins(&text[1..])), (Some(1 + whole), Some(len + 3)));
                assert_eq!(key.begins_behind(b'{', &text), None);
                assert_eq!((key.begins_behind(b',', &text[..whole]), key.begins(&text[1..len + 3])), (None, None));
                for at in 0..whole {
                    let mut other = text.clone();
                    other[1 + at] ^= 1;
                    assert_eq!(key.begins_behind(b',', &other), None, "{len} {at}");
                    assert_eq!(key.begins(&other[1..]).is_none(), at < len + 3, "{len} {at}");
                }
            }
        }
    }
}
