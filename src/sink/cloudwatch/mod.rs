//! Metrics of Amazon CloudWatch, made of the rows of complete windows. The only place that uses the service's SDK.
//!
//! ```text
//!  rows of a window ─► offer() ─► Datum, one a row and metric ─► Backlog ─► Publisher ─► PutMetricData
//!  (revision 0)        no waiting   what CloudWatch would         bounded,   own task     ≤ 1000 data, ≤ 1 MB, gzip
//!                                   refuse is left out            oldest      │   ▲
//!                                                                 goes first  └───┘ Backoff: throttling, 5xx, timeouts
//! ```
//!
//! What the service is like, and what follows from it:
//!
//! * It **cannot overwrite**: what is put twice counts twice. So a window is published once, as revision 0, and a backfill never
//!   publishes. A put whose answer is lost is repeated all the same: at least once. Average, Minimum and Maximum bear that, Sum and
//!   SampleCount do not.
//! * A **statistic set** is merged with the others of its period by adding `Sum` and `SampleCount` and taking the extremes of
//!   `Minimum` and `Maximum`. With `SampleCount` = the window's seconds and `Sum` = average × seconds, CloudWatch's Average over any
//!   period is weighted by time ([`MetricStatistic::Weighted`](crate::types::MetricStatistic)).
//! * A datum belongs to the period that holds its time stamp, which is the window's time, `window_end` − 1 ms: with the end itself
//!   it would count for the next period.
//! * One bad datum has a whole call refused. So each is checked here first: the value, the dimensions, and the time stamp, which may
//!   be two weeks old and two hours ahead.
//! * Every combination of dimension values is billed by the month: `series_max` bounds them.
//!
//! The lake comes first: [`CloudWatch::offer`] never waits and never fails. What CloudWatch does not take within the retry budget
//! is dropped, the oldest first, counted by reason ([`Dropped`]) and warned of.
//!
//! * [`CloudWatch`]: the handle; `datum`: rows to data; `backlog`: what waits; `publisher`: the task; `client`: one call;
//!   `fault`: what a failure means; `counters`; `options`.

mod backlog;
mod client;
mod counters;
mod datum;
mod fault;
mod handle;
mod options;
mod publisher;
mod series;

pub use counters::{CloudWatchCounters, CloudWatchCounts, Dropped};
pub use handle::{CloudWatch, PublishedTable};
pub use options::{CloudWatchOptions, StorageResolution};
