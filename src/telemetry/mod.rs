//! What the program says about itself: counters and gauges for Prometheus, and a log on standard error.
//!
//! * [`metrics`] names every metric in one place, with its kind, unit, labels and meaning. Code that counts uses
//!   the names: `metrics::counter!(telemetry::metrics::LATE_ROWS_TOTAL, "pipeline" => name).increment(1)`.
//! * [`logging`] sets up `tracing` once, at the start of a command.

pub mod logging;
pub mod metrics;

pub use logging::start_logging;
pub use metrics::{describe, install_prometheus};
