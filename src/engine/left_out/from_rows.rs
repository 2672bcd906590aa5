//! Leaving out of a state what rows tell, and putting it back from them.

use super::raw_rows::RawRows;
use super::{ids, marks};
use crate::engine::job_state::JobState;
use crate::engine::pipelines::Pipelines;
use crate::error::Result;
use crate::sink::lake::{Lake, Move};

/// What of one kind was put back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FromRows {
    /// As many as were left out.
    pub left_out: u64,
    /// As many as were found.
    pub found: u64,
    /// Files that were looked into.
    pub files: u64,
}

/// What was put back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PutBack {
    /// Ids of events.
    pub ids: FromRows,
    /// Events that marks are of.
    pub marks: FromRows,
}

/// Leaves out of a state what can be put back from rows in the lake.
pub fn leave_out(state: &mut JobState) {
    ids::leave_out(state);
    marks::leave_out(state);
}

/// Puts it back, from the rows of the raw table, and from those of it that are among files that are not at their places yet. The state
/// fits the pipelines.
///
/// # Errors
/// External or transient if the lake cannot be read; internal if the state does not fit.
pub async fn put_back(state: &mut JobState, lake: &Lake, pipelines: &Pipelines, unmoved: &[Move]) -> Result<PutBack> {
    let rows = RawRows { lake, table: pipelines.contract.stream_name(), unmoved };
    let horizon = pipelines.options.judge.dedupe_horizon;
    let ids = ids::put_back(state, &rows, pipelines.contract.id_field(), horizon).await?;
    Ok(PutBack { ids, marks: marks::put_back(state, &rows, pipelines).await? })
}
