//! The `headcount` binary: all of it is in the library.
#![forbid(unsafe_code)]

use std::process::ExitCode;

// Arrow and Parquet allocate large buffers from many threads; the system's allocator keeps too much of them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    headcount::cli::main()
}
