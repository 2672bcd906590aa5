//! Who watches, on what, and which channel is how popular.

use super::config::Disturbance;
use super::rng::{Rng, mix};
use super::text::short_id;
use crate::types::{MICROS_PER_DAY, MICROS_PER_SEC, Micros};

/// Country and currency of tips, by share of the audience in percent.
const COUNTRIES: [(&str, &str, u64); 12] = [
    ("US", "USD", 24),
    ("DE", "EUR", 11),
    ("BR", "BRL", 10),
    ("FR", "EUR", 8),
    ("GB", "GBP", 8),
    ("KR", "KRW", 7),
    ("ES", "EUR", 6),
    ("JP", "JPY", 6),
    ("PL", "PLN", 6),
    ("CA", "CAD", 5),
    ("MX", "MXN", 5),
    ("SE", "SEK", 4),
];

/// Device type and platform, by share of the audience in percent.
const DEVICES: [(&str, &str, u64); 7] = [
    ("web", "chrome", 26),
    ("web", "firefox", 9),
    ("mobile", "android", 24),
    ("mobile", "ios", 17),
    ("tv", "tizen", 9),
    ("tv", "webos", 7),
    ("console", "playstation", 8),
];

const CDNS: [&str; 3] = ["cdn-a", "cdn-b", "cdn-c"];

/// Name and bit rate in kbit/s, best first.
pub(super) const RENDITIONS: [(&str, i64); 6] =
    [("1080p60", 6_500), ("720p60", 4_200), ("720p30", 2_800), ("480p30", 1_400), ("360p30", 800), ("160p30", 300)];

/// One of the items, by their shares of a hundred.
fn by_share<T: Copy>(items: &[(T, T, u64)], mut dice: u64) -> (T, T) {
    let mut chosen = (items[0].0, items[0].1);
    for (a, b, share) in items {
        chosen = (*a, *b);
        if dice < *share {
            break;
        }
        dice -= share;
    }
    chosen
}

/// A person with a device. Everything about one follows from the seed and the index, so none has to be kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Viewer {
    index: u64,
    pub(super) country: &'static str,
    pub(super) currency: &'static str,
    pub(super) device_type: &'static str,
    pub(super) platform: &'static str,
    pub(super) cdn: &'static str,
    pub(super) registered: bool,
    /// Whether this client says when it sent.
    pub(super) says_sent_at: bool,
    /// Whether this client gives times as epoch milliseconds.
    pub(super) epoch_times: bool,
    /// How far the client's clock is ahead.
    pub(super) clock_ahead: Micros,
    secret: u64,
}

impl Viewer {
    pub(super) fn new(seed: u64, index: u64, disturbance: &Disturbance) -> Self {
        let secret = mix(seed ^ mix(index.wrapping_add(1)));
        let mut traits = Rng::seeded(secret);
        let (country, currency) = by_share(&COUNTRIES, traits.below(100));
        let (device_type, platform) = by_share(&DEVICES, traits.below(100));
        let bad_clock = traits.chance(disturbance.bad_clocks_ppm);
        let clock_ahead = match (bad_clock, traits.chance(250_000)) {
            (false, _) => 0,
            (true, false) => traits.between(40 * MICROS_PER_SEC, 600 * MICROS_PER_SEC),
            (true, true) => traits.between(600 * MICROS_PER_SEC, 2 * MICROS_PER_DAY),
        };
        Self {
            index,
            country,
            currency,
            device_type,
            platform,
            cdn: traits.one_of(&CDNS),
            registered: traits.chance(600_000),
            says_sent_at: if bad_clock { traits.chance(500_000) } else { device_type == "mobile" },
            epoch_times: traits.chance(disturbance.epoch_times_ppm),
            clock_ahead,
            secret,
        }
    }

    /// Pseudonymous, stable.
    pub(super) fn viewer_id(&self) -> String {
        short_id("vw_", self.secret, 12)
    }

    /// The account, where there is one.
    pub(super) fn user_id(&self) -> Option<String> {
        self.registered.then(|| user_id(self.index))
    }
}

/// The account number of the viewer with this index.
pub(super) fn user_id(index: u64) -> String {
    format!("usr_{:08}", index + 10_000_000)
}

/// How the audience spreads over the channels: the k-th gets a share in proportion to 1/k (Zipf's law).
#[derive(Debug)]
pub(super) struct Popularity {
    cumulative: Vec<u64>,
}

impl Popularity {
    pub(super) fn of(channels: usize) -> Self {
        let mut total = 0;
        let cumulative = (1..=channels as u64)
            .map(|rank| {
                total += 1_000_000_000 / rank;
                total
            })
            .collect();
        Self { cumulative }
    }

    /// A channel by its popularity, 0 the most popular.
    pub(super) fn pick(&self, rng: &mut Rng) -> usize {
        let dice = rng.below(self.cumulative.last().copied().unwrap_or(0));
        self.cumulative.partition_point(|&c| c <= dice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up() {
        assert_eq!(COUNTRIES.iter().map(|c| c.2).sum::<u64>(), 100);
        assert_eq!(DEVICES.iter().map(|c| c.2).sum::<u64>(), 100);
    }

    #[test]
    fn a_viewer_follows_from_seed_and_index() {
        let calm = Disturbance::none();
        let (a, b) = (Viewer::new(1, 5, &calm), Viewer::new(1, 5, &calm));
        assert_eq!(a.viewer_id(), b.viewer_id());
        assert_ne!(a.viewer_id(), Viewer::new(2, 5, &calm).viewer_id());
        let wrong = Disturbance { bad_clocks_ppm: 1_000_000, ..Disturbance::default() };
        assert!((0..10_000).map(|i| Viewer::new(1, i, &wrong)).all(|v| v.clock_ahead > 30 * MICROS_PER_SEC));
    }

    #[test]
    fn the_first_channel_is_twice_as_popular_as_the_second() {
        let popularity = Popularity::of(50);
        let mut rng = Rng::seeded(3);
        let mut hits = [0u32; 50];
        for _ in 0..200_000 {
            hits[popularity.pick(&mut rng)] += 1;
        }
        let ratio = f64::from(hits[0]) / f64::from(hits[1]);
        assert!((1.9..2.1).contains(&ratio), "{ratio}");
        assert!(hits.iter().all(|&h| h > 0));
    }
}
