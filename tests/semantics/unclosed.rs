//! Windows that are not complete, as whoever asks is told of them. ([`super::property`] asks at any time, and holds the answers to the
//! reference.)

use std::sync::Arc;

use headcount::decode::Provenance;
use headcount::engine::inquiry::Unclosed;
use headcount::engine::{Combine, Intake, Pipelines, ShardMessage, ShardStage};
use headcount::pipeline::PipelineFile;
use headcount::types::{ReadBatch, Record};

use crate::harness::{self, Cut, Run};
use crate::reference::{Options, RefRecord, SEC};

use super::scene::{ZERO, at, concurrency, lines, pipeline, records, scene, shipped};

const GROUPS: &str = "stream_id viewers_min viewers_avg viewers_max viewers_current unique_viewers viewer_minutes";

/// Reads a scene, one record after the other; the run, and what a table says after the last record before the end of all input.
fn asked(files: &[PipelineFile], text: &str, table: &str) -> (Run, Vec<Unclosed>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let pipelines = harness::pipelines(files, &Options::default()).await;
        let mut last = Vec::new();
        let mut asking = |combine: &Combine| last = combine.unclosed(table).unwrap();
        let (records, cut) = (records(&scene(text)), Cut { records: 1, reversed: false });
        let run = harness::run_asking(&pipelines, &records, Provenance::Record, cut, &mut asking).await;
        (run, last)
    })
}

/// Start, end and instant of a window in seconds.
fn span(unclosed: &Unclosed) -> (i64, i64, i64) {
    let window = &unclosed.window;
    let seconds = |t: i64| (t - ZERO) / SEC;
    (seconds(window.window_start), seconds(window.window_end), seconds(window.as_of))
}

/// The watermark is 30 s behind the last event, and presence is resolved by 10 s: 75 is told of as of 40.
const SCENE: &str = "J0 B:J10 B:L30 z~D:J35 J41 C75";

#[test]
fn the_open_window_is_told_as_far_as_it_is_resolved() {
    let files = [concurrency("minutes", 60, &["stream_id"]), shipped("platform_totals")];
    let (run, answer) = asked(&files, SCENE, "minutes");
    let [minute] = answer.as_slice() else { panic!("{answer:?}") };
    assert_eq!(span(minute), (0, 60, 40));
    // A is there from 0 on, B from 10 to 30, D from 35. What is known of 41 is not said: more may come of it.
    assert_eq!(
        lines(&harness::rows(&minute.window.rows), GROUPS),
        ["s 1 1.5000 2 1 2 1.0000", "z 0 0.1250 1 1 1 0.0833"]
    );
    assert_eq!(lines(&run.tables["minutes"], "stream_id window_start")[..1], ["s 0"], "and the window comes whole");
}

#[test]
fn of_the_finest_windows_it_is_the_one_just_closed() {
    let files = [concurrency("minutes", 60, &["stream_id"]), shipped("platform_totals")];
    let (_, answer) = asked(&files, SCENE, "platform_totals");
    let [totals] = answer.as_slice() else { panic!("{answer:?}") };
    assert_eq!(span(totals), (30, 40, 40));
    let columns = "viewers_min viewers_avg viewers_max viewers_current unique_viewers active_streams";
    assert_eq!(lines(&harness::rows(&totals.window.rows), columns), ["1 1.5000 2 2 2 2"]);
}

#[test]
fn nobody_knows_before_anything_is_resolved() {
    let files = [concurrency("minutes", 60, &[]), concurrency("finest", 10, &[])];
    assert_eq!(asked(&files, "J0 C39", "minutes").1, []);
    let (_, answer) = asked(&files, "J0 C40", "minutes");
    assert_eq!(answer.iter().map(span).collect::<Vec<_>>(), [(0, 60, 10)]);
}

#[test]
fn each_call_of_a_query_has_its_answer() {
    let call = |more: &str| {
        format!("TABLE(CONCURRENCY(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND{more}))")
    };
    let sql = format!(
        "SELECT window_end, window_start, viewers_max FROM {} UNION ALL SELECT window_end, window_start, viewers_min FROM {}
UNION ALL SELECT window_end, window_start, viewers_avg FROM {}",
        call(""),
        call(""),
        call(", SESSION_TIMEOUT => INTERVAL '10' SECOND"),
    );
    let (_, answer) = asked(&[pipeline("twice", "keys = []", &sql)], SCENE, "twice");
    assert_eq!(answer.iter().map(span).collect::<Vec<_>>(), [(30, 40, 40), (30, 40, 40)]);
    let mut most: Vec<_> = answer.iter().flat_map(|a| lines(&harness::rows(&a.window.rows), "viewers_max")).collect();
    most.sort();
    assert_eq!(most, ["1", "2"], "A is gone by ten seconds of silence");
}

#[tokio::test]
async fn a_table_that_counts_no_presence_is_refused_by_name() {
    let files = [shipped("revenue"), shipped("platform_totals"), shipped("concurrent_viewers")];
    let pipelines = harness::pipelines(&files, &Options::default()).await;
    let combine = Combine::try_new(pipelines).unwrap();
    assert_eq!(combine.unclosed("platform_totals").unwrap(), []);
    for table in ["revenue", "nonsense"] {
        let error = combine.unclosed(table).unwrap_err();
        assert_eq!(error.message(), format!("no table {table} that counts presence"));
        assert_eq!(error.remedy(), Some("those that do: platform_totals, concurrent_viewers"));
    }
}

/// What a shard says that has read the scene.
async fn news(pipelines: &Arc<Pipelines>) -> ShardMessage {
    let contract = Arc::clone(&pipelines.contract);
    let mut intake = Intake::try_new(contract, Provenance::Record, pipelines.options.judge).unwrap();
    let mut stage = ShardStage::try_new(Arc::clone(pipelines)).unwrap();
    let record = |record: RefRecord| Record {
        data: record.bytes.into(),
        sequence_number: record.sequence.to_string().into(),
        arrival_time: record.arrival,
    };
    let records = records(&scene(SCENE)).into_iter().map(record).collect();
    let read = ReadBatch { shard: "0".into(), records, millis_behind_latest: None, polled_at: None };
    let events = intake.take(&read).unwrap().judged.into_kept().unwrap();
    let seen = stage.process(&events).await.unwrap().seen;
    let watermark = intake.high_time().map(|high| high - pipelines.options.watermark_delay);
    let partials = stage.close(watermark.unwrap()).unwrap();
    ShardMessage { shard: "0".into(), seen, partials, watermark }
}

#[tokio::test]
async fn a_window_that_the_table_will_not_have_says_so() {
    let files = [concurrency("minutes", 60, &[]), concurrency("finest", 10, &[])];
    let pipelines = harness::pipelines(&files, &Options::default()).await;
    let mut marked = Vec::new();
    for floor in [None, Some(at(0)), Some(at(1))] {
        let mut combine = Combine::try_new(pipelines.clone()).unwrap();
        combine.give_up_before(|_| floor);
        combine.handle(news(&pipelines).await).await.unwrap();
        marked.extend(combine.unclosed("minutes").unwrap().iter().map(|unclosed| unclosed.given_up));
    }
    assert_eq!(marked, [false, false, true]);
}
