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
        let mut keys: Vec<u128> =
            self.marks.iter().enumerate().map(|(place, mark)| self.key(place as u32, mark)).collect();
        keys.sort();
        for tied in keys.chunk_by_mut(|a, b| a >> PLACE_BITS == b >> PLACE_BITS).filter(|tied| tied.len() > 1) {
            tied.sort_by(|a, b| self.compare_tied(place_of(*a), place_of(*b)));
        }
        if keys.iter().enumerate().any(|(place, key)| place_of(*key) != place) {
            self.marks = keys.iter().map(|key| self.marks[place_of(*key)]).collect();
        }
    }

    /// What a mark is sorted by: its time, its rank, so much of its session that those of others seldom have the same, its place.
    fn key(&self, place: u32, mark: &Mark) -> u128 {
        let since = mark.time.saturating_sub(self.bucket) as u64;
        let session = (mark.session.short() >> u32::BITS) << PLACE_BITS;
        u128::from(since << RANK_BITS | u64::from(mark.kind.rank())) << u64::BITS
            | u128::from(session | u64::from(place))
    }

    fn compare_tied(&self, a: usize, b: usize) -> Ordering {
        let (Some(a), Some(b)) = (self.marks.get(a), self.marks.get(b)) else { return Ordering::Equal };
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

/// Bits of a key that are its mark's place.
const PLACE_BITS: u32 = u32::BITS;
/// Bits that a rank takes.
const RANK_BITS: u32 = 3;

fn place_of(key: u128) -> usize {
    key as u32 as usize
}

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
        // Whole hashes tell sessions apart, where those bits of them that are in the keys do not.
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
    fn marks_that_come_together_keep_their_texts_and_streams() {
        let mut marks = partial(&["a"], &[(1, 120, MarkKind::Touch)]);
        marks.absorb(partial(&["b", "c"], &[(2, 110, MarkKind::Touch), (0, 130, MarkKind::Event)]));
        marks.sort();
        assert_eq!(ids(&marks), ["b", "a", "c"]);
        assert_eq!(marks.marks.iter().map(|mark| mark.stream).collect::<Vec<_>>(), [1, 0, 1]);
        assert_eq!(marks.streams.iter().map(|stream| marks.stream_id(stream)).collect::<Vec<_>>(), ["a", "b"]);
    }
}
