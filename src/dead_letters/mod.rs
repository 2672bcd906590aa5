//! Dead letters of a lake: what is there, and taking in again what can be read by now.
//!
//! ```text
//!  _dead_letters ─► Letters ─┬─► list    the newest, and how many for which reason
//!                  by file   ├─► find    one, whole
//!                            └─► replay  Decoder ─► ShardJudge ─► rows ─► is the id in the lake? ─┐
//!                                            └─► what fails again: a letter with its new reason ──┤
//!                                 one replacement: raw files added, letter files exchanged ◄──────┘
//! ```
//!
//! Letters are read batch by batch; kept are what is shown, counts, and, in a replay, the ids of the rows that it would add. Nothing here
//! touches windows: they are a backfill's matter.
//!
//! * [`Filter`]: which letters; * [`list()`], [`find()`], [`replay()`];
//! * [`NewLetters`]: what stays of the lake's when a backfill brings new ones.

mod again;
mod candidates;
mod exchange;
mod filter;
mod find;
mod list;
mod replay;
mod stored;

pub use exchange::NewLetters;
pub use filter::Filter;
pub use find::{LetterName, Whole, find};
pub use list::{Head, Listing, list};
pub use replay::{ReplayOptions, Replayed, replay};
