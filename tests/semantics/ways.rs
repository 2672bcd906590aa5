//! Concurrency equals the brute-force reference whichever way the events take: as files through a backfill, whatever its workers and its
//! memory, and over a reshard, where a shard is drained in mid-run and its children begin at the high time that the job has reached.

use std::collections::BTreeMap;

use headcount::pipeline::PipelineFile;
use proptest::prelude::*;

use crate::fixture::{self, How, TempLake};
use crate::harness::reshard::{Reshard, run_resharded};
use crate::harness::{self, difference};
use crate::reference::{self, Options, Scenario, Shape};

use super::property::{Query, SHARDS_MAX, late, options, over_shards, queries};

/// What is asked of which events.
#[derive(Debug, Clone)]
struct Asked {
    queries: Vec<Query>,
    options: Options,
    scenario: Scenario,
}

impl Asked {
    /// The queries' files, and the options with their finest window.
    fn job(&self) -> (Vec<PipelineFile>, Options) {
        let finest = self.queries.iter().map(|q| q.seconds).min().unwrap();
        let files = self.queries.iter().enumerate().map(|(i, q)| q.file(&format!("query_{i}"))).collect();
        (files, Options { finest_window: finest * reference::SEC, ..self.options })
    }
}

fn asked(shape: Shape, finest: &'static [i64], multiples: &'static [i64]) -> impl Strategy<Value = Asked> {
    let scenarios = (reference::scenarios(Shape { shards: SHARDS_MAX, ..shape }), 1..=SHARDS_MAX).prop_map(over_shards);
    (queries(finest, multiples), options(), scenarios).prop_map(|(queries, options, scenario)| Asked {
        queries,
        options,
        scenario,
    })
}

fn backfill_problems(runtime: &tokio::runtime::Runtime, asked: &Asked, how: How) -> Vec<String> {
    let (files, options) = asked.job();
    let records = asked.scenario.records(&options);
    let judged = reference::judge(&records, reference::Provenance::Row);
    let folder = tempfile::tempdir().unwrap();
    for (shard, text) in asked.scenario.files(&options) {
        fixture::write(folder.path().join(format!("{shard}.ndjson")), text);
    }
    let inputs = [folder.path().to_str().unwrap().to_owned()];
    let lake = TempLake::new();
    let late = late(&judged.kept, &options).count() as u64;
    runtime.block_on(async {
        let pipelines = harness::pipelines(&files, &options).await;
        let done = fixture::backfill(&pipelines, &inputs, &lake.lake, how).await;
        let mut problems = Vec::new();
        let counted = (done.counters.kept as usize, done.counters.duplicates as usize);
        if counted != (judged.kept.len(), judged.duplicates.len()) {
            problems.push(format!("{counted:?} kept and dropped, the reference {judged:?}"));
        }
        for (file, query) in files.iter().zip(&asked.queries) {
            let expected = query.expected(&judged.kept, options);
            problems.extend(difference(&file.name, &lake.table(&file.name).await, &expected));
            let ours = done.counters.pipelines[&file.name].late;
            if ours != late {
                problems.push(format!("{ours} late for {}, the reference has {late}", file.name));
            }
        }
        problems
    })
}

fn reshard_problems(runtime: &tokio::runtime::Runtime, asked: &Asked, reshard: &Reshard) -> Vec<String> {
    let (files, options) = asked.job();
    let records = reshard.records(&asked.scenario.records(&options));
    let (run, decided) = runtime.block_on(async {
        let pipelines = harness::pipelines(&files, &options).await;
        run_resharded(&pipelines, &records, reshard).await
    });
    let begin = |child: &String| Some((child.clone(), decided?));
    let begins: BTreeMap<String, i64> = reshard.children.iter().filter_map(begin).collect();
    let kept = reference::judge_from(&records, reference::Provenance::Record, &begins).kept;
    let late = harness::places(late(&kept, &options).map(|event| &event.place));
    let mut problems = run.counters.contradictions();
    for (file, query) in files.iter().zip(&asked.queries) {
        problems.extend(difference(&file.name, &run.tables[&file.name], &query.expected(&kept, options)));
        if run.late[&file.name] != late {
            problems.push(format!("late for {}: {:?}, the reference {late:?}", file.name, run.late[&file.name]));
        }
    }
    problems
}

/// A reshard of one of the scenario's shards.
fn reshards() -> impl Strategy<Value = Reshard> {
    (0..SHARDS_MAX, 0..6usize, 1..12usize).prop_map(|(parent, reads, records_a_read)| Reshard {
        parent: format!("shard-{parent}"),
        reads,
        records_a_read,
        children: ["child-0".to_owned(), "child-1".to_owned()],
    })
}

#[test]
fn a_backfill_equals_the_reference_whatever_its_workers_and_memory() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    // A file says what it is by its first line: lines that are none of it have tests of their own.
    let shape = Shape { steps: 50, malformed: false, equal_ids: true, ..Shape::default() };
    // All rows wait on disk, or all in memory.
    let how = (1..=3usize, prop::sample::select(vec![0, 64 << 20])).prop_map(|(workers, memory_bytes_max)| How {
        workers,
        memory_bytes_max,
        ..How::default()
    });
    let cases = (asked(shape, &[5, 10, 60], &[1, 3, 6, 12]), how);
    harness::hold(15, 500, &cases, |(asked, how)| backfill_problems(&runtime, &asked, how));
}

#[test]
fn a_reshard_equals_the_reference_wherever_it_comes() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let shape = Shape { steps: 50, equal_ids: true, ..Shape::default() };
    let cases = (asked(shape, &[5, 10, 60], &[1, 3, 6, 12]), reshards());
    harness::hold(40, 1_500, &cases, |(asked, reshard)| reshard_problems(&runtime, &asked, &reshard));
}

#[test]
fn a_reshard_in_a_long_gap_equals_the_reference() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let shape = Shape { steps: 40, long_gaps: true, equal_ids: true, ..Shape::default() };
    let cases = (asked(shape, &[900, 3_600], &[1, 2, 24]), reshards());
    harness::hold(25, 1_500, &cases, |(asked, reshard)| reshard_problems(&runtime, &asked, &reshard));
}
