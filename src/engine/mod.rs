//! The engine: assembles the stages into a job. It alone knows them all.
//!
//! ```text
//!  per shard, one task                                       one task
//!  ReadBatch ─► Decoder ─► ShardJudge ─► ShardStage ─────────► Combine ─► Emission (rows of a complete window)
//!                 │           │              │  partials, marks,   │
//!                 ▼           ▼              ▼  watermark          ▼
//!            dead letters  raw events    late rows               lake, CloudWatch
//! ```
//!
//! * [`Intake`]: decoding and judging one shard; * [`judge`]: skew, duplicates, high time; * [`ShardStage`]: the windowed operators over one shard's batches;
//! * [`job_state`]: all that a job remembers; * `cut`: how it is told while the job runs; * [`commits`]: it and the files that go with it, in
//!   one step; * [`take_over`]: how a start goes on from it; * [`checkpoint`]: it as an object of the lake; * [`front`]: what can be read of that without
//!   the state; * [`reset`]: how a state is given up; * [`changes`]: what of it fits
//!   another job; * [`left_out`]: what of it the lake has already;
//! * `timeouts`: by which sessions are counted; * `watermarks`: of tables that wait by themselves;
//! * [`lookups`]: the lookup tables, and their versions; * `memory`: what there is of it;
//! * [`Combine`]: where shards meet; * [`Pipelines`]: the compiled queries; * [`revision`]: what changed in a late window;
//! * [`board`]: what a live job says about itself; * [`inquiry`]: what it is asked.

pub mod board;
mod cascades;
pub mod changes;
pub mod checkpoint;
pub mod combine;
mod commit_task;
pub mod commits;
pub mod counters;
mod cut;
pub mod front;
pub mod inquiry;
pub mod intake;
pub mod job_state;
pub mod judge;
pub mod left_out;
pub mod live;
pub mod lookups;
mod memory;
mod pipeline_windows;
pub mod pipelines;
pub mod reset;
pub mod revision;
mod session_windows;
pub mod shard_stage;
pub mod shard_task;
pub mod tables;
pub mod take_over;
mod timeouts;
mod watermarks;

pub use combine::{Combine, Emission, ShardMessage};
pub use intake::{Intake, Taken};
pub use pipelines::{EngineOptions, Pipelines};
pub use shard_stage::{Processed, ShardPartials, ShardStage};
pub use watermarks::Progress;
