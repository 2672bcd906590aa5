//! What a live job says about itself while it runs: one [`Board`] that its tasks post to, and what is read from it.
//!
//! ```text
//!  shard tasks ─┐                    ┌─► status line            cli
//!  combine ─────┼─► Board ─► Status ─┼─► /api/status, /readyz   serve
//!  lake writers ┘                    └─► metrics, once a second Status::report
//! ```
//!
//! * [`Board`]: takes the news; a lock that is held for copies only;
//! * [`Status`]: everything at one moment, so that figures taken from it belong together and add up;
//! * [`Readiness`]: whether the job is fit for work, and if not, why; * [`Throughput`]: what it did in the last seconds;
//! * `meters`: a status as metrics; * `dead_letter_log`: one line for many dead letters.

mod dead_letter_log;
mod meters;
mod posts;
mod readiness;
mod status;
mod throughput;

pub use posts::Board;
pub use readiness::{Fitness, Readiness, Reason};
pub use status::{
    CombineStatus, CommitStatus, LookupStatus, OpenWindows, Phase, PipelineName, ShardStatus, Status, TableStatus,
};
pub use throughput::Throughput;
