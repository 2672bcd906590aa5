//! What a stop may meet: shards that a reshard has closed, a changed configuration, windows that are given up.
//!
//! The shards are lists in memory. Rows are those of the engine run over all records at once, which is itself held to the reference.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use headcount::clock::{Clock, SystemClock};
use headcount::decode::Provenance;
use headcount::engine::Pipelines;
use headcount::engine::board::{Board, Status};
use headcount::engine::checkpoint::Summary;
use headcount::engine::job_state::JobState;
use headcount::engine::live::{self, Ended, Ending};
use headcount::engine::shard_task::ShardSource;
use headcount::engine::tables::{Target, open_tables};
use headcount::pipeline::PipelineFile;
use headcount::source::simulator::{Disturbance, Simulator, SimulatorConfig};
use headcount::types::{MICROS_PER_SEC, Micros, ReadBatch, Record, ShardId, ShardPosition, floor_to};

use super::{put_away, until, within};
use crate::fixture::{self, TempLake, window_tables};
use crate::harness::{self, Cut};
use crate::reference::{Lateness, Options, RefRecord, Row, Val};

/// 2026-01-31T18:00:00Z
pub(super) const START: Micros = 1_769_882_400 * MICROS_PER_SEC;

/// An evening without late events, so that every cut of it gives the same windows.
pub(super) fn evening(seconds: i64) -> Vec<Record> {
    let calm = Disturbance {
        duplicates_ppm: 0,
        out_of_order_ppm: 0,
        late_ppm: 0,
        bad_clocks_ppm: 0,
        malformed_ppm: 0,
        ..Disturbance::default()
    };
    let config =
        SimulatorConfig { seed: 3, events_per_sec: 20, start: START, disturbance: calm, ..SimulatorConfig::default() };
    let events = Simulator::new(config).unwrap().take_while(|e| e.arrival_time < START + seconds * MICROS_PER_SEC);
    events
        .zip(1..)
        .map(|(e, n): (_, u64)| Record {
            data: e.data.into(),
            sequence_number: n.to_string().into(),
            arrival_time: Some(e.arrival_time),
        })
        .collect()
}

/// A shard in memory.
pub(super) struct Listed {
    shard: ShardId,
    reads: VecDeque<Vec<Record>>,
    position: ShardPosition,
    /// Whether it ends after its records, as a shard does that was split.
    closed: bool,
}

impl Listed {
    pub(super) fn new(shard: &str, records: &[Record], closed: bool) -> Self {
        let reads = records.chunks(50).map(<[Record]>::to_vec).collect();
        Self { shard: shard.into(), reads, position: ShardPosition::Oldest, closed }
    }
}

impl ShardSource for Listed {
    fn shard(&self) -> ShardId {
        Arc::clone(&self.shard)
    }

    async fn next(&mut self) -> headcount::Result<Option<ReadBatch>> {
        let records = match self.reads.pop_front() {
            Some(records) => records,
            None if self.closed => return Ok(None),
            None => {
                tokio::time::sleep(Duration::from_millis(5)).await;
                Vec::new()
            }
        };
        if let Some(last) = records.last() {
            self.position = ShardPosition::After(Arc::clone(&last.sequence_number));
        }
        let behind = if self.reads.is_empty() { 0 } else { 1 };
        Ok(Some(ReadBatch {
            shard: Arc::clone(&self.shard),
            records,
            millis_behind_latest: Some(behind),
            polled_at: None,
        }))
    }

    fn position(&self) -> Option<ShardPosition> {
        Some(self.position.clone())
    }
}

/// A job over `shards` until all records are read, ended as `end` says; if by nothing, it ends by itself.
pub(super) async fn job(
    pipelines: &Arc<Pipelines>,
    shards: Vec<Listed>,
    from: Option<JobState>,
    lake: &TempLake,
    end: impl FnOnce(&Ending),
) -> (JobState, Status) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let all: u64 = shards.iter().flat_map(|s| &s.reads).map(|records| records.len() as u64).sum();
    let prefix = if from.is_none() { "first" } else { "second" };
    let tables = open_tables(pipelines, Target::Lake(&lake.lake), fixture::table_options(), prefix, &clock);
    let (board, ending) = (Arc::new(Board::default()), Ending::default());
    let job = live::run(Arc::clone(pipelines), shards, from, tables, board.clone(), ending.clone(), clock);
    let job = tokio::spawn(job);
    until("every record is read", || {
        (board.status().shards.values().map(|s| s.records).sum::<u64>() == all).then_some(())
    })
    .await;
    end(&ending);
    let Ended { state, .. } = within("the job ends", job).await.unwrap().unwrap();
    assert_eq!(board.status().counters().contradictions(), Vec::<String>::new());
    (state, board.status())
}

pub(super) fn drain(ending: &Ending) {
    ending.drain.cancel();
}

/// All windows of all records, and the columns that tell rows of a table apart.
pub(super) async fn expected(pipelines: &Arc<Pipelines>, records: &[Record]) -> BTreeMap<String, Vec<Row>> {
    let records: Vec<RefRecord> = records
        .iter()
        .map(|r| RefRecord {
            shard: "s".to_owned(),
            sequence: r.sequence_number.parse().unwrap(),
            arrival: r.arrival_time,
            bytes: r.data.to_vec(),
        })
        .collect();
    let cut = Cut { records: 100, reversed: false };
    harness::run(pipelines, &records, Provenance::Record, cut).await.tables
}

pub(super) async fn shipped(options: &Options) -> Arc<Pipelines> {
    harness::pipelines(&harness::shipped(), options).await
}

pub(super) fn window_start(row: &Row) -> i64 {
    match row["window_start"] {
        Val::Int(t) => t,
        ref other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_go_on_over_a_reshard_that_ends_the_job() {
    let pipelines = shipped(&Options::default()).await;
    let records = evening(200);
    let (before, after) = records.split_at(records.len() / 2);
    let (a, b): (Vec<_>, Vec<_>) = before.iter().cloned().partition(|r| r.data.len() % 2 == 0);
    let (c, d): (Vec<_>, Vec<_>) = after.iter().cloned().partition(|r| r.data.len() % 3 == 0);
    let lake = TempLake::new();
    let parents = vec![Listed::new("a", &a, true), Listed::new("b", &b, true)];
    let (state, status) = job(&pipelines, parents, None, &lake, |_| {}).await;
    assert!(status.combine.watermark.unwrap() < START + 100 * MICROS_PER_SEC, "no window is closed that goes on");
    assert!(state.has_open_windows());
    assert!(state.shards.values().all(|s| s.drained));

    let children = vec![Listed::new("c", &c, false), Listed::new("d", &d, false)];
    job(&pipelines, children, Some(put_away(&pipelines, &lake, state).await), &lake, drain).await;
    let ignoring = shipped(&Options { lateness: Lateness::Ignore, ..Options::default() }).await;
    for (table, rows) in expected(&ignoring, &records).await {
        assert!(!rows.is_empty(), "{table}");
        assert_eq!(lake.table(&table).await, sorted(rows), "{table}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_that_several_shards_hold_is_one_in_a_checkpoint_too() {
    let sql = "SELECT window_start, window_end, stream_id, COUNT(*) AS n
        FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, stream_id";
    let text = format!("/*\ntitle = \"t\"\nkeys = [\"stream_id\"]\n*/\n{sql}\n");
    let files = [PipelineFile::parse("pipelines/tens.sql", &text).unwrap()];
    let pipelines = harness::pipelines(&files, &Options::default()).await;
    let records = evening(100);
    let (a, b): (Vec<_>, Vec<_>) = records.iter().cloned().partition(|r| r.data.len() % 2 == 0);
    let lake = TempLake::new();
    let shards = vec![Listed::new("a", &a, false), Listed::new("b", &b, false)];
    let (state, status) = job(&pipelines, shards, None, &lake, |ending| ending.stop.cancel()).await;
    let size = 10 * MICROS_PER_SEC;
    let (watermark, last) = (status.combine.watermark.unwrap(), START + 100 * MICROS_PER_SEC);
    let open = (last - floor_to(watermark, size)) / size;
    assert!(open >= 3 && state.has_open_windows(), "{open} windows after the watermark");
    let summary = Summary::of(&state, &status, 7);
    assert_eq!((summary.open_windows, summary.events_read), (u64::try_from(open).unwrap(), 7));
    assert_eq!(status.open_windows().iter().map(|(_, windows, _)| windows).sum::<usize>() as i64, open);
}

pub(super) fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort();
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_cannot_bring_a_window_out_again() {
    let pipelines = shipped(&Options::default()).await;
    let records = evening(200);
    let lake = TempLake::new();
    let stop = |ending: &Ending| ending.stop.cancel();
    let (state, status) = job(&pipelines, vec![Listed::new("a", &records, false)], None, &lake, stop).await;
    let out = status.combine.watermark.unwrap();
    assert!(out > START + 120 * MICROS_PER_SEC);
    let before: BTreeMap<_, _> = window_tables(&lake.lake, &pipelines).await;

    // A child that holds events of the first minute: other ones, or they would be duplicates only of another shard.
    let again: Vec<Record> = records
        .iter()
        .take(600)
        .map(|r| Record {
            data: String::from_utf8_lossy(&r.data)
                .replace(r#""event_id":""#, r#""event_id":"again-"#)
                .into_bytes()
                .into(),
            ..r.clone()
        })
        .collect();
    let shards = vec![Listed::new("a", &[], false), Listed::new("child", &again, false)];
    let (_, status) = job(&pipelines, shards, Some(put_away(&pipelines, &lake, state).await), &lake, stop).await;
    let late = status.counters().pipelines["stream_engagement"].late;
    assert!(late > 100, "{late} rows were late");
    for (table, rows) in window_tables(&lake.lake, &pipelines).await {
        if table.starts_with("_late/") {
            continue;
        }
        let known = &before[&table];
        assert!(rows.len() >= known.len());
        let ended = |row: &&Row| window_start(row) < START + 60 * MICROS_PER_SEC;
        assert_eq!(
            rows.iter().filter(ended).collect::<Vec<_>>(),
            known.iter().filter(ended).collect::<Vec<_>>(),
            "{table}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_that_are_given_up_come_neither_twice_nor_in_part() {
    let pipelines = shipped(&Options::default()).await;
    let records = evening(300);
    let (before, after) = records.split_at(records.len() / 2);
    let (first, second) = (TempLake::new(), TempLake::new());
    let stop = |ending: &Ending| ending.stop.cancel();
    let (mut state, _) = job(&pipelines, vec![Listed::new("a", before, false)], None, &first, stop).await;
    state.keep_positions();
    let floor = state.floors.all.unwrap();
    assert!(floor >= before.last().unwrap().arrival_time.unwrap() - 5 * MICROS_PER_SEC, "the last event is before it");

    // The last records come again: their ids are remembered.
    let overlap = [&before[before.len() - 40..], after].concat();
    let shards = vec![Listed::new("a", &overlap, false)];
    let (_, status) = job(&pipelines, shards, Some(put_away(&pipelines, &first, state).await), &second, drain).await;
    let counters = status.counters();
    assert!(counters.duplicates >= 40, "{counters:?}");
    let ignoring = shipped(&Options { lateness: Lateness::Ignore, ..Options::default() }).await;
    let whole = expected(&ignoring, &records).await;
    for table in ["revenue", "playback_quality", "stream_engagement", "user_activity"] {
        let rows = second.table(table).await;
        assert!(rows.iter().all(|row| window_start(row) >= floor), "{table}: a window in part");
        let wanted: Vec<Row> = whole[table].iter().filter(|row| window_start(row) >= floor).cloned().collect();
        assert_eq!(rows, sorted(wanted), "{table}");
    }
    let starts = |rows: Vec<Row>| rows.iter().map(window_start).collect::<BTreeSet<_>>();
    for table in ["platform_totals", "concurrent_viewers"] {
        let (then, now) = (starts(first.table(table).await), starts(second.table(table).await));
        assert!(!now.is_empty() && then.is_disjoint(&now), "{table}");
        // By then everybody present has been heard of.
        assert!(now.first() >= Some(&(floor + Options::default().session_timeout)), "{table}: {now:?}");
    }
    let whole = &whole["concurrent_viewers"];
    let begun = second.table("concurrent_viewers").await;
    let first = window_start(begun.first().unwrap());
    assert_eq!(begun, sorted(whole.iter().filter(|row| window_start(row) >= first).cloned().collect()));
}
