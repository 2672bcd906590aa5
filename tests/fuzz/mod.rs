//! Every parser of bytes, on bytes that nobody meant: what must hold is in `targets`, where bytes come from in `seeds` and `mutate`, and
//! `bounded` runs each target for some seconds. `fuzz/` runs the same targets under libFuzzer. See `docs/testing.md`.
#![allow(unreachable_pub, reason = "a binary reaches nothing")]

mod bounded;
mod campaign;
mod mutate;
mod seeds;
mod targets;
