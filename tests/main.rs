//! The integration tests of Headcount, in one binary so that DataFusion is linked once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code: a broken assumption stops the test"
)]

mod backfill;
mod cli;
mod cloudwatch;
mod cloudwatch_double;
mod dead_letters;
mod explain;
mod fixture;
mod fuzz;
mod golden;
mod harness;
#[cfg(feature = "embedded")]
mod kill;
#[cfg(feature = "embedded")]
mod live;
mod parity;
mod reference;
mod reference_self;
mod refusals;
mod semantics;
mod sql;
mod tidy;

/// Tests of what is given back ask it.
#[global_allocator]
static ALLOCATOR: harness::heap::Counting<std::alloc::System> = harness::heap::Counting(std::alloc::System);
