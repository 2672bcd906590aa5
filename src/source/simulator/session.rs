//! One playback session, from joining to leaving, and the sessions under way.

use super::platform::Platform;
use super::population::{RENDITIONS, Viewer};
use super::post::RecordForm;
use super::scribe::{Names, Playback, millis};
use crate::types::{MICROS_PER_MINUTE, MICROS_PER_SEC, Micros};

/// Players report this often.
pub(super) const HEARTBEAT: Micros = 20 * MICROS_PER_SEC;

/// How long sessions last: mean, and share of the sessions in percent. Waiting times are memoryless within a class, so that the
/// audience at the start is as it would be after hours.
const STAYS: [(Micros, u64); 3] =
    [(25 * MICROS_PER_SEC, 25), (4 * MICROS_PER_MINUTE, 50), (20 * MICROS_PER_MINUTE, 25)];

const ERRORS: [&str; 4] = ["NETWORK_TIMEOUT", "SEGMENT_MISSING", "DECODE_FAILED", "LICENSE_DENIED"];

/// One playback session.
#[derive(Debug)]
pub(super) struct Session {
    names: Names,
    viewer: Viewer,
    pub(super) stream: usize,
    rendition: usize,
    leaves_at: Micros,
    reported_at: Micros,
    paused_until: Option<Micros>,
    outlived_stream: bool,
}

/// The sessions under way, each in a place of its own until it leaves.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    places: Vec<Option<Session>>,
    free: Vec<usize>,
}

impl Sessions {
    pub(super) fn live(&self) -> usize {
        self.places.len() - self.free.len()
    }

    fn add(&mut self, session: Session) -> usize {
        match self.free.pop() {
            Some(place) => {
                self.places[place] = Some(session);
                place
            }
            None => {
                self.places.push(Some(session));
                self.places.len() - 1
            }
        }
    }
}

impl Platform {
    /// A session that was under way before the beginning: its start is not told.
    pub(super) fn open_silently(&mut self, at: Micros) {
        let Some(stream) = self.streams.pick(&mut self.rng) else { return };
        // Those who stay long are found more often than they come: by share times mean.
        let mean = pick_stay(self.rng.below(STAYS.iter().map(|(m, s)| *m as u64 * s).sum()), |(m, s)| m as u64 * s);
        let leaves_at = at + self.rng.exponential(mean);
        let first = at + self.rng.between(1, HEARTBEAT + 1);
        let viewer = self.someone();
        let session = self.new_session(stream, viewer, first - HEARTBEAT, leaves_at);
        self.seat(session, first.min(leaves_at));
    }

    /// A viewer picks a stream and starts to watch.
    pub(super) fn open_session(&mut self, at: Micros) {
        let Some(stream) = self.streams.pick(&mut self.rng) else { return };
        let viewer = self.someone();
        self.start_session(stream, viewer, at, None);
    }

    fn start_session(&mut self, stream: usize, viewer: Viewer, at: Micros, previous: Option<&str>) {
        let mean = pick_stay(self.rng.below(100), |(_, share)| share);
        let leaves_at = at + MICROS_PER_SEC + self.rng.exponential(mean);
        let session = self.new_session(stream, viewer, at, leaves_at);
        let moment = self.moment(at);
        let startup_ms = 180 + millis(self.rng.exponential(700 * 1_000)).min(12_000);
        let place = self.streams.place(stream);
        let text =
            self.scribe.view_started(moment, place, &session.names, &viewer, session.rendition, startup_ms, previous);
        self.post.send(&mut self.rng, moment.arrival, session.names.session_id.clone(), text, RecordForm::Object);
        let first = at + HEARTBEAT + self.rng.between(-100_000, 100_000);
        self.seat(session, first.min(leaves_at));
    }

    fn new_session(&mut self, stream: usize, viewer: Viewer, reported_at: Micros, leaves_at: Micros) -> Session {
        self.streams.join(stream);
        let names =
            Names { session_id: self.scribe.session_id(), viewer_id: viewer.viewer_id(), user_id: viewer.user_id() };
        let rendition = (self.streams.get(stream).rendition + self.rng.below(3) as usize).min(RENDITIONS.len() - 1);
        Session { names, viewer, stream, rendition, leaves_at, reported_at, paused_until: None, outlived_stream: false }
    }

    fn seat(&mut self, session: Session, due: Micros) {
        let place = self.sessions.add(session);
        self.due_session(due, place);
    }

    /// A session's turn has come.
    pub(super) fn session_due(&mut self, place: usize, at: Micros) {
        let Some(mut session) = self.sessions.places[place].take() else { return };
        match self.play_on(&mut session, at) {
            Some(next) => {
                self.sessions.places[place] = Some(session);
                self.due_session(next, place);
            }
            None => {
                self.streams.leave(session.stream);
                self.sessions.free.push(place);
            }
        }
    }

    /// What a session does at `at`, and when its next turn is; `None` when it is gone.
    fn play_on(&mut self, session: &mut Session, at: Micros) -> Option<Micros> {
        if !self.streams.get(session.stream).on_air {
            return self.notice_end_of_stream(session, at);
        }
        if let Some(until) = session.paused_until {
            return Some(self.stay_paused(session, at, until));
        }
        if at >= session.leaves_at {
            self.leave(session, at);
            return None;
        }
        self.heartbeat(session, at, "playing");
        if self.rng.chance(4_000) {
            let soon = at + self.rng_between_millis(100, 3_000);
            self.fail(session, soon, false);
        }
        if self.rng.chance(15_000) {
            return Some(self.pause(session, at));
        }
        let next = at + HEARTBEAT + self.rng.between(-100_000, 100_000);
        Some(next.min(session.leaves_at))
    }

    fn pause(&mut self, session: &mut Session, at: Micros) -> Micros {
        let at = at + self.rng_between_millis(500, 15_000);
        self.report(session, "view.paused", at, "paused");
        let until = at + 3 * MICROS_PER_SEC + self.rng.exponential(70 * MICROS_PER_SEC);
        session.paused_until = Some(until);
        // Half of the players keep quiet while they are paused.
        if self.rng.chance(500_000) { until } else { until.min(at + HEARTBEAT) }
    }

    fn stay_paused(&mut self, session: &mut Session, at: Micros, until: Micros) -> Micros {
        session.reported_at = at;
        if at < until {
            self.heartbeat(session, at, "paused");
            return until.min(at + HEARTBEAT);
        }
        session.paused_until = None;
        session.leaves_at = session.leaves_at.max(at + MICROS_PER_SEC);
        self.report(session, "view.resumed", at, "playing");
        (at + HEARTBEAT).min(session.leaves_at)
    }

    /// The viewer leaves: most say so, some reconnect, some vanish.
    fn leave(&mut self, session: &mut Session, at: Micros) {
        let ill = self.config.disturbance.clone();
        let dice = self.rng.below(1_000_000) as u32;
        if dice < ill.lost_ends_ppm {
            return;
        }
        if dice < ill.lost_ends_ppm.saturating_add(ill.reconnects_ppm) {
            let back = at + self.rng_between_millis(500, 5_000);
            self.start_session(session.stream, session.viewer, back, Some(&session.names.session_id));
            return;
        }
        if self.rng.chance(20_000) {
            self.fail(session, at, true);
            self.report(session, "view.ended", at + 50_000, "fatal_error");
            return;
        }
        self.report(session, "view.ended", at, "ended");
        if self.rng.chance(ill.heartbeats_after_end_ppm) {
            let straggler = at + self.rng_between_millis(1_000, 15_000);
            self.heartbeat(session, straggler, "playing");
        }
    }

    /// The stream is over. Players notice at their next turn; some send another heartbeat first, some just stop.
    fn notice_end_of_stream(&mut self, session: &mut Session, at: Micros) -> Option<Micros> {
        let ill = &self.config.disturbance;
        let stragglers = ill.heartbeats_after_end_ppm.saturating_mul(8);
        let silent = ill.lost_ends_ppm.saturating_mul(3);
        let dice = self.rng.below(1_000_000) as u32;
        if dice < stragglers && !session.outlived_stream && session.paused_until.is_none() {
            session.outlived_stream = true;
            self.heartbeat(session, at, "rebuffering");
            return Some(at + HEARTBEAT);
        }
        if dice >= stragglers.saturating_add(silent) {
            self.report(session, "view.ended", at, "ended");
        }
        None
    }

    fn playback(&mut self, session: &mut Session, at: Micros, state: &'static str) -> Playback {
        let span = if session.paused_until.is_some() { 0 } else { millis(at - session.reported_at) };
        session.reported_at = at;
        let stalled = span > 0 && (state == "rebuffering" || self.rng.chance(60_000));
        let stall_ms = if stalled { (100 + millis(self.rng.exponential(1_500_000))).min(span) } else { 0 };
        if stalled || self.rng.chance(20_000) {
            // The player adapts: down after a stall, up otherwise.
            session.rendition = if stalled {
                (session.rendition + 1).min(RENDITIONS.len() - 1)
            } else {
                session.rendition.saturating_sub(1)
            };
        }
        let blind = session.viewer.device_type == "tv" && self.rng.chance(20_000);
        let live_latency_ms = (!blind).then(|| 1_800 + millis(self.rng.exponential(1_400_000)).min(30_000));
        Playback { state, rendition: session.rendition, played_ms: span - stall_ms, stall_ms, live_latency_ms }
    }

    fn report(&mut self, session: &mut Session, kind: &str, at: Micros, state: &'static str) {
        let moment = self.moment(at);
        let playback = self.playback(session, at, state);
        let place = self.streams.place(session.stream);
        let text = self.scribe.playback(kind, moment, place, &session.names, &session.viewer, playback);
        self.post.send(&mut self.rng, moment.arrival, session.names.session_id.clone(), text, RecordForm::Object);
    }

    fn fail(&mut self, session: &Session, at: Micros, fatal: bool) {
        let moment = self.moment(at);
        let code = self.rng.one_of(&ERRORS);
        let place = self.streams.place(session.stream);
        let text = self.scribe.view_error(moment, place, &session.names, &session.viewer, code, fatal);
        self.post.send(&mut self.rng, moment.arrival, session.names.session_id.clone(), text, RecordForm::Object);
    }

    /// A heartbeat; now and then a client sends a chat message or two in the same record.
    fn heartbeat(&mut self, session: &mut Session, at: Micros, state: &'static str) {
        let moment = self.moment(at);
        let playback = self.playback(session, at, state);
        let place = self.streams.place(session.stream);
        let (names, viewer) = (&session.names, &session.viewer);
        let mut text = self.scribe.playback("view.heartbeat", moment, place, names, viewer, playback);
        let mut form = RecordForm::Object;
        if self.post.bundles(&mut self.rng) {
            form = if self.rng.chance(500_000) { RecordForm::Lines } else { RecordForm::Array };
            let separator = if form == RecordForm::Lines { b'\n' } else { b',' };
            for _ in 0..=self.rng.below(2) {
                text.push(separator);
                text.extend(self.scribe.chat(&mut self.rng, moment, place, names, viewer));
            }
            if form == RecordForm::Array {
                text.insert(0, b'[');
                text.push(b']');
            }
        }
        self.post.send(&mut self.rng, moment.arrival, names.session_id.clone(), text, form);
    }

    /// Somebody in the audience writes, or tips.
    pub(super) fn speak_up(&mut self, at: Micros, tips: bool) {
        let places = self.sessions.places.len() as u64;
        // Nearly every place is taken; a few tries do.
        for _ in 0..8 {
            let place = self.rng.below(places) as usize;
            let Some(Some(session)) = self.sessions.places.get(place) else { continue };
            let arrival = self.post.arrival(&mut self.rng, at);
            let moment = super::scribe::Moment { at, arrival };
            let place = self.streams.place(session.stream);
            let (rng, names, viewer) = (&mut self.rng, &session.names, &session.viewer);
            let text = if tips {
                self.scribe.tip(rng, moment, place, names, viewer)
            } else {
                self.scribe.chat(rng, moment, place, names, viewer)
            };
            self.post.send(rng, arrival, names.viewer_id.clone(), text, RecordForm::Object);
            return;
        }
    }
}

/// The mean stay that `dice` falls on when each class weighs `weight`.
fn pick_stay(mut dice: u64, weight: impl Fn((Micros, u64)) -> u64) -> Micros {
    for class in STAYS {
        let w = weight(class);
        if dice < w {
            return class.0;
        }
        dice -= w;
    }
    STAYS[0].0
}
