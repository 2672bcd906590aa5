//! One bucket, played: marks in order, leases that run out, streams that fall silent.

use super::activity::{Happening, Stream};
use super::expiry::tuple_bytes;
use super::happened::{AllHappened, Happened};
use super::mark::{Mark, MarkKind, PackedHash, text};
use super::partial::MarksPartial;
use super::resolve::{Dimensions, Presence};
use super::rows::QueryWindows;
use super::session::{Delta, Session, SessionTimeouts, Touched, by_number_and_time};
use super::viewers::NOBODY;
use super::wheel::NEVER;
use crate::types::{Micros, floor_to};

/// What a bucket changed.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    /// Changes of presence, by stream, then time.
    pub deltas: Vec<Delta>,
    /// Changes of the number of active streams, by time.
    pub activity: Vec<(Micros, i8)>,
    pub ignored_touches: u64,
}

/// So many marks are looked up before they are played: waiting for memory is not done one by one.
const AHEAD: usize = 64;

/// Whose a mark is, by numbers.
#[derive(Debug, Clone, Copy)]
struct Whose {
    /// None for a mark of the stream itself.
    session: Option<u32>,
    /// Who is said to watch.
    viewer: u32,
}

impl Presence {
    /// Plays all marks of `bucket`, which are in order, and whatever runs out in it.
    pub(super) fn play_bucket(&mut self, bucket: Micros, marks: &MarksPartial) -> Resolved {
        let mut out = Resolved::default();
        let streams = self.streams_of(marks);
        let last_event = |stream: u32| self.streams.get(stream).map_or(NEVER, Stream::last_event);
        let mut happened = AllHappened::of(&streams, last_event);
        let mut unsettled = Vec::new();
        let mut whose = Vec::with_capacity(AHEAD);
        for (first, marks_ahead) in (0..).step_by(AHEAD).zip(marks.marks.chunks(AHEAD)) {
            self.find(marks_ahead, &streams, &mut whose);
            for ((place, mark), whose) in (first..).zip(marks_ahead).zip(&whose) {
                let Some(of_stream) = happened.of_mark(mark) else { continue };
                let touched = match whose.session {
                    Some(session) => {
                        self.play_of_session(bucket, mark, (session, whose.viewer), marks, &mut unsettled, &mut out)
                    }
                    None => false,
                };
                let timeouts = &self.streams_timeouts;
                match mark.kind {
                    _ if mark.derived => continue,
                    MarkKind::StreamEnded => of_stream.control(mark.time, Happening::Ended, timeouts),
                    MarkKind::StreamStarted => of_stream.control(mark.time, Happening::Started, timeouts),
                    _ => of_stream.event(mark.time, touched, timeouts),
                }
                of_stream.offer_channel(place, mark, marks);
                if mark.kind <= MarkKind::StreamStarted {
                    self.control_sessions(bucket, mark, of_stream.stream, &mut unsettled, &mut out.deltas);
                }
            }
        }
        unsettled.into_iter().for_each(|session| self.settle(session, bucket, &mut out));
        self.expire_sessions(bucket, &mut out);
        out.deltas.sort_unstable_by_key(|d| by_number_and_time(d.stream, d.time));
        self.play_activity(bucket, happened, marks, &mut out);
        out.activity.sort_unstable();
        out
    }

    /// The numbers of the marks' streams. New ones get theirs in the order of their hashes: that of shards is not always the same.
    fn streams_of(&mut self, marks: &MarksPartial) -> Vec<u32> {
        let mut by_hash: Vec<(u128, usize)> = marks.streams.iter().map(|stream| stream.hash.get()).zip(0..).collect();
        by_hash.sort_unstable();
        let mut numbers = vec![0; by_hash.len()];
        for (hash, place) in by_hash {
            let number = match (self.stream_index.get(&hash), marks.streams.get(place)) {
                (Some(known), _) => *known,
                (None, Some(new)) => {
                    let number = self.streams.insert(Stream::new(hash, marks.stream_id(new)));
                    self.stream_index.insert(hash, number);
                    number
                }
                (None, None) => continue,
            };
            if let Some(place) = numbers.get_mut(place) {
                *place = number;
            }
        }
        numbers
    }

    /// Finds the sessions and viewers of some marks, which are new from here on if they were not there.
    fn find(&mut self, marks: &[Mark], streams: &[u32], whose: &mut Vec<Whose>) {
        whose.clear();
        for mark in marks {
            let stream = streams.get(mark.stream as usize).filter(|_| !mark.session.is_none());
            let session = stream.map(|stream| self.session_of(mark.session, *stream));
            whose.push(Whose { session, viewer: NOBODY });
        }
        for (mark, whose) in marks.iter().zip(whose) {
            if let Some(session) = whose.session.filter(|_| !mark.viewer.is_none()) {
                let likely = self.sessions.get(session).map_or(NOBODY, |session| session.viewer);
                whose.viewer = self.viewers.number(mark.viewer, likely);
            }
        }
    }

    /// Plays a mark of a session, by the session's number and the viewer's. Whether it is a touch that counts.
    fn play_of_session(
        &mut self,
        bucket: Micros,
        mark: &Mark,
        (index, viewer): (u32, u32),
        marks: &MarksPartial,
        unsettled: &mut Vec<u32>,
        out: &mut Resolved,
    ) -> bool {
        let Some(session) = self.sessions.get_mut(index) else { return false };
        let (timeouts, deltas) = (&self.sessions_timeouts, &mut out.deltas);
        let before = session.viewer;
        session.begin_mark(mark.time, timeouts, deltas);
        let mut counted = false;
        match mark.kind {
            MarkKind::Started | MarkKind::Touch => {
                let dimensions = self.dimensions.merged(session.dimensions, mark, marks);
                match session.touch(mark.time, mark.kind, (viewer, dimensions), timeouts, deltas) {
                    Touched::Counted => counted = true,
                    Touched::Ignored => out.ignored_touches += 1,
                }
            }
            MarkKind::Paused => session.cut(mark.time, deltas),
            MarkKind::Ended => session.end(mark.time, deltas),
            MarkKind::Seen | MarkKind::StreamEnded | MarkKind::StreamStarted | MarkKind::Event => {}
        }
        if session.viewer != before {
            self.viewers.name(session.viewer);
            self.viewers.unname(before);
        }
        if !session.is_settled(bucket + self.bucket_size) {
            unsettled.push(index);
        }
        counted
    }

    /// A stream's start or end, for all of its sessions. (Those that come later in the bucket had no mark yet: it is nothing to them.)
    fn control_sessions(
        &mut self,
        bucket: Micros,
        control: &Mark,
        stream: u32,
        unsettled: &mut Vec<u32>,
        deltas: &mut Vec<Delta>,
    ) {
        let Some(s) = self.streams.get_mut(stream) else { return };
        for index in s.sessions.all(stream, &self.sessions) {
            let Some(session) = self.sessions.get_mut(*index) else { continue };
            apply_control(session, control, &self.sessions_timeouts, deltas);
            if !session.is_settled(bucket + self.bucket_size) {
                unsettled.push(*index);
            }
        }
    }

    /// Ends what ran out in the bucket, counts who is still there, and says when to look again.
    fn settle(&mut self, index: u32, bucket: Micros, out: &mut Resolved) {
        let Some(session) = self.sessions.get_mut(index) else { return };
        session.expire(bucket + self.bucket_size, &mut out.deltas);
        session.announce(&mut out.deltas);
        let due = session.due(&self.sessions_timeouts);
        // It stands at the start of a bucket: mostly of one that is early enough.
        if session.entered == NEVER || due < session.entered {
            // Never again in this bucket: what is due in it has just been done.
            let due = floor_to(due, self.bucket_size).max(bucket + self.bucket_size);
            self.session_wheel.enter(index, due, &mut session.entered);
        }
    }

    fn expire_sessions(&mut self, bucket: Micros, out: &mut Resolved) {
        for (at, index) in self.session_wheel.due(bucket) {
            let Some(session) = self.sessions.get_mut(index).filter(|s| s.entered == at) else { continue };
            session.entered = NEVER;
            if !session.is_present() && session.forget_after(&self.sessions_timeouts) < bucket {
                self.forget_session(index);
            } else {
                self.settle(index, bucket, out);
            }
        }
    }

    fn forget_session(&mut self, index: u32) {
        let Some(session) = self.sessions.remove(index) else { return };
        self.session_index.remove(session.key, index);
        self.viewers.unname(session.viewer);
        if let Some(stream) = self.streams.get_mut(session.stream) {
            stream.sessions.forget_one();
        }
    }

    /// Plays each stream that something happened to, or that may have fallen silent. `out.deltas` must be sorted by stream.
    fn play_activity(&mut self, bucket: Micros, mut happened: AllHappened, marks: &MarksPartial, out: &mut Resolved) {
        for of_stream in out.deltas.chunk_by(|a, b| a.stream == b.stream) {
            let presence = of_stream.iter().map(|d| (d.time, Happening::Presence(d.change)));
            if let Some(known) = of_stream.first().and_then(|first| happened.of_stream(first.stream)) {
                known.happenings.extend(presence);
            }
        }
        for (at, index) in self.stream_wheel.due(bucket) {
            if let Some(stream) = self.streams.get_mut(index).filter(|s| s.entered == at) {
                stream.entered = NEVER;
                self.silent_streams.push(index);
                happened.of_stream(index);
            }
        }
        let end = bucket + self.bucket_size;
        for Happened { stream: index, mut happenings, forgotten, channel, .. } in happened.into_parts() {
            let Some(stream) = self.streams.get_mut(index) else { continue };
            if forgotten {
                stream.forget_channel();
            }
            if let Some(mark) = channel.and_then(|(_, place)| marks.marks.get(place))
                && let Some(channel) = marks.channel(mark)
            {
                stream.offer_channel(mark.time, marks.event_id(mark), channel);
            }
            stream.play(&mut happenings, end, &self.streams_timeouts, &mut out.activity);
            stream.resolved = bucket;
            if let Some(due) = stream.due(&self.streams_timeouts) {
                let due = floor_to(due, self.bucket_size).max(end);
                self.stream_wheel.enter(index, due, &mut stream.entered);
            }
        }
    }

    /// Drops the streams whose time has come, and what nobody counts under; their rows of this bucket have been taken.
    pub(super) fn drop_forgotten(&mut self, bucket: Micros) {
        let oldest = self.queries.iter().map(QueryWindows::window_start).min().unwrap_or(bucket);
        for index in std::mem::take(&mut self.silent_streams) {
            if !self.streams.get(index).is_some_and(|s| s.is_forgotten(bucket, oldest, &self.streams_timeouts)) {
                continue;
            }
            if let Some(stream) = self.streams.remove(index) {
                self.stream_index.remove(&stream.key);
            }
        }
        self.forget_unused();
        self.viewers.forget_unnamed();
    }

    #[inline]
    fn session_of(&mut self, key: PackedHash, stream: u32) -> u32 {
        match self.session_index.get(key, &self.sessions) {
            Some(index) => index,
            None => self.new_session(key, stream),
        }
    }

    fn new_session(&mut self, key: PackedHash, stream: u32) -> u32 {
        let index = self.sessions.insert(Session::new(key, stream));
        self.session_index.insert(key, index, &self.sessions);
        if let Some(s) = self.streams.get_mut(stream) {
            s.sessions.add(index, stream, &self.sessions);
        }
        index
    }
}

fn apply_control(session: &mut Session, control: &Mark, timeouts: &SessionTimeouts, deltas: &mut Vec<Delta>) {
    match control.kind {
        MarkKind::StreamEnded => session.stream_ended(control.time, timeouts, deltas),
        MarkKind::StreamStarted => session.stream_started(),
        _ => {}
    }
}

impl Dimensions {
    /// The tuple `known` with the mark's non-null values over it, interned.
    fn merged(&mut self, known: u32, mark: &Mark, strings: &MarksPartial) -> u32 {
        let Some(old) = self.values.get(known as usize).filter(|old| !old.is_empty()) else { return known };
        let Some(columns) = strings.columns(mark) else { return known };
        let seen = |i: usize| columns.dimensions.get(i).and_then(|c| text(c, mark.row));
        if (0..old.len()).all(|i| seen(i).is_none_or(|new| old[i].as_deref() == Some(new))) {
            return known;
        }
        let tuple: Box<[Option<Box<str>>]> =
            old.iter().enumerate().map(|(i, o)| seen(i).map(Box::from).or_else(|| o.clone())).collect();
        if let Some(&index) = self.index.get(&tuple) {
            return index;
        }
        let index = self.values.len() as u32;
        self.tuple_bytes += tuple_bytes(&tuple);
        self.values.push(tuple.clone());
        self.index.insert(tuple, index);
        index
    }
}
