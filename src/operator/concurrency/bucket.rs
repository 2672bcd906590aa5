//! One bucket, played: marks in order, leases that run out, streams that fall silent.

use hashbrown::{HashMap, HashSet};

use super::activity::{Happening, Stream};
use super::expiry::tuple_bytes;
use super::mark::{Mark, MarkKind, MarksPartial, PackedHash, text};
use super::resolve::{Dimensions, Presence};
use super::rows::QueryWindows;
use super::session::{Delta, Session, Touched};
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

impl Presence {
    /// Plays all marks of `bucket`, which are in order, and whatever runs out in it.
    pub(super) fn play_bucket(&mut self, bucket: Micros, marks: &MarksPartial) -> Resolved {
        let mut out = Resolved::default();
        let mut happenings: HashMap<u32, Vec<(Micros, Happening)>> = HashMap::new();
        for of_stream in marks.marks.chunk_by(|a, b| a.stream == b.stream) {
            if let Some((stream, events)) = self.play_stream(bucket, of_stream, marks, &mut out) {
                happenings.insert(stream, events);
            }
        }
        self.expire_sessions(bucket, &mut out);
        out.deltas.sort_unstable_by_key(|d| (d.stream, d.time));
        self.play_activity(bucket, happenings, &mut out);
        out.activity.sort_unstable();
        out
    }

    /// Plays the marks of one stream and its sessions. Gives the stream and what happened to it.
    fn play_stream(
        &mut self,
        bucket: Micros,
        marks: &[Mark],
        strings: &MarksPartial,
        out: &mut Resolved,
    ) -> Option<(u32, Vec<(Micros, Happening)>)> {
        let stream = self.stream_of(marks.first()?, strings);
        let mut happenings = Vec::with_capacity(marks.len());
        if let Some(s) = self.streams.get_mut(stream) {
            let events = marks.iter().filter(|m| !m.derived);
            let times = event_times(events.clone(), self.streams_timeouts.announced < self.bucket_size);
            let since = s.remembered_since(&times, &self.streams_timeouts);
            for mark in events {
                happenings.push((mark.time, happening_of(mark.kind)));
                if let Some(channel) = strings.channel(mark).filter(|_| mark.time >= since) {
                    s.offer_channel(mark.time, strings.event_id(mark), channel);
                }
            }
        }
        // Marks without a session sort first: the stream's own.
        let own = marks.partition_point(|m| m.session == 0);
        let (own, of_sessions) = marks.split_at(own);
        let controls: Vec<Mark> = own.iter().filter(|m| m.kind <= MarkKind::StreamStarted).copied().collect();
        let mut played = HashSet::new();
        for of_session in of_sessions.chunk_by(|a, b| a.session == b.session) {
            let session = self.play_session(bucket, stream, of_session, &controls, strings, &mut happenings, out);
            if !controls.is_empty() {
                played.extend(session);
            }
        }
        if !controls.is_empty() {
            self.control_silent_sessions(bucket, stream, &controls, &played, out);
        }
        Some((stream, happenings))
    }

    /// Plays the marks of one session; gives the session.
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one step; a struct of them would live for this call only"
    )]
    fn play_session(
        &mut self,
        bucket: Micros,
        stream: u32,
        marks: &[Mark],
        controls: &[Mark],
        strings: &MarksPartial,
        happenings: &mut Vec<(Micros, Happening)>,
        out: &mut Resolved,
    ) -> Option<u32> {
        let index = self.session_of(marks.first()?.session, stream);
        let session = self.sessions.get_mut(index)?;
        let (timeouts, deltas) = (&self.sessions_timeouts, &mut out.deltas);
        let mut controls = controls;
        for mark in marks {
            // At one instant a stream's marks rank before its sessions'.
            while let Some((control, rest)) = controls.split_first().filter(|(c, _)| c.time <= mark.time) {
                apply_control(session, control, timeouts, deltas);
                controls = rest;
            }
            session.begin_mark(mark.time, timeouts, deltas);
            match mark.kind {
                MarkKind::Started | MarkKind::Touch => {
                    let dimensions = self.dimensions.merged(session.dimensions, mark, strings);
                    match session.touch(mark.time, mark.kind, (mark.viewer, dimensions), timeouts, deltas) {
                        Touched::Counted => happenings.push((mark.time, Happening::Touched)),
                        Touched::Ignored => out.ignored_touches += 1,
                    }
                }
                MarkKind::Paused => session.cut(mark.time, deltas),
                MarkKind::Ended => session.end(mark.time, deltas),
                MarkKind::Seen | MarkKind::StreamEnded | MarkKind::StreamStarted | MarkKind::Event => {}
            }
        }
        controls.iter().for_each(|c| apply_control(session, c, timeouts, deltas));
        self.settle(index, bucket, out);
        Some(index)
    }

    /// A stream's start or end, for its sessions that had no mark in the bucket: all but those that were `played`.
    fn control_silent_sessions(
        &mut self,
        bucket: Micros,
        stream: u32,
        controls: &[Mark],
        played: &HashSet<u32>,
        out: &mut Resolved,
    ) {
        let Some(s) = self.streams.get(stream) else { return };
        let mut silent: Vec<u32> = s.sessions.iter().copied().filter(|session| !played.contains(session)).collect();
        silent.sort_unstable();
        for index in silent {
            let Some(session) = self.sessions.get_mut(index) else { continue };
            controls.iter().for_each(|c| apply_control(session, c, &self.sessions_timeouts, &mut out.deltas));
            self.settle(index, bucket, out);
        }
    }

    /// Ends what ran out in the bucket, counts who is still there, and says when to look again.
    fn settle(&mut self, index: u32, bucket: Micros, out: &mut Resolved) {
        let Some(session) = self.sessions.get_mut(index) else { return };
        session.expire(bucket + self.bucket_size, &mut out.deltas);
        session.announce(&mut out.deltas);
        let due = floor_to(session.due(&self.sessions_timeouts), self.bucket_size);
        // Never again in this bucket: what is due in it has just been done.
        let due = due.max(bucket + self.bucket_size);
        self.session_wheel.enter(index, due, &mut session.entered);
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
        if let Some(stream) = self.streams.get_mut(session.stream) {
            stream.sessions.remove(&index);
        }
    }

    /// Plays each stream that something happened to, or that may have fallen silent. `out.deltas` must be sorted by stream.
    fn play_activity(
        &mut self,
        bucket: Micros,
        mut happenings: HashMap<u32, Vec<(Micros, Happening)>>,
        out: &mut Resolved,
    ) {
        for of_stream in out.deltas.chunk_by(|a, b| a.stream == b.stream) {
            let Some(first) = of_stream.first() else { continue };
            let presence = of_stream.iter().map(|d| (d.time, Happening::Presence(d.change)));
            happenings.entry(first.stream).or_default().extend(presence);
        }
        for (at, index) in self.stream_wheel.due(bucket) {
            if let Some(stream) = self.streams.get_mut(index).filter(|s| s.entered == at) {
                stream.entered = NEVER;
                self.silent_streams.push(index);
                happenings.entry(index).or_default();
            }
        }
        let end = bucket + self.bucket_size;
        for (index, mut events) in happenings {
            let Some(stream) = self.streams.get_mut(index) else { continue };
            stream.play(&mut events, end, &self.streams_timeouts, &mut out.activity);
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
    }

    fn stream_of(&mut self, mark: &Mark, strings: &MarksPartial) -> u32 {
        if let Some(&index) = self.stream_index.get(&mark.stream) {
            return index;
        }
        let index = self.streams.insert(Stream::new(mark.stream, strings.stream_id(mark)));
        self.stream_index.insert(mark.stream, index);
        index
    }

    fn session_of(&mut self, key: u128, stream: u32) -> u32 {
        let key = PackedHash::from(key);
        if let Some(index) = self.session_index.get(key, &self.sessions) {
            return index;
        }
        let index = self.sessions.insert(Session::new(key, stream));
        self.session_index.insert(key, index, &self.sessions);
        if let Some(stream) = self.streams.get_mut(stream) {
            stream.sessions.insert(index);
        }
        index
    }
}

/// The times of the events of a bucket, in order, between which a stream may be forgotten; if not `within` the bucket, the first alone.
fn event_times<'m>(events: impl Iterator<Item = &'m Mark>, within: bool) -> Vec<Micros> {
    let times = events.map(|mark| mark.time);
    if !within {
        return times.min().into_iter().collect();
    }
    let mut times: Vec<Micros> = times.collect();
    times.sort_unstable();
    times
}

fn apply_control(
    session: &mut Session,
    control: &Mark,
    timeouts: &super::session::SessionTimeouts,
    deltas: &mut Vec<Delta>,
) {
    match control.kind {
        MarkKind::StreamEnded => session.stream_ended(control.time, timeouts, deltas),
        MarkKind::StreamStarted => session.stream_started(),
        _ => {}
    }
}

fn happening_of(kind: MarkKind) -> Happening {
    match kind {
        MarkKind::StreamEnded => Happening::Ended,
        MarkKind::StreamStarted => Happening::Started,
        _ => Happening::Event,
    }
}

impl Dimensions {
    /// The tuple `known` with the mark's non-null values over it, interned.
    fn merged(&mut self, known: u32, mark: &Mark, strings: &MarksPartial) -> u32 {
        let Some(columns) = strings.columns(mark) else { return known };
        let Some(old) = self.values.get(known as usize) else { return known };
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
