//! What must hold for any bytes: a function for each parser, which panics where it does not.
//!
//! Only the public interface of the crate is used, so that the same functions run here, from seeds and for seconds, and in `fuzz/`, guided
//! by coverage and for hours.
#![allow(unreachable_pub, reason = "two crates share these files")]

mod checkpoints;
mod decoding;
mod files;
mod forms;
mod reading;
mod texts;
mod work;

pub use checkpoints::{object as checkpoint, opened as opened_checkpoint, state as checkpoint_state};
pub use decoding::{CONTRACT, aggregate, forms, record, timestamps};
pub use files::{json, lines, parquet, replacement};
pub use forms::{gzip, message as aggregate_message, seal, zstd};
pub use texts::{config, environment, pipeline, query, schema};
