//! Whether the header's `keys` tell the rows of a window apart: a revision finds the rows that it replaces by them, in a run and where
//! the lake is queried, so that two rows of one key would hide each other.
//!
//! ```text
//!  keys = ["place"]           {place} of the table
//!    Projection, Filter       {place}                       columns that are handed on as they are, or are equal to such
//!      ROW_NUMBER() AS place  a number of each row of one PARTITION BY: told apart
//! ```
//!
//! Asked is from the top down: known columns of a plan are those of its input. What is not known to tell rows apart is taken not to.
//!
//! * [`check()`]: the refusal; * `rows`: what tells the rows of a plan apart; * `join`: rows of two sides; * `known`: columns that are known;
//! * `constant`: columns with one value in a window, or never NULL; * `aggregated`: columns that late rows change.

mod aggregated;
mod check;
mod constant;
mod join;
mod known;
mod rows;

pub(super) use check::check;
