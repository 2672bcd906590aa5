//! The windows of pipelines, from judged batches in memory to rows of complete windows, on one thread.

use std::hint::black_box;
use std::sync::Arc;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion};
use headcount::Result;
use headcount::engine::{Combine, Pipelines, ShardMessage, ShardStage};
use headcount::operator::concurrency::Seen;
use headcount::schema::Contract;
use headcount::types::{Micros, ShardId};
use tokio::runtime::{Builder, Runtime};

use super::{JudgedShard, Workload};

/// The input of a benchmark of windows, and what runs them.
pub struct Windows {
    /// One thread.
    pub runtime: Runtime,
    /// Judged batches, by shard.
    pub shards: Vec<JudgedShard>,
    throughput: criterion::Throughput,
}

impl Windows {
    /// The workload, decoded and judged.
    pub fn ready() -> Self {
        Self::of(&Workload::generate())
    }

    /// A workload, decoded and judged.
    pub fn of(workload: &Workload) -> Self {
        let contract = Arc::new(Contract::shipped().expect("the shipped contract is valid"));
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { runtime, shards: workload.judged(&contract), throughput: workload.throughput() }
    }

    /// A group whose throughput is that of the workload.
    pub fn group<'c>(&self, c: &'c mut Criterion, name: &str) -> BenchmarkGroup<'c, WallTime> {
        let mut group = c.benchmark_group(name);
        group.throughput(self.throughput.clone()).sample_size(20);
        group
    }

    /// Measures every window of `pipelines`.
    pub fn bench(&self, group: &mut BenchmarkGroup<'_, WallTime>, name: &str, pipelines: &Arc<Pipelines>) {
        group.bench_function(name, |b| {
            b.iter(|| {
                let computed = self.runtime.block_on(compute(pipelines, &self.shards));
                let rows = computed.expect("windows are computed");
                assert!(rows > 0, "the workload has windows");
                black_box(rows)
            });
        });
    }
}

/// Every window of `pipelines` over the events of all shards; the number of rows.
async fn compute(pipelines: &Arc<Pipelines>, shards: &[JudgedShard]) -> Result<usize> {
    let mut combine = Combine::try_new(Arc::clone(pipelines))?;
    shards.iter().for_each(|s| combine.join(ShardId::clone(&s.shard)));
    for shard in shards {
        let mut stage = ShardStage::try_new(Arc::clone(pipelines))?;
        for events in &shard.batches {
            let processed = stage.process(events).await?;
            let message = message(shard, &mut stage, processed.seen, Micros::MIN)?;
            combine.handle(message).await?;
        }
        combine.handle(message(shard, &mut stage, vec![], Micros::MAX)?).await?;
    }
    Ok(combine.finish().await?.iter().map(|emission| emission.rows.num_rows()).sum())
}

fn message(shard: &JudgedShard, stage: &mut ShardStage, seen: Vec<Seen>, watermark: Micros) -> Result<ShardMessage> {
    Ok(ShardMessage { shard: ShardId::clone(&shard.shard), seen, partials: stage.close(watermark)?, watermark: None })
}
