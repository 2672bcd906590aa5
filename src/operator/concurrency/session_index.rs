//! Where sessions are, by key.

use hashbrown::HashTable;

use super::mark::PackedHash;
use super::session::Session;
use super::slab::Slab;

/// Numbers of sessions by key. The keys are with the sessions: five bytes for each here, instead of a key more.
#[derive(Debug, Default)]
pub(super) struct SessionIndex(HashTable<u32>);

impl SessionIndex {
    /// Of all sessions that there are.
    pub(super) fn of(sessions: &Slab<Session>) -> Self {
        let mut index = Self(HashTable::with_capacity(sessions.len()));
        sessions.iter().for_each(|(number, session)| index.insert(session.key, number, sessions));
        index
    }

    #[inline]
    pub(super) fn get(&self, key: PackedHash, sessions: &Slab<Session>) -> Option<u32> {
        self.0.find(key.short(), |number| sessions.get(*number).is_some_and(|session| session.key == key)).copied()
    }

    /// Adds a session that is not there yet.
    pub(super) fn insert(&mut self, key: PackedHash, number: u32, sessions: &Slab<Session>) {
        let hash = |number: &u32| sessions.get(*number).map_or(0, |session| session.key.short());
        self.0.insert_unique(key.short(), number, hash);
    }

    /// Removes the session of this number.
    pub(super) fn remove(&mut self, key: PackedHash, number: u32) {
        if let Ok(place) = self.0.find_entry(key.short(), |known| *known == number) {
            place.remove();
        }
    }

    /// Memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.0.allocation_size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_found_by_key_and_by_nothing_else() {
        let mut sessions = Slab::new();
        let mut index = SessionIndex::default();
        // Keys with the same eight bytes are others.
        let key = |n: u32| PackedHash::from(u128::from(n % 50) | u128::from(n) << 64);
        for n in 0..200 {
            let number = sessions.insert(Session::new(key(n), 0));
            index.insert(key(n), number, &sessions);
        }
        assert!((0..200).all(|n| index.get(key(n), &sessions) == Some(n)));
        assert_eq!(index.get(key(200), &sessions), None);
        for n in (0..200).step_by(3) {
            index.remove(key(n), n);
            sessions.remove(n);
        }
        let again = SessionIndex::of(&sessions);
        for n in 0..200 {
            let expected = (n % 3 != 0).then_some(n);
            assert_eq!((index.get(key(n), &sessions), again.get(key(n), &sessions)), (expected, expected), "{n}");
        }
        assert!(again.bytes() >= 5 * sessions.len());
    }
}
