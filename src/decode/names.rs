//! The keys that are looked for in events.

use std::collections::HashMap;

/// Known keys, each with its place among the values of an event.
#[derive(Debug)]
pub(super) struct Names {
    places: HashMap<String, usize, ahash::RandomState>,
    /// By place: the key as compact JSON writes it, with quotes and colon. Keys of a contract need no escapes.
    written: Vec<String>,
}

impl FromIterator<String> for Names {
    fn from_iter<I: IntoIterator<Item = String>>(names: I) -> Self {
        let mut places = HashMap::default();
        let mut written = Vec::new();
        for (place, name) in names.into_iter().enumerate() {
            written.push(format!("\"{name}\":"));
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

    /// The key at `place` as compact JSON writes it: in quotes, with its colon.
    pub(super) fn written(&self, place: usize) -> Option<&str> {
        self.written.get(place).map(String::as_str)
    }
}

/// Which key came after which: the producers of a platform are few, and each writes its keys in one order.
#[derive(Debug)]
pub(super) struct Followers {
    /// By place of the key before; the last one is for the first key of an event.
    next: Vec<usize>,
}

impl Followers {
    /// For keys of `len` places.
    pub(super) fn new(len: usize) -> Self {
        Self { next: (1..=len).chain([0]).collect() }
    }

    /// What the key before the first is called.
    pub(super) fn start(&self) -> usize {
        self.next.len() - 1
    }

    /// The place of the key that came after `before` last time: likely the next.
    pub(super) fn guess(&self, before: usize) -> usize {
        self.next.get(before).copied().unwrap_or_default()
    }

    /// The key at `place` came after `before`.
    pub(super) fn learn(&mut self, before: usize, place: usize) {
        if let Some(next) = self.next.get_mut(before) {
            *next = place;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_follower_is_guessed() {
        let mut followers = Followers::new(3);
        assert_eq!(followers.guess(followers.start()), 0);
        followers.learn(followers.start(), 2);
        followers.learn(2, 1);
        assert_eq!((followers.guess(followers.start()), followers.guess(2), followers.guess(0)), (2, 1, 1));
    }

    #[test]
    fn names_have_places() {
        let names: Names = ["a", "b"].map(str::to_owned).into_iter().collect();
        assert_eq!((names.get("b"), names.get("c")), (Some(1), None));
        assert_eq!((names.written(0), names.written(2)), (Some("\"a\":"), None));
    }
}
