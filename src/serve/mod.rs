//! The HTTP side of a running Headcount: metrics for Prometheus, health for whatever restarts it.
//!
//! | path | answer |
//! |---|---|
//! | `/metrics` | every metric of [`crate::telemetry::metrics`] in the Prometheus text format |
//! | `/healthz` | `200 ok` while the process lives |
//!
//! [`Server::bind`] takes the address, so that a busy port is known before any event is read; [`Server::run`] serves until it is
//! told to stop. The server reads; it changes nothing, holds no data of its own, and listens on this machine only unless told
//! otherwise.

mod health;
mod metrics;
mod server;

pub use server::Server;
