//! Headcount: real-time analytics for live-streaming platforms.

pub mod clock;
pub mod error;
pub mod limits;
pub mod source;
pub mod types;

pub use error::{Error, Result};
