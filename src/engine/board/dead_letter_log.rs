//! One log line for many dead letters: a producer gone wrong makes thousands a second.

use std::collections::BTreeMap;

use crate::limits::DEAD_LETTER_LOG_SECS_MIN;
use crate::types::{MICROS_PER_SEC, Micros};

/// Remembers what was logged, and when.
#[derive(Debug, Default)]
pub(super) struct DeadLetterLog {
    logged: BTreeMap<&'static str, u64>,
    last: Option<Micros>,
}

/// Dead letters since the last line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct News {
    /// How many.
    pub count: u64,
    /// How many of each reason: `not_json: 3, too_old: 1`.
    pub reasons: String,
    /// How many since the start.
    pub total: u64,
}

impl DeadLetterLog {
    /// What is to be logged at `now`, given the totals since the start.
    pub(super) fn news(&mut self, now: Micros, totals: &BTreeMap<&'static str, u64>) -> Option<News> {
        let pause = DEAD_LETTER_LOG_SECS_MIN * MICROS_PER_SEC;
        // A clock that was set back must not silence the log.
        if self.last.is_some_and(|last| (0..pause).contains(&now.saturating_sub(last))) {
            return None;
        }
        let new = |reason: &'static str, total: u64| total - self.logged.get(reason).copied().unwrap_or(0).min(total);
        let fresh: Vec<_> = totals.iter().map(|(r, t)| (*r, new(r, *t))).filter(|(_, n)| *n > 0).collect();
        if fresh.is_empty() {
            return None;
        }
        self.logged.clone_from(totals);
        self.last = Some(now);
        Some(News {
            count: fresh.iter().map(|(_, n)| n).sum(),
            reasons: fresh.iter().map(|(r, n)| format!("{r}: {n}")).collect::<Vec<_>>().join(", "),
            total: totals.values().sum(),
        })
    }
}

impl News {
    /// Writes the line.
    pub(super) fn log(&self) {
        tracing::warn!(
            count = self.count,
            reasons = self.reasons,
            total = self.total,
            "events could not be used; they are kept under _dead_letters"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEC: Micros = MICROS_PER_SEC;

    #[test]
    fn the_first_is_logged_at_once_and_the_rest_together() {
        let mut log = DeadLetterLog::default();
        assert_eq!(log.news(0, &BTreeMap::new()), None);
        let first = log.news(SEC, &BTreeMap::from([("not_json", 1)])).unwrap();
        assert_eq!(first, News { count: 1, reasons: "not_json: 1".into(), total: 1 });
        let later = BTreeMap::from([("not_json", 5), ("too_old", 2)]);
        assert_eq!(log.news(2 * SEC, &later), None, "not yet");
        let due = (1 + DEAD_LETTER_LOG_SECS_MIN) * SEC;
        let news = log.news(due, &later).unwrap();
        assert_eq!(news, News { count: 6, reasons: "not_json: 4, too_old: 2".into(), total: 7 });
        assert_eq!(log.news(due + 100 * SEC, &later), None, "nothing new");
        let more = BTreeMap::from([("not_json", 6), ("too_old", 2)]);
        assert!(log.news(0, &more).is_some(), "the clock was set back");
    }
}
