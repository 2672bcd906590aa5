//! A state without its marks: most of what there is of it while many events come, and all of it can be told again from the events.

use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};

use super::partial::MarksPartial;
use super::shard::{MarksState, ShardMarks};
use super::state::ConcurrencyState;
use crate::error::Result;
use crate::operator::window::LatenessRule;
use crate::types::{MICROS_PER_HOUR, Micros, floor_to};

/// Marks that a state is without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOutMarks {
    /// Start of the first bucket that has some.
    pub since: Micros,
    /// Events that they are of: those of a stream that were in time for a bucket that starts then or later.
    pub events: u64,
}

impl ConcurrencyState {
    /// Leaves out the marks that wait, here and in shards.
    pub fn leave_marks_out<'s>(&mut self, in_shards: impl Iterator<Item = &'s mut MarksState>) {
        let here = std::mem::take(&mut self.pending.marks).into_values();
        let there = in_shards.flat_map(MarksState::take);
        for marks in here.chain(there) {
            let known = self.left_out.unwrap_or(LeftOutMarks { since: marks.bucket, events: 0 });
            self.left_out =
                Some(LeftOutMarks { since: known.since.min(marks.bucket), events: known.events + marks.events() });
        }
    }

    /// What was left out and is not put back.
    pub fn left_out(&self) -> Option<LeftOutMarks> {
        self.left_out
    }

    /// The hours of event time in which events may be whose marks were left out.
    pub fn hours_left_out(&self) -> Vec<Micros> {
        let Some(LeftOutMarks { since, .. }) = self.left_out else { return vec![] };
        let hours = |(first, last): &(Micros, Micros)| {
            (floor_to(since.max(*first), MICROS_PER_HOUR)..=*last).step_by(MICROS_PER_HOUR as usize)
        };
        self.pending.seen.values().flat_map(hours).collect()
    }

    /// Puts marks back: those of a batch of events, of which none is before [`LeftOutMarks::since`]. How many of them are of a stream and in
    /// time. `dimensions` are the columns that queries count by now.
    ///
    /// # Errors
    /// As [`ShardMarks::try_new`]; internal if the state is without one of the dimensions.
    pub fn put_marks_back(&mut self, events: &RecordBatch, rule: LatenessRule, dimensions: &[String]) -> Result<u64> {
        self.keep_dimensions(dimensions)?;
        let mut marks = ShardMarks::try_new(events.schema_ref(), self.bucket_size, rule, dimensions)?;
        marks.update(events)?;
        marks.close(Micros::MAX).into_iter().for_each(|marks| self.pending.add(marks));
        Ok(marks.counts().in_windows)
    }

    /// All are back that there are.
    pub fn marks_are_back(&mut self) {
        self.left_out = None;
    }
}

impl MarksPartial {
    /// Events that its marks are of.
    fn events(&self) -> u64 {
        self.marks.iter().filter(|mark| !mark.derived).count() as u64
    }
}
