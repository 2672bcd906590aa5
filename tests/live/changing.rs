//! Jobs that go on from a state of other pipelines: what has not changed goes on as if nothing had, what begins writes no window in part.

use std::collections::BTreeSet;
use std::sync::Arc;

use headcount::config::OnChangedPipeline::{self, Fresh, Refuse};
use headcount::engine::Pipelines;
use headcount::engine::changes::{self, Changes};
use headcount::engine::checkpoint::{Checkpoint, Header, Summary};
use headcount::engine::job_state::{Floors, JobState};
use headcount::engine::live::Ending;
use headcount::error::Error;
use headcount::operator::concurrency::ConcurrencyOptions;
use headcount::pipeline::PipelineFile;
use headcount::schema::Contract;
use headcount::types::{MICROS_PER_SEC, Micros, Record};

use super::resuming::{Listed, drain, evening, expected, job, sorted, window_start};
use super::taken_up;
use crate::fixture::TempLake;
use crate::harness;
use crate::reference::{Lateness, Options, Row};

const TEN_SECONDS: &str = "TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND)";
const MINUTE: &str = "TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)";
const HOPS: &str = "HOP(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND, INTERVAL '1' MINUTE)";

/// A table of one value for each `key`, over windows.
fn table(name: &str, key: &str, value: &str, windows: &str, condition: &str) -> PipelineFile {
    let sql = format!(
        "/*\ntitle = \"t\"\nkeys = [\"{key}\"]\n*/\nSELECT window_start, window_end, {key}, {value} AS value FROM TABLE({windows}) \
         WHERE {condition} GROUP BY window_start, window_end, {key}"
    );
    PipelineFile::parse(&format!("{name}.sql"), &sql).unwrap()
}

fn by_type() -> PipelineFile {
    table("by_type", "event_type", "COUNT(*)", TEN_SECONDS, "TRUE")
}

fn by_country(condition: &str) -> PipelineFile {
    table("by_country", "country", "COUNT(*)", MINUTE, condition)
}

/// A table of who is present, by the minute.
fn viewers(name: &str, by: Option<&str>) -> PipelineFile {
    let partition = by.map(|key| format!(" PARTITION BY {key}")).unwrap_or_default();
    let (keys, column) = by.map(|key| (format!("\"{key}\""), format!("{key}, "))).unwrap_or_default();
    let sql = format!(
        "/*\ntitle = \"t\"\nkeys = [{keys}]\n*/\nSELECT window_start, window_end, {column}viewers_min, viewers_avg, viewers_max, \
         viewers_current, unique_viewers FROM TABLE(CONCURRENCY(TABLE user_events{partition}, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))"
    );
    PipelineFile::parse(&format!("{name}.sql"), &sql).unwrap()
}

/// The same by a session timeout of its own, in seconds.
fn viewers_by_timeout(name: &str, seconds: i64) -> PipelineFile {
    let mut file = viewers(name, None);
    let timeout = format!("INTERVAL '1' MINUTE, SESSION_TIMEOUT => INTERVAL '{seconds}' SECOND");
    file.sql = file.sql.replace("INTERVAL '1' MINUTE", &timeout);
    file
}

/// Who is present beside how many events of some types there were, by the minute.
fn viewers_and_events(condition: &str) -> PipelineFile {
    let sql = format!(
        "/*\ntitle = \"t\"\nkeys = [\"stream_id\"]\n*/\nSELECT COALESCE(v.window_start, e.window_start) AS window_start, \
         COALESCE(v.window_end, e.window_end) AS window_end, COALESCE(v.stream_id, e.stream_id) AS stream_id, v.viewers_avg, e.events \
         FROM TABLE(CONCURRENCY(TABLE user_events PARTITION BY stream_id, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) v FULL JOIN ( \
         SELECT window_start, window_end, stream_id, COUNT(*) AS events FROM TABLE({MINUTE}) WHERE {condition} \
         GROUP BY window_start, window_end, stream_id) e ON v.window_start = e.window_start AND v.window_end = e.window_end \
         AND v.stream_id = e.stream_id"
    );
    PipelineFile::parse("viewers_and_events.sql", &sql).unwrap()
}

/// A table that waits so many seconds by itself.
fn waiting(mut file: PipelineFile, seconds: u32) -> PipelineFile {
    file.header.watermark_delay_secs = Some(seconds);
    file
}

fn shipped(name: &str) -> PipelineFile {
    harness::shipped().into_iter().find(|f| f.name == name).unwrap()
}

async fn compiled(files: &[PipelineFile]) -> Arc<Pipelines> {
    harness::pipelines(files, &Options::default()).await
}

/// A job that changes in the middle of an evening.
struct Change {
    records: Vec<Record>,
    then: Arc<Pipelines>,
    lake: TempLake,
    state: JobState,
}

impl Change {
    async fn begin(then: &[PipelineFile]) -> Self {
        Self::begin_with(then, false, |ending| ending.stop.cancel()).await
    }

    async fn begin_with(then: &[PipelineFile], closed: bool, end: impl FnOnce(&Ending)) -> Self {
        let records = evening(300);
        let (then, lake) = (compiled(then).await, TempLake::new());
        let before = vec![Listed::new("a", &records[..records.len() / 2], closed)];
        let (state, _) = job(&then, before, None, &lake, end).await;
        Self { records, then, lake, state }
    }

    async fn refused(&self, now: &Pipelines) -> Error {
        let e = taken_up((&self.then, now), &self.lake, self.state.clone(), Refuse).await.unwrap_err();
        assert_eq!(e.exit_code(), 2);
        for remedy in ["run.on_changed_pipeline = \"fresh\"", "reset --keep-positions"] {
            assert!(e.remedy().unwrap().contains(remedy), "{e}");
        }
        e
    }

    /// The second half of the evening; what has changed, and the state from which it was read.
    async fn go_on(&self, now: &Arc<Pipelines>, on_changed: OnChangedPipeline) -> (Changes, JobState) {
        let pair = (self.then.as_ref(), now.as_ref());
        let (state, changes) = taken_up(pair, &self.lake, self.state.clone(), on_changed).await.unwrap();
        let shard = if self.state.shards.values().all(|s| s.drained) { "child" } else { "a" };
        let after = vec![Listed::new(shard, &self.records[self.records.len() / 2..], false)];
        job(now, after, Some(state.clone()), &self.lake, drain).await;
        (changes, state)
    }

    /// All rows that a job of these files has of the evening, if nobody stops it.
    async fn whole(&self, files: &[PipelineFile], table: &str) -> Vec<Row> {
        let ignoring = Options { lateness: Lateness::Ignore, ..Options::default() };
        let pipelines = harness::pipelines(files, &ignoring).await;
        sorted(expected(&pipelines, &self.records).await.remove(table).unwrap())
    }

    async fn assert_goes_on(&self, files: &[PipelineFile], table: &str) {
        let whole = self.whole(files, table).await;
        assert!(!whole.is_empty(), "{table}");
        assert_eq!(self.lake.table(table).await, whole, "{table}");
    }

    /// That a table has what it had before it changed, and from `floor` on every window whole.
    async fn assert_begins(&self, files: &[PipelineFile], table: &str, floor: Micros, before: &[Row]) {
        let whole = self.whole(files, table).await;
        let (after, lost): (Vec<Row>, Vec<Row>) = whole.into_iter().partition(|row| window_start(row) >= floor);
        assert!(!after.is_empty() && !lost.is_empty(), "{table}");
        assert_eq!(self.lake.table(table).await, sorted([before, &after].concat()), "{table}");
        let out: BTreeSet<i64> = before.iter().map(window_start).collect();
        let open = lost.iter().map(window_start).filter(|start| !out.contains(start)).count();
        assert!(open > 0, "{table} had no window that was open");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_pipeline_is_refused_or_begins_anew_and_the_others_go_on() {
    let then = [by_country("TRUE"), by_type()];
    let change = Change::begin(&then).await;
    let before = change.lake.table("by_country").await;
    // In another order, too.
    let files = [by_type(), by_country("event_type <> 'view.heartbeat'")];
    let now = compiled(&files).await;
    let e = change.refused(&now).await;
    assert!(e.message().contains("the pipeline by_country has changed since (the query"), "{e}");
    assert!(!e.message().contains("by_type"), "{e}");

    let (changes, state) = change.go_on(&now, Fresh).await;
    assert_eq!(changes.changed.keys().collect::<Vec<_>>(), ["by_country"]);
    assert_eq!((changes.new, changes.gone), (vec![], vec![]));
    let floor = state.floors.tables["by_country"];
    let last = change.records[change.records.len() / 2 - 1].arrival_time.unwrap();
    assert!((last - 5 * MICROS_PER_SEC..=last + 1).contains(&floor), "{floor} is not where reading stopped, {last}");
    change.assert_goes_on(&then, "by_type").await;
    change.assert_begins(&files, "by_country", floor, &before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_pipeline_begins_and_one_that_is_gone_is_dropped_without_a_word_of_the_others() {
    let change = Change::begin(&[by_country("TRUE"), by_type()]).await;
    let gone = change.lake.table("by_country").await;
    let hops = table("hops", "event_type", "COUNT(DISTINCT viewer_id)", HOPS, "TRUE");
    let files = [by_type(), hops];
    let now = compiled(&files).await;
    let (changes, state) = change.go_on(&now, Refuse).await;
    assert!(changes.changed.is_empty());
    assert_eq!((changes.new, changes.gone), (vec!["hops".to_owned()], vec!["by_country".to_owned()]));
    change.assert_goes_on(&files, "by_type").await;
    change.assert_begins(&files, "hops", state.floors.tables["hops"], &[]).await;
    assert_eq!(change.lake.table("by_country").await, gone, "what it had written stays");
    let last = change.lake.table("hops").await.pop().unwrap();
    assert!(window_start(&last) > window_start(gone.last().unwrap()));
}

/// A table of the most that there were of a key in some windows, over longer ones.
fn peaks(name: &str, windows: &str, longer: &str) -> PipelineFile {
    let sql = format!(
        "/*\ntitle = \"t\"\nkeys = [\"event_type\"]\n*/\nWITH short AS (SELECT window_time AS rowtime, event_type, COUNT(*) AS n \
         FROM TABLE({windows}) GROUP BY window_start, window_end, window_time, event_type) SELECT window_start, window_end, event_type, \
         MAX(n) AS most, COUNT(*) AS rows FROM TABLE(TUMBLE(TABLE short, DESCRIPTOR(rowtime), INTERVAL '{longer}' SECOND)) \
         GROUP BY window_start, window_end, event_type"
    );
    PipelineFile::parse(&format!("{name}.sql"), &sql).unwrap()
}

/// A table of peaks of who is present.
fn peaks_of_viewers() -> PipelineFile {
    let sql = "/*\ntitle = \"t\"\n*/\nSELECT window_start, window_end, MAX(viewers_max) AS most, AVG(viewers_avg) AS mean FROM TABLE(TUMBLE(TABLE (\
               SELECT window_time, viewers_max, viewers_avg FROM TABLE(CONCURRENCY(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND))\
               ), DESCRIPTOR(window_time), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end";
    PipelineFile::parse("peaks_of_viewers.sql", sql).unwrap()
}

/// Windows of windows go on through a stop, and where they begin they are whole: also those that are made of windows which begin earlier.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_of_windows_go_on_or_begin_whole() {
    let then = [by_type(), peaks("peaks", TEN_SECONDS, "60"), viewers("viewers_of_all", None), peaks_of_viewers()];
    let change = Change::begin(&then).await;
    let before = change.lake.table("peaks").await;
    let of_hops = peaks("peaks_of_hops", HOPS, "30");
    let shorter = peaks("peaks", TEN_SECONDS, "30");
    let files = [by_type(), shorter, of_hops, peaks_of_viewers()];
    let now = compiled(&files).await;
    let e = change.refused(&now).await;
    assert!(e.message().contains("the pipeline peaks has changed since (its windows, the query"), "{e}");
    let (changes, state) = change.go_on(&now, Fresh).await;
    assert_eq!((changes.new, changes.presence_anew.len()), (vec!["peaks_of_hops".to_owned()], 0));
    change.assert_goes_on(&files, "peaks_of_viewers").await;
    change.assert_begins(&files, "peaks", state.floors.tables["peaks"], &before).await;
    // A window that hops, and ends where one of these begins, begins 50 seconds before it.
    let reached = state.floors.tables["peaks_of_hops"] + 50 * MICROS_PER_SEC;
    change.assert_begins(&files, "peaks_of_hops", reached, &[]).await;
}

/// A table of peaks of who is present by a session timeout of its own, in seconds.
fn peaks_by_timeout(name: &str, seconds: i64) -> PipelineFile {
    let mut file = peaks_of_viewers();
    name.clone_into(&mut file.name);
    let timeout = format!("INTERVAL '10' SECOND, SESSION_TIMEOUT => INTERVAL '{seconds}' SECOND)");
    file.sql = file.sql.replace("INTERVAL '10' SECOND)", &timeout);
    file
}

/// A table of who is present beside how many events there were in 10 seconds, over minutes.
fn peaks_of_viewers_and_events() -> PipelineFile {
    let sql = format!(
        "/*\ntitle = \"t\"\nkeys = [\"stream_id\"]\n*/\nWITH tens AS (SELECT v.window_time, v.stream_id, v.viewers_max, e.events \
         FROM TABLE(CONCURRENCY(TABLE user_events PARTITION BY stream_id, DESCRIPTOR(event_time), INTERVAL '10' SECOND)) v LEFT JOIN ( \
         SELECT window_start, window_end, stream_id, COUNT(*) AS events FROM TABLE({TEN_SECONDS}) \
         GROUP BY window_start, window_end, stream_id) e ON v.window_start = e.window_start AND v.window_end = e.window_end \
         AND v.stream_id = e.stream_id) SELECT window_start, window_end, stream_id, MAX(viewers_max) AS most, SUM(events) AS events \
         FROM TABLE(TUMBLE(TABLE tens, DESCRIPTOR(window_time), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end, stream_id"
    );
    PipelineFile::parse("peaks_of_viewers_and_events.sql", &sql).unwrap()
}

/// Whatever they are of: counts with a delay of their own, presence by timeouts of its own, presence beside counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_of_presence_and_of_windows_that_wait_by_themselves_go_on_or_begin_whole() {
    let patient = waiting(peaks("patient", TEN_SECONDS, "60"), 70);
    let then = [patient, peaks_of_viewers(), peaks_by_timeout("peaks_by_timeout", 90), peaks_of_viewers_and_events()];
    let change = Change::begin(&then).await;
    let before = change.lake.table("peaks_by_timeout").await;
    let mut files = then.clone();
    files[2] = peaks_by_timeout("peaks_by_timeout", 80);
    let now = compiled(&files).await;
    let e = change.refused(&now).await;
    let words = "the pipeline peaks_by_timeout has changed since (concurrency.session_timeout_secs (90 then, 80 now)";
    assert!(e.message().contains(words) && !e.message().contains("peaks_of_viewers"), "{e}");

    let (changes, state) = change.go_on(&now, Fresh).await;
    assert_eq!(changes.changed.keys().collect::<Vec<_>>(), ["peaks_by_timeout"]);
    for table in ["patient", "peaks_of_viewers", "peaks_of_viewers_and_events"] {
        change.assert_goes_on(&files, table).await;
    }
    let own = ConcurrencyOptions { session_timeout: 80 * MICROS_PER_SEC, ..now.options.concurrency };
    change.assert_begins(&files, "peaks_by_timeout", state.floors.presence[&own], &before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peaks_of_viewers_that_are_new_begin_with_a_whole_window() {
    let change = Change::begin(&[by_type(), viewers("viewers_of_all", None), shipped("platform_totals")]).await;
    let files = [by_type(), viewers("viewers_of_all", None), shipped("platform_totals"), peaks_of_viewers()];
    let (_, state) = change.go_on(&compiled(&files).await, Refuse).await;
    change.assert_begins(&files, "peaks_of_viewers", state.floors.tables["peaks_of_viewers"], &[]).await;
}

/// They share a state: a table may join it, or leave it, and the others' presence is that of before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_of_sessions_come_and_go_and_the_others_know_who_is_present() {
    let [totals, by_stream] = ["platform_totals", "concurrent_viewers"].map(shipped);
    let then = [by_stream.clone(), totals.clone(), viewers("viewers_by_country", Some("country"))];
    let change = Change::begin(&then).await;
    let files = [totals, viewers("viewers_of_all", None), by_stream];
    let now = compiled(&files).await;
    let (changes, state) = change.go_on(&now, Refuse).await;
    assert!(changes.presence_anew.is_empty() && changes.changed.is_empty(), "{changes:?}");
    assert_eq!((changes.new, changes.gone), (vec!["viewers_of_all".to_owned()], vec!["viewers_by_country".to_owned()]));
    change.assert_goes_on(&then, "platform_totals").await;
    change.assert_goes_on(&then, "concurrent_viewers").await;
    change.assert_begins(&files, "viewers_of_all", state.floors.tables["viewers_of_all"], &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_dimension_of_sessions_counts_all_of_them_anew_and_windows_go_on() {
    let change = Change::begin(&[viewers("viewers_of_all", None), by_type()]).await;
    let before = change.lake.table("viewers_of_all").await;
    let files = [viewers("viewers_of_all", None), by_type(), viewers("viewers_by_country", Some("country"))];
    let now = compiled(&files).await;
    let e = change.refused(&now).await;
    let words =
        "viewers_of_all has changed since (of what tables of CONCURRENCY share: sessions are counted by country too)";
    assert!(e.message().contains(words) && !e.message().contains("by_type"), "{e}");

    let (changes, state) = change.go_on(&now, Fresh).await;
    let timeouts = BTreeSet::from([now.options.concurrency]);
    assert_eq!(changes.presence_anew, timeouts);
    change.assert_goes_on(&files, "by_type").await;
    // Whoever is present has been heard of a session timeout later.
    let floor = state.floors.presence[&now.options.concurrency];
    assert_eq!(floor, state.floors.tables["viewers_of_all"] + Options::default().session_timeout);
    change.assert_begins(&files, "viewers_of_all", floor, &before).await;
    change.assert_begins(&files, "viewers_by_country", floor, &[]).await;
}

/// By other timeouts others are present: those of before go on, and the new ones begin beside them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_of_timeouts_begins_beside_the_others() {
    let then = [viewers("viewers_of_all", None), viewers_by_timeout("viewers_longer", 90), by_type()];
    let change = Change::begin(&then).await;
    let before = change.lake.table("viewers_longer").await;
    let files = [viewers("viewers_of_all", None), viewers_by_timeout("viewers_longer", 80), by_type()];
    let now = compiled(&files).await;
    let e = change.refused(&now).await;
    assert!(
        e.message().contains("viewers_longer has changed since (concurrency.session_timeout_secs (90 then, 80 now)"),
        "{e}"
    );
    assert!(!e.message().contains("viewers_of_all"), "{e}");

    let (changes, state) = change.go_on(&now, Fresh).await;
    let own = ConcurrencyOptions { session_timeout: 80 * MICROS_PER_SEC, ..now.options.concurrency };
    assert_eq!(changes.presence_anew, BTreeSet::from([own]));
    assert_eq!(changes.changed.keys().collect::<Vec<_>>(), ["viewers_longer"]);
    change.assert_goes_on(&files, "viewers_of_all").await;
    change.assert_goes_on(&files, "by_type").await;
    let floor = state.floors.presence[&own];
    assert_eq!(floor, state.floors.tables["viewers_longer"] + own.session_timeout);
    change.assert_begins(&files, "viewers_longer", floor, &before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sets_of_timeouts_go_on_and_one_that_is_gone_is_dropped() {
    let then =
        [viewers("viewers_of_all", None), viewers_by_timeout("viewers_longer", 90), viewers_by_timeout("gone", 70)];
    let change = Change::begin(&then).await;
    let files = [viewers_by_timeout("viewers_longer", 90), viewers("viewers_of_all", None)];
    let (changes, state) = change.go_on(&compiled(&files).await, Refuse).await;
    assert!(changes.presence_anew.is_empty() && changes.changed.is_empty(), "{changes:?}");
    assert_eq!((changes.gone, state.floors), (vec!["gone".to_owned()], Floors::default()));
    change.assert_goes_on(&files, "viewers_of_all").await;
    change.assert_goes_on(&files, "viewers_longer").await;
}

/// The rows of presence that wait for the counts beside them are put away with these.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn presence_beside_counts_goes_on_and_begins_like_other_tables() {
    let then = [viewers_and_events("event_type <> 'view.heartbeat'"), viewers("viewers_of_all", None)];
    let change = Change::begin(&then).await;
    let before = change.lake.table("viewers_and_events").await;
    change.go_on(&change.then, Refuse).await;
    change.assert_goes_on(&then, "viewers_and_events").await;

    let change = Change::begin(&then).await;
    let files = [viewers_and_events("event_type = 'view.heartbeat'"), viewers("viewers_of_all", None)];
    let (changes, state) = change.go_on(&compiled(&files).await, Fresh).await;
    assert!(changes.presence_anew.is_empty(), "{changes:?}");
    change.assert_goes_on(&files, "viewers_of_all").await;
    change.assert_begins(&files, "viewers_and_events", state.floors.tables["viewers_and_events"], &before).await;
}

/// What a table waits by itself does not depend on the job's delay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_with_a_delay_of_its_own_goes_on_when_the_jobs_changes() {
    let files = [waiting(by_country("TRUE"), 70), by_type()];
    for delay in [5, 60] {
        let change = Change::begin(&files).await;
        let before = change.lake.table("by_type").await;
        let lateness = Lateness::Replay { delay: delay * MICROS_PER_SEC, allowed: 0 };
        let now = harness::pipelines(&files, &Options { lateness, ..Options::default() }).await;
        let e = change.refused(&now).await;
        let words = format!("by_type has changed since (watermark_delay_secs (30 then, {delay} now))");
        assert!(e.message().contains(&words) && !e.message().contains("by_country"), "{e}");
        let (changes, state) = change.go_on(&now, Fresh).await;
        assert_eq!(changes.changed.keys().collect::<Vec<_>>(), ["by_type"]);
        change.assert_goes_on(&files, "by_country").await;
        change.assert_begins(&files, "by_type", state.floors.tables["by_type"], &before).await;
    }
    // Nor does one that says the same fit one that said another.
    let change = Change::begin(&files).await;
    let now = compiled(&[waiting(by_country("TRUE"), 71), by_type()]).await;
    let e = change.refused(&now).await;
    assert!(e.message().contains("by_country has changed since (watermark_delay_secs (70 then, 71 now))"), "{e}");
}

/// Windows of a table that waits shorter are out before the job's watermark says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_windows_are_out_is_where_the_shortest_delay_says() {
    let mut records = evening(100);
    let last = records.last().unwrap().clone();
    // Nothing that is an event, but it arrived: the high time is 30 seconds behind that.
    let arrival = last.arrival_time.unwrap() + 500 * MICROS_PER_SEC;
    let sequence_number = "999999".into();
    records.push(Record { data: b"7".as_slice().into(), sequence_number, arrival_time: Some(arrival) });
    let high = arrival - 30 * MICROS_PER_SEC;
    let stop = |ending: &Ending| ending.stop.cancel();
    for (files, out) in [
        (vec![by_type()], high - 30 * MICROS_PER_SEC),
        (vec![by_type(), waiting(by_country("TRUE"), 3_600)], high - 30 * MICROS_PER_SEC),
        (vec![by_type(), waiting(by_country("TRUE"), 10)], high - 10 * MICROS_PER_SEC),
    ] {
        let lake = TempLake::new();
        let (state, _) = job(&compiled(&files).await, vec![Listed::new("a", &records, false)], None, &lake, stop).await;
        assert_eq!(state.reached(), Some(out));
    }
}

/// What a shard has read that is drained is known after a reshard.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_begins_after_a_reshard_has_no_window_that_the_parents_had_rows_of() {
    let change = Change::begin_with(&[by_country("TRUE"), by_type()], true, |_| {}).await;
    assert!(change.state.shards.values().all(|s| s.drained));
    let before = change.lake.table("by_country").await;
    let files = [by_country("country IS NOT NULL"), by_type()];
    let (_, state) = change.go_on(&compiled(&files).await, Fresh).await;
    let floor = state.floors.tables["by_country"];
    let last = change.records[change.records.len() / 2 - 1].arrival_time.unwrap();
    assert!(floor >= last - 5 * MICROS_PER_SEC, "{floor} is before {last}");
    change.assert_goes_on(&files, "by_type").await;
    change.assert_begins(&files, "by_country", floor, &before).await;
}

/// A floor stays where it is over further stops.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_that_were_given_up_do_not_come_back_at_the_next_start() {
    let change = Change::begin(&[by_country("TRUE")]).await;
    let files = [by_country("country IS NOT NULL")];
    let now = compiled(&files).await;
    let before = change.lake.table("by_country").await;
    let (state, _) = taken_up((&change.then, &now), &change.lake, change.state.clone(), Fresh).await.unwrap();
    let floor = state.floors.tables["by_country"];
    // A few records, so that the window that was given up is open still.
    let (few, rest) = change.records[change.records.len() / 2..].split_at(40);
    let stop = |ending: &Ending| ending.stop.cancel();
    let (state, _) = job(&now, vec![Listed::new("a", few, false)], Some(state), &change.lake, stop).await;
    let (state, changes) = taken_up((&now, &now), &change.lake, state, Refuse).await.unwrap();
    assert_eq!(changes, Changes::default());
    job(&now, vec![Listed::new("a", rest, false)], Some(state), &change.lake, drain).await;
    change.assert_begins(&files, "by_country", floor, &before).await;
}

#[tokio::test]
async fn what_has_changed_is_said() {
    let largest = |windows| table("largest", "country", "MAX(bitrate_kbps)", windows, "TRUE");
    let files = [largest(MINUTE), by_type(), viewers("viewers_of_all", None)];
    let options = Options::default();
    let then = compiled(&files).await;
    let change = Change::begin(&files).await;
    let checkpoint = |header| Checkpoint { header, state: change.state.clone(), source: vec![] };
    let header = Header::new(&then, "a stream", 0, Summary::default());
    let said = |header: &Header, now: &Arc<Pipelines>| {
        let e = changes::fit(&mut checkpoint(header.clone()), now, "a stream", Refuse).unwrap_err();
        assert_eq!(e.exit_code(), 2);
        e.message().to_owned()
    };
    changes::fit(&mut checkpoint(header.clone()), &then, "a stream", Refuse).unwrap();
    let e = changes::fit(&mut checkpoint(header.clone()), &then, "b", Fresh).unwrap_err();
    assert!(e.message().contains("of the stream a stream, not of b"), "{e}");

    // Written with another version of DataFusion.
    let mut older = header.clone();
    let print = older.pipelines.get_mut("largest").unwrap();
    *print = print.clone().with("the version of DataFusion", "54.0.0");
    let words = said(&older, &then);
    let version = datafusion::DATAFUSION_VERSION;
    let wanted =
        format!("the pipeline largest has changed since (the version of DataFusion (54.0.0 then, {version} now))");
    assert!(words.ends_with(&wanted), "{words}");

    // Windows of another length.
    let words = said(&header, &compiled(&[largest(TEN_SECONDS), by_type(), viewers("viewers_of_all", None)]).await);
    assert!(words.contains("largest has changed since (its windows, the query)"), "{words}");

    // Times: the delay decides about all windows, timeouts about sessions.
    let slower = Options { lateness: Lateness::Replay { delay: 31 * MICROS_PER_SEC, allowed: 0 }, ..options };
    let words = said(&header, &harness::pipelines(&files, &slower).await);
    assert_eq!(words.matches("watermark_delay_secs (30 then, 31 now)").count(), 3, "{words}");
    let longer = Options { session_timeout: 61 * MICROS_PER_SEC, ..options };
    let words = said(&header, &harness::pipelines(&files, &longer).await);
    assert!(words.contains("viewers_of_all has changed since"), "{words}");
    assert!(words.contains("concurrency.session_timeout_secs (60 then, 61 now)"), "{words}");
    assert!(!words.contains("largest") && !words.contains("by_type"), "{words}");

    // A field that no query reads changes nothing; another type of one does; another id does not fit at all.
    let text = std::fs::read_to_string("schemas/user_event.v1.json").unwrap();
    let with = async |text: String| {
        let contract = Arc::new(Contract::from_json(&text, "a.json").unwrap());
        Arc::new(Pipelines::compile(contract, &files, then.options).await.unwrap_or_else(|e| panic!("{e:?}")))
    };
    let more = with(text.replacen(r#""properties": {"#, r#""properties": { "colour": { "type": "string" },"#, 1)).await;
    changes::fit(&mut checkpoint(header.clone()), &more, "a stream", Refuse).unwrap();
    let (before, after) = text.split_once("\"bitrate_kbps\": {").unwrap();
    let wider = with(format!("{before}\"bitrate_kbps\": {{{}", after.replacen("int32", "int64", 1))).await;
    let words = said(&header, &wider);
    let wanted = "largest has changed since (the types of the columns that it reads, what it keeps of its groups)";
    assert!(words.contains(wanted) && !words.contains("by_type"), "{words}");
    let other = with(text.replace(r#""id": "event_id""#, r#""id": "schema_version""#)).await;
    let e = changes::fit(&mut checkpoint(header.clone()), &other, "a stream", Fresh).unwrap_err();
    assert!(e.message().contains("another field"), "{e}");
}
