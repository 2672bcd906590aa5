//! The SQL that a pipeline may contain: by golden queries, by random ones, and by the examples of the documentation.
//!
//! ```text
//!  queries/*.sql ─┐   ┌─► a backfill into a lake
//!                 ├───┼─► live, in batches of 1, 7 and 1,000
//!  input/*.ndjson ┘   ├─► put away as bytes and taken up again after every read       ─► rows: all equal queries/*.txt
//!                     ├─► judged rows dealt over 1, 3 and 8 shards
//!                     └─► plain DataFusion over all rows at once, where that can say
//!
//!  random queries, random rows ─► windowed operator = plain DataFusion
//!  random queries over windows  ─► their rows = plain DataFusion over the rows of these windows, in each revision
//!  README.md, docs/sql.md ─► every block of SQL compiles and runs
//! ```
//!
//! A new query is a new file `queries/<name>.sql`; `HEADCOUNT_REGOLD=1 cargo nextest run sql::golden` writes what it gives beside it,
//! to be read before it is committed. `HEADCOUNT_SQL=<word>` runs only the queries whose names contain the word.
//!
//! * `golden`: the queries, run by every way; * `plain`: what plain DataFusion says;
//! * `presence`: what the reference says of `CONCURRENCY`; * `random`: queries that nobody wrote; * `cascades`: the same over windows;
//! * `examples`: the documentation's; * `input`: the events; * `text`: a table as people read it.

mod cascades;
mod examples;
mod golden;
mod input;
mod plain;
mod presence;
mod random;
mod text;
