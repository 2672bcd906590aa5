//! The targets, which are those of the test-suite.

#[path = "../../tests/fuzz/targets/mod.rs"]
pub mod targets;
