//! The judgement of each event, in shard order: clock skew, then duplicates, then the high time that lateness goes by.
//!
//! Everything here is a pure function of one shard's records in their order, arrival times included. That is what makes a
//! replay give the same rows, and lets a shard move with its state.
//!
//! * [`ShardJudge`]: all of it for one shard; * [`HighTime`]: how far a shard's events have come;
//! * [`Dedupe`]: which ids were judged lately; * `skew`: clients whose clocks are wrong.

mod dedupe;
mod high_time;
mod recent_hours;
mod shard_judge;
mod skew;

pub use dedupe::{Dedupe, DedupeState};
pub use high_time::HighTime;
pub use shard_judge::{JudgeCounts, JudgeOptions, JudgeState, Judged, ShardJudge};
pub use skew::{Repair, SkewLimits};
