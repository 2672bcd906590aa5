//! Streams: which are active, and which channel they belong to.

use serde::{Deserialize, Serialize};

use super::mark::{IdHash, is_later};
use super::stream_sessions::StreamSessions;
use super::wheel::NEVER;
use crate::types::Micros;

/// Timeouts that a stream answers to.
#[derive(Debug, Clone, Copy)]
pub(super) struct StreamTimeouts {
    /// A stream that was never announced stays active this long after its last event.
    pub unannounced: Micros,
    /// An announced stream stays active this long after its last event; after it, any stream is forgotten.
    pub announced: Micros,
}

/// The last word about a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Control {
    /// Neither started nor ended.
    None,
    Started,
    Ended,
}

/// Something that happened to a stream at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Happening {
    Ended,
    Started,
    /// A counted touch of one of its sessions, and other events of it, the last of them at `until`: each so soon after the one before that
    /// nothing runs out between.
    Touched {
        until: Micros,
    },
    /// Events of it without a counted touch among them.
    Event {
        until: Micros,
    },
    /// A session became present (+) or ceased to be (−).
    Presence(i8),
}

/// A stream and its sessions.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Stream {
    pub key: IdHash,
    pub id: Box<str>,
    pub sessions: StreamSessions,
    /// Greatest (event time, event id) with a channel, and that channel.
    channel: Option<(Micros, Box<str>, Box<str>)>,
    control: Control,
    /// A counted touch has come since the last control.
    touched: bool,
    present: i64,
    /// Where a session's presence ended last.
    presence_end: Micros,
    last_event: Micros,
    active: bool,
    /// Where it stands in the calendar.
    pub entered: Micros,
    /// The bucket that last resolved it.
    pub resolved: Micros,
}

impl Stream {
    pub(super) fn new(key: IdHash, id: &str) -> Self {
        Self {
            key,
            id: id.into(),
            sessions: StreamSessions::default(),
            channel: None,
            control: Control::None,
            touched: false,
            present: 0,
            presence_end: NEVER,
            last_event: NEVER,
            active: false,
            entered: NEVER,
            resolved: NEVER,
        }
    }

    pub(super) fn channel(&self) -> Option<&str> {
        self.channel.as_ref().map(|(_, _, channel)| &**channel)
    }

    /// Takes an event's channel, if it is the latest that names one.
    pub(super) fn offer_channel(&mut self, time: Micros, event_id: &str, channel: &str) {
        let known = self.channel.as_ref().map(|(t, id, _)| (*t, &**id));
        if is_later(time, event_id, known) {
            match &mut self.channel {
                // The usual case, without touching the channel's text.
                Some((t, id, same)) if &**same == channel => {
                    *t = time;
                    *id = event_id.into();
                }
                slot => *slot = Some((time, event_id.into(), channel.into())),
            }
        }
    }

    /// The stream began anew: its channel goes with what it did before.
    pub(super) fn forget_channel(&mut self) {
        self.channel = None;
    }

    pub(super) fn last_event(&self) -> Micros {
        self.last_event
    }

    /// Plays what happened in the bucket that ends at `end`, in order; adds the instants at which the stream became active
    /// (+1) or ceased to be (−1).
    pub(super) fn play(
        &mut self,
        happenings: &mut [(Micros, Happening)],
        end: Micros,
        timeouts: &StreamTimeouts,
        out: &mut Vec<(Micros, i8)>,
    ) {
        happenings.sort_unstable();
        let mut rest = &happenings[..];
        while let Some(&(t, _)) = rest.first() {
            self.run_out(t, timeouts, out);
            let at_t = rest.iter().take_while(|(u, _)| *u == t).count();
            let (now, later) = rest.split_at(at_t);
            let silent = self.last_event != NEVER && t.saturating_sub(self.last_event) > timeouts.announced;
            if silent && now.iter().any(|(_, h)| !matches!(h, Happening::Presence(_))) {
                // It was forgotten: what ran out has run out by the old rules.
                self.control = Control::None;
                self.touched = false;
            }
            now.iter().for_each(|(_, h)| self.apply(t, *h));
            rest = later;
            let active = self.active_at(t, timeouts);
            self.set_active(t, active, out);
        }
        self.run_out(end, timeouts, out);
    }

    /// Ends activity that ran out before `t`.
    fn run_out(&mut self, t: Micros, timeouts: &StreamTimeouts, out: &mut Vec<(Micros, i8)>) {
        if self.active
            && let Some(until) = self.active_until(timeouts)
            && until < t
        {
            self.set_active(until, false, out);
        }
    }

    fn set_active(&mut self, t: Micros, active: bool, out: &mut Vec<(Micros, i8)>) {
        if active != self.active {
            out.push((t, if active { 1 } else { -1 }));
            self.active = active;
        }
    }

    fn apply(&mut self, t: Micros, happening: Happening) {
        match happening {
            Happening::Ended => {
                self.control = Control::Ended;
                self.touched = false;
                self.last_event = t;
            }
            Happening::Started => {
                self.control = Control::Started;
                self.touched = false;
                self.last_event = t;
            }
            // As if the last had come with the first: what is asked of until then is whether anything runs out, and nothing does.
            Happening::Touched { until } => {
                self.touched = true;
                self.last_event = self.last_event.max(until);
            }
            Happening::Event { until } => self.last_event = self.last_event.max(until),
            Happening::Presence(change) => {
                self.present += i64::from(change);
                self.presence_end = t;
            }
        }
    }

    fn active_at(&self, t: Micros, timeouts: &StreamTimeouts) -> bool {
        let may_be = self.control == Control::Started || self.touched;
        may_be && self.active_until(timeouts).is_none_or(|until| t < until)
    }

    /// The instant at which activity runs out if nothing more happens; none while viewers hold it.
    fn active_until(&self, timeouts: &StreamTimeouts) -> Option<Micros> {
        match self.control {
            Control::Started => Some(self.last_event.saturating_add(timeouts.announced)),
            Control::None | Control::Ended if self.present > 0 => None,
            Control::None | Control::Ended => Some(self.last_event.saturating_add(timeouts.unannounced)),
        }
    }

    /// The instant after which the stream is forgotten.
    pub(super) fn forget_after(&self, timeouts: &StreamTimeouts) -> Micros {
        self.last_event.saturating_add(timeouts.announced)
    }

    /// Where it must be looked at next.
    pub(super) fn due(&self, timeouts: &StreamTimeouts) -> Option<Micros> {
        if self.active { self.active_until(timeouts) } else { Some(self.forget_after(timeouts).saturating_add(1)) }
    }

    /// Whether nothing of it is left to matter at `t`, nor in any window from `oldest_window` on: one longer than the silence
    /// that makes a stream forgotten may still owe it a row.
    pub(super) fn is_forgotten(&self, t: Micros, oldest_window: Micros, timeouts: &StreamTimeouts) -> bool {
        let no_row = self.presence_end <= oldest_window;
        !self.active && self.sessions.is_empty() && no_row && t > self.forget_after(timeouts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUTS: StreamTimeouts = StreamTimeouts { unannounced: 120, announced: 1_000 };

    fn event(t: Micros) -> (Micros, Happening) {
        (t, Happening::Event { until: t })
    }

    fn touched(t: Micros) -> (Micros, Happening) {
        (t, Happening::Touched { until: t })
    }

    fn play(stream: &mut Stream, happenings: &[(Micros, Happening)], end: Micros) -> Vec<(Micros, i8)> {
        let mut out = Vec::new();
        stream.play(&mut happenings.to_vec(), end, &TIMEOUTS, &mut out);
        out
    }

    #[test]
    fn an_announced_stream_is_active_until_its_end() {
        let mut s = Stream::new(1, "s");
        assert_eq!(play(&mut s, &[(10, Happening::Started), (50, Happening::Ended)], 60), [(10, 1), (50, -1)]);
        // After the end an event does not bring it back, a counted touch does.
        assert_eq!(play(&mut s, &[event(70)], 80), []);
        assert_eq!(play(&mut s, &[touched(80)], 90), [(80, 1)]);
    }

    #[test]
    fn an_announced_stream_without_events_runs_out() {
        let mut s = Stream::new(1, "s");
        assert_eq!(play(&mut s, &[(0, Happening::Started)], 1_000), [(0, 1)]);
        assert_eq!(play(&mut s, &[], 1_001), [(1_000, -1)]);
    }

    #[test]
    fn a_stream_never_announced_lives_from_a_touch_to_its_last_event_and_timeout() {
        let mut s = Stream::new(1, "s");
        assert_eq!(play(&mut s, &[event(0)], 10), []);
        let first = [touched(10), (10, Happening::Presence(1)), (40, Happening::Presence(-1))];
        assert_eq!(play(&mut s, &first, 60), [(10, 1)]);
        assert_eq!(play(&mut s, &[], 200), [(130, -1)]);
        assert_eq!(play(&mut s, &[event(300)], 310), [(300, 1)]);
    }

    #[test]
    fn a_stream_that_comes_back_after_it_ran_out_ran_out_at_its_time() {
        let mut s = Stream::new(1, "s");
        assert_eq!(play(&mut s, &[(5, Happening::Started)], 10), [(5, 1)]);
        assert_eq!(play(&mut s, &[event(1_007)], 1_010), [(1_005, -1)]);
        assert_eq!(play(&mut s, &[touched(1_011)], 1_020), [(1_011, 1)]);
    }

    #[test]
    fn a_stream_is_forgotten_within_a_bucket_too() {
        let mut s = Stream::new(1, "s");
        // Neither what started it nor who is present holds it active over such a silence.
        let came = [(0, Happening::Started), touched(0), (0, Happening::Presence(1)), event(1_001)];
        assert_eq!(play(&mut s, &came, 3_000), [(0, 1), (1_000, -1)]);
        let mut s = Stream::new(1, "s");
        let watched = [touched(0), (0, Happening::Presence(1)), event(1_001)];
        assert_eq!(play(&mut s, &watched, 3_000), [(0, 1), (1_001, -1)]);
    }

    #[test]
    fn a_restart_at_the_same_instant_is_no_gap() {
        let mut s = Stream::new(1, "s");
        play(&mut s, &[(0, Happening::Started)], 10);
        assert_eq!(play(&mut s, &[(20, Happening::Started), (20, Happening::Ended)], 30), []);
    }
}
