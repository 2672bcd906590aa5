//! Headcount: real-time analytics for live-streaming platforms.

pub mod cli;
pub mod clock;
pub mod config;
pub mod error;
pub mod limits;
pub mod serve;
pub mod telemetry;
pub mod types;

pub use error::{Error, Result};
