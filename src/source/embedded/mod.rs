//! A Kinesis inside this process, for a first run without any account.
//!
//! ```text
//!  Simulator ─► Feeder ──PutRecords──► EmbeddedKinesis on 127.0.0.1 ◄──GetRecords── kinesis::ShardReader
//!               wall-clock pace        Pruner: keeps minutes, not a day
//! ```
//!
//! The server is the `ferrokinesis` crate: the real wire protocol over HTTP, records in memory. What is put and read goes through
//! the same client code as on AWS. Two things are added here:
//!
//! * **Memory stays flat.** A Kinesis keeps its records for a day at least; in memory that would end badly. A pruner drops what no
//!   consumer that is alive still wants: records older than [`EmbeddedOptions::retain`], and the oldest beyond
//!   [`EmbeddedOptions::retain_bytes`]. At twice that size the server refuses records, which slows the feeder down.
//! * **A feeder** plays the [simulator](super::simulator) into it at the pace of the clock.
//!
//! How it differs from the service: arrival times are whole seconds, `MillisBehindLatest` is always 0, nothing is throttled.

mod feeder;
mod prune;
mod server;
#[cfg(test)]
mod tests;

pub use feeder::{FeedCounters, FeedCounts, Feeder, FeederState};
pub use server::{EmbeddedKinesis, EmbeddedOptions, Retained};
