//! Headcount: real-time analytics for live-streaming platforms.

pub mod backfill;
pub mod cli;
pub mod clock;
pub mod config;
pub mod decode;
pub mod engine;
pub mod error;
pub mod limits;
pub mod operator;
pub mod pipeline;
pub mod schema;
pub mod serve;
pub mod sink;
pub mod source;
pub mod telemetry;
pub mod types;

pub use error::{Error, Result};
