//! Windowed aggregation: what a `GROUP BY window_start, window_end, …` over a stream becomes.
//!
//! ```text
//!  shard A  rows ─► WindowAggregateExec ─► panes {12:00: {de: 3, fr: 1}, 12:01: …} ──partial of 12:00──┐
//!                                                                                                      ▼ merge
//!  shard B  rows ─► WindowAggregateExec ─► panes {12:00: {de: 2}, …}               ──partial of 12:00──► {de: 5, fr: 1}
//! ```
//!
//! A shard closes a pane when its own watermark passes the window's end: no row of that shard can enter it any more, since
//! lateness is judged by that same watermark. The partial (group keys and accumulator states, as Arrow arrays) is merged with
//! those of the other shards when all have passed.
//!
//! Windows that hop share their panes: a pane is as long as the slide, and where shards meet each window is merged of its panes.
//!
//! Windows may be of the rows of complete windows: these have panes where shards meet ([`CascadePanes`]), filled one window at a time.
//!
//! Sessions have panes that are handed over in parts: which rows are of one session is known where shards meet (`session`).
//!
//! * [`WindowSpec`]: group keys and aggregates, as physical expressions; * [`Windowing`]: how windows lie;
//! * [`LatenessRule`]: which of its windows take a row; * [`WindowAggregateExec`]: the operator in a shard's plan;
//! * `text_groups`: groups whose key is one text; others are DataFusion's; * `outline`: what a text is told by before it is compared;
//! * `accumulators`: what computes an aggregate; `tally`, `distinct`, `row_wise` and `ordered` are the product's own; * `seen_rows`: which rows
//!   `distinct` has counted;
//! * [`Selection`]: which rows of a batch it takes; `texts`: conditions on texts; * [`TextCodes`]: what they compare with, by number;
//! * [`ShardWindows`]: a shard's panes; * [`Partial`]: what it hands over;
//! * [`WindowMerge`]: where shards meet, panes to windows; * [`SessionMerge`]: the same of sessions; * `merge`: one window's rows.

mod accumulators;
mod cascade;
mod distinct;
mod exec;
mod hop;
mod inputs;
mod lateness;
mod merge;
mod ordered;
mod outline;
mod pane;
mod row_wise;
mod seen_rows;
mod selection;
mod session;
mod shard;
mod sparse;
mod spec;
mod stored;
mod tally;
mod text_codes;
mod text_groups;
mod texts;
mod widening;
mod windowing;

pub use cascade::CascadePanes;
pub use exec::WindowAggregateExec;
pub use hop::WindowMerge;
pub use lateness::{Lateness, LatenessRule};
pub use pane::Partial;
pub use selection::{Projection, Selection};
pub use session::{ClosedSessions, SessionMerge};
pub use shard::{RowNumbers, ShardWindows, UpdateCounts, WindowsState, rows_by_number};
pub use spec::{GroupColumn, RowColumns, WindowSpec, arguments};
pub use text_codes::TextCodes;
pub use windowing::{PaneKey, Windowing};
