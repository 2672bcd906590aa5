//! `cargo bench --bench concurrency`: the tables that count presence, on one thread.
//!
//! | figure | what is measured |
//! |---|---|
//! | `concurrency/…` | events a second, from judged batches in memory to rows of the tables |
//! | `memory` | bytes that a present session takes where shards meet, as the allocator counts them and as they are accounted |
//!
//! `HEADCOUNT_BENCH_SESSIONS` is how many sessions the second has (1,000,000), each of another viewer, in a thousand streams.
#![allow(clippy::expect_used, clippy::panic, reason = "a benchmark without its input cannot go on")]

mod workload;

use std::io::Write;
use std::sync::Arc;

use criterion::{Criterion, criterion_group};
use headcount::decode::Provenance;
use headcount::engine::{Combine, Intake, Pipelines, ShardMessage, ShardStage};
use headcount::types::{Micros, ReadBatch, Record, ShardId};

use mimalloc::MiMalloc;
use workload::heap::{Counting, held_bytes};
use workload::pipelines;
use workload::windows::Windows;

/// The allocator of the program: it is part of what is measured. That it knows what is held costs a nanosecond each time.
#[global_allocator]
static ALLOCATOR: Counting<MiMalloc> = Counting(MiMalloc);

/// The tables that count presence.
const TABLES: [&str; 2] = ["concurrent_viewers", "platform_totals"];

/// 2026-01-31T18:00:00Z
const START: Micros = 1_769_882_400_000_000;
const BUCKET: Micros = 10_000_000;
/// All sessions come in so many buckets: less time than a lease.
const BUCKETS: u64 = 5;
const RECORDS_PER_READ: u64 = 5_000;

fn concurrency(c: &mut Criterion) {
    let windows = Windows::ready();
    let mut group = windows.group(c, "concurrency");
    windows.bench(&mut group, "all_tables", &pipelines(&windows.runtime, |name| TABLES.contains(&name)));
    for table in TABLES {
        windows.bench(&mut group, table, &pipelines(&windows.runtime, |name| name == table));
    }
    group.finish();
}

/// Heartbeats of the sessions from `first` on, each in a record of its own.
fn read(shard: &ShardId, first: u64, until: u64, sessions: u64) -> ReadBatch {
    let record = |session: u64| {
        let time = START + (session * BUCKETS * BUCKET as u64 / sessions) as Micros;
        let text = format!(
            r#"{{"schema_version":"1","event_id":"{session:016x}","event_type":"view.heartbeat","event_time":{},"stream_id":"stream {}","session_id":"session {session:016x}","viewer_id":"viewer {session:016x}"}}"#,
            time / 1_000,
            session.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32 & 1_023,
        );
        Record { data: text.into(), sequence_number: session.to_string().into(), arrival_time: Some(time) }
    };
    let records = (first..until).map(record).collect();
    ReadBatch { shard: ShardId::clone(shard), records, millis_behind_latest: None, polled_at: None }
}

/// Bytes that a present session takes, and those of them that are accounted.
async fn memory(pipelines: Arc<Pipelines>, sessions: u64) -> headcount::Result<(f64, f64)> {
    let shard: ShardId = "shard".into();
    let mut combine = Combine::try_new(Arc::clone(&pipelines))?;
    combine.join(ShardId::clone(&shard));
    let before = (held_bytes(), pipelines.memory.bytes());
    let contract = Arc::clone(&pipelines.contract);
    let mut intake = Intake::try_new(contract, Provenance::Record, pipelines.options.judge)?;
    let mut stage = ShardStage::try_new(Arc::clone(&pipelines))?;
    let (mut first, mut closed) = (0, START);
    while first < sessions {
        let until = sessions.min(first + RECORDS_PER_READ);
        let events = intake.take(&read(&shard, first, until, sessions))?.judged.into_kept()?;
        let seen = stage.process(&events).await?.seen;
        first = until;
        let bucket = START + (first * BUCKETS / sessions) as Micros * BUCKET;
        let watermark = if bucket > closed { Some(bucket) } else { None };
        closed = bucket;
        let partials = stage.close(watermark.unwrap_or(Micros::MIN))?;
        combine.handle(ShardMessage { shard: ShardId::clone(&shard), seen, partials, watermark }).await?;
    }
    drop((intake, stage));
    assert_eq!(combine.status().presence, Some((sessions as i64, 1_024)));
    let held = held_bytes() - before.0;
    let accounted = pipelines.memory.bytes() - before.1;
    Ok((held as f64 / sessions as f64, accounted as f64 / sessions as f64))
}

fn main() {
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if asked.is_empty() || asked.iter().any(|figure| figure == "memory") {
        let sessions = std::env::var("HEADCOUNT_BENCH_SESSIONS").ok();
        let sessions = sessions.map_or(1_000_000, |n| n.replace('_', "").parse().expect("a number of sessions"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let pipelines = pipelines(&runtime, |name| TABLES.contains(&name));
        let (held, accounted) = runtime.block_on(memory(pipelines, sessions)).expect("sessions are counted");
        let mut out = std::io::stdout();
        writeln!(out, "memory: {held:.1} bytes for each of {sessions} sessions, of which {accounted:.1} are accounted")
            .expect("figures are printed");
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}

criterion_group!(benches, concurrency);
