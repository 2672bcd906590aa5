//! The verdict on lateness: a pure function of the row and the high time at which its shard read it.

use super::windowing::{PaneKey, Windowing};
use crate::types::Micros;

/// Whether lateness is judged at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lateness {
    /// As a live run judges it: by the row's `shard_high_time`.
    Judge,
    /// Nothing is late: a backfill that wants every row in its window.
    Ignore,
}

/// When a row is late for a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LatenessRule {
    /// Judge or ignore.
    pub lateness: Lateness,
    /// Watermark = high time of the shard − this.
    pub watermark_delay: Micros,
    /// How long after its end a window still takes rows, as revision 1.
    pub allowed_lateness: Micros,
}

impl LatenessRule {
    /// The rule by which nothing is late.
    pub fn never_late() -> Self {
        Self { lateness: Lateness::Ignore, watermark_delay: 0, allowed_lateness: 0 }
    }

    /// The watermark by which a row is judged that was read when its shard's high time was `shard_high_time`. `None`: nothing is late.
    pub fn watermark(&self, shard_high_time: Option<Micros>) -> Option<Micros> {
        match self.lateness {
            Lateness::Judge => Some(shard_high_time?.saturating_sub(self.watermark_delay)),
            Lateness::Ignore => None,
        }
    }

    /// Judges a row of the pane that ends at `pane_end`, read when its shard's high time was `shard_high_time` (`None`: nothing was
    /// known yet, so nothing is late). `None`: it is late for every window that has the pane.
    ///
    /// A window takes a row as revision 0 while its shard's watermark is below the window's end, and as revision 1 while it is below
    /// the end and the allowed lateness. A row may be late for the first of its windows and on time for the last.
    pub fn admit(&self, windowing: Windowing, pane_end: Micros, shard_high_time: Option<Micros>) -> Option<PaneKey> {
        let Some(watermark) = self.watermark(shard_high_time) else {
            return Some(PaneKey::on_time(pane_end));
        };
        let first_window = windowing.first_after(pane_end, watermark.saturating_sub(self.allowed_lateness));
        let first_on_time = windowing.first_after(pane_end, watermark);
        let late = first_window >= windowing.first_without(pane_end);
        (!late).then_some(PaneKey { end: pane_end, first_window, first_on_time })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TUMBLE: Windowing = Windowing { size: 60, slide: 60, session: false };
    const HOP: Windowing = Windowing { size: 60, slide: 20, session: false };

    fn rule(allowed_lateness: Micros) -> LatenessRule {
        LatenessRule { lateness: Lateness::Judge, watermark_delay: 30, allowed_lateness }
    }

    /// (first window, first on time)
    fn admitted(rule: LatenessRule, windowing: Windowing, end: Micros, high: Micros) -> Option<(Micros, Micros)> {
        rule.admit(windowing, end, Some(high)).map(|key| (key.first_window, key.first_on_time))
    }

    #[test]
    fn late_when_the_watermark_reaches_the_end_of_the_window() {
        assert_eq!(rule(0).admit(TUMBLE, 60, None), Some(PaneKey::on_time(60)));
        assert_eq!(admitted(rule(0), TUMBLE, 60, 89), Some((60, 60)));
        assert_eq!(admitted(rule(0), TUMBLE, 60, 90), None);
    }

    #[test]
    fn allowed_lateness_makes_a_second_chance() {
        // On time for no window: the next one is not the row's.
        assert_eq!(admitted(rule(10), TUMBLE, 60, 90), Some((60, 120)));
        assert_eq!(admitted(rule(10), TUMBLE, 60, 99), Some((60, 120)));
        assert_eq!(admitted(rule(10), TUMBLE, 60, 100), None);
    }

    #[test]
    fn a_row_may_be_late_for_the_first_of_its_windows_only() {
        assert_eq!(admitted(rule(0), HOP, 20, 49), Some((20, 20)));
        assert_eq!(admitted(rule(0), HOP, 20, 50), Some((40, 40)));
        assert_eq!(admitted(rule(0), HOP, 20, 89), Some((60, 60)));
        assert_eq!(admitted(rule(0), HOP, 20, 90), None);
        assert_eq!(admitted(rule(20), HOP, 20, 69), Some((20, 40)));
        assert_eq!(admitted(rule(20), HOP, 20, 70), Some((40, 60)));
        assert_eq!(admitted(rule(20), HOP, 20, 90), Some((60, 80)));
    }

    #[test]
    fn ignoring_lateness_keeps_every_row() {
        assert_eq!(LatenessRule::never_late().admit(HOP, 20, Some(1_000_000)), Some(PaneKey::on_time(20)));
    }
}
