//! What rows claim of the axis of time, and the sessions that claims make.

use std::sync::Arc;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use xxhash_rust::xxh3::xxh3_64;

use crate::types::Micros;

/// What a row claims, or what all rows of a session do. It is closed at both ends.
///
/// A row at `t` that its shard read at the watermark `w` claims `[max(t, w + 1 µs) − gap, t]`: it continues a session whose last row is in
/// there, because that session ended after `t`, or just then, and had not ended by `w`. Rows of one key whose claims meet are of one
/// session. So sessions do not depend on the order in which rows are looked at, nor on who does it; and once the watermark of every
/// shard has passed the end of a session, no claim of a further row can meet it.
///
/// ```text
///  gap 10          0         10        20
///  row at 3        [══ … ══]                  on time: 10 before it
///  row at 12         [═════════]              the session of the first row ends at 13: one session, 3 – 22
///  row at 12, read at the watermark 14  [═]   … or another, 12 – 22: at 14 that of the first row was out
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::operator::window) struct Claim {
    /// Where it begins.
    pub from: Micros,
    /// The first row's time.
    pub first: Micros,
    /// The last row's time, where the claim ends.
    pub last: Micros,
}

impl Claim {
    /// The claim of a row at `t`, which must not be late at `watermark` (`None`: nothing is late).
    pub(in crate::operator::window) fn of_row(t: Micros, watermark: Option<Micros>, gap: Micros) -> Self {
        let not_before = watermark.map_or(t, |w| t.max(w.saturating_add(1)));
        Self { from: not_before.saturating_sub(gap), first: t, last: t }
    }

    fn meets(&self, other: &Self) -> bool {
        self.from <= other.last && other.from <= self.last
    }

    fn join(&mut self, other: &Self) {
        self.from = self.from.min(other.from);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

/// About what a key takes: its bytes, the table's entry, the list.
const KEY_BYTES: usize = 120;

/// A session of one key, as far as its rows are known, and what belongs to it.
#[derive(Debug)]
pub(super) struct OpenSession<P> {
    pub claim: Claim,
    pub parts: Vec<P>,
}

/// The open sessions of all keys.
#[derive(Debug)]
pub(super) struct OpenSessions<P> {
    by_key: HashTable<OfKey<P>>,
    count: usize,
}

/// The open sessions of one key: their claims do not meet, and they are in the order of time.
#[derive(Debug)]
struct OfKey<P> {
    key: Arc<[u8]>,
    sessions: Vec<OpenSession<P>>,
}

impl<P> OfKey<P> {
    fn hash(&self) -> u64 {
        xxh3_64(&self.key)
    }
}

impl<P> Default for OpenSessions<P> {
    fn default() -> Self {
        Self { by_key: HashTable::new(), count: 0 }
    }
}

impl<P> OpenSessions<P> {
    /// The session of a key that a claim begins, joins or joins up, with it and the key. What belongs to one that is new has to be added.
    pub(super) fn join(&mut self, key: &[u8], claim: Claim) -> (&Arc<[u8]>, &mut OpenSession<P>) {
        let OfKey { key, sessions } = match self.by_key.entry(xxh3_64(key), |of| *of.key == *key, OfKey::hash) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) => free.insert(OfKey { key: Arc::from(key), sessions: Vec::new() }).into_mut(),
        };
        let from = sessions.partition_point(|session| session.claim.last < claim.from);
        let met = sessions.iter().skip(from).take_while(|session| session.claim.meets(&claim)).count();
        let mut joined = OpenSession { claim, parts: vec![] };
        for session in sessions.drain(from..from + met) {
            joined.claim.join(&session.claim);
            // The longer list takes the shorter one in: a session that goes on for long is not copied for each row.
            let (mut long, short) = match session.parts.len() >= joined.parts.len() {
                true => (session.parts, joined.parts),
                false => (joined.parts, session.parts),
            };
            long.extend(short);
            joined.parts = long;
        }
        self.count = self.count + 1 - met;
        sessions.insert(from, joined);
        (key, &mut sessions[from])
    }

    /// Takes the sessions of a key out whose last row is before `before`.
    pub(super) fn take(&mut self, key: &[u8], before: Micros) -> Vec<OpenSession<P>> {
        let Ok(mut of) = self.by_key.find_entry(xxh3_64(key), |of| *of.key == *key) else { return vec![] };
        let sessions = &mut of.get_mut().sessions;
        let over = sessions.partition_point(|session| session.claim.last < before);
        let over: Vec<_> = sessions.drain(..over).collect();
        if sessions.is_empty() {
            of.remove();
        }
        self.count -= over.len();
        over
    }

    /// About how much memory it takes to know them, in bytes: not what belongs to them.
    pub(super) fn bytes(&self) -> usize {
        self.count * (size_of::<OpenSession<P>>() + KEY_BYTES)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// All of them, in the same order until something is added or taken out.
    pub(super) fn iter(&self) -> impl Iterator<Item = &OpenSession<P>> {
        self.by_key.iter().flat_map(|of| &of.sessions)
    }

    /// As [`Self::iter`].
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut OpenSession<P>> {
        self.by_key.iter_mut().flat_map(|of| &mut of.sessions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: Micros = 10;

    /// The sessions of rows (time, watermark), as (first, last), in order.
    fn sessions(rows: &[(Micros, Option<Micros>)]) -> Vec<(Micros, Micros)> {
        let key = b"k";
        let mut open = OpenSessions::default();
        for (t, watermark) in rows {
            open.join(key, Claim::of_row(*t, *watermark, GAP)).1.parts.push(*t);
        }
        let mut all = Vec::new();
        for session in open.iter_mut() {
            session.parts.sort_unstable();
            assert_eq!(
                session.parts.first().zip(session.parts.last()),
                Some((&session.claim.first, &session.claim.last))
            );
            all.push((session.claim.first, session.claim.last));
        }
        all.sort_unstable();
        all
    }

    #[test]
    fn rows_a_gap_apart_are_of_one_session() {
        assert_eq!(sessions(&[(0, None), (10, None), (21, None)]), [(0, 10), (21, 21)]);
        assert_eq!(sessions(&[(21, None), (0, None), (11, None)]), [(0, 0), (11, 21)]);
        assert_eq!(sessions(&[(0, None), (20, None), (10, None)]), [(0, 20)]);
    }

    #[test]
    fn a_row_does_not_join_a_session_that_had_ended_when_it_was_read() {
        assert_eq!(sessions(&[(0, None), (9, Some(9))]), [(0, 9)]);
        assert_eq!(sessions(&[(0, None), (9, Some(10))]), [(0, 0), (9, 9)]);
        // A row between that was read in time holds it open.
        assert_eq!(sessions(&[(0, None), (9, Some(10)), (5, Some(2))]), [(0, 9)]);
        // One that claims nothing but itself joins what comes later.
        assert_eq!(sessions(&[(5, Some(14)), (0, None), (15, Some(0))]), [(0, 0), (5, 15)]);
    }

    #[test]
    fn the_order_of_rows_does_not_matter() {
        let rows = [
            (0, Some(-20)),
            (4, Some(-10)),
            (-7, Some(-12)),
            (2, Some(5)),
            (15, Some(12)),
            (26, Some(20)),
            (17, Some(26)),
        ];
        let expected = sessions(&rows);
        let mut turned = rows;
        for i in 0..rows.len() {
            turned.rotate_left(1);
            turned.swap(i % 3, i);
            assert_eq!(sessions(&turned), expected);
        }
    }

    #[test]
    fn what_is_over_is_taken_out() {
        let key = b"k";
        let mut open = OpenSessions::default();
        for t in [0, 30, 60] {
            open.join(key, Claim::of_row(t, None, GAP)).1.parts.push(t);
        }
        let over = open.take(key, 40);
        assert_eq!(over.iter().map(|s| s.claim.last).collect::<Vec<_>>(), [0, 30]);
        assert_eq!((open.iter().count(), open.len()), (1, 1));
        open.take(key, 61);
        assert!(open.by_key.is_empty() && open.len() == 0);
    }
}
