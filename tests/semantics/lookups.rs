//! Joins with lookup tables: what a row finds, and which version of the table it is joined with.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use headcount::aws::BucketOptions;
use headcount::clock::{Clock, SystemClock};
use headcount::config::{ColumnType, Config, Lookup};
use headcount::decode::Provenance;
use headcount::engine::board::{Board, Fitness, Readiness, Status};
use headcount::engine::changes::Changes;
use headcount::engine::checkpoint::{Checkpoint, Header, Summary};
use headcount::engine::commits::{CommitOf, CommitOptions, Committer};
use headcount::engine::job_state::JobState;
use headcount::engine::lookups::{LoadedLookup, LookupHistory, Reloader};
use headcount::engine::{EngineOptions, Pipelines};
use headcount::error::Result;
use headcount::pipeline::PipelineFile;
use headcount::schema::Contract;
use headcount::sink::lake::{CheckpointStore, Lake, LookupStore};
use headcount::types::format_micros;

use super::scene::{Event, Job, at, lines, pipeline, records, scene};
use crate::fixture::{How, TempLake, backfill, write};
use crate::harness::{self, Cut, Run};
use crate::reference::{Options, Row};

const CREATORS: &str = "channel_id,tier,country\na,gold,de\nb,silver,fr\n,nobody,xx\n";

/// A folder of lookup tables.
struct Tables(tempfile::TempDir);

impl Tables {
    fn with(files: &[(&str, &str)]) -> Self {
        let tables = Self(tempfile::tempdir().unwrap());
        files.iter().for_each(|(name, text)| tables.write(name, text));
        tables
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.path(file), text).unwrap();
    }

    fn config(&self, name: &str, file: &str) -> Lookup {
        let location = self.path(file).to_str().unwrap().to_owned();
        Lookup { name: name.to_owned(), location, format: None, refresh: 60_000_000, columns: BTreeMap::new() }
    }

    /// Reads the table `name` from its file of that name.
    async fn load(&self, file: &str) -> Result<LoadedLookup> {
        let (name, _) = file.split_once('.').unwrap();
        LoadedLookup::load(&self.config(name, file), &BucketOptions::default()).await
    }
}

fn load(tables: &Tables, files: &[&str]) -> Vec<LoadedLookup> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    files.iter().map(|file| runtime.block_on(tables.load(file)).unwrap()).collect()
}

fn job(files: &[PipelineFile], tables: &[(&str, &str)]) -> Job {
    let names: Vec<&str> = tables.iter().map(|(name, _)| *name).collect();
    Job::with_lookups(files, &load(&Tables::with(tables), &names))
}

const TUMBLE: &str = "FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) e";

/// Events by tier, joined below the window.
fn by_tier(join: &str) -> PipelineFile {
    let sql = format!(
        "SELECT window_start, window_end, c.tier, COUNT(*) AS n\n{TUMBLE}\n{join}\nGROUP BY window_start, window_end, c.tier"
    );
    pipeline("table", "keys = [\"tier\"]", &sql)
}

fn tiers(run: &Run) -> Vec<String> {
    lines(&run.tables["table"], "window_start tier n")
}

/// Channels in and out of the table, and none.
fn events() -> Vec<Event> {
    scene("0/Q1%a 1/Q2%a 0/Q3%b 1/Q4%x 0/Q5%- 1/Q61%a 0/Q62%x")
}

#[test]
fn a_left_join_keeps_every_row_and_an_inner_join_those_that_find_one() {
    let left = job(&[by_tier("LEFT JOIN creators c ON e.channel_id = c.channel_id")], &[("creators.csv", CREATORS)]);
    let run = left.run(&events());
    assert_eq!(tiers(&run), ["0 null 2", "0 gold 2", "0 silver 1", "60 null 1", "60 gold 1"]);
    assert_eq!(run.counters.pipelines["table"].filtered, 0);
    let inner = job(&[by_tier("JOIN creators c ON e.channel_id = c.channel_id")], &[("creators.csv", CREATORS)]);
    let run = inner.run(&events());
    assert_eq!(tiers(&run), ["0 gold 2", "0 silver 1", "60 gold 1"]);
    let counts = &run.counters.pipelines["table"];
    assert_eq!((counts.in_windows, counts.filtered), (4, 3), "what finds no row is filtered");
}

#[tokio::test]
async fn a_table_takes_its_part_of_the_memory_of_the_job() {
    let tables = Tables::with(&[("creators.csv", CREATORS)]);
    let loaded = [tables.load("creators.csv").await.unwrap()];
    let file = by_tier("JOIN creators c ON e.channel_id = c.channel_id");
    let compiled = async |memory_bytes_max| {
        let options = EngineOptions { memory_bytes_max, ..harness::engine_options(&Options::default()) };
        let contract = Arc::new(Contract::shipped().unwrap());
        Pipelines::with_lookups(contract, std::slice::from_ref(&file), &loaded, options).await
    };
    let pipelines = compiled(1 << 20).await.unwrap();
    let taken = pipelines.memory.bytes();
    assert!(taken >= CREATORS.len(), "{taken} bytes");
    let problems = compiled(taken - 1).await.unwrap_err();
    let report = problems[0].report();
    assert!(report.contains("more memory than run.memory_mib_max"), "{report}");
    assert!(report.contains("the lookup table creators"), "{report}");
}

#[test]
fn a_row_of_the_stream_that_is_null_finds_nothing() {
    let run = job(&[by_tier("JOIN creators c ON e.channel_id = c.channel_id")], &[("creators.csv", CREATORS)])
        .run(&scene("Q5%-"));
    assert!(run.tables["table"].is_empty(), "NULL is not NULL: {:?}", run.tables);
}

#[test]
fn conditions_may_stand_in_on_or_in_where() {
    let joins = [
        (
            "LEFT JOIN creators c ON e.channel_id = c.channel_id AND c.country = 'fr'",
            vec!["0 null 4", "0 silver 1", "60 null 2"],
        ),
        (
            "LEFT JOIN creators c ON e.channel_id = c.channel_id AND e.event_id <> 'Q1%a'",
            vec!["0 null 3", "0 gold 1", "0 silver 1", "60 null 1", "60 gold 1"],
        ),
        ("LEFT JOIN creators c ON e.channel_id = c.channel_id WHERE c.country = 'fr'", vec!["0 silver 1"]),
        (
            "JOIN creators c ON c.channel_id = e.channel_id AND c.country = 'de' WHERE e.event_type = 'stream.quality_changed'",
            vec!["0 gold 2", "60 gold 1"],
        ),
        ("JOIN creators c USING (channel_id)", vec!["0 gold 2", "0 silver 1", "60 gold 1"]),
        ("JOIN creators c ON CONCAT(e.channel_id, '') = c.channel_id", vec!["0 gold 2", "0 silver 1", "60 gold 1"]),
    ];
    for (join, expected) in joins {
        // An id is the word of the scene unless said.
        assert_eq!(tiers(&job(&[by_tier(join)], &[("creators.csv", CREATORS)]).run(&events())), expected, "{join}");
    }
}

#[test]
fn the_table_may_stand_first_and_be_joined_with_another() {
    let sql = "SELECT window_start, window_end, t.label, COUNT(*) AS n
         FROM creators c
         JOIN TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) e ON e.channel_id = c.channel_id
         LEFT JOIN tiers t ON t.tier = c.tier AND t.country = c.country
         GROUP BY window_start, window_end, t.label";
    let tables = [
        ("creators.csv", CREATORS),
        (
            "tiers.ndjson",
            "{\"tier\":\"gold\",\"country\":\"de\",\"label\":\"G\"}\n{\"tier\":\"gold\",\"country\":\"fr\",\"label\":\"F\"}\n",
        ),
    ];
    let run = job(&[pipeline("table", "keys = [\"label\"]", sql)], &tables).run(&events());
    assert_eq!(lines(&run.tables["table"], "window_start label n"), ["0 null 1", "0 G 2", "60 G 1"]);
}

#[test]
fn complete_windows_are_joined_as_the_stream_is() {
    let sql = "SELECT w.window_start, w.window_end, c.tier, SUM(w.n) AS n
         FROM (SELECT window_start, window_end, channel_id, COUNT(*) AS n
               FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
               GROUP BY window_start, window_end, channel_id) w
         LEFT JOIN creators c ON w.channel_id = c.channel_id
         GROUP BY w.window_start, w.window_end, c.tier";
    let above = pipeline("table", "keys = [\"tier\"]", sql);
    let below = by_tier("LEFT JOIN creators c ON e.channel_id = c.channel_id");
    let tables = [("creators.csv", CREATORS)];
    let (above, below) = (job(&[above], &tables).run(&events()), job(&[below], &tables).run(&events()));
    assert_eq!(tiers(&above), tiers(&below));

    let viewers = "SELECT v.window_start, v.window_end, v.stream_id, c.tier, v.viewers_max
         FROM TABLE(CONCURRENCY(TABLE user_events PARTITION BY stream_id, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) v
         JOIN creators c ON v.channel_id = c.channel_id";
    let run = job(&[pipeline("table", "keys = [\"stream_id\"]", viewers)], &tables).run(&scene("J1%a z~B:J2%x"));
    let first = &lines(&run.tables["table"], "window_start stream_id tier viewers_max")[0];
    assert_eq!(first, "0 s gold 1");
}

#[test]
fn a_key_that_is_there_twice_is_refused_with_its_file() {
    let tables = Tables::with(&[("creators.csv", "channel_id,tier\na,gold\nb,silver\na,bronze\n")]);
    let loaded = load(&tables, &["creators.csv"]);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let contract = Arc::new(headcount::schema::Contract::shipped().unwrap());
    let compile = |join: &str| {
        let files = [by_tier(join)];
        let options = harness::engine_options(&Options::default());
        runtime.block_on(Pipelines::with_lookups(Arc::clone(&contract), &files, &loaded, options))
    };
    let problems = compile("JOIN creators c ON e.channel_id = c.channel_id").unwrap_err();
    let path = tables.path("creators.csv").display().to_string();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].message(), format!("the key channel_id = a is there twice, first at {path}: row 1"));
    assert_eq!((problems[0].exit_code(), problems[0].place()), (2, Some(format!("{path}: row 3").as_str())));
    assert!(
        compile("JOIN creators c ON e.channel_id = c.channel_id AND e.country = c.tier").is_ok(),
        "two columns are the key"
    );
}

/// Runs events one read at a time, and puts `rows` into use before a step.
fn run_with_reload(pipelines: &Arc<Pipelines>, events: &[Event], step: usize, rows: &RecordBatch) -> Run {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut before = |now| {
        if now == step {
            let table = pipelines.lookups.table("creators").unwrap();
            table.replace(table.version(rows.clone(), &|_| String::new()).unwrap());
        }
    };
    let cut = Cut { records: 1, reversed: false };
    runtime.block_on(harness::run_with(pipelines, &records(events), Provenance::Record, cut, &mut before))
}

#[test]
fn another_version_is_joined_from_the_next_read_on() {
    let tables = Tables::with(&[("creators.csv", CREATORS)]);
    let loaded = load(&tables, &["creators.csv"]);
    tables.write("creators.csv", "channel_id,tier,country\na,platinum,de\n");
    let next = load(&tables, &["creators.csv"]).remove(0).content.rows;
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let below = by_tier("LEFT JOIN creators c ON e.channel_id = c.channel_id");
    let above = "SELECT w.window_start, w.window_end, w.channel_id, c.tier, w.n
         FROM (SELECT window_start, window_end, channel_id, COUNT(*) AS n
               FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
               GROUP BY window_start, window_end, channel_id) w
         JOIN creators c ON w.channel_id = c.channel_id";
    let above = pipeline("above", "keys = [\"channel_id\"]", above);
    let pipelines = runtime.block_on(harness::pipelines_with(&[below, above], &loaded, &Options::default()));
    // The watermark is 30 s behind: the first window is complete with the last read but one.
    let run = run_with_reload(&pipelines, &scene("Q1%a Q2%b Q3%a Q4%b Q95%b Q200%a"), 2, &next);
    assert_eq!(tiers(&run), ["0 null 1", "0 gold 1", "0 platinum 1", "0 silver 1", "60 null 1", "180 platinum 1"]);
    assert_eq!(lines(&run.tables["above"], "window_start channel_id tier n"), ["0 a platinum 2", "180 a platinum 1"]);
    assert_eq!(run.counters.contradictions(), Vec::<String>::new());
}

/// A line of an event file.
fn line(id: usize, t: i64, channel: &str) -> String {
    let (time, arrival) = (format_micros(at(t)), format_micros(at(t)));
    format!(
        r#"{{"schema_version":"1","event_id":"{id}","event_type":"view.started","event_time":"{time}","stream_id":"s","session_id":"v","channel_id":"{channel}","ingest_time":"{arrival}"}}"#
    )
}

#[tokio::test]
async fn a_live_run_and_a_backfill_with_one_version_agree() {
    let tables = Tables::with(&[("creators.csv", CREATORS)]);
    let loaded = [tables.load("creators.csv").await.unwrap()];
    let file = by_tier("LEFT JOIN creators c ON e.channel_id = c.channel_id");
    let pipelines = harness::pipelines_with(&[file], &loaded, &Options::default()).await;
    let channels = ["a", "b", "x"];
    let events: Vec<(usize, i64, &str)> = (0..300).map(|i| (i, i as i64, channels[i % 3])).collect();
    let lake = TempLake::new();
    let folder = tempfile::tempdir().unwrap();
    let inputs: Vec<String> = (0..2)
        .map(|shard| {
            let own = events.iter().filter(|(i, ..)| i % 2 == shard).map(|(i, t, c)| line(*i, *t, c));
            write(folder.path().join(format!("{shard}.ndjson")), own.collect::<Vec<_>>().join("\n") + "\n")
        })
        .collect();
    for workers in [1, 3] {
        backfill(&pipelines, &inputs, &lake.lake, How { workers, ..How::default() }).await;
        let filled: Vec<Row> = lake.table("table").await;
        let word = |(i, t, c): &(usize, i64, &str)| format!("{}/J{t}%{c}!{i}", i % 2);
        let words: Vec<String> = events.iter().map(word).collect();
        for records_a_read in [1, 7, 1_000] {
            let cut = Cut { records: records_a_read, reversed: false };
            let live = harness::run(&pipelines, &records(&scene(&words.join(" "))), Provenance::Record, cut).await;
            assert_eq!(live.tables["table"], filled, "{workers} workers, {records_a_read} records a read");
        }
        assert_eq!(filled.len(), 15, "three groups in five minutes");
    }
}

#[tokio::test]
async fn a_restart_joins_the_version_of_its_checkpoint_and_old_versions_go() {
    let tables = Tables::with(&[("creators.csv", CREATORS)]);
    let file = || by_tier("LEFT JOIN creators c ON e.channel_id = c.channel_id");
    let compile = async || {
        let loaded = [tables.load("creators.csv").await.unwrap()];
        harness::pipelines_with(&[file()], &loaded, &Options::default()).await
    };
    let version = |pipelines: &Pipelines| pipelines.lookups.versions()["creators"].clone();
    let lake = TempLake::new();
    let history = || LookupHistory::new(&lake.lake, "app");
    let store = CheckpointStore::new(&lake.lake, "app");
    let save = async |pipelines: &Pipelines, last: u64| {
        history().keep_current(&pipelines.lookups).await.unwrap();
        let header = Header::new(pipelines, "user-events", at(0), Summary::default());
        let checkpoint = Checkpoint { header, state: JobState::default(), source: vec![] };
        store.write(last, checkpoint.to_bytes().unwrap()).await.unwrap()
    };
    let first = compile().await;
    assert_eq!(save(&first, 0).await, 1);

    tables.write("creators.csv", "channel_id,tier,country\na,platinum,de\n");
    let second = compile().await;
    assert_ne!(version(&second), version(&first));
    let recorded = Checkpoint::from_bytes(&store.read(1).await.unwrap().unwrap()).unwrap().header;
    assert_eq!(Changes::between(&recorded, &second), Changes::default(), "another version is no other job");
    history().put_back(&second.lookups, &recorded.lookups).await.unwrap();
    assert_eq!(version(&second), version(&first));
    let cut = Cut { records: 1, reversed: false };
    let run = harness::run(&second, &records(&scene("Q1%a")), Provenance::Record, cut).await;
    assert_eq!(tiers(&run), ["0 gold 1"]);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let board = Arc::new(Board::new(clock.now()));
    let mut reloaders = Reloader::all(&second.lookups, true, None, &board, &clock);
    assert!(reloaders[0].look().await, "the first look finds what the table is now");
    assert_ne!(version(&second), version(&first));

    // A backfill may ask for it too, by the checkpoint's number.
    let third = compile().await;
    assert_eq!(history().put_back_of(&third.lookups, 9).await.unwrap_err().exit_code(), 2);
    history().put_back_of(&third.lookups, 1).await.unwrap();
    assert_eq!(version(&third), version(&first));

    // Versions that no kept checkpoint names are removed; three checkpoints are kept.
    let current = compile().await;
    for last in 1..4 {
        assert_eq!(save(&current, last).await, last + 1);
        // At the next start.
        history().keep_current(&current.lookups).await.unwrap();
        let kept = LookupStore::new(&lake.lake, "app").read(&version(&first)).await.unwrap();
        assert_eq!(kept.is_some(), last < 3, "after checkpoint {}", last + 1);
    }
    let gone = BTreeMap::from([("creators".to_owned(), version(&first))]);
    let e = history().put_back(&current.lookups, &gone).await.unwrap_err();
    assert!(e.message().contains("is gone") && e.remedy().unwrap().contains("--keep-positions"), "{e}");

    // A table that has another type since does not take the version up, and its queries are other ones.
    tables.write("creators.csv", "channel_id,tier,country\na,1,de\n");
    let changed = compile().await;
    let what = Changes::between(&recorded, &changed).changed.into_values().collect::<Vec<_>>().join("; ");
    assert!(what.contains("the columns of the lookup table creators"), "{what}");
    let known = BTreeMap::from([("creators".to_owned(), version(&current))]);
    let e = history().put_back(&changed.lookups, &known).await.unwrap_err();
    assert_eq!((e.exit_code(), e.message().contains("has no column tier of type Int64")), (2, true), "{e}");
}

#[tokio::test]
async fn what_changes_is_reloaded_and_what_fails_leaves_the_version_before() {
    let tables = Tables::with(&[("creators.csv", CREATORS)]);
    let loaded = [tables.load("creators.csv").await.unwrap()];
    let file = by_tier("LEFT JOIN creators c ON e.channel_id = c.channel_id");
    let pipelines = harness::pipelines_with(&[file], &loaded, &Options::default()).await;
    let lake = TempLake::new();
    let history = LookupHistory::new(&lake.lake, "app");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let board = Arc::new(Board::new(clock.now()));
    history.keep_current(&pipelines.lookups).await.unwrap();
    let mut reloaders = Reloader::all(&pipelines.lookups, false, Some(&history), &board, &clock);
    let reloader = &mut reloaders[0];
    let table = pipelines.lookups.table("creators").unwrap();
    let rows = || table.current().rows.num_rows();
    let status = || board.status().lookups["creators"].clone();
    assert!(!reloader.look().await, "nothing has changed");
    assert_eq!((rows(), status().reloads, status().failures), (3, 0, 0));

    tables.write("creators.csv", "channel_id,tier,country\na,gold,de\n");
    assert!(reloader.look().await);
    assert_eq!((rows(), status().reloads, status().rows), (1, 1, 1));
    let kept = LookupStore::new(&lake.lake, "app").read(&status().version).await.unwrap();
    assert_eq!(kept.as_ref(), Some(&table.current().rows), "it is in the lake before it is joined");
    assert_eq!(LookupStore::new(&lake.lake, "app").list().await.unwrap().len(), 1, "nobody needs the one before");

    let bad = [
        ("channel_id,tier,country\na,gold,de\na,silver,de\n", "is there twice"),
        ("channel_id,country\na,de\n", "the column tier is not in it"),
        ("channel_id,tier,country\na\n", "cannot be read as CSV"),
    ];
    for (n, (text, why)) in (1..).zip(bad) {
        tables.write("creators.csv", text);
        assert!(!reloader.look().await);
        assert_eq!((rows(), status().reloads, status().failures), (1, 1, n));
        assert!(status().failing.unwrap().contains(why), "{:?}", status());
    }
    std::fs::remove_file(tables.path("creators.csv")).unwrap();
    assert!(!reloader.look().await);
    assert!(status().failing.is_some_and(|why| why.contains("there is no file")), "{:?}", status());

    let mut running = board.status();
    running.lake_reached = true;
    running.expected = Some([].into());
    let readiness = Readiness::of(&running, clock.now());
    assert_eq!((readiness.fitness, readiness.reasons[0].code), (Fitness::Degraded, "lookup_stale"));

    tables.write("creators.csv", "country,channel_id,tier\nfr,b,gold\nde,c,gold\n");
    assert!(reloader.look().await, "columns may come in another order");
    assert_eq!((rows(), status().failing), (2, None));
}

/// One run's look at a lookup table in a lake, and its commits.
struct Committing {
    tables: Tables,
    pipelines: Arc<Pipelines>,
    history: LookupHistory,
    reloader: Reloader,
    committer: Committer,
    store: CheckpointStore,
}

impl Committing {
    /// A run that goes on from the checkpoint `last`.
    async fn begin(lake: &Lake, run: &str, last: u64) -> Self {
        let tables = Tables::with(&[("creators.csv", CREATORS)]);
        let loaded = [tables.load("creators.csv").await.unwrap()];
        let file = by_tier("LEFT JOIN creators c ON e.channel_id = c.channel_id");
        let pipelines = harness::pipelines_with(&[file], &loaded, &Options::default()).await;
        let mut history = LookupHistory::new(lake, "app");
        history.written_by(run, last);
        history.keep_current(&pipelines.lookups).await.unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let board = Arc::new(Board::new(clock.now()));
        let reloader = Reloader::all(&pipelines.lookups, false, Some(&history), &board, &clock).remove(0);
        let store = CheckpointStore::new(lake, "app");
        let options = CommitOptions {
            stream: "user-events".to_owned(),
            run: run.to_owned(),
            last,
            generation: 1,
            predecessor: String::new(),
            unmoved: vec![],
            read_before: 0,
        };
        let committer = Committer::new(&pipelines, store.clone(), None, options, &clock).with_lookups(history.clone());
        Self { tables, pipelines, history, reloader, committer, store }
    }

    fn version(&self) -> String {
        self.pipelines.lookups.versions()["creators"].clone()
    }

    /// Another version comes into use.
    async fn reload(&mut self, tier: &str) -> String {
        self.tables.write("creators.csv", &format!("channel_id,tier,country\na,{tier},de\n"));
        assert!(self.reloader.look().await, "{tier}");
        self.version()
    }

    async fn commit(&mut self) -> u64 {
        self.committer.commit(nothing()).await.unwrap().number
    }

    /// What a start does after this run was killed.
    async fn start(&self) -> headcount::Result<()> {
        let last = self.store.list().await?.pop().unwrap().number;
        let header = Checkpoint::from_bytes(&self.store.read(last).await?.unwrap())?.header;
        self.history.put_back(&self.pipelines.lookups, &header.lookups).await
    }
}

fn nothing() -> CommitOf {
    CommitOf::new(JobState::default(), vec![], &Status::default())
}

#[tokio::test]
async fn a_version_that_the_last_commit_names_stays_whatever_is_reloaded_after_it() {
    let lake = TempLake::new();
    let mut run = Committing::begin(&lake.lake, "run-1", 0).await;
    let there = async || LookupStore::new(&lake.lake, "app").list().await.unwrap();
    let first = run.version();
    assert_eq!(run.commit().await, 1);
    let second = run.reload("silver").await;
    assert_eq!(run.commit().await, 2);
    let third = run.reload("gold").await;
    assert_eq!(there().await, BTreeSet::from([first, second.clone(), third]));
    run.start().await.unwrap();
    assert_eq!(run.version(), second);

    // A commit that has said what it names and is not there yet.
    let fourth = run.reload("wood").await;
    let mut committer = run.committer;
    {
        let mut committing = std::pin::pin!(committer.commit(nothing()));
        assert!(futures::poll!(committing.as_mut()).is_pending());
        run.tables.write("creators.csv", "channel_id,tier,country\na,tin,de\n");
        assert!(run.reloader.look().await);
        assert_eq!(committing.await.unwrap().number, 3);
    }
    run.committer = committer;
    run.start().await.unwrap();
    assert_eq!(run.version(), fourth);

    // What is in no checkpoint that is kept goes.
    for number in 4..7 {
        assert_eq!(run.commit().await, number);
    }
    let last = run.reload("tin").await;
    assert_eq!(there().await, BTreeSet::from([fourth, last]));
}

#[tokio::test]
async fn who_was_shut_out_removes_no_version_and_what_was_removed_is_put_again() {
    let lake = TempLake::new();
    let store = LookupStore::new(&lake.lake, "app");
    let mut first = Committing::begin(&lake.lake, "run-1", 0).await;
    first.commit().await;
    let mut second = Committing::begin(&lake.lake, "run-2", 1).await;
    assert_eq!(second.commit().await, 2);
    let unnamed = second.reload("silver").await;
    first.reload("gold").await;
    assert!(store.list().await.unwrap().contains(&unnamed), "the first one was shut out");

    // It had looked who writes before it was.
    store.remove([&unnamed]).await.unwrap();
    assert_eq!(second.commit().await, 3);
    second.start().await.unwrap();
    assert_eq!(second.version(), unnamed);
}

#[tokio::test]
async fn the_example_of_the_documentation_gives_what_it_says() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/sql.md")).unwrap();
    let section = page.split("## Lookup tables").nth(1).expect("docs/sql.md has a section on lookup tables");
    let block = |language: &str| {
        let begin = format!("```{language}\n");
        let text = section.split(begin.as_str()).nth(1).unwrap_or_else(|| panic!("no block of {language}"));
        text.split("```").next().unwrap().to_owned()
    };
    let tables = Tables::with(&[("creators.csv", &block("csv"))]);
    let config = tables.path("headcount.toml");
    let location = tables.path("creators.csv").display().to_string();
    let toml = block("toml").replace("./data/creators.csv", &location);
    assert!(toml.contains(&location), "the example's location is ./data/creators.csv");
    std::fs::write(&config, toml).unwrap();
    let config = Config::load(Some(&config), std::iter::empty()).unwrap();
    let [lookup] = config.lookups.as_slice() else { panic!("{:?}", config.lookups) };
    assert_eq!((lookup.name.as_str(), lookup.columns.get("tier")), ("creators", Some(&ColumnType::Text)));
    let loaded = [LoadedLookup::load(lookup, &BucketOptions::default()).await.unwrap()];
    let file = PipelineFile::parse("pipelines/viewers_by_tier.sql", &block("sql")).unwrap();
    let pipelines = harness::pipelines_with(&[file], &loaded, &Options::default()).await;
    let cut = Cut { records: 1, reversed: false };
    let events = scene("J1%c-1 B:J2%c-1 C:J3%c-2 D:J4%c-9");
    let run = harness::run(&pipelines, &records(&events), Provenance::Record, cut).await;
    let said = block("text");
    let mut said: Vec<String> =
        said.lines().skip(1).map(|l| l.split_whitespace().skip(2).collect::<Vec<_>>().join(" ")).collect();
    said.sort();
    let mut given = lines(&run.tables["viewers_by_tier"], "tier views");
    given.sort();
    assert_eq!(given, said);
}
