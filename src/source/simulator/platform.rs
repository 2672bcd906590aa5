//! The platform as a whole: it turns the agenda into records.

use super::agenda::{Agenda, Due};
use super::config::SimulatorConfig;
use super::population::{Viewer, user_id};
use super::post::{Post, RecordForm};
use super::rng::Rng;
use super::scribe::{Moment, Scribe};
use super::session::Sessions;
use super::streams::{SHOWS, Streams};
use crate::types::{MICROS_PER_SEC, Micros};

/// The audience is looked after this often.
const TICK: Micros = 50_000;

/// Shares of all events, in parts per million, that do not come from sessions.
const CHAT_PPM: u64 = 40_000;
const TIPS_PPM: u64 = 4_000;
const LOGINS_PPM: u64 = 5_000;
const REGISTRATIONS_PPM: u64 = 1_500;
const SUBSCRIPTIONS_PPM: u64 = 1_500;

/// Events a second of ten thousand sessions, repeats included: counted over long runs.
const EVENTS_OF_10000_SESSIONS: u64 = 544;

/// Broadcasters change their quality this often, on average.
const QUALITY_CHANGE_EVERY: Micros = 90 * MICROS_PER_SEC;

/// A live-streaming platform in virtual time.
#[derive(Debug)]
pub(super) struct Platform {
    pub(super) config: SimulatorConfig,
    pub(super) rng: Rng,
    pub(super) scribe: Scribe,
    pub(super) post: Post,
    pub(super) streams: Streams,
    pub(super) sessions: Sessions,
    agenda: Agenda,
    audience: usize,
    viewers: u64,
    registrations: u64,
    chat: Meter,
    tips: Meter,
    logins: Meter,
    sign_ups: Meter,
    subscriptions: Meter,
}

/// Turns a rate into whole events: what is left over is kept for the next tick.
#[derive(Debug)]
struct Meter {
    per_tick: u64,
    due: u64,
}

impl Meter {
    /// A millionth of a millionth of an event.
    const UNIT: u64 = 1_000_000_000_000;

    fn new(events_per_sec: u32, ppm: u64) -> Self {
        Self { per_tick: u64::from(events_per_sec) * ppm * TICK as u64, due: Self::UNIT / 2 }
    }

    fn tick(&mut self) -> u64 {
        self.due += self.per_tick;
        let whole = self.due / Self::UNIT;
        self.due %= Self::UNIT;
        whole
    }
}

impl Platform {
    /// The platform at its start, with streams on air and an audience in its seats.
    pub(super) fn new(config: SimulatorConfig) -> Self {
        let rate = config.events_per_sec;
        let others = CHAT_PPM + TIPS_PPM + LOGINS_PPM + REGISTRATIONS_PPM + SUBSCRIPTIONS_PPM;
        let audience = u64::from(rate) * (1_000_000 - others) / (EVENTS_OF_10000_SESSIONS * 100);
        let channels = config.channels.unwrap_or((rate / 10).clamp(4, 2_000)) as usize;
        let mut platform = Self {
            rng: Rng::seeded(config.seed),
            scribe: Scribe::new(config.seed),
            post: Post::new(config.disturbance.clone()),
            streams: Streams::new(config.seed, channels),
            sessions: Sessions::default(),
            agenda: Agenda::default(),
            audience: audience.max(1) as usize,
            viewers: 4 * audience.max(1),
            registrations: 0,
            chat: Meter::new(rate, CHAT_PPM),
            tips: Meter::new(rate, TIPS_PPM),
            logins: Meter::new(rate, LOGINS_PPM),
            sign_ups: Meter::new(rate, REGISTRATIONS_PPM),
            subscriptions: Meter::new(rate, SUBSCRIPTIONS_PPM),
            config,
        };
        platform.warm_up();
        platform
    }

    fn warm_up(&mut self) {
        let start = self.config.start;
        for channel in 0..self.streams.channels() {
            self.put_on_air(channel, start, true);
        }
        for _ in 0..self.audience {
            self.open_silently(start);
        }
        self.agenda.push(start, Due::Tick);
    }

    /// The next record in arrival order.
    pub(super) fn next_record(&mut self) -> Option<super::SimEvent> {
        loop {
            // Whatever is due later arrives later still, so what has arrived by then is complete and in order.
            let horizon = self.agenda.next_at()?;
            if let Some(event) = self.post.arrived_by(horizon) {
                return Some(event);
            }
            let (at, due) = self.agenda.pop()?;
            self.happen(at, due);
        }
    }

    fn happen(&mut self, at: Micros, due: Due) {
        match due {
            Due::Tick => self.tick(at),
            Due::Session { session } => self.session_due(session, at),
            Due::StreamStart { channel } => self.start_stream(channel, at),
            Due::StreamEnd { stream } => self.end_stream(stream, at),
            Due::QualityChange { stream, serial } => self.change_quality(stream, serial, at),
        }
    }

    pub(super) fn due_session(&mut self, at: Micros, session: usize) {
        self.agenda.push(at, Due::Session { session });
    }

    /// When something of time `at` arrives.
    pub(super) fn moment(&mut self, at: Micros) -> Moment {
        Moment { at, arrival: self.post.arrival(&mut self.rng, at) }
    }

    pub(super) fn rng_between_millis(&mut self, low: i64, high: i64) -> Micros {
        self.rng.between(low * 1_000, high * 1_000)
    }

    /// Anybody.
    pub(super) fn someone(&mut self) -> Viewer {
        let index = self.rng.below(self.viewers);
        Viewer::new(self.config.seed, index, &self.config.disturbance)
    }

    fn tick(&mut self, at: Micros) {
        let missing = self.audience.saturating_sub(self.sessions.live());
        // After the end of a big stream the seats fill within half a minute, not at once.
        let comers = missing.min(1 + self.audience / 600);
        for _ in 0..comers {
            let when = at + self.rng.between(0, TICK);
            self.open_session(when);
        }
        for _ in 0..self.chat.tick() {
            let when = at + self.rng.between(0, TICK);
            self.speak_up(when, false);
        }
        for _ in 0..self.tips.tick() {
            let when = at + self.rng.between(0, TICK);
            self.speak_up(when, true);
        }
        for _ in 0..self.logins.tick() {
            self.log_in(at);
        }
        for _ in 0..self.sign_ups.tick() {
            self.register(at);
        }
        for _ in 0..self.subscriptions.tick() {
            self.change_subscription(at);
        }
        self.agenda.push(at + TICK, Due::Tick);
    }

    /// Somebody with an account. Anybody may own one, whatever they watch with.
    fn account_holder(&mut self) -> (Viewer, String) {
        let viewer = self.someone();
        let account = viewer.user_id().unwrap_or_else(|| user_id(self.rng.below(self.viewers)));
        (viewer, account)
    }

    fn account_moment(&mut self, at: Micros) -> Moment {
        let at = at + self.rng.between(0, TICK);
        self.moment(at)
    }

    fn log_in(&mut self, at: Micros) {
        let (viewer, account) = self.account_holder();
        let moment = self.account_moment(at);
        let text = self.scribe.logged_in(moment, &account, &viewer);
        self.post.send(&mut self.rng, moment.arrival, account, text, RecordForm::Object);
    }

    fn register(&mut self, at: Micros) {
        const REFERRERS: [&str; 4] = ["search", "a friend", "café \"Zur Post\"", "none"];
        self.registrations += 1;
        // Beyond the accounts of the audience, so that no number is given twice.
        let account = user_id(self.viewers + self.registrations);
        let viewer = self.someone();
        let moment = self.account_moment(at);
        let referrer = self.rng.one_of(&REFERRERS);
        let text = self.scribe.registered(moment, &account, &viewer, referrer);
        self.post.send(&mut self.rng, moment.arrival, account, text, RecordForm::Object);
    }

    fn change_subscription(&mut self, at: Micros) {
        let (viewer, account) = self.account_holder();
        let moment = self.account_moment(at);
        let text = self.scribe.subscription_changed(&mut self.rng, moment, &account, &viewer);
        self.post.send(&mut self.rng, moment.arrival, account, text, RecordForm::Object);
    }

    /// Starts a broadcast and plans its end and its changes; says nothing.
    fn put_on_air(&mut self, channel: usize, at: Micros, under_way: bool) -> usize {
        let stream = self.streams.start(&mut self.rng, channel, at);
        let duration = self.streams.duration(&mut self.rng, channel, under_way);
        self.agenda.push(at + duration, Due::StreamEnd { stream });
        self.plan_quality_change(stream, at);
        stream
    }

    fn plan_quality_change(&mut self, stream: usize, at: Micros) {
        let next = at + MICROS_PER_SEC + self.rng.exponential(QUALITY_CHANGE_EVERY);
        let serial = self.streams.get(stream).serial;
        self.agenda.push(next, Due::QualityChange { stream, serial });
    }

    fn start_stream(&mut self, channel: usize, at: Micros) {
        let stream = self.put_on_air(channel, at, false);
        let show = self.rng.one_of(&SHOWS);
        let rendition = self.streams.get(stream).rendition;
        let text = self.scribe.stream_started(at, self.streams.place(stream), rendition, show);
        self.send_of_stream(stream, at, text);
    }

    fn end_stream(&mut self, stream: usize, at: Micros) {
        let minutes = (at - self.streams.get(stream).started_at) / (60 * MICROS_PER_SEC);
        let text = self.scribe.stream_ended(at, self.streams.place(stream), minutes);
        self.send_of_stream(stream, at, text);
        let channel = self.streams.get(stream).channel;
        let pause = 5 * MICROS_PER_SEC + self.rng.exponential(30 * MICROS_PER_SEC);
        self.agenda.push(at + pause, Due::StreamStart { channel });
        self.streams.end(stream);
    }

    fn change_quality(&mut self, stream: usize, serial: u64, at: Micros) {
        if !self.streams.change_quality(&mut self.rng, stream, serial) {
            return;
        }
        let rendition = self.streams.get(stream).rendition;
        let text = self.scribe.quality_changed(at, self.streams.place(stream), rendition);
        self.send_of_stream(stream, at, text);
        self.plan_quality_change(stream, at);
    }

    fn send_of_stream(&mut self, stream: usize, at: Micros, text: Vec<u8>) {
        let arrival = self.post.arrival(&mut self.rng, at);
        let key = self.streams.get(stream).id.clone();
        self.post.send(&mut self.rng, arrival, key, text, RecordForm::Object);
    }
}
