//! Windows of windows that nobody wrote: their rows are what plain DataFusion makes of the rows of the windows below, which the same job
//! writes to a table of its own. So it is in revision 0 and in what stands at the end, whatever the batches and the stops.
//!
//! `HEADCOUNT_SQL_SEED=<seed>` repeats a run, `HEADCOUNT_SQL_CASES=<number>` makes it longer.

use std::collections::BTreeMap;

use headcount::aws::BucketOptions;
use headcount::config::Lookup;
use headcount::decode::Provenance;
use headcount::engine::lookups::LoadedLookup;
use headcount::pipeline::PipelineFile;
use proptest::prelude::*;
use serde_json::json;

use super::random::{START, run_cases};
use super::{input, plain};
use crate::harness::{self, Cut, Run, difference};
use crate::reference::{Options, RefRecord, Row, SEC, Val};

/// What a query makes of a call below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Below {
    Grouped,
    Presence,
    /// Presence beside counts of rows in windows of 10 seconds.
    Joined,
}

/// The windows below: how a query calls them, the slide in seconds, and what it makes of them.
const BELOW: [(&str, i64, Below); 8] = [
    ("TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' SECOND)", 1, Below::Grouped),
    ("TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND)", 10, Below::Grouped),
    ("HOP(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '5' SECOND, INTERVAL '10' SECOND)", 5, Below::Grouped),
    ("HOP(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND, INTERVAL '1' MINUTE)", 10, Below::Grouped),
    (
        "CONCURRENCY(TABLE user_events PARTITION BY country, DESCRIPTOR(event_time), INTERVAL '10' SECOND)",
        10,
        Below::Presence,
    ),
    ("CONCURRENCY(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '5' SECOND)", 5, Below::Presence),
    (
        "CONCURRENCY(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '5' SECOND, SESSION_TIMEOUT => INTERVAL '17' SECOND)",
        5,
        Below::Presence,
    ),
    (
        "CONCURRENCY(TABLE user_events PARTITION BY country, DESCRIPTOR(event_time), INTERVAL '10' SECOND)",
        10,
        Below::Joined,
    ),
];

const AGGREGATES: [&str; 12] = [
    "SUM(n)",
    "MAX(n)",
    "MIN(v)",
    "AVG(n)",
    "AVG(v / 4.0)",
    "SUM(v) FILTER (WHERE n > 1)",
    "COUNT(DISTINCT country)",
    "COUNT(DISTINCT begins)",
    "PERCENTILE(n, 0.5)",
    "MEDIAN(v)",
    "STRING_AGG(country, ',' ORDER BY n, country, begins)",
    "LAST_VALUE(v ORDER BY begins, country)",
];

#[derive(Debug, Clone)]
struct Query {
    below: (&'static str, i64, Below),
    having: bool,
    /// How many slides of the windows below one of those above has, and how many of its own slides.
    slides: (i64, i64),
    keys: Vec<&'static str>,
    aggregates: Vec<&'static str>,
    condition: Option<&'static str>,
    lateness: i64,
    /// The table's own.
    delay: Option<i64>,
}

impl Query {
    fn has_country(&self) -> bool {
        self.below.2 == Below::Grouped || self.below.0.contains("PARTITION BY country")
    }

    fn file(&self, name: &str, keys: &[&str], sql: &str) -> PipelineFile {
        // Presence is never revised, and waits as long as the job.
        let lateness = if self.below.2 == Below::Presence { 0 } else { self.lateness };
        let delay = self.delay.filter(|_| self.below.2 == Below::Grouped);
        let delay = delay.map(|secs| format!("watermark_delay_secs = {secs}\n")).unwrap_or_default();
        let text =
            format!("/*\ntitle = \"{name}\"\nkeys = {keys:?}\nallowed_lateness_secs = {lateness}\n{delay}*/\n{sql}");
        PipelineFile::parse(&format!("pipelines/{name}.sql"), &text).unwrap()
    }

    /// The windows below, with these columns before the rest.
    fn select_below(&self, columns: &str) -> String {
        let (call, _, below) = self.below;
        if below == Below::Joined {
            return format!(
                "SELECT {columns}, country, viewers_max AS n, tips AS v FROM TABLE({call})
                 LEFT JOIN (
                   SELECT window_start AS begins_of, window_end AS ends_of, country AS country_of, SUM(amount_minor) AS tips
                   FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND))
                   GROUP BY window_start, window_end, country
                 ) ON window_start = begins_of AND window_end = ends_of AND country = country_of"
            );
        }
        if below == Below::Presence {
            let country = if self.has_country() { "country" } else { "CAST(NULL AS VARCHAR) AS country" };
            return format!("SELECT {columns}, {country}, viewers_max AS n, viewers_current AS v FROM TABLE({call})");
        }
        let having = if self.having { " HAVING COUNT(*) < 3" } else { "" };
        format!(
            "SELECT {columns}, country, COUNT(*) AS n, SUM(amount_minor) AS v FROM TABLE({call})
             GROUP BY window_start, window_end, window_time, country{having}"
        )
    }

    fn below_file(&self) -> PipelineFile {
        self.file("below", &["country"], &self.select_below("window_start, window_end"))
    }

    /// The query over windows that are called `below`.
    fn select_above(&self) -> String {
        let (slide, slides) = (self.slides.0 * self.below.1, self.slides.1);
        let call = match slides {
            1 => format!("TUMBLE(TABLE below, DESCRIPTOR(rowtime), INTERVAL '{slide}' SECOND)"),
            n => {
                let size = slide * n;
                format!("HOP(TABLE below, DESCRIPTOR(rowtime), INTERVAL '{slide}' SECOND, INTERVAL '{size}' SECOND)")
            }
        };
        let keys: String = self.keys.iter().map(|key| format!(", {key}")).collect();
        let aggregates: String = self.aggregates.iter().zip(0..).map(|(a, i)| format!(", {a} AS a{i}")).collect();
        let condition = self.condition.map(|c| format!("WHERE {c} ")).unwrap_or_default();
        format!(
            "SELECT window_start, window_end{keys}, COUNT(*) AS below_rows, COUNT(v) AS below_values{aggregates}
             FROM TABLE({call}) {condition}GROUP BY window_start, window_end{keys}"
        )
    }

    fn above_file(&self) -> PipelineFile {
        let below = self.select_below("window_time AS rowtime, window_start AS begins");
        self.file("above", &self.keys, &format!("WITH below AS ({below})\n{}", self.select_above()))
    }

    /// What plain DataFusion makes of the rows of the windows below that are `chosen`.
    async fn plain(&self, run: &Run, above: &arrow::datatypes::Schema, chosen: &str) -> Vec<Row> {
        let batches: Vec<_> = run.emissions.iter().filter(|e| e.pipeline == 0).map(|e| e.rows.clone()).collect();
        if batches.is_empty() {
            return vec![];
        }
        // A group that late rows took away has come once more, with nothing in it.
        let sql = format!(
            "WITH below AS (
               SELECT window_end - INTERVAL '1' MILLISECOND AS rowtime, window_start AS begins, country, n, v
               FROM (SELECT *, MAX(revision) OVER (PARTITION BY window_start, window_end, country) AS last FROM emitted)
               WHERE {chosen} AND (n > 0 OR {}))
             {}",
            self.below.2 != Below::Grouped,
            plain::query_of_windows(&self.select_above())
        );
        let mut rows = plain::rows_of([("emitted".to_owned(), batches)], &sql, above).await.unwrap();
        rows.sort();
        rows
    }
}

fn queries() -> impl Strategy<Value = Query> {
    let below = (prop::sample::select(&BELOW[..]), any::<bool>());
    let slides = (1..7i64, prop_oneof![Just(1i64), 2..=plain::SLIDES_MAX as i64]);
    let keys = prop::sample::subsequence(&["country", "begins"][..], 0..=2);
    let aggregates = prop::collection::vec(prop::sample::select(&AGGREGATES[..]), 0..5);
    let condition =
        prop::option::weighted(0.3, prop::sample::select(&["n > 1", "country = 'DE'", "v IS NOT NULL"][..]));
    let lateness = prop_oneof![Just(0i64), Just(20), Just(90)];
    let waits = (lateness, prop::option::of(prop_oneof![Just(0i64), Just(7), Just(75)]));
    (below, slides, keys, aggregates, condition, waits).prop_map(
        |((below, having), slides, keys, aggregates, condition, (lateness, delay))| Query {
            below,
            having,
            slides,
            keys,
            aggregates,
            condition,
            lateness,
            delay,
        },
    )
}

/// What arrives, at the shards in turn.
#[derive(Debug, Clone)]
enum Step {
    Event {
        /// How long after the one before it arrives, in seconds.
        after: i64,
        /// How long before that it happened: it comes late where that is much.
        age: i64,
        country: Option<&'static str>,
        amount_minor: Option<i64>,
        session: u8,
    },
    /// No event at any shard for so many seconds; then records that are none, so that every shard knows it.
    Silence(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let country = prop::option::weighted(0.8, prop::sample::select(&["DE", "FR", ""][..]));
    let age = prop_oneof![8 => Just(0), 3 => 0..120i64];
    let event = (0..8i64, age, country, prop::option::weighted(0.8, -3..4i64), 0..4u8).prop_map(
        |(after, age, country, amount_minor, session)| Step::Event { after, age, country, amount_minor, session },
    );
    prop::collection::vec(prop_oneof![12 => event, 1 => (60..300i64).prop_map(Step::Silence)], 0..80)
}

fn records(steps: &[Step]) -> Vec<RefRecord> {
    let (mut clock, mut records) = (START, Vec::new());
    let mut arrives = |clock: i64, event: Option<serde_json::Value>| {
        let bytes = event.map_or_else(|| b"no event".to_vec(), |event| event.to_string().into_bytes());
        let sequence = records.len() as u64 + 1;
        records.push(RefRecord { shard: (sequence % 3).to_string(), sequence, arrival: Some(clock), bytes });
    };
    for (step, number) in steps.iter().zip(1..) {
        match step {
            Step::Silence(seconds) => {
                clock += seconds * SEC;
                (0..3).for_each(|_| arrives(clock, None));
            }
            Step::Event { after, age, country, amount_minor, session } => {
                clock += after * SEC;
                let event = json!({
                    "schema_version": "1", "event_id": format!("e{number:03}"), "event_type": "view.heartbeat",
                    "event_time": (clock - age * SEC) / 1_000, "stream_id": "s", "session_id": format!("v{session}"),
                    "country": country, "amount_minor": amount_minor,
                });
                arrives(clock, Some(event));
            }
        }
    }
    records
}

#[derive(Debug, Clone)]
struct Setup {
    query: Query,
    steps: Vec<Step>,
    records_a_read: usize,
    late: bool,
    stops: bool,
}

/// Of each group what was written last, if there is anything in it, as if it were revision 0.
fn standing(rows: &[Row], keys: &[&str]) -> Vec<Row> {
    let mut last: BTreeMap<Vec<Val>, Row> = BTreeMap::new();
    for row in rows {
        let key = ["window_start", "window_end"].iter().chain(keys).map(|name| row[*name].clone()).collect();
        let before = last.get(&key).map_or(Val::Null, |row| row["revision"].clone());
        if before == Val::Null || row["revision"] > before {
            last.insert(key, row.clone());
        }
    }
    let mut rows: Vec<Row> = last.into_values().filter(|row| row["below_rows"] != Val::Int(0)).collect();
    rows.iter_mut().for_each(|row| drop(row.insert("revision".to_owned(), Val::Int(0))));
    rows.sort();
    rows
}

/// What differs, in words.
async fn differences(setup: &Setup) -> Option<String> {
    let query = &setup.query;
    let (below, above) = (query.below_file(), query.above_file());
    let options = if setup.late { Options::default() } else { Options::default().ignoring_lateness() };
    let pipelines = harness::pipelines(&[below, above.clone()], &options).await;
    let cut = Cut { records: setup.records_a_read, reversed: false };
    let records = records(&setup.steps);
    let run = if setup.stops {
        harness::run_with_stops(&pipelines, &records, Provenance::Record, cut).await
    } else {
        harness::run(&pipelines, &records, Provenance::Record, cut).await
    };
    let schema = pipelines.plans[1].schema();
    let all = &run.tables["above"];
    let first: Vec<Row> = all.iter().filter(|row| row["revision"] == Val::Int(0)).cloned().collect();
    let of_revision_0 = query.plain(&run, schema, "revision = 0").await;
    let of_standing = query.plain(&run, schema, "revision = last").await;
    difference(&format!("revision 0 of\n{}", above.sql), &first, &of_revision_0).or_else(|| {
        let what = format!("what stands of\n{}", above.sql);
        difference(&what, &standing(all, &query.keys), &of_standing)
    })
}

#[test]
fn windows_of_windows_equal_plain_datafusion_over_the_windows() {
    let records_a_read = prop_oneof![2 => 1..4usize, 1 => 4..40usize];
    let setups = (queries(), steps(), records_a_read, prop::bool::weighted(0.8), any::<bool>())
        .prop_map(|(query, steps, records_a_read, late, stops)| Setup { query, steps, records_a_read, late, stops });
    run_cases(setups, async |setup| differences(setup).await);
}

/// A lookup table of the countries' regions.
async fn regions() -> LoadedLookup {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("regions.csv");
    std::fs::write(&path, "country,region\nDE,west\nFR,west\nBR,south\n").unwrap();
    let location = path.to_str().unwrap().to_owned();
    let config =
        Lookup { name: "regions".to_owned(), location, format: None, refresh: 60_000_000, columns: BTreeMap::new() };
    LoadedLookup::load(&config, &BucketOptions::default()).await.unwrap()
}

#[tokio::test]
async fn a_lookup_table_is_joined_below_a_call_or_behind_it() {
    let tens = "SELECT window_start, window_end, window_time AS rowtime, country, COUNT(*) AS n
                FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND))
                GROUP BY window_start, window_end, window_time, country";
    let file = |name: &str, below: &str, joined: &str| {
        let sql = format!(
            "WITH tens AS ({below}) SELECT t.window_start, t.window_end, region, SUM(n) AS n, COUNT(*) AS tens
             FROM TABLE(TUMBLE(TABLE tens, DESCRIPTOR(rowtime), INTERVAL '1' MINUTE)) t {joined}
             GROUP BY t.window_start, t.window_end, region"
        );
        let text = format!("/*\ntitle = \"t\"\nkeys = [\"region\"]\n*/\n{sql}");
        PipelineFile::parse(&format!("pipelines/{name}.sql"), &text).unwrap()
    };
    let join = "LEFT JOIN regions r ON t.country = r.country";
    let below = file("below", &format!("SELECT t.rowtime, t.n, r.region FROM ({tens}) t {join}"), "");
    let behind = file("behind", tens, join);
    let pipelines = harness::pipelines_with(&[below, behind], &[regions().await], &Options::default()).await;
    let cut = Cut { records: 7, reversed: false };
    let run = harness::run(&pipelines, &input::records(), Provenance::Record, cut).await;
    assert!(run.tables["below"].iter().any(|row| row["region"] == Val::Str("west".to_owned())));
    assert_eq!(run.tables["below"], run.tables["behind"]);
}
