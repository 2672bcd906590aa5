//! A live-streaming platform that exists only in virtual time.
//!
//! It is the demo's input, the load generator and the test bed: viewers join popular and less popular streams, send a heartbeat
//! every 20 seconds, pause, reconnect under a new session id and leave; streams start and end; people chat, tip, register, log in
//! and change their plan. And things go wrong as they do in the field: ends get lost, heartbeats come after the end, records
//! arrive twice, late or out of order, clocks are ahead, and some records are not readable at all ([`Disturbance`]).
//!
//! ```text
//!  Agenda ── due ──► Platform ── event text ──► Post ── arrival order ──► SimEvent
//!  (what is next)    sessions, streams          delays, repeats,          arrival_time, partition_key, data
//!                    accounts                   spoils
//! ```
//!
//! [`Simulator`] is an iterator of records in arrival order, without an end. Nothing in it reads a clock, and the same
//! [`SimulatorConfig`] gives the same bytes on every machine: the generator's arithmetic is its own and no map is walked.
//! At the start the platform is warm: streams are on air and sessions under way, so the rate is right from the first second.
//!
//! View events are partitioned by session, stream events by stream, the rest by viewer or account; so a stream's end travels through
//! another shard than the heartbeats it ends.
//!
//! [`write_files`] puts the same events into files, one to a shard, for backfills.

mod agenda;
mod config;
mod files;
mod platform;
mod population;
mod post;
mod rng;
mod scribe;
mod session;
mod shards;
mod simulation;
mod streams;
#[cfg(test)]
mod tests;
mod text;

pub use config::{DEFAULT_START, Disturbance, SimulatorConfig};
pub use files::{ShardFile, WrittenFiles, write_files};
pub use post::{RecordForm, SimEvent};
pub use shards::shard_index;
pub use simulation::Simulator;
