//! Writes down what happened, in the words of the event contract.

use super::population::{RENDITIONS, Viewer};
use super::rng::{Rng, mix};
use super::text::{ClockFace, EventText, uuid};
use crate::types::{MICROS_PER_SEC, Micros};

/// When something happened and when its record arrives; both in true time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) at: Micros,
    pub(super) arrival: Micros,
}

/// The stream and channel of an event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) stream_id: &'a str,
    pub(super) channel_id: &'a str,
}

/// A playback session's names.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) session_id: String,
    pub(super) viewer_id: String,
    pub(super) user_id: Option<String>,
}

/// What a player measured since its last report.
#[derive(Debug, Clone, Copy)]
pub(super) struct Playback {
    pub(super) state: &'static str,
    /// Index into [`RENDITIONS`].
    pub(super) rendition: usize,
    pub(super) played_ms: i64,
    pub(super) stall_ms: i64,
    pub(super) live_latency_ms: Option<i64>,
}

/// Keeps the ids unique and the texts uniform.
#[derive(Debug)]
pub(super) struct Scribe {
    salt: u64,
    events: u64,
    sessions: u64,
    face: ClockFace,
}

impl Scribe {
    pub(super) fn new(seed: u64) -> Self {
        Self { salt: mix(seed ^ 0x5eed), events: 0, sessions: 0, face: ClockFace::new() }
    }

    /// A new session id.
    pub(super) fn session_id(&mut self) -> String {
        self.sessions += 1;
        let high = mix(self.salt.wrapping_add(self.sessions << 1));
        uuid(u128::from(high) << 64 | u128::from(mix(high ^ self.salt)))
    }

    fn begin(&mut self, kind: &str, at: Micros, source: &str) -> EventText {
        let mut event = self.head(kind, at);
        event.time("event_time", at, &mut self.face);
        event.plain("source", source);
        event
    }

    fn head(&mut self, kind: &str, at: Micros) -> EventText {
        self.events += 1;
        // Scrambling is a bijection, so ids of one seed differ; the salt on top tells seeds apart.
        let body = u128::from(self.salt as u16) << 64 | u128::from(mix(self.salt ^ self.events));
        // Most heartbeats fit, so that the buffer is allocated once.
        let mut event = EventText::begin(704);
        event.plain("schema_version", "1");
        event.ulid("event_id", at, body);
        event.plain("event_type", kind);
        event
    }

    /// An event that a client sends: its times are those of the client's clock.
    fn begin_on_client(&mut self, kind: &str, moment: Moment, viewer: &Viewer, source: &str) -> EventText {
        let mut event = self.head(kind, moment.at);
        let shown = moment.at + viewer.clock_ahead;
        if viewer.epoch_times {
            event.integer("event_time", shown / 1_000);
        } else {
            event.time("event_time", shown, &mut self.face);
        }
        if viewer.says_sent_at {
            // What is held up is held up on the client; the last 20 ms are the network's.
            let sent = (moment.arrival - 20_000).max(moment.at) + viewer.clock_ahead;
            event.time("sent_at", sent, &mut self.face);
        }
        event.plain("source", source);
        event
    }

    pub(super) fn stream_started(
        &mut self,
        at: Micros,
        place: Place<'_>,
        rendition: usize,
        show: (&str, &str),
    ) -> Vec<u8> {
        let mut event = self.begin("stream.started", at, "ingest");
        event.place(place);
        event.rendition(rendition);
        let mut properties = EventText::begin(96);
        properties.plain("category", show.0);
        properties.free_text("title", show.1);
        event.object("properties", properties);
        event.end()
    }

    pub(super) fn stream_ended(&mut self, at: Micros, place: Place<'_>, minutes: i64) -> Vec<u8> {
        let mut event = self.begin("stream.ended", at, "ingest");
        event.place(place);
        event.json("properties", &format!("{{\"duration_minutes\":{minutes}}}"));
        event.end()
    }

    pub(super) fn quality_changed(&mut self, at: Micros, place: Place<'_>, rendition: usize) -> Vec<u8> {
        let mut event = self.begin("stream.quality_changed", at, "ingest");
        event.place(place);
        event.rendition(rendition);
        event.end()
    }

    /// What all `view.*` events share. `previous` is the session that a reconnect takes over.
    fn view(
        &mut self,
        kind: &str,
        moment: Moment,
        place: Place<'_>,
        names: &Names,
        viewer: &Viewer,
        previous: Option<&str>,
    ) -> EventText {
        let mut event = self.begin_on_client(kind, moment, viewer, "player");
        event.place(place);
        event.plain("session_id", &names.session_id);
        if let Some(previous) = previous {
            event.plain("previous_session_id", previous);
        }
        event.plain("viewer_id", &names.viewer_id);
        if let Some(user_id) = &names.user_id {
            event.plain("user_id", user_id);
        }
        event.plain("country", viewer.country);
        event.plain("device_type", viewer.device_type);
        event.plain("platform", viewer.platform);
        event.plain("cdn", viewer.cdn);
        event
    }

    #[expect(clippy::too_many_arguments, reason = "one per column group of the event")]
    pub(super) fn view_started(
        &mut self,
        moment: Moment,
        place: Place<'_>,
        names: &Names,
        viewer: &Viewer,
        rendition: usize,
        startup_ms: i64,
        previous: Option<&str>,
    ) -> Vec<u8> {
        let mut event = self.view("view.started", moment, place, names, viewer, previous);
        event.plain("player_state", "starting");
        event.rendition(rendition);
        event.integer("startup_ms", startup_ms);
        event.end()
    }

    /// A heartbeat, a pause, a resumption or an end: whatever reports playback.
    pub(super) fn playback(
        &mut self,
        kind: &str,
        moment: Moment,
        place: Place<'_>,
        names: &Names,
        viewer: &Viewer,
        playback: Playback,
    ) -> Vec<u8> {
        let mut event = self.view(kind, moment, place, names, viewer, None);
        event.plain("player_state", playback.state);
        event.rendition(playback.rendition);
        event.integer("played_ms", playback.played_ms);
        event.integer("stall_ms", playback.stall_ms);
        match playback.live_latency_ms {
            Some(ms) => event.integer("live_latency_ms", ms),
            // Some players say null for what they cannot measure.
            None => event.json("live_latency_ms", "null"),
        }
        event.end()
    }

    pub(super) fn view_error(
        &mut self,
        moment: Moment,
        place: Place<'_>,
        names: &Names,
        viewer: &Viewer,
        code: &str,
        fatal: bool,
    ) -> Vec<u8> {
        let mut event = self.view("view.error", moment, place, names, viewer, None);
        event.plain("player_state", if fatal { "fatal_error" } else { "rebuffering" });
        event.plain("error_code", code);
        event.json("fatal", if fatal { "true" } else { "false" });
        event.end()
    }

    /// A chat message. Bots write through an account and have no viewer id.
    pub(super) fn chat(
        &mut self,
        rng: &mut Rng,
        moment: Moment,
        place: Place<'_>,
        names: &Names,
        viewer: &Viewer,
    ) -> Vec<u8> {
        let mut event = self.begin_on_client("chat.message_sent", moment, viewer, "chat");
        event.place(place);
        match &names.user_id {
            Some(user_id) if rng.chance(50_000) => event.plain("user_id", user_id),
            Some(user_id) => {
                event.plain("viewer_id", &names.viewer_id);
                event.plain("user_id", user_id);
            }
            None => event.plain("viewer_id", &names.viewer_id),
        }
        event.plain("country", viewer.country);
        event.json("properties", &format!("{{\"chars\":{},\"emotes\":{}}}", rng.between(1, 200), rng.below(4)));
        event.end()
    }

    pub(super) fn tip(
        &mut self,
        rng: &mut Rng,
        moment: Moment,
        place: Place<'_>,
        names: &Names,
        viewer: &Viewer,
    ) -> Vec<u8> {
        let mut event = self.begin_on_client("tip.sent", moment, viewer, "payments");
        event.place(place);
        event.plain("viewer_id", &names.viewer_id);
        if let Some(user_id) = &names.user_id {
            event.plain("user_id", user_id);
        }
        event.plain("country", viewer.country);
        event.integer(
            "amount_minor",
            minor_units(rng.one_of(&[100, 200, 500, 500, 1_000, 2_500, 10_000]), viewer.currency),
        );
        event.plain("currency", viewer.currency);
        event.end()
    }

    /// A new account.
    pub(super) fn registered(&mut self, moment: Moment, account: &str, viewer: &Viewer, referrer: &str) -> Vec<u8> {
        let mut event = self.account("user.registered", moment, account, viewer);
        event.plain("plan_to", "free");
        let mut properties = EventText::begin(64);
        properties.free_text("referrer", referrer);
        event.object("properties", properties);
        event.end()
    }

    pub(super) fn logged_in(&mut self, moment: Moment, account: &str, viewer: &Viewer) -> Vec<u8> {
        let mut event = self.account("user.logged_in", moment, account, viewer);
        event.plain("device_type", viewer.device_type);
        event.plain("platform", viewer.platform);
        event.end()
    }

    pub(super) fn subscription_changed(
        &mut self,
        rng: &mut Rng,
        moment: Moment,
        account: &str,
        viewer: &Viewer,
    ) -> Vec<u8> {
        const PLANS: [(&str, i64); 4] = [("free", 0), ("basic", 499), ("plus", 999), ("pro", 2_499)];
        let from = rng.below(4) as usize;
        let to = (from + 1 + rng.below(3) as usize) % 4;
        let mut event = self.account("user.subscription_changed", moment, account, viewer);
        event.plain("plan_from", PLANS[from % 4].0);
        event.plain("plan_to", PLANS[to].0);
        event.plain("billing_interval", rng.one_of(&["month", "month", "month", "year"]));
        event.integer("amount_minor", minor_units(PLANS[to].1, viewer.currency));
        event.plain("currency", viewer.currency);
        event.end()
    }

    fn account(&mut self, kind: &str, moment: Moment, account: &str, viewer: &Viewer) -> EventText {
        let mut event = self.begin_on_client(kind, moment, viewer, "accounts");
        event.plain("viewer_id", &viewer.viewer_id());
        event.plain("user_id", account);
        event.plain("country", viewer.country);
        event
    }
}

impl EventText {
    fn place(&mut self, place: Place<'_>) {
        self.plain("stream_id", place.stream_id);
        self.plain("channel_id", place.channel_id);
    }

    fn rendition(&mut self, rendition: usize) {
        let (name, kbps) = RENDITIONS[rendition % RENDITIONS.len()];
        self.plain("rendition", name);
        self.integer("bitrate_kbps", kbps);
    }
}

/// Cents as the currency's minor unit: yen and won have none, and their unit is about a hundred times smaller.
fn minor_units(cents: i64, currency: &str) -> i64 {
    match currency {
        "JPY" | "KRW" => cents * 3 / 2,
        _ => cents,
    }
}

/// Milliseconds in a span of microseconds.
pub(super) fn millis(span: Micros) -> i64 {
    span.max(0) / (MICROS_PER_SEC / 1_000)
}
