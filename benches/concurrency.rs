//! `cargo bench --bench concurrency`: from judged batches in memory to rows of the tables that count presence, on one thread.
#![allow(clippy::expect_used, reason = "a benchmark without its input cannot go on")]

mod workload;

use criterion::{Criterion, criterion_group, criterion_main};

use workload::pipelines;
use workload::windows::Windows;

/// The allocator of the program: it is part of what is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The tables that count presence.
const TABLES: [&str; 2] = ["concurrent_viewers", "platform_totals"];

fn concurrency(c: &mut Criterion) {
    let windows = Windows::ready();
    let mut group = windows.group(c, "concurrency");
    windows.bench(&mut group, "all_tables", &pipelines(&windows.runtime, |name| TABLES.contains(&name)));
    for table in TABLES {
        windows.bench(&mut group, table, &pipelines(&windows.runtime, |name| name == table));
    }
    group.finish();
}

criterion_group!(benches, concurrency);
criterion_main!(benches);
