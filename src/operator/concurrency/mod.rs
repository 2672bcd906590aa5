//! Concurrent viewers, unique viewers and active streams, counted from leases.
//!
//! Counters that go up at a join and down at a leave drift: leaves get lost, joins come twice. Here every sign of life of a
//! session (a *touch*) holds it present for `session_timeout`, and an end cuts that short. A lost end costs one timeout, not
//! a viewer for ever.
//!
//! ```text
//!  shard A  rows ─► ShardMarks {12:00:00: [J s1, H s2, …], 12:00:10: …} ──bucket 12:00:00──┐
//!                                                                                          ▼ sort by time
//!  shard B  rows ─► ShardMarks {12:00:00: [stream.ended x, …], …}       ──bucket 12:00:00──► Concurrency
//!                                                                                             sessions: leases, closures
//!                                                                                             streams: active or not
//!                                                                                               │ ±1 at instants
//!                                                                                               ▼
//!                                                                                             per query: groups of the window
//!                                                                                               │ min, avg, max, current, unique
//!                                                                                               ▼ rows
//! ```
//!
//! A stream's end comes through another shard than its sessions' heartbeats, and a session's events move when shards split.
//! So a shard only collects marks, in buckets of the finest window; they are put in order and resolved where all shards meet,
//! when no shard can add to the bucket any more. The result depends on the set of accepted events alone.
//!
//! * [`ConcurrencyQuery`]: window size, dimensions and [`OwnTimeouts`]; * [`ConcurrencyExec`]: the leaf of the query over complete windows;
//! * [`ShardMarks`], [`MarksPartial`]: the shard's side; * [`Concurrency`]: the shared state where shards meet;
//! * [`UnclosedWindow`]: what it says of a window that is not complete, for whoever asks.

mod activity;
mod bucket;
mod counted;
mod events;
mod exec;
mod expiry;
mod groups;
mod happened;
mod known_streams;
mod left_out;
mod mark;
mod numbering;
mod open_bucket;
mod partial;
mod pending;
mod query;
mod resolve;
mod rows;
mod session;
mod session_index;
mod shard;
mod shared;
mod slab;
mod state;
mod stream_sessions;
mod timeouts;
mod unclosed;
mod viewers;
mod wheel;

pub use exec::ConcurrencyExec;
pub use left_out::LeftOutMarks;
pub use partial::MarksPartial;
pub use query::ConcurrencyQuery;
pub use resolve::WindowRows;
pub use shard::{MarkCounts, Marked, MarksState, Seen, ShardMarks};
pub use shared::Concurrency;
pub use state::ConcurrencyState;
pub use timeouts::{ConcurrencyOptions, OwnTimeouts};
pub use unclosed::UnclosedWindow;
