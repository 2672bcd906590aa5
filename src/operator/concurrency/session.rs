//! One playback session: its lease, its closures, its last known viewer and dimensions.

use serde::{Deserialize, Serialize};

use super::mark::{MarkKind, PackedHash};
use super::viewers::NOBODY;
use super::wheel::NEVER;
use crate::types::Micros;

/// A change of a group's count at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Delta {
    pub stream: u32,
    /// Interned dimensions.
    pub dimensions: u32,
    pub viewer: u32,
    pub time: Micros,
    /// +1: a session becomes present. −1: it no longer is.
    pub change: i8,
}

/// A key that orders by number, then time: quicker to compare than the two.
#[inline]
pub(super) fn by_number_and_time(number: u32, time: Micros) -> u128 {
    u128::from(number) << u64::BITS | u128::from(time as u64 ^ 1 << 63)
}

/// Timeouts that a session answers to.
#[derive(Debug, Clone, Copy)]
pub(super) struct SessionTimeouts {
    /// How long a touch holds the session present.
    pub lease: Micros,
    /// How long a closure holds without touches, and how long a session is remembered.
    pub retention: Micros,
}

/// A session of a stream.
///
/// ```text
///   touch t           touch t'                 no touch for T
///     ├──── lease T ────┼──── lease T ────────────┤
///     [present ────────────────────────────────────)
/// ```
///
/// A present session has an open *segment*: a stretch with one viewer and one set of dimensions. Segments become deltas when
/// they are known not to be empty, so an interval of no length leaves no trace.
///
/// 80 bytes: there is one for everybody who is present.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Session {
    pub key: PackedHash,
    /// Who watches, as far as it was said last.
    pub viewer: u32,
    pub stream: u32,
    pub dimensions: u32,
    presence: Presence,
    /// Present until here; after an end, where presence ended.
    lease_end: Micros,
    last_mark: Micros,
    /// Where it stands in the calendar.
    pub entered: Micros,
}

/// Whether a session is present. Who is present is not closed: what closes a session ends presence, and a touch that counts lifts what
/// closed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Presence {
    /// The open segment's start, and whether its +1 is out.
    Present { since: Micros, announced: bool },
    /// What closes it, as times of the last touches that were ignored for it; [`NEVER`]: nothing.
    Absent { closed_by_view: Micros, closed_by_stream: Micros },
}

impl Presence {
    const NOT_CLOSED: Self = Self::Absent { closed_by_view: NEVER, closed_by_stream: NEVER };
}

/// What a touch did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Touched {
    /// It holds the session present.
    Counted,
    /// The session is closed.
    Ignored,
}

impl Session {
    pub(super) fn new(key: PackedHash, stream: u32) -> Self {
        Self {
            key,
            stream,
            viewer: NOBODY,
            dimensions: 0,
            presence: Presence::NOT_CLOSED,
            lease_end: NEVER,
            last_mark: NEVER,
            entered: NEVER,
        }
    }

    pub(super) fn is_present(&self) -> bool {
        matches!(self.presence, Presence::Present { .. })
    }

    /// The instant after which nothing of it matters any more.
    pub(super) fn forget_after(&self, timeouts: &SessionTimeouts) -> Micros {
        let closed = match self.presence {
            Presence::Present { .. } => NEVER,
            Presence::Absent { closed_by_view, closed_by_stream } => closed_by_view.max(closed_by_stream),
        };
        self.last_mark.max(closed).saturating_add(timeouts.retention).max(self.lease_end)
    }

    /// Where it must be looked at next: when its lease may run out, else when it may be forgotten.
    pub(super) fn due(&self, timeouts: &SessionTimeouts) -> Micros {
        if self.is_present() { self.lease_end } else { self.forget_after(timeouts).saturating_add(1) }
    }

    /// Starts anew if it would have been forgotten before `t`: the result must not depend on when state is dropped.
    pub(super) fn begin_mark(&mut self, t: Micros, timeouts: &SessionTimeouts, out: &mut Vec<Delta>) {
        self.expire(t, out);
        if self.last_mark != NEVER && t > self.forget_after(timeouts) {
            *self = Self { entered: self.entered, lease_end: self.lease_end, ..Self::new(self.key, self.stream) };
        }
        self.last_mark = t;
    }

    /// A touch at `t`, `seen` with a viewer ([`NOBODY`]: not said) and dimensions.
    pub(super) fn touch(
        &mut self,
        t: Micros,
        kind: MarkKind,
        seen: (u32, u32),
        timeouts: &SessionTimeouts,
        out: &mut Vec<Delta>,
    ) -> Touched {
        if let Presence::Absent { closed_by_view, closed_by_stream } = &mut self.presence {
            let mut closed = false;
            for closure in [closed_by_view, closed_by_stream] {
                if *closure == NEVER || kind == MarkKind::Started {
                    *closure = NEVER;
                } else if t < closure.saturating_add(timeouts.retention) {
                    *closure = t;
                    closed = true;
                } else {
                    *closure = NEVER;
                }
            }
            if closed {
                return Touched::Ignored;
            }
        }
        let viewer = if seen.0 == NOBODY { self.viewer } else { seen.0 };
        if self.is_present() && (viewer, seen.1) != (self.viewer, self.dimensions) {
            self.end_segment(t, out);
        }
        self.viewer = viewer;
        self.dimensions = seen.1;
        if !self.is_present() {
            self.presence = Presence::Present { since: t, announced: false };
        }
        self.lease_end = t.saturating_add(timeouts.lease);
        Touched::Counted
    }

    /// `view.paused` at `t`.
    pub(super) fn cut(&mut self, t: Micros, out: &mut Vec<Delta>) {
        if self.is_present() {
            self.lease_end = self.lease_end.min(t);
            self.end_segment(self.lease_end, out);
        }
    }

    /// `view.ended` at `t`.
    pub(super) fn end(&mut self, t: Micros, out: &mut Vec<Delta>) {
        self.cut(t, out);
        if let Presence::Absent { closed_by_view, .. } = &mut self.presence {
            *closed_by_view = t;
        }
    }

    /// `stream.ended` at `t`: closes the session if it had a mark in the retention before.
    pub(super) fn stream_ended(&mut self, t: Micros, timeouts: &SessionTimeouts, out: &mut Vec<Delta>) {
        self.expire(t, out);
        if self.last_mark != NEVER && self.last_mark >= t.saturating_sub(timeouts.retention) {
            self.cut(t, out);
            if let Presence::Absent { closed_by_stream, .. } = &mut self.presence {
                *closed_by_stream = t;
            }
        }
    }

    /// `stream.started`.
    pub(super) fn stream_started(&mut self) {
        if let Presence::Absent { closed_by_stream, .. } = &mut self.presence {
            *closed_by_stream = NEVER;
        }
    }

    /// Ends presence if the lease ran out before `t`. A touch at the very end of a lease still joins, so that is not over.
    pub(super) fn expire(&mut self, t: Micros, out: &mut Vec<Delta>) {
        if self.is_present() && self.lease_end < t {
            self.end_segment(self.lease_end, out);
        }
    }

    /// At the end of a bucket: what is still open has been present.
    pub(super) fn announce(&mut self, out: &mut Vec<Delta>) {
        if let Presence::Present { since, announced: announced @ false } = &mut self.presence {
            *announced = true;
            let since = *since;
            out.push(self.delta(since, 1));
        }
    }

    /// Whether all is settled at `end`, that of a bucket: it is present beyond that, which is out, and will be looked at in time.
    #[inline]
    pub(super) fn is_settled(&self, end: Micros) -> bool {
        let is_out = matches!(self.presence, Presence::Present { announced: true, .. });
        is_out && self.lease_end >= end && self.entered != NEVER && self.entered <= self.lease_end
    }

    /// The +1 with which a count that begins at `t`, the end of the last bucket that was resolved, takes the session in.
    pub(super) fn present_at(&self, t: Micros) -> Option<Delta> {
        matches!(self.presence, Presence::Present { announced: true, .. }).then(|| self.delta(t, 1))
    }

    fn end_segment(&mut self, t: Micros, out: &mut Vec<Delta>) {
        if let Presence::Present { since, .. } = self.presence
            && t > since
        {
            self.announce(out);
            out.push(self.delta(t, -1));
        }
        self.presence = Presence::NOT_CLOSED;
    }

    fn delta(&self, time: Micros, change: i8) -> Delta {
        Delta { stream: self.stream, dimensions: self.dimensions, viewer: self.viewer, time, change }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_for_number_and_time() {
        let all = [0, 1, u32::MAX].into_iter().flat_map(|n| [Micros::MIN, -1, 0, 1, Micros::MAX].map(|t| (n, t)));
        assert!(all.map(|(n, t)| by_number_and_time(n, t)).is_sorted_by(|a, b| a < b));
    }
}
