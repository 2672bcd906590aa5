//! A bucket of a shard that may take more marks.

use std::sync::Arc;

use hashbrown::HashTable;

use super::events::Events;
use super::known_streams::KnownStreams;
use super::mark::{Mark, MarkColumns, MarkKind, PackedHash, hash_id, hash_session};
use super::partial::{MarkedStream, MarksPartial};

/// The marks of a bucket that is open.
#[derive(Debug)]
pub(super) struct OpenBucket {
    marks: MarksPartial,
    /// Places of its streams, by their hashes.
    streams: HashTable<u32>,
    /// Memory of the texts.
    text_bytes: usize,
}

impl OpenBucket {
    /// Goes on with these.
    pub(super) fn of(marks: MarksPartial) -> Self {
        let text_bytes = marks.sources.iter().map(|source| source.bytes()).sum();
        let without_streams = MarksPartial { streams: Vec::new(), ..marks };
        let mut open = Self { marks: without_streams, streams: HashTable::new(), text_bytes };
        for stream in marks.streams {
            open.stream(stream.hash, stream.source, stream.row);
        }
        open
    }

    pub(super) fn marks(&self) -> &MarksPartial {
        &self.marks
    }

    /// All of them: the bucket is closed.
    pub(super) fn into_marks(self) -> MarksPartial {
        self.marks
    }

    /// Memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.marks.bytes_without_texts() + self.text_bytes + self.streams.allocation_size()
    }

    /// The number of these strings, which are the ones that came last if they are there already: so many events' more.
    pub(super) fn source(&mut self, strings: &Arc<MarkColumns>, events: usize) -> u32 {
        self.marks.marks.reserve(events);
        let sources = &mut self.marks.sources;
        if !sources.last().is_some_and(|last| Arc::ptr_eq(last, strings)) {
            sources.push(Arc::clone(strings));
            self.text_bytes += strings.bytes();
        }
        (sources.len() - 1) as u32
    }

    /// The place of a stream.
    #[inline]
    fn stream(&mut self, hash: PackedHash, source: u32, row: u32) -> u32 {
        let Self { marks: MarksPartial { streams: known, .. }, streams, .. } = self;
        let of = |place: &u32| known.get(*place as usize).map(|stream| stream.hash);
        if let Some(place) = streams.find(hash.short(), |place| of(place) == Some(hash)) {
            return *place;
        }
        let place = known.len() as u32;
        streams.insert_unique(hash.short(), place, |place| of(place).map_or(0, PackedHash::short));
        known.push(MarkedStream { hash, source, row });
        place
    }

    /// Adds the mark or marks of one event: its own, and the end of the session that it replaces. `source` and `at` find its strings.
    #[inline]
    pub(super) fn push(&mut self, events: &Events<'_>, row: usize, (source, at): (u32, u32), known: &mut KnownStreams) {
        let (Some(stream), Some(&time)) = (events.stream_id.get(row), events.times.get(row)) else { return };
        let bucket = self.marks.bucket;
        let (stream_hash, stream) = known.find(stream, bucket, |hash| self.stream(hash.into(), source, at));
        let kind = events.kind(row);
        let of_session = !matches!(kind, MarkKind::StreamEnded | MarkKind::StreamStarted | MarkKind::Event);
        let of_session = of_session.then(|| events.session_id.get(row)).flatten();
        let session = of_session.map_or(PackedHash::NONE, |id| hash_session(stream_hash, id).into());
        let is_touch = matches!(kind, MarkKind::Started | MarkKind::Touch);
        let of_viewer = is_touch.then(|| events.viewer_id.get(row)).flatten();
        let viewer = of_viewer.map_or(PackedHash::NONE, |id| hash_id(id).into());
        let names_channel = !events.channel_id.is_null(row);
        let mark = Mark { session, viewer, time, stream, source, row: at, kind, derived: false, names_channel };
        self.marks.marks.push(mark);
        if is_touch && let Some(previous) = events.previous_session_id.get(row) {
            let replaced = hash_session(stream_hash, previous).into();
            if replaced != session {
                let ended = Mark { session: replaced, viewer: PackedHash::NONE, kind: MarkKind::Ended, ..mark };
                self.marks.marks.push(Mark { derived: true, ..ended });
            }
        }
    }
}
