//! The verdict on lateness: a pure function of the row and the high time at which its shard read it.

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

/// What becomes of a row in one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Its shard's watermark was below the window's end: revision 0.
    OnTime,
    /// The window had ended, but the allowed lateness had not: revision 1.
    Revises,
    /// Too late for this window.
    Late,
}

impl LatenessRule {
    /// The rule by which nothing is late.
    pub fn never_late() -> Self {
        Self { lateness: Lateness::Ignore, watermark_delay: 0, allowed_lateness: 0 }
    }

    /// Judges a row of a window that ends at `window_end`, read when its shard's high time was `shard_high_time`
    /// (`None`: nothing was known yet, so nothing is late).
    pub fn judge(&self, window_end: Micros, shard_high_time: Option<Micros>) -> Verdict {
        let (Lateness::Judge, Some(high)) = (self.lateness, shard_high_time) else {
            return Verdict::OnTime;
        };
        let watermark = high.saturating_sub(self.watermark_delay);
        if window_end > watermark {
            Verdict::OnTime
        } else if window_end.saturating_add(self.allowed_lateness) > watermark {
            Verdict::Revises
        } else {
            Verdict::Late
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_when_the_watermark_reaches_the_end_of_the_window() {
        let rule = LatenessRule { lateness: Lateness::Judge, watermark_delay: 30, allowed_lateness: 0 };
        assert_eq!(rule.judge(60, None), Verdict::OnTime);
        assert_eq!(rule.judge(60, Some(89)), Verdict::OnTime);
        assert_eq!(rule.judge(60, Some(90)), Verdict::Late);
    }

    #[test]
    fn allowed_lateness_makes_a_second_chance() {
        let rule = LatenessRule { lateness: Lateness::Judge, watermark_delay: 30, allowed_lateness: 10 };
        assert_eq!(rule.judge(60, Some(90)), Verdict::Revises);
        assert_eq!(rule.judge(60, Some(99)), Verdict::Revises);
        assert_eq!(rule.judge(60, Some(100)), Verdict::Late);
    }

    #[test]
    fn ignoring_lateness_keeps_every_row() {
        let rule = LatenessRule { lateness: Lateness::Ignore, watermark_delay: 0, allowed_lateness: 0 };
        assert_eq!(rule.judge(60, Some(1_000_000)), Verdict::OnTime);
    }
}
