//! The keys that are looked for in events.

use std::collections::HashMap;

/// Known keys, each with its place among the values of an event.
#[derive(Debug)]
pub(super) struct Names {
    places: HashMap<String, usize, ahash::RandomState>,
    /// By place: the key as compact JSON writes it.
    written: Vec<Written>,
}

/// A key as compact JSON writes it, with quotes and colon. Keys of a contract need no escapes.
#[derive(Debug)]
struct Written {
    key: String,
    /// The key's first bytes, and which bits of them count.
    head: [u64; HEAD_WORDS],
    mask: [u64; HEAD_WORDS],
}

/// Most keys are no longer than this many words of eight bytes, so that they are told from others without a loop.
const HEAD_WORDS: usize = 3;

impl Written {
    fn new(name: &str) -> Self {
        let key = format!("\"{name}\":");
        let mut bytes = [0; 8 * HEAD_WORDS];
        let mut bits = [0; 8 * HEAD_WORDS];
        for ((byte, bit), key) in bytes.iter_mut().zip(&mut bits).zip(key.as_bytes()) {
            (*byte, *bit) = (*key, 0xff);
        }
        Self { key, head: words(&bytes), mask: words(&bits) }
    }

    fn begins(&self, text: &[u8]) -> bool {
        let Some(first) = text.first_chunk() else { return text.starts_with(self.key.as_bytes()) };
        let ([t0, t1, t2], [h0, h1, h2], [m0, m1, m2]) = (words(first), self.head, self.mask);
        let differs = (t0 & m0) ^ h0 | (t1 & m1) ^ h1 | (t2 & m2) ^ h2;
        differs == 0 && (self.key.len() <= 8 * HEAD_WORDS || text.starts_with(self.key.as_bytes()))
    }
}

fn words(bytes: &[u8; 8 * HEAD_WORDS]) -> [u64; HEAD_WORDS] {
    match bytes.as_chunks::<8>() {
        ([a, b, c], []) => [*a, *b, *c].map(u64::from_le_bytes),
        // The lengths are those of the types.
        _ => [0; HEAD_WORDS],
    }
}

impl FromIterator<String> for Names {
    fn from_iter<I: IntoIterator<Item = String>>(names: I) -> Self {
        let mut places = HashMap::default();
        let mut written = Vec::new();
        for (place, name) in names.into_iter().enumerate() {
            written.push(Written::new(&name));
            places.insert(name, place);
        }
        Self { places, written }
    }
}

impl Names {
    /// The place of `key`, if it is known.
    pub(super) fn get(&self, key: &str) -> Option<usize> {
        self.places.get(key).copied()
    }

    /// How long the key at `place` is as compact JSON writes it, in quotes and with its colon, if `text` begins with it.
    #[inline]
    pub(super) fn begins(&self, place: usize, text: &[u8]) -> Option<usize> {
        self.written.get(place).filter(|key| key.begins(text)).map(|key| key.key.len())
    }
}

/// Which keys came after which: the producers of a platform are few, and each writes its keys in one order.
#[derive(Debug)]
pub(super) struct Followers {
    /// By place of the key before: the last follower, and the last but one. The last entry is for the first key of an event.
    next: Vec<[usize; 2]>,
}

impl Followers {
    /// For keys of `len` places.
    pub(super) fn new(len: usize) -> Self {
        Self { next: (1..=len).chain([0]).map(|next| [next; 2]).collect() }
    }

    /// What the key before the first is called.
    pub(super) fn start(&self) -> usize {
        self.next.len() - 1
    }

    /// The place of the key that came after `before` last time: likely the next.
    #[inline]
    pub(super) fn guess(&self, before: usize) -> usize {
        self.next.get(before).map_or(0, |next| next[0])
    }

    /// The place of the one that came before that.
    pub(super) fn second_guess(&self, before: usize) -> usize {
        self.next.get(before).map_or(0, |next| next[1])
    }

    /// The key at `place` came after `before`.
    pub(super) fn learn(&mut self, before: usize, place: usize) {
        if let Some(next) = self.next.get_mut(before) {
            *next = [place, next[0]];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_followers_are_guessed() {
        let mut followers = Followers::new(3);
        assert_eq!(followers.guess(followers.start()), 0);
        followers.learn(followers.start(), 2);
        followers.learn(2, 1);
        assert_eq!((followers.guess(followers.start()), followers.guess(2), followers.guess(0)), (2, 1, 1));
        followers.learn(2, 0);
        assert_eq!((followers.guess(2), followers.second_guess(2)), (0, 1));
    }

    #[test]
    fn names_have_places() {
        let names: Names = ["a", "b"].map(str::to_owned).into_iter().collect();
        assert_eq!((names.get("b"), names.get("c")), (Some(1), None));
    }

    #[test]
    fn a_key_of_any_length_is_told_from_all_others() {
        for len in 1..40 {
            let name: String = ('a'..='z').cycle().take(len).collect();
            let names: Names = [name.clone()].into_iter().collect();
            for more in ["", "1", "\"more than the head of a key\"", &"x".repeat(30)] {
                let text = format!("\"{name}\":{more}").into_bytes();
                assert_eq!((names.begins(0, &text), names.begins(1, &text)), (Some(len + 3), None));
                assert_eq!(names.begins(0, &text[..len + 2]), None);
                for at in 0..len + 3 {
                    let mut other = text.clone();
                    other[at] ^= 1;
                    assert_eq!(names.begins(0, &other), None, "{len} {at}");
                }
            }
        }
    }
}
