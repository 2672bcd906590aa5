//! The channels, and the streams that are on air on them.

use super::population::{Popularity, RENDITIONS};
use super::rng::{Rng, mix};
use super::scribe::Place;
use super::text::short_id;
use crate::types::{MICROS_PER_HOUR, MICROS_PER_MINUTE, Micros};

/// What is on, and its title. Some titles need escapes or are not ASCII, as in real life.
pub(super) const SHOWS: [(&str, &str); 6] = [
    ("games", "Speedrun, any%, \"no glitches\""),
    ("games", "Ranked until we drop"),
    ("music", "Jazz de medianoche – en directo"),
    ("talk", "Ask me anything \\ questions from chat"),
    ("cooking", "手打ちうどん"),
    ("science", "Telescope night ☄"),
];

/// One broadcast.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: String,
    pub(super) channel: usize,
    /// Tells broadcasts apart that were kept in the same place.
    pub(super) serial: u64,
    pub(super) on_air: bool,
    pub(super) started_at: Micros,
    /// What the broadcaster sends at best: an index into [`RENDITIONS`].
    pub(super) rendition: usize,
    /// Sessions that have not left yet.
    pub(super) sessions: u64,
}

/// All channels, most popular first, with the broadcasts that still matter.
#[derive(Debug)]
pub(super) struct Streams {
    salt: u64,
    channel_ids: Vec<String>,
    on_air: Vec<Option<usize>>,
    popularity: Popularity,
    streams: Vec<Stream>,
    free: Vec<usize>,
    started: u64,
}

impl Streams {
    pub(super) fn new(seed: u64, channels: usize) -> Self {
        let salt = mix(seed ^ 0xc4a7);
        Self {
            salt,
            channel_ids: (0..channels as u64).map(|c| short_id("ch_", mix(salt ^ c), 8)).collect(),
            on_air: vec![None; channels],
            popularity: Popularity::of(channels),
            streams: Vec::new(),
            free: Vec::new(),
            started: 0,
        }
    }

    pub(super) fn channels(&self) -> usize {
        self.on_air.len()
    }

    /// Puts a new broadcast on air; its place in here.
    pub(super) fn start(&mut self, rng: &mut Rng, channel: usize, at: Micros) -> usize {
        self.started += 1;
        let stream = Stream {
            id: short_id("st_", mix(self.salt.wrapping_add(self.started)), 13),
            channel,
            serial: self.started,
            on_air: true,
            started_at: at,
            rendition: rng.below(3) as usize,
            sessions: 0,
        };
        let place = match self.free.pop() {
            Some(place) => {
                self.streams[place] = stream;
                place
            }
            None => {
                self.streams.push(stream);
                self.streams.len() - 1
            }
        };
        self.on_air[channel] = Some(place);
        place
    }

    /// How long a broadcast of this channel lasts. The few big ones run for hours: when one ends, a good part of the audience moves.
    /// `under_way`: how long one still lasts that began at some time before.
    pub(super) fn duration(&self, rng: &mut Rng, channel: usize, under_way: bool) -> Micros {
        let (least, more) = if channel < self.channels() / 40 {
            (MICROS_PER_HOUR, 3 * MICROS_PER_HOUR)
        } else {
            (2 * MICROS_PER_MINUTE, 15 * MICROS_PER_MINUTE)
        };
        if under_way { rng.exponential(more) } else { least + rng.exponential(more) }
    }

    /// Takes a broadcast off air.
    pub(super) fn end(&mut self, stream: usize) {
        self.streams[stream].on_air = false;
        let channel = self.streams[stream].channel;
        self.on_air[channel] = None;
        self.forget_if_over(stream);
    }

    /// Another session watches this broadcast.
    pub(super) fn join(&mut self, stream: usize) {
        self.streams[stream].sessions += 1;
    }

    /// A session of this broadcast is gone.
    pub(super) fn leave(&mut self, stream: usize) {
        self.streams[stream].sessions -= 1;
        self.forget_if_over(stream);
    }

    fn forget_if_over(&mut self, stream: usize) {
        let s = &self.streams[stream];
        if !s.on_air && s.sessions == 0 {
            self.free.push(stream);
        }
    }

    /// A broadcast to watch, by the popularity of its channel; none while all are off air.
    pub(super) fn pick(&self, rng: &mut Rng) -> Option<usize> {
        for _ in 0..16 {
            let picked = self.on_air[self.popularity.pick(rng)];
            if picked.is_some() {
                return picked;
            }
        }
        self.on_air.iter().flatten().next().copied()
    }

    pub(super) fn get(&self, stream: usize) -> &Stream {
        &self.streams[stream]
    }

    pub(super) fn place(&self, stream: usize) -> Place<'_> {
        let stream = &self.streams[stream];
        Place { stream_id: &stream.id, channel_id: &self.channel_ids[stream.channel] }
    }

    /// Another quality for this broadcast, if it is still the one with this serial number.
    pub(super) fn change_quality(&mut self, rng: &mut Rng, stream: usize, serial: u64) -> bool {
        let s = &mut self.streams[stream];
        let same = s.on_air && s.serial == serial;
        if same {
            s.rendition = (s.rendition + 1 + rng.below(2) as usize) % RENDITIONS.len();
        }
        same
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broadcast_is_forgotten_only_when_its_last_session_has_left() {
        let mut rng = Rng::seeded(1);
        let mut streams = Streams::new(1, 2);
        let a = streams.start(&mut rng, 0, 0);
        streams.join(a);
        streams.end(a);
        let b = streams.start(&mut rng, 0, 0);
        assert_ne!(a, b);
        streams.leave(a);
        let c = streams.start(&mut rng, 1, 0);
        assert_eq!(a, c);
        assert_ne!(streams.get(b).id, streams.get(c).id);
        assert!(!streams.change_quality(&mut rng, c, 1), "the serial is that of an older broadcast");
    }

    #[test]
    fn nothing_to_watch_when_all_are_off_air() {
        assert_eq!(Streams::new(1, 3).pick(&mut Rng::seeded(1)), None);
    }
}
