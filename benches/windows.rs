//! `cargo bench --bench windows`: from judged batches in memory to rows of complete windows, on one thread.
//!
//! | benchmark | what is computed |
//! |---|---|
//! | `stream_engagement` | the shipped table of that name: three exact distinct counts, sums, ratios, a group for each stream |
//! | `datafusion_batch` | the same text, its table function taken away, as plain DataFusion over all events at once, as a batch job would |
//! | `all_tables` | every shipped table but those that count presence |
//! | `playback_quality` and the like, in the group `each` | each of those tables alone: together they cost less than that |
//! | `distinct` | `COUNT(DISTINCT session_id)` of each stream and minute alone |
//! | `hour_by_5_minutes`, `hour_by_10_seconds` | in the group `hop`, over two hours: an hour sliding by so much, by country. 12 and 360 panes to a window |
//! | `hour` | beside them: the same by tumbling hours |
//! | `visits` | in the group `session`: heartbeats and the like of each session, sessions that end after 30 seconds without any |
//! | `minutes` | beside it: the same by sessions and tumbling minutes |
#![allow(clippy::expect_used, reason = "a benchmark without its input cannot go on")]

mod workload;

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};
use headcount::pipeline::PipelineFile;

use workload::windows::Windows;
use workload::{Workload, compile, pipelines};

/// The allocator of the program: it is part of what is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The tables that count presence: `concurrency` measures those.
const CONCURRENCY: [&str; 2] = ["concurrent_viewers", "platform_totals"];

const TUMBLE: &str = "TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))";

const DISTINCT: &str = "SELECT window_start, window_end, stream_id, COUNT(DISTINCT session_id) AS sessions
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, stream_id";

fn windows(c: &mut Criterion) {
    let windows = Windows::ready();
    let mut group = windows.group(c, "windows");
    windows.bench(&mut group, "stream_engagement", &pipelines(&windows.runtime, |name| name == "stream_engagement"));

    let batch = windows.runtime.block_on(plain(&windows));
    let query = batch_query();
    group.bench_function("datafusion_batch", |b| {
        b.iter(|| {
            let rows = windows.runtime.block_on(async { batch.sql(&query).await?.collect().await });
            black_box(rows.expect("plain DataFusion runs it"))
        });
    });

    windows.bench(&mut group, "all_tables", &pipelines(&windows.runtime, |name| !CONCURRENCY.contains(&name)));
    let distinct = PipelineFile::parse(
        "distinct.sql",
        &format!("/*\ntitle = \"Sessions\"\nkeys = [\"stream_id\"]\nsinks = [\"lake\"]\n*/\n{DISTINCT}"),
    );
    let distinct = compile(&windows.runtime, &[distinct.expect("a valid pipeline")]);
    windows.bench(&mut group, "distinct", &distinct);
    group.finish();
}

/// What each shipped table costs by itself: what another pipeline adds to a job.
fn each(c: &mut Criterion) {
    let windows = Windows::ready();
    let mut group = windows.group(c, "each");
    let shipped = PipelineFile::shipped().into_iter().map(|file| file.expect("a shipped pipeline can be read"));
    for file in shipped.filter(|file| !CONCURRENCY.contains(&file.name.as_str())) {
        windows.bench(&mut group, &file.name, &compile(&windows.runtime, std::slice::from_ref(&file)));
    }
    group.finish();
}

/// Events a second of a platform whose records take two hours.
const OF_TWO_HOURS_PER_SEC: u32 = 6;

/// A window of an hour, by country: with a key, a sum and a set.
fn of_an_hour(name: &str, call: &str) -> PipelineFile {
    let text = format!(
        "/*\ntitle = \"{name}\"\nkeys = [\"country\"]\n*/\nSELECT window_start, window_end, country, COUNT(*) AS events,
           SUM(played_ms) AS played_ms, COUNT(DISTINCT viewer_id) AS viewers
         FROM TABLE({call}) GROUP BY window_start, window_end, country"
    );
    PipelineFile::parse(&format!("{name}.sql"), &text).expect("a valid pipeline")
}

/// What windows that overlap cost, beside windows of the same size that do not.
fn hop(c: &mut Criterion) {
    let windows = Windows::of(&Workload::generate_at(OF_TWO_HOURS_PER_SEC));
    let mut group = windows.group(c, "hop");
    let (hour, of_stream) = ("INTERVAL '1' HOUR", "TABLE user_events, DESCRIPTOR(event_time)");
    let hop = |name, slide| of_an_hour(name, &format!("HOP({of_stream}, {slide}, {hour})"));
    let by_10_seconds = hop("hour_by_10_seconds", "INTERVAL '10' SECOND");
    let by_5_minutes = hop("hour_by_5_minutes", "INTERVAL '5' MINUTE");
    let tumble = of_an_hour("hour", &format!("TUMBLE({of_stream}, {hour})"));
    for file in [by_10_seconds, by_5_minutes, tumble] {
        windows.bench(&mut group, &file.name, &compile(&windows.runtime, std::slice::from_ref(&file)));
    }
    group.finish();
}

/// What windows cost that end when their key is silent, beside tumbling windows of the same keys.
fn session(c: &mut Criterion) {
    let windows = Windows::ready();
    let mut group = windows.group(c, "session");
    let of_sessions = |name: &str, call: &str| {
        let text = format!(
            "/*\ntitle = \"{name}\"\nkeys = [\"session_id\"]\nsinks = [\"lake\"]\n*/\nSELECT window_start, window_end, session_id,
               COUNT(*) AS events, SUM(played_ms) AS played_ms
             FROM TABLE({call}) WHERE session_id IS NOT NULL GROUP BY window_start, window_end, session_id"
        );
        PipelineFile::parse(&format!("{name}.sql"), &text).expect("a valid pipeline")
    };
    let gap = "DESCRIPTOR(event_time), INTERVAL '30' SECOND";
    let visits = of_sessions("visits", &format!("SESSION(TABLE user_events PARTITION BY session_id, {gap})"));
    let minutes = of_sessions("minutes", "TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)");
    for file in [visits, minutes] {
        windows.bench(&mut group, &file.name, &compile(&windows.runtime, std::slice::from_ref(&file)));
    }
    group.finish();
}

/// All events as a table of plain DataFusion, on one partition.
async fn plain(windows: &Windows) -> SessionContext {
    let batches: Vec<_> = windows.shards.iter().flat_map(|shard| shard.batches.clone()).collect();
    let schema = batches.first().expect("the workload has events").schema();
    let table = MemTable::try_new(schema, vec![batches]).expect("batches of one schema");
    let session = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
    session.register_table("user_events", Arc::new(table)).expect("a new name");
    session
}

/// `stream_engagement` with the minute of its window as a computed column.
fn batch_query() -> String {
    let shipped = PipelineFile::shipped().into_iter().map(|file| file.expect("a shipped pipeline can be read"));
    let sql = shipped.into_iter().find(|file| file.name == "stream_engagement").expect("it is shipped").sql;
    let minute = "(SELECT *, date_trunc('minute', event_time) AS window_start, \
                  date_trunc('minute', event_time) + INTERVAL '1' MINUTE AS window_end FROM user_events)";
    assert!(sql.contains(TUMBLE), "{sql}");
    sql.replace(TUMBLE, minute)
}

criterion_group!(benches, windows, each, hop, session);
criterion_main!(benches);
