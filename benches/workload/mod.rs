//! The input of all benchmarks: a seeded evening of the simulated platform, in memory, as a live run would read it.
#![allow(dead_code, unreachable_pub, reason = "each benchmark uses the part of the workload that it needs")]

pub mod counting;
#[path = "../../tests/harness/heap.rs"]
pub mod heap;
pub mod windows;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use criterion::Throughput;
use headcount::config::Config;
use headcount::decode::Provenance;
use headcount::engine::{EngineOptions, Intake, Pipelines};
use headcount::operator::window::Lateness;
use headcount::pipeline::PipelineFile;
use headcount::schema::Contract;
use headcount::source::simulator::{Simulator, SimulatorConfig, shard_index};
use headcount::types::{ReadBatch, Record, ShardId};

/// Records in all. Enough that fixed costs do not show, few enough that a sample takes a fraction of a second.
const RECORDS: usize = 40_000;

/// Events a second of the platform: two minutes of it, so that windows open and close.
const EVENTS_PER_SEC: u32 = 300;

/// Shards that the records are dealt out to.
const SHARDS: u32 = 4;

/// Records of one read: what a busy shard gives at a time.
const RECORDS_PER_READ: usize = 2_000;

/// The records as they are read, and what they amount to.
#[derive(Debug, Clone)]
pub struct Workload {
    /// The reads of each shard, in order.
    pub shards: BTreeMap<ShardId, Vec<ReadBatch>>,
    /// Payload bytes of all records.
    pub bytes: u64,
    /// Events in all records.
    pub events: u64,
}

impl Workload {
    /// The same records every time.
    pub fn generate() -> Self {
        Self::generate_at(EVENTS_PER_SEC)
    }

    /// As many records of a platform with so many events a second: with fewer of them over more time.
    pub fn generate_at(events_per_sec: u32) -> Self {
        let config = SimulatorConfig { seed: 7, events_per_sec, ..SimulatorConfig::default() };
        let simulator = Simulator::new(config).expect("the configuration can be simulated");
        let mut records: BTreeMap<ShardId, Vec<Record>> = BTreeMap::new();
        let mut bytes = 0;
        for (i, event) in simulator.take(RECORDS).enumerate() {
            let shard = format!("shardId-{:012}", shard_index(&event.partition_key, SHARDS));
            bytes += event.data.len() as u64;
            records.entry(shard.into()).or_default().push(Record {
                data: event.data.into(),
                sequence_number: i.to_string().into(),
                arrival_time: Some(event.arrival_time),
            });
        }
        let mut shards = BTreeMap::new();
        for (shard, records) in records {
            let read = |records: &[Record]| ReadBatch {
                shard: ShardId::clone(&shard),
                records: records.to_vec(),
                millis_behind_latest: None,
                polled_at: None,
            };
            let reads = records.chunks(RECORDS_PER_READ).map(read).collect();
            shards.insert(shard, reads);
        }
        let mut workload = Self { shards, bytes, events: 0 };
        let contract = Arc::new(Contract::shipped().expect("the shipped contract is valid"));
        workload.events = workload.judged(&contract).iter().map(|shard| shard.events_read).sum();
        workload
    }

    /// Everything decoded and judged, by shard.
    pub fn judged(&self, contract: &Arc<Contract>) -> Vec<JudgedShard> {
        let judged = |(shard, reads): (&ShardId, &Vec<ReadBatch>)| {
            let mut intake =
                Intake::try_new(Arc::clone(contract), Provenance::Record, options().judge).expect("an intake");
            let batches = reads
                .iter()
                .map(|read| intake.take(read).and_then(|taken| taken.judged.into_kept()).expect("the read is taken"))
                .collect();
            JudgedShard { shard: ShardId::clone(shard), batches, events_read: intake.counts().0 }
        };
        self.shards.iter().map(judged).collect()
    }

    /// What one pass over the workload is.
    pub fn throughput(&self) -> Throughput {
        Throughput::ElementsAndBytes { elements: self.events, bytes: self.bytes }
    }
}

/// One shard's events, ready for the windowed operators.
#[derive(Debug)]
pub struct JudgedShard {
    /// The shard.
    pub shard: ShardId,
    /// Its events, a batch for each read.
    pub batches: Vec<RecordBatch>,
    /// Events read, those that were dropped included.
    pub events_read: u64,
}

/// The engine as the built-in configuration sets it.
pub fn options() -> EngineOptions {
    let config = Config::load(None, std::iter::empty()).expect("the built-in configuration is valid");
    EngineOptions::of(&config, Lateness::Judge)
}

/// The shipped pipelines that are chosen by name.
pub fn pipelines(runtime: &tokio::runtime::Runtime, chosen: impl Fn(&str) -> bool) -> Arc<Pipelines> {
    let files = PipelineFile::shipped().into_iter().map(|file| file.expect("a shipped pipeline can be read"));
    let files: Vec<PipelineFile> = files.filter(|file| chosen(&file.name)).collect();
    compile(runtime, &files)
}

/// These pipelines over the shipped contract.
pub fn compile(runtime: &tokio::runtime::Runtime, files: &[PipelineFile]) -> Arc<Pipelines> {
    let contract = Arc::new(Contract::shipped().expect("the shipped contract is valid"));
    let compiled = runtime.block_on(Pipelines::compile(contract, files, options()));
    Arc::new(compiled.expect("pipelines compile"))
}
