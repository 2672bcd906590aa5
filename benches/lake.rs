//! `cargo bench --bench lake`: what happens to events up to the files of the lake.
//!
//! | group | from | to |
//! |---|---|---|
//! | `parquet` | judged batches, in memory | finished files of raw events in a temporary folder |
//! | `end_to_end` | records, in memory | finished files of every table in a temporary folder: a live job |
//!
//! Both have as many threads as there are cores.
#![allow(clippy::expect_used, reason = "a benchmark without its input cannot go on")]

mod workload;

use std::future::Future;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use headcount::Result;
use headcount::clock::{Clock, SystemClock};
use headcount::engine::Pipelines;
use headcount::engine::board::Board;
use headcount::engine::live::{self, Ending};
use headcount::engine::shard_task::ShardSource;
use headcount::engine::tables::{TableOptions, Target, open_tables};
use headcount::schema::Contract;
use headcount::sink::lake::{Lake, LakeOptions, RollPolicy, TableSpec, TableWriter};
use headcount::types::{MICROS_PER_MINUTE, ReadBatch, ShardId, ShardPosition};
use tokio::runtime::{Builder, Runtime};

use workload::{Workload, pipelines};

/// The allocator of the program: it is part of what is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn all_cores() -> Runtime {
    Builder::new_multi_thread().enable_all().build().expect("a runtime")
}

fn contract() -> Arc<Contract> {
    Arc::new(Contract::shipped().expect("the shipped contract is valid"))
}

/// A lake that goes with its folder.
fn lake() -> (tempfile::TempDir, Lake) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = folder.path().to_str().expect("a readable path");
    let lake = Lake::open(url, &LakeOptions::default()).expect("the folder is a lake");
    (folder, lake)
}

fn parquet(c: &mut Criterion) {
    let workload = Workload::generate();
    let runtime = all_cores();
    let contract = contract();
    let shards = workload.judged(&contract);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let write = async |lake: &Lake| {
        let spec = TableSpec::new(contract.stream_name(), contract.time_field(), "bench");
        let mut writer = TableWriter::new(lake.clone(), spec, RollPolicy::default(), Arc::clone(&clock));
        for events in shards.iter().flat_map(|shard| &shard.batches) {
            writer.write(events).await?;
        }
        writer.close().await
    };
    let mut group = c.benchmark_group("parquet");
    group.throughput(workload.throughput()).sample_size(20);
    group.bench_function("raw_events", |b| {
        b.iter_batched(
            lake,
            |(folder, lake)| {
                let summary = runtime.block_on(write(&lake)).expect("rows are written");
                assert!(summary.rows > 0, "the workload has rows");
                // Removing the files is not measured.
                (folder, summary)
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// A shard whose reads are in memory.
struct MemoryShard {
    shard: ShardId,
    reads: std::vec::IntoIter<ReadBatch>,
}

impl ShardSource for MemoryShard {
    fn shard(&self) -> ShardId {
        ShardId::clone(&self.shard)
    }

    fn next(&mut self) -> impl Future<Output = Result<Option<ReadBatch>>> + Send {
        std::future::ready(Ok(self.reads.next()))
    }

    fn position(&self) -> Option<ShardPosition> {
        None
    }
}

/// A live job over the whole workload, to its drained end; rows of all tables.
async fn job(pipelines: Arc<Pipelines>, shards: Vec<MemoryShard>, lake: &Lake) -> Result<u64> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let options = TableOptions { roll: RollPolicy::default(), gather: 5 * MICROS_PER_MINUTE };
    let tables = open_tables(&pipelines, Target::Lake(lake), options, "bench", &clock);
    let board = Arc::new(Board::new(clock.now()));
    let ended = live::run(pipelines, shards, None, tables, board, Ending::default(), clock).await?;
    Ok(ended.tables.iter().map(|(_, written)| written.rows).sum())
}

fn end_to_end(c: &mut Criterion) {
    let workload = Workload::generate();
    let runtime = all_cores();
    let pipelines = pipelines(&runtime, |_| true);
    let ready = || {
        let shard = |(shard, reads): (&ShardId, &Vec<ReadBatch>)| MemoryShard {
            shard: ShardId::clone(shard),
            reads: reads.clone().into_iter(),
        };
        (lake(), workload.shards.iter().map(shard).collect::<Vec<_>>())
    };
    let mut group = c.benchmark_group("end_to_end");
    group.throughput(workload.throughput()).sample_size(20);
    group.bench_function("live_job", |b| {
        b.iter_batched(
            ready,
            |((folder, lake), shards)| {
                let rows = runtime.block_on(job(Arc::clone(&pipelines), shards, &lake)).expect("the job ends well");
                assert!(rows > 0, "the workload has rows");
                (folder, rows)
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, parquet, end_to_end);
criterion_main!(benches);
