//! The HTTP side of a running Headcount: metrics for Prometheus, health for whatever restarts it, its state for whoever asks.
//!
//! | path | answer |
//! |---|---|
//! | `/healthz` | `200 ok` while the process lives |
//! | `/readyz` | `200` if the job is ready or degraded, else `503`; [`ReadyDocument`] with the reasons |
//! | `/api/status` | [`StatusDocument`]: what the job is doing, in figures that add up |
//! | `/api/now` | [`NowDocument`]: who is watching now, of one table's windows that are not complete |
//! | `/metrics` | every metric of [`crate::telemetry::metrics`] in the Prometheus text format |
//!
//! `docs/operations.md` says which path is for whom. [`Server::bind`] takes the address, so that a busy port is known before any
//! event is read; [`Server::run`] serves until it is told to stop. The server reads; it changes nothing, holds no data of its
//! own, and listens on this machine only unless told otherwise.

mod answers;
mod commit_document;
mod lookup_document;
mod now_document;
mod server;
mod status_document;

pub use answers::{Exhibits, ReadyDocument, ReasonDocument};
pub use lookup_document::LookupDocument;
pub use now_document::{NowDocument, NowQuestion, NowWindow};
pub use server::Server;
pub use status_document::{
    ConcurrencyDocument, EventsDocument, PipelineDocument, ShardDocument, SinksDocument, StatusDocument, TableDocument,
    ThroughputDocument, TroubleDocument,
};
