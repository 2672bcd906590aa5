//! What must hold of concurrency whatever happens, without the reference's word: figures lie in their order, averages add up over the
//! groups of any partition, and the order of arrival and the split over shards do not matter as long as nothing is late.

use std::collections::BTreeMap;

use headcount::decode::Provenance;
use proptest::prelude::*;

use crate::harness::{self, Cut, Run};
use crate::reference::{self, Lateness, Options, RefRecord, Row, SEC, Scenario, Shape, Val};

use super::scene::{concurrency, int};

/// The total, and partitions of it.
const PARTITIONS: [&[&str]; 6] =
    [&[], &["stream_id"], &["country"], &["viewer_id"], &["stream_id", "country"], &["session_id", "device_type"]];

/// Presence in a row, in microseconds: the average is one division of it, and comes back whole.
fn presence(row: &Row, size: i64) -> i64 {
    match row["viewers_avg"] {
        Val::Float(average) => (average * size as f64).round() as i64,
        ref other => panic!("an average of {other:?}"),
    }
}

/// What is wrong with a row by itself.
fn out_of_order(row: &Row, size: i64) -> Option<String> {
    let (min, max, current) = (int(row, "viewers_min"), int(row, "viewers_max"), int(row, "viewers_current"));
    let sum = presence(row, size);
    let fits = 0 <= min
        && min <= current
        && current <= max
        && min * size <= sum
        && sum <= max * size
        && row["viewer_minutes"] == Val::Float(sum as f64 / 60e6)
        // One who is present may come and go, or not say who he is; nobody is someone who was never there.
        && (max > 0 || int(row, "unique_viewers") == 0);
    (!fits).then(|| format!("{row:?}"))
}

/// Presence by window, where there is some.
fn by_window(rows: &[Row], size: i64) -> BTreeMap<i64, i64> {
    let mut sums = BTreeMap::new();
    for row in rows {
        *sums.entry(int(row, "window_start")).or_default() += presence(row, size);
    }
    sums.retain(|_, sum| *sum > 0);
    sums
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

#[test]
fn averages_lie_between_the_extremes_and_add_up() {
    let runtime = runtime();
    let setups = (
        reference::scenarios(Shape { arrays: true, ..Shape::default() }),
        (prop::sample::select(vec![7i64, 10, 60, 300]), 1..200i64, 1..900i64),
        1..40usize,
    );
    harness::hold(40, 1_500, &setups, |(scenario, (seconds, timeout, retention), records_a_read)| {
        let (session_timeout, closed_retention) = (timeout * SEC, retention * SEC);
        let options = Options { session_timeout, closed_retention, finest_window: seconds * SEC, ..Options::default() };
        let files: Vec<_> =
            PARTITIONS.iter().enumerate().map(|(i, by)| concurrency(&format!("query_{i}"), seconds, by)).collect();
        let run = runtime.block_on(async {
            let pipelines = harness::pipelines(&files, &options).await;
            let cut = Cut { records: records_a_read, reversed: false };
            harness::run(&pipelines, &scenario.records(&options), Provenance::Record, cut).await
        });
        let size = seconds * SEC;
        let mut problems: Vec<String> =
            run.tables.values().flatten().filter_map(|row| out_of_order(row, size)).collect();
        let total = by_window(&run.tables["query_0"], size);
        for (i, by) in PARTITIONS.iter().enumerate().skip(1) {
            let sums = by_window(&run.tables[&format!("query_{i}")], size);
            if sums != total {
                problems.push(format!("by {by:?} presence is {sums:?}, in all {total:?}"));
            }
        }
        problems
    });
}

/// How far records are moved at most, in seconds; and how far behind the watermark is, so that nothing is late for all that.
const MOVED_MAX: i64 = 100;
const DELAY: i64 = 180;

/// The same records, each that many seconds later than it was in the order of reading, and in that shard.
fn rearranged(records: &[RefRecord], moves: &[(i64, u8)]) -> Vec<RefRecord> {
    let mut moved: Vec<(i64, RefRecord)> = (records.iter().zip(moves.iter().cycle()))
        .map(|(record, (later, shard))| {
            let order = record.arrival.unwrap() + later * SEC;
            (order, RefRecord { shard: format!("other-{shard}"), ..record.clone() })
        })
        .collect();
    moved.sort_by_key(|(order, record)| (record.shard.clone(), *order));
    let mut numbered: Vec<RefRecord> = Vec::new();
    for (_, record) in moved {
        let sequence = numbered.last().filter(|last| last.shard == record.shard).map_or(1, |last| last.sequence + 1);
        numbered.push(RefRecord { sequence, ..record });
    }
    numbered
}

#[test]
fn the_order_of_arrival_does_not_matter_within_lateness() {
    let runtime = runtime();
    let shape = Shape { disorder: false, malformed: false, ..Shape::default() };
    let moves = prop::collection::vec((0..=MOVED_MAX, 0..5u8), 1..70);
    let soon = |(_, later): &(u8, i64)| *later < 30 * SEC;
    let scenarios = reference::scenarios(shape).prop_map(move |mut scenario| {
        // One that comes again after minutes is late.
        scenario.steps.iter_mut().for_each(|step| step.repeat = step.repeat.filter(soon));
        scenario
    });
    let setups = (scenarios, moves, 1..40usize, any::<bool>());
    let lateness = Lateness::Replay { delay: DELAY * SEC, allowed: 0 };
    let options = Options { lateness, ..Options::default() };
    let files: Vec<_> = (PARTITIONS.iter().enumerate())
        .map(|(i, by)| concurrency(&format!("query_{i}"), if i == 0 { 10 } else { 60 }, by))
        .collect();
    let pipelines = runtime.block_on(harness::pipelines(&files, &options));
    harness::hold(50, 1_500, &setups, |(scenario, moves, records_a_read, reversed): (Scenario, _, _, _)| {
        let records = scenario.records(&options);
        let run = |records: &[RefRecord]| -> Run {
            let cut = Cut { records: records_a_read, reversed };
            runtime.block_on(harness::run(&pipelines, records, Provenance::Record, cut))
        };
        let (run, other) = (run(&records), run(&rearranged(&records, &moves)));
        let mut problems = Vec::new();
        for (table, rows) in &run.tables {
            problems.extend(harness::difference(table, &other.tables[table], rows));
            for (what, late) in [("as it was", &run.late[table]), ("rearranged", &other.late[table])] {
                if !late.is_empty() {
                    problems.push(format!("{what}, {late:?} are late for {table}: this is about what is not"));
                }
            }
        }
        problems
    });
}
