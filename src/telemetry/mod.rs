//! What the program says about itself: counters and gauges for Prometheus, and a log on standard error.
//!
//! * [`metrics`] names every metric in one place, with its kind, unit, labels and meaning. Code that counts uses
//!   the names: `metrics::counter!(telemetry::metrics::LATE_ROWS_TOTAL, "pipeline" => name).increment(1)`.
//! * [`logging`] sets up `tracing` once, at the start of a command.
//! * [`LastTrouble`] keeps the last error, for whoever asks a running job how it is.

pub mod logging;
pub mod metrics;
mod trouble;

pub use logging::start_logging;
pub use metrics::{describe, install_prometheus};
pub use trouble::{LastTrouble, Trouble};
