//! What a shard hands over of one bucket: its marks, in their order.

use std::cmp::Ordering;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::mark::{Mark, MarkColumns, PackedHash, text};
use crate::types::Micros;

/// A stream that marks are of. `source` and `row` find its id, as with a mark.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct MarkedStream {
    pub hash: PackedHash,
    pub source: u32,
    pub row: u32,
}

/// All marks of one shard in one bucket.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MarksPartial {
    /// Start of the bucket.
    pub bucket: Micros,
    pub(super) marks: Vec<Mark>,
    /// Each has a mark. Where several shards' have come together, a stream may be there several times.
    pub(super) streams: Vec<MarkedStream>,
    pub(super) sources: Vec<Arc<MarkColumns>>,
}

impl MarksPartial {
    pub(super) fn new(bucket: Micros) -> Self {
        Self { bucket, marks: Vec::new(), streams: Vec::new(), sources: Vec::new() }
    }

    /// How many marks there are.
    pub fn len(&self) -> usize {
        self.marks.len()
    }

    /// Memory that they hold, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes_without_texts() + self.sources.iter().map(|source| source.bytes()).sum::<usize>()
    }

    /// Memory of the marks by themselves, in bytes.
    pub(super) fn bytes_without_texts(&self) -> usize {
        self.marks.capacity() * size_of::<Mark>() + self.streams.capacity() * size_of::<MarkedStream>()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// Takes the marks of another shard in.
    pub(super) fn absorb(&mut self, other: MarksPartial) {
        let (source, stream) = (self.sources.len() as u32, self.streams.len() as u32);
        self.sources.extend(other.sources);
        self.streams.extend(other.streams.into_iter().map(|s| MarkedStream { source: s.source + source, ..s }));
        let shifted = |m: Mark| Mark { source: m.source + source, stream: m.stream + stream, ..m };
        self.marks.extend(other.marks.into_iter().map(shifted));
    }

    /// Orders marks by (time, rank), and those of one session at one instant by event id. What comes of them depends on no more: a
    /// session's marks and its stream's come one after the other.
    ///
    /// Runs that are in order already are only merged: each shard sorts its own before it hands them over.
    pub(super) fn sort(&mut self) {
        let order = match self.place_bits() {
            Some(place_bits) => self.order_by_keys(place_bits),
            None => self.order_by_comparing(),
        };
        if order.iter().enumerate().any(|(place, of)| *of as usize != place) {
            self.marks = order.iter().map(|place| self.marks[*place as usize]).collect();
        }
    }

    /// How many bits of a key of eight bytes are its mark's place; none if time, rank and place do not fit.
    fn place_bits(&self) -> Option<u32> {
        let longest = self.marks.iter().map(|mark| self.since(mark)).max()?;
        let place_bits = self.marks.len().ilog2() + 1;
        (u64::BITS - longest.leading_zeros() + RANK_BITS + place_bits <= u64::BITS).then_some(place_bits)
    }

    fn since(&self, mark: &Mark) -> u64 {
        mark.time.saturating_sub(self.bucket) as u64
    }

    /// The order of marks, by their places. Each has a key: its time, its rank, its place.
    fn order_by_keys(&self, place_bits: u32) -> Vec<u32> {
        let key = |(place, mark): (usize, &Mark)| {
            (self.since(mark) << RANK_BITS | u64::from(mark.kind.rank())) << place_bits | place as u64
        };
        let mut keys: Vec<u64> = self.marks.iter().enumerate().map(key).collect();
        keys.sort();
        let place_of = |key: &u64| (key & ((1 << place_bits) - 1)) as u32;
        for tied in keys.chunk_by_mut(|a, b| a >> place_bits == b >> place_bits).filter(|tied| tied.len() > 1) {
            tied.sort_by(|a, b| self.compare_tied(place_of(a), place_of(b)));
        }
        keys.iter().map(place_of).collect()
    }

    /// The same of marks that lie too far apart.
    fn order_by_comparing(&self) -> Vec<u32> {
        let rank = |place: u32| self.marks.get(place as usize).map(|mark| (mark.time, mark.kind.rank()));
        let mut order: Vec<u32> = (0..self.marks.len() as u32).collect();
        order.sort_by(|a, b| rank(*a).cmp(&rank(*b)).then_with(|| self.compare_tied(*a, *b)));
        order
    }

    /// The order of two marks of one instant and rank.
    fn compare_tied(&self, a: u32, b: u32) -> Ordering {
        let (Some(a), Some(b)) = (self.marks.get(a as usize), self.marks.get(b as usize)) else {
            return Ordering::Equal;
        };
        if a.session.is_none() && b.session.is_none() {
            // Streams' own do the same in any order.
            return Ordering::Equal;
        }
        let sessions = a.session.get().cmp(&b.session.get());
        sessions.then_with(|| self.event_id(a).cmp(self.event_id(b))).then(a.kind.cmp(&b.kind))
    }

    pub(super) fn event_id(&self, mark: &Mark) -> &str {
        self.columns(mark).and_then(|c| text(&c.event_id, mark.row)).unwrap_or_default()
    }

    pub(super) fn columns(&self, mark: &Mark) -> Option<&MarkColumns> {
        self.sources.get(mark.source as usize).map(Arc::as_ref)
    }

    pub(super) fn channel(&self, mark: &Mark) -> Option<&str> {
        self.columns(mark).and_then(|c| text(&c.channel_id, mark.row))
    }

    pub(super) fn stream_id(&self, stream: &MarkedStream) -> &str {
        let columns = self.sources.get(stream.source as usize);
        columns.and_then(|c| text(&c.stream_id, stream.row)).unwrap_or_default()
    }
}

/// Bits that a rank takes.
const RANK_BITS: u32 = 3;

#[cfg(test)]
mod tests {
    use arrow::array::StringArray;

    use super::super::mark::MarkKind;
    use super::*;

    fn columns(ids: &[&str]) -> Arc<MarkColumns> {
        let ids = StringArray::from(ids.to_vec());
        Arc::new(MarkColumns { event_id: ids.clone(), stream_id: ids.clone(), channel_id: ids, dimensions: vec![] })
    }

    /// Marks of (session, time, kind), by their rows.
    fn partial(ids: &[&str], marks: &[(u128, Micros, MarkKind)]) -> MarksPartial {
        let mark = |(row, (session, time, kind)): (u32, &(u128, Micros, MarkKind))| Mark {
            session: PackedHash::from(*session),
            viewer: PackedHash::NONE,
            time: *time,
            stream: 0,
            source: 0,
            row,
            kind: *kind,
            derived: false,
            names_channel: true,
        };
        let streams = vec![MarkedStream { hash: PackedHash::from(1), source: 0, row: 0 }];
        MarksPartial { bucket: 100, marks: (0..).zip(marks).map(mark).collect(), streams, sources: vec![columns(ids)] }
    }

    fn ids(partial: &MarksPartial) -> Vec<&str> {
        partial.marks.iter().map(|mark| partial.event_id(mark)).collect()
    }

    #[test]
    fn by_time_and_rank_and_at_one_instant_each_session_by_event_id() {
        use MarkKind::{Ended, Event, Seen, Started, StreamEnded, StreamStarted, Touch};
        let (one, other) = (7 << 40, 9 << 40);
        let mut marks = partial(
            &["z", "y", "x", "w", "v", "u", "t", "s"],
            &[
                (one, 130, Ended),
                (one, 130, Touch),
                (other, 130, Touch),
                (one, 130, Touch),
                (one, 130, Started),
                (0, 130, Event),
                (0, 130, StreamStarted),
                (0, 129, StreamEnded),
            ],
        );
        marks.sort();
        assert_eq!(ids(&marks), ["s", "t", "v", "w", "y", "x", "z", "u"]);
        let mut alike = partial(
            &["d", "c", "b", "a"],
            &[(one, 100, Touch), (one | 1, 100, Touch), (one, 100, Touch), (one | 1, 100, Touch)],
        );
        alike.sort();
        assert_eq!(ids(&alike), ["b", "d", "a", "c"]);
        // An event that came twice.
        let mut twice = partial(&["a", "a"], &[(one, 100, Seen), (one, 100, Touch)]);
        twice.sort();
        assert_eq!(twice.marks.iter().map(|mark| mark.kind).collect::<Vec<_>>(), [Touch, Seen]);
    }

    #[test]
    fn marks_may_lie_as_far_apart_as_there_is_time() {
        let near = [
            (3, 101, MarkKind::Ended),
            (2, 101, MarkKind::Touch),
            (2, 101, MarkKind::Touch),
            (1, 100, MarkKind::Touch),
        ];
        let mut marks = partial(&["d", "c", "b", "a"], &near);
        assert_eq!(marks.order_by_comparing(), marks.order_by_keys(marks.place_bits().unwrap()));
        marks.sort();
        assert_eq!(ids(&marks), ["a", "b", "c", "d"]);
        let far = [(1, Micros::MAX, MarkKind::Ended), (1, Micros::MAX, MarkKind::Touch), (1, 100, MarkKind::Touch)];
        let mut marks = partial(&["c", "b", "a"], &far);
        assert_eq!(marks.place_bits(), None);
        marks.sort();
        assert_eq!(ids(&marks), ["a", "b", "c"]);
        MarksPartial::new(0).sort();
    }

    #[test]
    fn marks_that_come_together_keep_their_texts_and_streams() {
        let mut marks = partial(&["a"], &[(1, 120, MarkKind::Touch)]);
        marks.absorb(partial(&["b", "c"], &[(2, 110, MarkKind::Touch), (0, 130, MarkKind::Event)]));
        marks.sort();
        assert_eq!(ids(&marks), ["b", "a", "c"]);
        assert_eq!(marks.marks.iter().map(|mark| mark.stream).collect::<Vec<_>>(), [1, 0, 1]);
        assert_eq!(marks.streams.iter().map(|stream| marks.stream_id(stream)).collect::<Vec<_>>(), ["a", "b"]);
    }
}
