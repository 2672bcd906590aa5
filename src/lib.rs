//! Headcount: real-time analytics for live-streaming platforms.
//!
//! Kinesis in, SQL over windows, partitioned Parquet out; the same SQL over files as a backfill.
//!
//! ```text
//!  Kinesis shard / event file / simulator                                                        source
//!        │  records of one shard, in order
//!        ▼
//!  bytes ─► events ─► Arrow batch                                     bad ─► dead letters         decode
//!        ▼
//!  skew, duplicates, high time                                                                    engine::judge
//!        ▼
//!  shard stage, one task a shard, no lock shared with another ──► raw events ─► lake              engine
//!        └─► per query: a bounded DataFusion plan over the batch:
//!            filter, project, windowed operator (updates the shard's panes)   late ─► late output pipeline, operator
//!        ▼  partials of closed windows; marks of sessions; the shard's watermark
//!  combine: windows that every shard's watermark has passed                                       engine::combine
//!        └─► the rest of the query, plain DataFusion, over complete windows
//!        ▼
//!  lake: <table>/year=/month=/day=/hour=/….parquet; CloudWatch: metrics of the windows              sink
//! ```
//!
//! Three choices make speed, exactness and scale the same design:
//!
//! 1. **Each read runs as a small bounded plan.** Its stream ends, so every operator flushes; the windows' state lives outside. A
//!    backfill is the same plan with a bigger batch.
//! 2. **Work is shard-local and its results merge.** Lateness is judged by the shard's own watermark, so a shard's share of a
//!    window is a pure function of that shard's bytes, in order. Any split of the input gives the same result.
//! 3. **Time is injected.** Nothing but [`clock`] reads the wall clock, so tests drive time and a replay repeats itself.
//!
//! The folders, in the order of the flow: [`source`], [`decode`], [`pipeline`] (SQL to plan), [`operator`] (windows, concurrency,
//! their state), [`engine`] (shard stage, combine, jobs), [`sink`]; on top [`backfill`], [`dead_letters`], [`query`], [`serve`] and [`cli`]; below
//! [`aws`], [`config`], [`schema`], [`telemetry`], [`types`], [`error`], [`limits`].
//!
//! Architecture invariants, kept by a test that reads the sources: stages do not import each other (but `pipeline` plans onto
//! `operator`s); `engine` alone assembles them; the AWS SDK stays with the code that talks to that service; DataFusion stays in
//! `pipeline`, `operator`, `engine`, `backfill` and `query`; the wall clock in one file.
#![forbid(unsafe_code)]

pub mod aws;
pub mod backfill;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dead_letters;
pub mod decode;
pub mod engine;
pub mod error;
pub mod limits;
pub mod operator;
pub mod pipeline;
pub mod query;
pub mod schema;
pub mod serve;
pub mod sink;
pub mod source;
pub mod telemetry;
pub mod types;
pub mod verify;

pub use error::{Error, Result};
