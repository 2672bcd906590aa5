//! A step's event as JSON.

use serde_json::{Value, json};

use super::{EMPTY, Malformed, Step, What, rfc3339};

impl Step {
    /// The event as JSON, or text that is none.
    pub(super) fn body(&self, id: &str, t: i64, arrival: i64) -> Result<Value, String> {
        let malformed = match self.what {
            What::Malformed(Malformed::NotJson) => return Err(format!("{{\"event_id\":\"{id}\"")),
            What::Malformed(Malformed::NotAnObject) => return Ok(json!(7)),
            What::Malformed(malformed) => Some(malformed),
            _ => None,
        };
        let event_time = if self.epoch && t % 1000 == 0 { json!(t / 1000) } else { json!(rfc3339(t)) };
        let mut event = json!({
            "schema_version": "1",
            "event_id": id,
            "event_type": self.event_type(),
            "event_time": event_time,
        });
        let mut set = |field: &str, value: Option<Value>| {
            if let Some(value) = value {
                event[field] = value;
            }
        };
        let name = |prefix: &str, number: Option<u8>| match number? {
            EMPTY => Some(json!("")),
            n => Some(json!(format!("{prefix}{n}"))),
        };
        let user = matches!(self.what, What::Registered | What::LoggedIn | What::SubscriptionChanged);
        if self.what == What::LonelyChat {
            set("stream_id", Some(json!("quiet")));
        } else if !user || self.id.is_multiple_of(8) {
            set("stream_id", name("s", Some(self.stream)));
        }
        if self.event_type().starts_with("view.") {
            set("session_id", name("p", Some(self.session)));
            set("previous_session_id", name("p", self.previous_session));
        }
        set("sent_at", self.sent.map(|sent| json!(rfc3339(arrival + sent))));
        set("viewer_id", name("v", self.viewer));
        set("country", self.country.map(|c| json!(["DE", "US", "BR", ""][usize::from(c.min(3))])));
        set("channel_id", name("c", self.channel));
        self.set_measures(&mut set);
        match malformed {
            Some(Malformed::NoEventTime) => event["event_time"] = Value::Null,
            Some(Malformed::NoSession) => event["session_id"] = Value::Null,
            Some(Malformed::NoStream) => event["stream_id"] = Value::Null,
            Some(Malformed::EmptySession) => event["session_id"] = json!(""),
            Some(Malformed::EmptyStream) => event["stream_id"] = json!(""),
            Some(Malformed::TextForNumber) => event["played_ms"] = json!("20000"),
            Some(Malformed::BadTime) => event["event_time"] = json!("2026-03-01 yesterday"),
            _ => {}
        }
        Ok(event)
    }

    fn event_type(&self) -> &'static str {
        match self.what {
            What::ViewStarted | What::Malformed(_) => "view.started",
            What::Heartbeat | What::HeartbeatPaused | What::HeartbeatEnded => "view.heartbeat",
            What::Resumed => "view.resumed",
            What::Paused => "view.paused",
            What::Ended => "view.ended",
            What::ViewError => "view.error",
            What::StreamStarted => "stream.started",
            What::StreamEnded => "stream.ended",
            What::QualityChanged => "stream.quality_changed",
            What::Chat | What::LonelyChat => "chat.message_sent",
            What::Tip => "tip.sent",
            What::Registered => "user.registered",
            What::LoggedIn => "user.logged_in",
            What::SubscriptionChanged => "user.subscription_changed",
            What::Unknown => "poll.answered",
        }
    }

    /// Measures out of one number: each bit pair decides on one field, and on its absence.
    fn set_measures(&self, set: &mut impl FnMut(&str, Option<Value>)) {
        let pick = |shift: u16| self.measures >> shift & 3;
        let number = |shift: u16, unit: u16| (pick(shift) > 0).then(|| json!((pick(shift) - 1) * unit));
        match self.what {
            What::ViewStarted | What::Heartbeat | What::HeartbeatPaused | What::HeartbeatEnded => {
                set("played_ms", number(0, 10_000));
                set("stall_ms", number(2, 333));
                set("bitrate_kbps", number(4, 2_500));
                set("startup_ms", number(6, 417));
                set("cdn", (pick(8) > 0).then(|| json!(if pick(8) > 2 { "west" } else { "east" })));
                set("device_type", (pick(10) > 1).then(|| json!("tv")));
                set(
                    "player_state",
                    match self.what {
                        What::HeartbeatPaused => Some(json!("paused")),
                        What::HeartbeatEnded => Some(json!("ended")),
                        What::ViewStarted if pick(12) > 2 => Some(json!("paused")),
                        _ => (pick(12) > 1).then(|| json!("playing")),
                    },
                );
            }
            // Whatever the player says of itself, these are what they are.
            What::Resumed | What::Paused | What::Ended => {
                let states = ["playing", "paused", "ended"];
                set("player_state", states.get(usize::from(pick(12))).map(|state| json!(state)));
            }
            What::ViewError => {
                set("fatal", (pick(0) > 0).then(|| json!(pick(0) > 1)));
                set("error_code", Some(json!("E1")));
            }
            What::Tip => {
                set("amount_minor", number(0, 499));
                set("currency", (pick(2) > 0).then(|| json!(if pick(2) > 1 { "EUR" } else { "USD" })));
            }
            What::SubscriptionChanged => {
                set("amount_minor", number(0, 999));
                set("currency", (pick(2) > 0).then(|| json!(if pick(2) > 1 { "EUR" } else { "USD" })));
                set("properties", Some(json!({"coupon": pick(4)})));
            }
            What::Chat | What::LonelyChat => set("user_id", (pick(0) > 0).then(|| json!(format!("v{}", pick(0))))),
            _ => {}
        }
    }
}
