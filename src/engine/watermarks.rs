//! Watermarks of tables that wait longer or shorter than the job.
//!
//! ```text
//!  high time of a shard ──┬── job's delay ─────────► watermark of the job          what shards report, and combine compares
//!                         ├── a table's own delay ──► watermark of that table      what its rows are judged by, and its windows close by
//! ```
//!
//! All delays are behind the same high time, so that a table's watermark is the job's, moved by the difference of their delays. Where rows
//! come judged and in the order of time, nobody waits: every table's watermark is how far they were given.

use super::pipelines::Pipelines;
use crate::error::Error;
use crate::pipeline::{ContinuousPlan, PipelineFile};
use crate::types::{Micros, format_span};

/// What the watermarks are of that shards report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Progress {
    /// Of high times: rows are judged as they come, and each table waits for as long as its delay says.
    #[default]
    HighTimes,
    /// Of rows that were judged before and come in the order of time: all rows before it were given, whatever a table would wait for.
    RowsGiven,
}

impl Progress {
    /// A table's watermark, where that of the job or of a shard is `watermark`.
    pub(super) fn of_table(self, pipelines: &Pipelines, plan: &ContinuousPlan, watermark: Micros) -> Micros {
        match self {
            Progress::HighTimes => pipelines.watermark_of(plan, watermark),
            Progress::RowsGiven => watermark,
        }
    }
}

impl Pipelines {
    /// How far the watermark of a table is behind the high time of a shard.
    pub fn watermark_delay(&self, plan: &ContinuousPlan) -> Micros {
        plan.watermark_delay(self.options.watermark_delay)
    }

    /// A table's watermark, where the job's is `watermark`. The end of all input is the end for every table.
    pub fn watermark_of(&self, plan: &ContinuousPlan, watermark: Micros) -> Micros {
        match watermark {
            Micros::MAX => watermark,
            _ => watermark.saturating_add(self.options.watermark_delay).saturating_sub(self.watermark_delay(plan)),
        }
    }

    /// How far the watermark of some table is ahead of the job's, at most.
    pub fn lead(&self) -> Micros {
        let shortest = self.plans.iter().map(|plan| self.watermark_delay(plan)).min();
        shortest.map_or(0, |shortest| (self.options.watermark_delay - shortest).max(0))
    }
}

/// What is wrong with the delays of `plans` where an event may be no older than this, each at its key in the file.
pub(super) fn problems(plans: &[ContinuousPlan], files: &[PipelineFile], max_event_age: Micros) -> Vec<Error> {
    let problem = |plan: &ContinuousPlan| {
        let delay = plan.watermark_delay(0);
        let file = files.iter().find(|file| file.name == plan.name).filter(|_| delay > max_event_age)?;
        let reason = format!(
            "watermark_delay_secs is {}, more than time.max_event_age_secs, {}: events that windows wait for would be dead letters",
            format_span(delay),
            format_span(max_event_age)
        );
        let error = Error::user(reason).at(file.at_key("watermark_delay_secs"));
        Some(error.hint("shorten it, or raise time.max_event_age_secs"))
    };
    plans.iter().filter_map(problem).collect()
}
