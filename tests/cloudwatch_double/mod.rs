//! A double of CloudWatch's PutMetricData: it speaks the SDK's protocol (Smithy RPC v2, CBOR), enforces the documented limits, answers
//! as the service would, aggregates as the service does, and fails on demand. It listens on 127.0.0.1 only.
//!
//! * `server`: requests and troubles; * `datum`: one datum, read and judged; * `statistics`: what graphs and alarms would see.
#![allow(dead_code, unused_imports, unreachable_pub, reason = "each test uses the part of the double that it needs")]

mod datum;
mod server;
mod statistics;

pub use datum::{PutDatum, Sample};
pub use server::{Double, Put, Trouble};
pub use statistics::{Statistics, statistics};
