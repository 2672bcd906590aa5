//! `cargo bench --bench decode`: records to Arrow batches, on one core, from bytes in memory.
#![allow(clippy::expect_used, reason = "a benchmark without its input cannot go on")]

mod workload;

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use headcount::decode::{Decoder, Provenance};
use headcount::schema::Contract;

use workload::Workload;

/// The allocator of the program: it is part of what is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn decode(c: &mut Criterion) {
    let workload = Workload::generate();
    let contract = Arc::new(Contract::shipped().expect("the shipped contract is valid"));
    let mut group = c.benchmark_group("decode");
    group.throughput(workload.throughput());

    group.bench_function("decode", |b| {
        let mut decoder = Decoder::new(Arc::clone(&contract), Provenance::Record);
        b.iter(|| {
            for read in workload.shards.values().flatten() {
                black_box(decoder.decode(read).expect("the read is decoded"));
            }
        });
    });

    // Judging remembers ids, so each pass begins with judges that have seen nothing.
    group.bench_function("decode_and_judge", |b| b.iter(|| black_box(workload.judged(&contract))));
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
