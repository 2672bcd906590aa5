//! What a saved state is without, because the lake has it: left out when it is written, and put back from the raw table when it is read.
//!
//! | | how much there is of it | where it is |
//! |---|---|---|
//! | ids of events | all within the horizon of a shard, millions on a busy stream, 24 bytes each that nothing compresses | the id of a row, its shard, and the high time at which it was judged |
//! | marks of sessions and streams | one of every event since the last window of `CONCURRENCY` that is resolved, 60 bytes each | the row, and the high time by which it was in time |
//!
//! A commit names the raw files of the same cut, so what it says to have left out is there, in them and in those before.

mod from_rows;
mod ids;
mod marks;
mod raw_rows;

pub use from_rows::{FromRows, PutBack, leave_out, put_back};
