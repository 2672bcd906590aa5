//! The brute-force reference: what the tables must hold, worked out the slow and obvious way.
//!
//! It is written from the definition of time, windows and concurrency alone, and shares no code with the product, so
//! that the two can only agree by both being right. Every loop here is the plainest one that could work; it is meant
//! for event sets of a few hundred rows.
//!
//! ```text
//! records ─► judge ─► kept events ─┬─► tables        every shipped table, and the late rows of each
//! (bytes)      │                   ├─► concurrency   any window size, any partition columns
//!              └─► duplicates,     └─► presence      the presence intervals of each session
//!                  dead letters
//! generate ─► records: small, nasty event sets, as a proptest strategy or from a seed
//! ```
//!
//! * [`judge`](judge::judge) reads the records of each shard in order: decode, repair the clock, drop repeats, and note
//!   the high time that the shard had.
//! * [`presence`](presence::presence) walks each session's marks in their order and gives the intervals in which it was
//!   present.
//! * [`concurrency`](concurrency::concurrency) counts those intervals at every instant where the count could change.
//! * [`hopping`](hop::hopping) puts each event into every window that holds it.
//! * [`sessions`](session::sessions) joins events of a key that are a gap apart at most.
//! * [`tables`](tables::tables) does so for the shipped tables and computes the windowed ones from their rows.
//!
//! Times and spans are integer microseconds throughout.
#![allow(dead_code, reason = "each test uses the part of the reference that it needs")]
#![allow(clippy::expect_used, reason = "test code: a broken assumption shall stop the test")]
#![allow(unreachable_pub, reason = "the module's interface towards the other test modules")]

pub mod activity;
pub mod concurrency;
pub mod generate;
pub mod hop;
pub mod judge;
pub mod options;
pub mod presence;
pub mod session;
pub mod tables;
pub mod value;

pub use activity::{active_at, active_intervals, channel_before};
pub use concurrency::{concurrency, concurrency_within};
pub use generate::{Scenario, Shape, scenarios};
pub use hop::hopping;
pub use judge::{Judged, Kept, Place, Provenance, RefRecord, judge, judge_from};
pub use options::{Lateness, Options, accepted_for_concurrency, floor};
pub use presence::{Presence, Segment, presence};
pub use session::sessions;
pub use tables::{Tables, tables, user_events};
pub use value::{Row, Val};

/// One second in microseconds.
pub const SEC: i64 = 1_000_000;
/// One minute in microseconds.
pub const MINUTE: i64 = 60 * SEC;
/// One hour in microseconds.
pub const HOUR: i64 = 60 * MINUTE;
/// One day in microseconds.
pub const DAY: i64 = 24 * HOUR;
