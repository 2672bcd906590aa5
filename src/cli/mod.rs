//! The command line.
//!
//! ```text
//! headcount run        the long-running consumer
//! headcount backfill   the same queries over files
//! headcount check      is everything that I wrote right?
//! headcount explain    what a query runs where, and what it keeps
//! headcount simulate   events to play with
//! headcount kinesis    a stream on this machine
//! headcount checkpoint what a stopped run left: list, show, reset
//! headcount dead-letters  what could not be used: list, show, replay
//! headcount query      SQL over the lake's tables
//! headcount verify     are the tables what the raw events say?
//! ```
//!
//! `args` is what may be typed, `values` what the values must look like, `examples` the help by example. Each command's body has a file of its own; [`main`] calls it. Exit codes: 0 it worked; 1 it failed
//! while running, or `check` or `verify` found something; 2 the command line, the configuration or a query is wrong; 3 another process has
//! taken over what it did.

pub mod args;
pub mod backfill;
pub mod check;
pub mod checkpoint;
pub mod dead_letters;
mod dispatch;
mod examples;
pub mod explain;
pub mod kinesis;
mod lake_columns;
mod out;
mod progress;
pub mod query;
mod result;
mod resume;
pub mod run;
mod setup;
mod signals;
pub mod simulate;
mod source;
mod status;
mod text;
mod values;
pub mod verify;

pub use args::{
    BackfillArgs, CheckArgs, CheckpointArgs, Cli, Command, DeadLettersArgs, ExplainArgs, KinesisArgs, Lateness,
    QueryArgs, RunArgs, SimulateArgs, VerifyArgs,
};
pub use dispatch::main;
