//! Which letters are meant.

use super::stored::Letters;
use crate::decode::Reason;
use crate::types::{MICROS_PER_HOUR, Micros};

/// Letters by arrival, reason and shard; without all of these, every letter.
///
/// A letter that came without an arrival time counts by the start of the hour that it is filed in.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Arrived at or after this instant.
    pub from: Option<Micros>,
    /// Arrived before this instant.
    pub to: Option<Micros>,
    /// For this reason.
    pub reason: Option<Reason>,
    /// From this shard.
    pub shard: Option<String>,
}

impl Filter {
    /// Whether files of the hour that starts at `hour` may hold such letters.
    pub(super) fn may_be_in(&self, hour: Micros) -> bool {
        let last = hour.saturating_add(MICROS_PER_HOUR - 1);
        self.from.is_none_or(|from| from <= last) && self.to.is_none_or(|to| hour < to)
    }

    /// Whether letter `i` of `letters` is one.
    pub(super) fn takes(&self, letters: &Letters, i: usize) -> bool {
        let time = letters.time(i);
        self.from.is_none_or(|from| from <= time)
            && self.to.is_none_or(|to| time < to)
            && self.reason.is_none_or(|reason| reason.code() == letters.reason(i))
            && self.shard.as_ref().is_none_or(|shard| shard == letters.shard(i))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_outside_of_the_range_are_not_opened() {
        const H: Micros = MICROS_PER_HOUR;
        let filter = |from, to| Filter { from, to, ..Filter::default() };
        let opened = |f: Filter| (0..5).filter(|h| f.may_be_in(h * H)).collect::<Vec<_>>();
        assert_eq!(opened(filter(None, None)), [0, 1, 2, 3, 4]);
        assert_eq!(opened(filter(Some(2 * H - 1), Some(3 * H))), [1, 2]);
        assert_eq!(opened(filter(Some(2 * H), Some(3 * H + 1))), [2, 3]);
        assert!(opened(filter(Some(3 * H), Some(3 * H))).is_empty());
        assert!(filter(None, None).may_be_in(i64::MAX - 1));
    }
}
