//! What the state of a job may take in memory: accounted while windows are open, given back when they are out, and refused beyond.

use std::sync::Arc;

use headcount::decode::Provenance;
use headcount::engine::{Combine, Intake, Pipelines, ShardMessage, ShardStage};
use headcount::pipeline::PipelineFile;
use headcount::schema::Contract;
use headcount::types::{Micros, ReadBatch, Record};

use crate::harness::{self, heap::held_bytes};
use crate::reference::Options;

use super::scene::{ZERO, pipeline, shipped};

const SEC: Micros = 1_000_000;

const GROUPS: &str =
    "SELECT window_start, window_end, session_id, COUNT(*) AS events, COUNT(DISTINCT viewer_id) AS viewers
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, session_id";

/// A job of two tables, one with a group for each session and one that counts presence.
async fn pipelines(memory_bytes_max: usize) -> Arc<Pipelines> {
    let files = [pipeline("sessions", "keys = [\"session_id\"]", GROUPS), shipped("concurrent_viewers")];
    compiled(&files, memory_bytes_max).await
}

async fn compiled(files: &[PipelineFile], memory_bytes_max: usize) -> Arc<Pipelines> {
    let options = headcount::engine::EngineOptions { memory_bytes_max, ..harness::engine_options(&Options::default()) };
    Arc::new(Pipelines::compile(Arc::new(Contract::shipped().unwrap()), files, options).await.unwrap())
}

/// Heartbeats of as many sessions, all at `second`.
fn heartbeats(sessions: std::ops::Range<usize>, second: i64) -> ReadBatch {
    let record = |session: usize| {
        let time = ZERO + second * SEC;
        let text = format!(
            r#"{{"schema_version":"1","event_id":"{session}@{second}","event_type":"view.heartbeat","event_time":{},"stream_id":"s","session_id":"session {session}","viewer_id":"viewer {session}"}}"#,
            time / 1_000
        );
        Record { data: text.into(), sequence_number: session.to_string().into(), arrival_time: Some(time) }
    };
    ReadBatch {
        shard: "shard".into(),
        records: sessions.map(record).collect(),
        millis_behind_latest: None,
        polled_at: None,
    }
}

struct Shard {
    intake: Intake,
    stage: ShardStage,
}

impl Shard {
    fn new(pipelines: &Arc<Pipelines>) -> Self {
        let contract = Arc::clone(&pipelines.contract);
        let intake = Intake::try_new(contract, Provenance::Record, pipelines.options.judge).unwrap();
        Self { intake, stage: ShardStage::try_new(Arc::clone(pipelines)).unwrap() }
    }

    async fn take(&mut self, read: &ReadBatch) -> headcount::Result<headcount::engine::Processed> {
        let events = self.intake.take(read)?.judged.into_kept()?;
        self.stage.process(&events).await
    }
}

#[tokio::test]
async fn windows_take_memory_while_they_are_open() {
    let pipelines = pipelines(usize::MAX).await;
    let mut shard = Shard::new(&pipelines);
    let mut combine = Combine::try_new(Arc::clone(&pipelines)).unwrap();
    combine.join("shard".into());
    let empty = pipelines.memory.bytes();
    let taken = shard.take(&heartbeats(0..2_000, 1)).await.unwrap();
    let open = pipelines.memory.bytes();
    assert!(open > empty + 2_000 * 64, "{open} bytes for 2,000 groups and marks, {empty} before");
    // Beyond the end of the window: it goes to where shards meet, is merged and comes out.
    let watermark = ZERO + 600 * SEC;
    let partials = shard.stage.close(watermark).unwrap();
    assert!(pipelines.memory.bytes() < empty + 1_000, "the shard has nothing left");
    let message = ShardMessage { shard: "shard".into(), seen: taken.seen, partials, watermark: Some(watermark) };
    let out = combine.handle(message).await.unwrap();
    assert!(out.iter().any(|e| e.rows.num_rows() == 2_000));
    let presence = pipelines.memory.bytes();
    assert!(presence < 2_000 * 300, "only who is present is remembered: {presence} bytes, {open} before");
    drop((shard, combine));
    assert_eq!(pipelines.memory.bytes(), 0);
}

#[tokio::test]
async fn who_is_present_takes_what_is_accounted() {
    const SESSIONS: usize = 100_000;
    let pipelines = compiled(&[shipped("concurrent_viewers"), shipped("platform_totals")], usize::MAX).await;
    let mut combine = Combine::try_new(Arc::clone(&pipelines)).unwrap();
    combine.join("shard".into());
    let (held, accounted) = (held_bytes(), pipelines.memory.bytes());
    let mut shard = Shard::new(&pipelines);
    let mut seen = Vec::new();
    for first in (0..SESSIONS).step_by(5_000) {
        seen = shard.take(&heartbeats(first..first + 5_000, 1)).await.unwrap().seen;
    }
    let watermark = ZERO + 10 * SEC;
    let partials = shard.stage.close(watermark).unwrap();
    drop(shard);
    let message = ShardMessage { shard: "shard".into(), seen, partials, watermark: Some(watermark) };
    combine.handle(message).await.unwrap();
    assert_eq!(combine.status().presence, Some((SESSIONS as i64, 1)));
    let each = |bytes: i64| bytes as f64 / SESSIONS as f64;
    let held = each(held_bytes() - held);
    let accounted = each((pipelines.memory.bytes() - accounted) as i64);
    println!("a present session takes {held:.0} bytes, of which {accounted:.0} are accounted");
    // Not accounted are streams' lists of sessions, the calendar, and rows of the window just closed.
    assert!(accounted <= held && held <= 1.15 * accounted, "{held:.0} bytes a session, {accounted:.0} accounted");
}

#[tokio::test]
async fn a_session_takes_memory_by_its_groups_and_not_by_its_length() {
    let call = "SESSION(TABLE user_events PARTITION BY session_id, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)";
    let sql = GROUPS.replace("TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)", call);
    let pipelines = compiled(&[pipeline("visits", "keys = [\"session_id\"]", &sql)], usize::MAX).await;
    let mut shard = Shard::new(&pipelines);
    let mut combine = Combine::try_new(Arc::clone(&pipelines)).unwrap();
    combine.join("shard".into());
    let message = |partials, watermark| ShardMessage {
        shard: "shard".into(),
        seen: vec![],
        partials,
        watermark: Some(watermark),
    };
    let mut taken = Vec::new();
    for second in (0..20).map(|round| round * 30) {
        shard.take(&heartbeats(0..2_000, second)).await.unwrap();
        let watermark = ZERO + second * SEC;
        let partials = shard.stage.close(watermark).unwrap();
        assert!(combine.handle(message(partials, watermark)).await.unwrap().is_empty(), "they go on");
        taken.push(pipelines.memory.bytes());
    }
    let (first, most) = (taken[0], taken.iter().copied().max().unwrap());
    assert!(first > 2_000 * 64 && most < 3 * first, "{first} bytes at first, {most} at most");
    let out = combine.handle(message(shard.stage.close(i64::MAX).unwrap(), ZERO + 3_600 * SEC)).await.unwrap();
    assert_eq!(out.iter().map(|e| e.rows.num_rows()).sum::<usize>(), 2_000);
    assert!(pipelines.memory.bytes() < first / 10, "{} bytes of nothing", pipelines.memory.bytes());
}

/// What waits for a window's end fits, and what it is merged to beside it does not.
#[tokio::test]
async fn windows_take_memory_while_they_are_merged() {
    let session = GROUPS.replace("TUMBLE(TABLE user_events", "SESSION(TABLE user_events PARTITION BY session_id");
    let hop =
        GROUPS.replace("INTERVAL '1' MINUTE", "INTERVAL '20' SECOND, INTERVAL '1' MINUTE").replace("TUMBLE", "HOP");
    for sql in [GROUPS, &hop, &session] {
        let closed = async |bytes_max| {
            let pipelines = compiled(&[pipeline("visits", "keys = [\"session_id\"]", sql)], bytes_max).await;
            let mut shard = Shard::new(&pipelines);
            let mut combine = Combine::try_new(Arc::clone(&pipelines)).unwrap();
            combine.join("shard".into());
            shard.take(&heartbeats(0..20_000, 1)).await.unwrap();
            let mut most = pipelines.memory.bytes();
            let partials = shard.stage.close(ZERO + 600 * SEC).unwrap();
            drop(shard);
            let message = |partials, second: i64| {
                let watermark = Some(ZERO + second * SEC);
                ShardMessage { shard: "shard".into(), seen: vec![], partials, watermark }
            };
            let waiting = combine.handle(message(partials, 0)).await.unwrap();
            assert!(waiting.is_empty());
            most = most.max(pipelines.memory.bytes());
            (most, combine.handle(message(Default::default(), 600)).await.map(|out| out.len()))
        };
        let (most, out) = closed(usize::MAX).await;
        assert!(out.unwrap() > 0);
        let (_, out) = closed(most + most / 8).await;
        let report = out.unwrap_err().report();
        assert!(report.contains("more memory than run.memory_mib_max"), "{report}");
        assert!(report.contains("windows of visits that are merged") && report.contains("remedy:"), "{report}");
        assert!(closed(5 * most).await.1.is_ok(), "there is room for both");
    }
}

#[tokio::test]
async fn what_does_not_fit_is_an_error_that_names_the_table() {
    let pipelines = pipelines(1 << 20).await;
    let mut shard = Shard::new(&pipelines);
    for read in 0..20 {
        if let Err(error) = shard.take(&heartbeats(read * 2_000..(read + 1) * 2_000, 1)).await {
            let report = error.report();
            assert!(report.contains("more memory than run.memory_mib_max"), "{report}");
            assert!(report.contains("open windows of sessions") && report.contains("remedy:"), "{report}");
            assert!(read > 0, "a megabyte is enough for 2,000 groups");
            return;
        }
    }
    panic!("40,000 groups and their marks fit into a megabyte");
}
