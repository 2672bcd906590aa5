//! The built program, as a person or a script meets it: exit codes, messages, files. Every command runs in a temporary folder of
//! its own, as it must work from any.

#[cfg(feature = "embedded")]
mod changed;
mod evolution;
mod examples;
mod letters;
mod lookups;
mod mistakes;
#[cfg(feature = "embedded")]
mod platform;
mod program;
mod query;
mod runs;
mod verify;
