//! What happens to streams in one bucket, as far as it matters to them.

use hashbrown::HashMap;

use super::activity::{Happening, StreamTimeouts};
use super::mark::{Mark, is_later};
use super::partial::MarksPartial;
use super::wheel::NEVER;
use crate::types::Micros;

/// One stream's part of a bucket.
#[derive(Debug)]
pub(super) struct Happened {
    pub stream: u32,
    /// In the order of time. Events that come so soon after one another that nothing can run out between are one happening.
    pub happenings: Vec<(Micros, Happening)>,
    /// Whether it was forgotten, and its channel with what it did before.
    pub forgotten: bool,
    /// The greatest (event time, event id) with a channel since then: its time, and its place among the marks.
    pub channel: Option<(Micros, usize)>,
    last_event: Micros,
}

impl Happened {
    fn to(stream: u32, last_event: Micros) -> Self {
        Self { stream, happenings: Vec::new(), forgotten: false, channel: None, last_event }
    }

    /// Its event at `t`, not before those that it had already, is no control; `touched` if it is a touch that counts.
    #[inline]
    pub(super) fn event(&mut self, t: Micros, touched: bool, timeouts: &StreamTimeouts) {
        self.came(t, timeouts);
        let soon = |until: Micros| t.saturating_sub(until) <= timeouts.announced.min(timeouts.unannounced);
        match self.happenings.last_mut() {
            Some((_, Happening::Touched { until })) if soon(*until) => *until = t,
            Some((_, Happening::Event { until })) if !touched && soon(*until) => *until = t,
            _ if touched => self.happenings.push((t, Happening::Touched { until: t })),
            _ => self.happenings.push((t, Happening::Event { until: t })),
        }
    }

    /// Its start or its end at `t`, not before its other events.
    pub(super) fn control(&mut self, t: Micros, control: Happening, timeouts: &StreamTimeouts) {
        self.came(t, timeouts);
        self.happenings.push((t, control));
    }

    /// A stream begins anew when nothing came for so long that it was forgotten.
    #[inline]
    fn came(&mut self, t: Micros, timeouts: &StreamTimeouts) {
        if self.last_event != NEVER && t.saturating_sub(self.last_event) > timeouts.announced {
            self.forgotten = true;
            self.channel = None;
        }
        self.last_event = t;
    }

    /// The event of the mark at `place` may name the channel.
    #[inline]
    pub(super) fn offer_channel(&mut self, place: usize, mark: &Mark, marks: &MarksPartial) {
        if !mark.names_channel {
            return;
        }
        // Marks come in the order of time: ids are asked for at one instant only.
        let later = match self.channel {
            Some((time, known)) if time == mark.time => {
                let known = marks.marks.get(known).map(|known| (time, marks.event_id(known)));
                is_later(time, marks.event_id(mark), known)
            }
            _ => true,
        };
        if later {
            self.channel = Some((mark.time, place));
        }
    }
}

/// What happened to all streams that something happened to.
#[derive(Debug, Default)]
pub(super) struct AllHappened {
    parts: Vec<Happened>,
    by_stream: HashMap<u32, usize>,
    /// By place among the streams of the marks.
    places: Vec<usize>,
}

impl AllHappened {
    /// Marks' streams at their places, with their numbers.
    pub(super) fn of(numbers: &[u32], last_event: impl Fn(u32) -> Micros) -> Self {
        let mut all = Self::default();
        all.places = numbers.iter().map(|stream| all.place(*stream, &last_event)).collect();
        all
    }

    fn place(&mut self, stream: u32, last_event: impl Fn(u32) -> Micros) -> usize {
        *self.by_stream.entry(stream).or_insert_with(|| {
            self.parts.push(Happened::to(stream, last_event(stream)));
            self.parts.len() - 1
        })
    }

    /// The stream's that a mark is of.
    #[inline]
    pub(super) fn of_mark(&mut self, mark: &Mark) -> Option<&mut Happened> {
        self.parts.get_mut(*self.places.get(mark.stream as usize)?)
    }

    /// A stream's, which may have no marks. No event is added to it.
    pub(super) fn of_stream(&mut self, stream: u32) -> Option<&mut Happened> {
        let place = self.place(stream, |_| NEVER);
        self.parts.get_mut(place)
    }

    pub(super) fn into_parts(self) -> Vec<Happened> {
        self.parts
    }
}
