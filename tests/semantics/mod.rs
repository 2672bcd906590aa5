//! What the definition says, rule by rule, as tests of the engine. Every expectation here is worked out by hand.
//!
//! * [`scene`]: events in shorthand, run through the engine; what came out, as text in seconds.
//! * [`worked`]: the worked cases of concurrency. * [`time`]: skew, duplicates, high time, lateness, the end of input.
//! * [`windows`]: tumbling windows, revisions, what runs over complete windows. * [`hops`]: windows that hop.
//! * [`session_windows`]: windows that are sessions. * [`sessions`]: leases and closures.
//! * [`memory`]: what the state may take; [`soak`]: what of it is left after many hours. * [`aggregates`]: distinct values, order and ties, sub-queries, JSON, functions of one's own.
//! * [`timeouts`]: a query's own. * [`joined`]: presence beside counts of rows.
//! * [`streams`]: activity, channels, which windows there are. * [`counting`]: averages, peaks, uniques, groups.
//! * [`property`]: whatever the query, concurrency equals the brute-force reference; [`hops`] and [`session_windows`] have their like.
//! * [`independence`]: what holds of concurrency without the reference's word.
//! * [`ways`]: the same of a backfill, and over a reshard. * [`unclosed`]: windows that are not complete, as they are asked for.

mod aggregates;
mod counting;
mod hops;
mod independence;
mod joined;
mod lookups;
mod memory;
mod property;
mod scene;
mod session_windows;
mod sessions;
mod soak;
mod streams;
mod time;
mod timeouts;
mod unclosed;
mod ways;
mod windows;
mod worked;
