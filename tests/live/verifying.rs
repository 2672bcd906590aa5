//! The lake of a live run beside its raw rows, while windows are open, wait for late rows, or wait for their file.

use headcount::engine::commits::{CommitOf, CommitOptions, Committer};
use headcount::engine::live::Tables;
use headcount::query::{QueryOptions, Revisions};
use headcount::sink::lake::{CheckpointStore, Move, Uncommitted};
use headcount::verify::{Snapshot, SnapshotOptions, TableVerdict, Verified};

use super::resuming::{Listed, START, drain, evening, job, shipped};
use super::*;

const APPLICATION: &str = "app";
const SEC: Micros = MICROS_PER_SEC;

/// Rows by minute, which are revised for ten minutes.
async fn revising() -> Arc<Pipelines> {
    let sql = "/*\ntitle = \"t\"\nkeys = [\"stream_id\"]\nallowed_lateness_secs = 600\n*/\n\
        SELECT window_start, window_end, stream_id, COUNT(*) AS n\n\
        FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))\n\
        GROUP BY window_start, window_end, stream_id\n";
    let file = PipelineFile::parse("pipelines/minutes.sql", sql).unwrap();
    harness::pipelines(&[file], &reference::Options::default()).await
}

/// An event at a second of the evening, which arrives at another.
fn chat(number: u64, at: i64, arrives: i64) -> Record {
    let time = format_micros(START + at * SEC);
    let data = format!(
        r#"{{"schema_version":"1","event_id":"{number}","event_type":"chat.message_sent","event_time":"{time}","stream_id":"s","user_id":"u"}}"#
    );
    Record {
        data: data.into_bytes().into(),
        sequence_number: number.to_string().into(),
        arrival_time: Some(START + arrives * SEC),
    }
}

/// A minute of which the last event comes when it is out, and then so many seconds.
fn late_evening(seconds: i64) -> Vec<Record> {
    let times =
        [(10, 10), (20, 20), (200, 200), (30, 205)].into_iter().chain((210..=seconds).step_by(30).map(|t| (t, t)));
    times.zip(1..).map(|((at, arrives), number)| chat(number, at, arrives)).collect()
}

/// Commits the state that a job has left.
async fn commit(pipelines: &Arc<Pipelines>, lake: &TempLake, (state, status): (JobState, Status)) {
    let (store, clock) = (CheckpointStore::new(&lake.lake, APPLICATION), Arc::new(SystemClock) as Arc<dyn Clock>);
    let last = store.list().await.unwrap().last().map_or(0, |last| last.number);
    let options = CommitOptions { last, ..options("run") };
    let mut committer = Committer::new(pipelines, store, None, options, &clock);
    committer.finish(CommitOf::new(state, vec![], &status)).await.unwrap();
}

fn options(run: &str) -> CommitOptions {
    let (stream, run, predecessor) = ("a stream".to_owned(), run.to_owned(), String::new());
    CommitOptions { stream, run, last: 0, generation: 1, predecessor, read_before: 0, unmoved: vec![] }
}

async fn verified(pipelines: &Arc<Pipelines>, lake: &TempLake) -> Verified {
    fixture::verify(pipelines, &lake.lake, APPLICATION, None).await
}

fn counted(table: &TableVerdict) -> [u64; 5] {
    [table.equal, table.to_come, table.missing, table.too_many, table.different]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_are_to_be_revised_are_no_difference_until_they_should_have_been() {
    let (pipelines, lake) = (revising().await, TempLake::new());
    let (records, stop) = (late_evening(870), |ending: &Ending| ending.stop.cancel());
    let (first, second) =
        records.split_at(records.iter().position(|r| r.arrival_time > Some(START + 300 * SEC)).unwrap());
    let left = job(&pipelines, vec![Listed::new("a", first, false)], None, &lake, stop).await;
    commit(&pipelines, &lake, left.clone()).await;
    let found = verified(&pipelines, &lake).await;
    // Of minutes 0, 3, 4 and 5 the last two are open, and the revision of the first is to come.
    assert_eq!(counted(&found.tables[0]), [2, 3, 0, 0, 0], "{found:#?}");

    // The first minute's revision is out 600 s after its end.
    let (state, shards) = (put_away(&pipelines, &lake, left.0).await, vec![Listed::new("a", second, false)]);
    let left = job(&pipelines, shards, Some(state), &lake, stop).await;
    commit(&pipelines, &lake, left).await;
    let found = verified(&pipelines, &lake).await;
    let [equal, to_come, wrong @ ..] = counted(&found.tables[0]);
    assert_eq!((to_come, wrong), (1, [0, 0, 0]), "{found:#?}");
    let rows = lake.table("minutes").await;
    assert_eq!(rows.len() as u64, equal);
    let revised = rows.iter().find(|row| row["revision"] == Val::Int(1)).expect("a revised row");
    assert_eq!(revised["n"], Val::Int(3));

    // Without it, it is missed. The second run has written it.
    for file in lake.lake.list("minutes").await.unwrap() {
        if file.path.contains("second") {
            std::fs::remove_file(lake.path(&file.path)).unwrap();
        }
    }
    let found = verified(&pipelines, &lake).await;
    let [equal_now, to_come, missing, too_many, different] = counted(&found.tables[0]);
    assert_eq!((equal_now, to_come, missing, too_many, different), (2, 1, equal - 2, 0, 0), "{found:#?}");
    let told = &found.tables[0].differences;
    assert!(told.iter().any(|d| d.key.ends_with("revision=1") && d.what.starts_with("is missing")), "{told:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_run_has_every_revision() {
    let (pipelines, lake) = (revising().await, TempLake::new());
    job(&pipelines, vec![Listed::new("a", &late_evening(300), false)], None, &lake, drain).await;
    let found = verified(&pipelines, &lake).await;
    assert_eq!(counted(&found.tables[0]), [5, 0, 0, 0, 0], "{found:#?}");
}

#[tokio::test]
async fn a_commit_whose_files_are_not_at_their_places_is_refused() {
    let (pipelines, lake) = (revising().await, TempLake::new());
    let (from, to) = ("_uncommitted/app/run/minutes/f.parquet", "minutes/year=2026/month=01/day=31/hour=18/f.parquet");
    let file = fixture::write(lake.path(from), "");
    let mut header = Header::new(&pipelines, "a stream", 0, Summary::default());
    header.outline.files = vec![Move { from: from.to_owned(), to: to.to_owned() }];
    let checkpoint = Checkpoint { header, state: JobState::default(), source: vec![] };
    let store = CheckpointStore::new(&lake.lake, APPLICATION);
    store.write(0, checkpoint.to_bytes().unwrap()).await.unwrap();
    let query = QueryOptions { workers: 1, memory_bytes_max: 64 << 20, revisions: Revisions::All };
    let options =
        SnapshotOptions { application: APPLICATION, gather: 0, reached: None, raw_until: None, looks: 1, query };
    let Err(e) = Snapshot::take(&lake.lake, &pipelines, options).await else { panic!("it was taken") };
    assert!(e.message().contains("not at their places") && e.exit_code() == 1, "{e}");
    // Files of no commit are nobody's: the next start removes them.
    std::fs::rename(&file, lake.path("_uncommitted/app/run/minutes/other.parquet")).unwrap();
    Snapshot::take(&lake.lake, &pipelines, options).await.unwrap();
}

/// Raw rows and windows come to the lake each in their own time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_whose_raw_rows_are_in_no_file_yet_are_not_judged() {
    let (pipelines, lake) = (revising().await, TempLake::new());
    let records = late_evening(420);
    let (first, second) = records.split_at(8);
    let stop = |ending: &Ending| ending.stop.cancel();
    let (state, _) = job(&pipelines, vec![Listed::new("a", first, false)], None, &lake, stop).await;
    let (state, shards) = (put_away(&pipelines, &lake, state).await, vec![Listed::new("a", second, false)]);
    job(&pipelines, shards, Some(state), &lake, drain).await;
    assert_eq!(verified(&pipelines, &lake).await.differences(), 0);
    for file in lake.lake.list("user_events").await.unwrap().iter().filter(|file| file.path.contains("second")) {
        std::fs::remove_file(lake.path(&file.path)).unwrap();
    }
    // Of the minute at 300 s one event is left, of those after it none.
    let found = verified(&pipelines, &lake).await;
    let table = &found.tables[0];
    assert_eq!((table.different, table.too_many, table.too_new), (1, 2, 0), "{found:#?}");
    // All raw rows are there that came at a high time of up to 330 s: of windows that end by 300 s.
    for (raw_until, too_new) in [(330, 3), (390, 2), (450, 1), (510, 0)] {
        let found = fixture::verify(&pipelines, &lake.lake, APPLICATION, Some(START + raw_until * SEC)).await;
        let table = &found.tables[0];
        assert_eq!((table.too_new, table.wrong()), (too_new, 3 - too_new), "{raw_until}: {found:#?}");
    }
}

/// What a commit says of how far the tables are, their windows being written two minutes a file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_was_killed_lacks_what_waited_and_nothing_else() {
    let (pipelines, lake) = (shipped(&reference::Options::default()).await, TempLake::new());
    let records = evening(470);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (store, files) =
        (CheckpointStore::new(&lake.lake, APPLICATION), Uncommitted::new(&lake.lake, APPLICATION, "run"));
    let target = Target::Uncommitted(&files);
    let (raw, windows) = open_tables(&pipelines, target, fixture::table_options(), "run", &clock);
    let committer = Committer::new(&pipelines, store.clone(), Some(files), options("run"), &clock);
    let tables = Tables { raw, windows, commits: Some((committer, Duration::from_millis(20))) };
    let (board, shards) = (Arc::new(Board::default()), vec![Listed::new("a", &records, false)]);
    let running = live::run(Arc::clone(&pipelines), shards, None, tables, board.clone(), Ending::default(), clock);
    let running = tokio::spawn(running);
    let all = records.len() as u64;
    until("every record is read", || {
        (board.status().shards.values().map(|s| s.records).sum::<u64>() == all).then_some(())
    })
    .await;
    let number = async || store.list().await.unwrap().last().map_or(0, |last| last.number);
    // The commit after the next one has a cut behind the last read.
    let read = number().await;
    within("it is committed", async {
        while number().await < read + 2 {
            tokio::time::sleep(Duration::from_millis(5)).await
        }
    })
    .await;
    running.abort();
    let _ = running.await;

    let found = verified(&pipelines, &lake).await;
    assert_eq!(found.differences(), 0, "{found:#?}");
    for table in &found.tables {
        let end = table.complete.unwrap_or_else(|| panic!("{table:#?}"));
        assert!(table.to_come > 0 && end >= START + 4 * MICROS_PER_MINUTE - 1, "{table:#?}");
    }
    // Windows up to the watermark that are in no file: the commit has them.
    let totals = found.tables.iter().find(|table| table.table == "platform_totals").unwrap();
    let watermark = board.status().combine.watermark.unwrap();
    assert!(totals.complete < Some(watermark - MICROS_PER_MINUTE), "nothing waited: {totals:#?}");

    // What is taken out is missed, whatever else the table has: the other tables show that it was written.
    for table in ["concurrent_viewers", "stream_engagement"] {
        let there: Vec<_> = lake.lake.list(table).await.unwrap();
        for (file, _) in there.iter().zip(0..if table == "stream_engagement" { 1 } else { usize::MAX }) {
            std::fs::remove_file(lake.path(&file.path)).unwrap();
        }
    }
    let again = verified(&pipelines, &lake).await;
    for (before, after) in found.tables.iter().zip(&again.tables) {
        let removed = ["concurrent_viewers", "stream_engagement"].contains(&&*before.table);
        assert_eq!(after.missing > 0, removed, "{after:#?}");
        assert_eq!((after.equal + after.missing, after.to_come), (before.equal, before.to_come), "{after:#?}");
    }
}
