//! Queries and rows that nobody wrote: the windowed operator gives what plain DataFusion's aggregate gives over all rows at once.
//!
//! A failing case is shrunk by proptest, which prints the query and the events that are left of it.
//! `HEADCOUNT_SQL_SEED=<seed>` repeats a run, `HEADCOUNT_SQL_CASES=<number>` makes it longer.

use headcount::decode::Provenance;
use headcount::pipeline::PipelineFile;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use super::plain::{self, Late};
use crate::harness::{self, Cut, difference, number};
use crate::reference::{Options, RefRecord, SEC};

const CASES: u32 = 90;
/// 2026-03-01T10:00:00Z
pub(super) const START: i64 = 1_772_359_200 * SEC;

/// The call, without what it reads, and the lengths of its windows.
const WINDOWS: [(&str, &str); 13] = [
    ("TUMBLE", "INTERVAL '250' MILLISECOND"),
    ("TUMBLE", "INTERVAL '1' SECOND"),
    ("TUMBLE", "INTERVAL '7' SECOND"),
    ("TUMBLE", "INTERVAL '10' SECOND"),
    ("TUMBLE", "INTERVAL '1' MINUTE"),
    ("TUMBLE", "INTERVAL '1' HOUR"),
    ("TUMBLE", "INTERVAL '1' DAY"),
    ("HOP", "INTERVAL '250' MILLISECOND, INTERVAL '1' SECOND"),
    ("HOP", "INTERVAL '3' SECOND, INTERVAL '9' SECOND"),
    ("HOP", "INTERVAL '5' SECOND, INTERVAL '10' SECOND"),
    ("HOP", "INTERVAL '10' SECOND, INTERVAL '1' MINUTE"),
    ("HOP", "INTERVAL '10' SECOND, INTERVAL '70' SECOND"),
    ("HOP", "INTERVAL '30' MINUTE, INTERVAL '4' HOUR"),
];

const KEYS: [&str; 9] = [
    "country",
    "device_type",
    "bitrate_kbps",
    "amount_minor",
    "fatal",
    "COALESCE(country, 'none')",
    "amount_minor % 2",
    "date_trunc('second', event_time)",
    "CASE WHEN country = 'DE' THEN device_type WHEN device_type = 'tv' THEN country END",
];

/// Aggregates whose result no order of the rows can change.
const AGGREGATES: [&str; 39] = [
    "COUNT(*)",
    "COUNT(country)",
    "COUNT(fatal)",
    "COUNT(DISTINCT country)",
    "COUNT(DISTINCT device_type)",
    "COUNT(DISTINCT bitrate_kbps)",
    "COUNT(DISTINCT amount_minor)",
    "COUNT(DISTINCT fatal)",
    "COUNT(DISTINCT event_time)",
    "SUM(bitrate_kbps)",
    "SUM(amount_minor)",
    "SUM(DISTINCT amount_minor)",
    "SUM(CAST(amount_minor AS DOUBLE) / 4)",
    "SUM(amount_minor * bitrate_kbps)",
    "COUNT(DISTINCT COALESCE(country, device_type, 'none'))",
    "SUM(CASE WHEN country = 'DE' THEN 1 ELSE 0 END)",
    "SUM(CASE WHEN country = 'DE' THEN amount_minor WHEN device_type = 'tv' THEN bitrate_kbps ELSE 0 END)",
    "COUNT(DISTINCT CASE WHEN device_type IN ('tv', 'ü') THEN country WHEN country = 'DE' THEN device_type END)",
    "COUNT(CASE WHEN fatal THEN 'x' WHEN country = 'DE' THEN 'y' END)",
    "MIN(bitrate_kbps)",
    "MAX(amount_minor)",
    "MIN(country)",
    "MAX(device_type)",
    "MIN(event_time)",
    "MAX(fatal)",
    "AVG(amount_minor)",
    "AVG(DISTINCT bitrate_kbps)",
    "MEDIAN(amount_minor)",
    "PERCENTILE(amount_minor, 0.5)",
    "PERCENTILE(CAST(bitrate_kbps AS DOUBLE) / 2, 0.9)",
    "BOOL_AND(fatal)",
    "BOOL_OR(country = 'DE')",
    "BIT_XOR(amount_minor)",
    "APPROX_DISTINCT(country)",
    "ARRAY_AGG(amount_minor ORDER BY amount_minor, event_id)",
    "ARRAY_AGG(DISTINCT country ORDER BY country)",
    "STRING_AGG(device_type, ',' ORDER BY event_id)",
    "FIRST_VALUE(country ORDER BY event_time, event_id)",
    "LAST_VALUE(amount_minor ORDER BY event_time DESC, event_id)",
];

const CONDITIONS: [&str; 9] = [
    "country = 'DE'",
    "country IS NULL",
    "device_type IN ('tv', 'ü')",
    "amount_minor > 0",
    "bitrate_kbps BETWEEN 1 AND 2",
    "fatal",
    "NOT fatal OR country LIKE 'D%'",
    "event_time >= TIMESTAMP '2026-03-01T10:00:30Z'",
    "amount_minor IS DISTINCT FROM bitrate_kbps",
];

/// A windowed `GROUP BY`.
#[derive(Debug, Clone)]
struct Query {
    windows: (&'static str, &'static str),
    keys: Vec<&'static str>,
    /// With their filters.
    aggregates: Vec<(&'static str, Option<&'static str>)>,
    condition: Option<&'static str>,
    having: bool,
}

impl Query {
    fn sql(&self) -> String {
        let mut select = vec!["window_start".to_owned(), "window_end".to_owned()];
        let mut group = select.clone();
        for (key, i) in self.keys.iter().zip(0..) {
            select.push(format!("{key} AS k{i}"));
            group.push((*key).to_owned());
        }
        for ((aggregate, filter), i) in self.aggregates.iter().zip(0..) {
            let filter = filter.map(|f| format!(" FILTER (WHERE {f})")).unwrap_or_default();
            select.push(format!("{aggregate}{filter} AS a{i}"));
        }
        let condition = self.condition.map(|c| format!("WHERE {c}\n")).unwrap_or_default();
        format!(
            "SELECT {}\nFROM TABLE({}(TABLE user_events, DESCRIPTOR(event_time), {}))\n{condition}GROUP BY {}{}",
            select.join(", "),
            self.windows.0,
            self.windows.1,
            group.join(", "),
            if self.having { "\nHAVING COUNT(*) > 1" } else { "" }
        )
    }
}

fn queries() -> impl Strategy<Value = Query> {
    let condition = || prop::option::weighted(0.3, prop::sample::select(&CONDITIONS[..]));
    let aggregates = prop::collection::vec((prop::sample::select(&AGGREGATES[..]), condition()), 0..6);
    let keys = prop::sample::subsequence(&KEYS[..], 0..4);
    (prop::sample::select(&WINDOWS[..]), keys, aggregates, condition(), prop::bool::weighted(0.2)).prop_map(
        |(windows, keys, aggregates, condition, having)| Query { windows, keys, aggregates, condition, having },
    )
}

/// What of an event the queries look at; few values, so that groups and ties are common.
#[derive(Debug, Clone)]
struct Event {
    shard: u8,
    /// Since the start, in quarters of a second; it comes late where the shard has come further.
    quarters: i64,
    country: Option<&'static str>,
    device_type: Option<&'static str>,
    bitrate_kbps: Option<i32>,
    amount_minor: Option<i64>,
    fatal: Option<bool>,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let country = prop::option::weighted(0.8, prop::sample::select(&["DE", "FR", "", "日本"][..]));
    let device = prop::option::weighted(0.8, prop::sample::select(&["tv", "web", "ü"][..]));
    let bitrate = prop::option::weighted(0.8, 0..4i32);
    let amount = prop::option::weighted(0.8, prop_oneof![-3..4i64, Just(1i64 << 40)]);
    let event = (0..3u8, 0..600i64, country, device, bitrate, amount, prop::option::weighted(0.6, any::<bool>()))
        .prop_map(|(shard, quarters, country, device_type, bitrate_kbps, amount_minor, fatal)| Event {
            shard,
            quarters,
            country,
            device_type,
            bitrate_kbps,
            amount_minor,
            fatal,
        });
    prop::collection::vec(event, 0..60)
}

fn records(events: &[Event]) -> Vec<RefRecord> {
    let record = |(event, sequence): (&Event, u64)| {
        let body: Value = json!({
            "schema_version": "1", "event_id": format!("e{sequence:03}"), "event_type": "x.random",
            "event_time": (START + event.quarters * SEC / 4) / 1_000,
            "country": event.country, "device_type": event.device_type, "bitrate_kbps": event.bitrate_kbps,
            "amount_minor": event.amount_minor, "fatal": event.fatal,
        });
        RefRecord { shard: event.shard.to_string(), sequence, arrival: None, bytes: body.to_string().into_bytes() }
    };
    events.iter().zip(1..).map(record).collect()
}

#[derive(Debug, Clone)]
struct Setup {
    query: Query,
    events: Vec<Event>,
    records_a_read: usize,
    late: bool,
    stops: bool,
}

/// What differs, in words.
async fn differences(setup: &Setup) -> Option<String> {
    let sql = setup.query.sql();
    let file = PipelineFile::parse("pipelines/random.sql", &format!("/*\ntitle = \"random\"\n*/\n{sql}")).unwrap();
    let (options, late) = if setup.late {
        (Options::default(), Late::Judged)
    } else {
        (Options::default().ignoring_lateness(), Late::Never)
    };
    let pipelines = harness::pipelines(&[file], &options).await;
    let cut = Cut { records: setup.records_a_read, reversed: false };
    let records = records(&setup.events);
    let run = if setup.stops {
        harness::run_with_stops(&pipelines, &records, Provenance::Record, cut).await
    } else {
        harness::run(&pipelines, &records, Provenance::Record, cut).await
    };
    let mut expected = match run.judged.as_slice() {
        [] => vec![],
        judged => {
            let plain = plain::query(&sql, late, 30).unwrap().sql;
            // None: of two aggregates in different orders it says nothing.
            plain::rows(&plain, pipelines.plans[0].schema(), judged, vec![]).await?
        }
    };
    expected.sort();
    difference(&sql, &run.tables["random"], &expected)
}

/// Runs a test over random setups; it says what differs.
pub(super) fn run_cases<S: std::fmt::Debug>(
    setups: impl Strategy<Value = S>,
    differences: impl AsyncFn(&S) -> Option<String>,
) {
    let seed = number("HEADCOUNT_SQL_SEED").unwrap_or_else(rand::random);
    println!("HEADCOUNT_SQL_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let cases = number("HEADCOUNT_SQL_CASES").map_or(CASES, |n| u32::try_from(n).unwrap());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 500, ..Config::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
        .run(&setups, |setup| match runtime.block_on(differences(&setup)) {
            None => Ok(()),
            Some(problem) => Err(TestCaseError::fail(problem)),
        })
        .unwrap_or_else(|e| panic!("HEADCOUNT_SQL_SEED={seed}: {e}"));
}

#[test]
fn random_queries_equal_plain_datafusion() {
    let setups = (queries(), events(), 1..40usize, any::<bool>(), any::<bool>())
        .prop_map(|(query, events, records_a_read, late, stops)| Setup { query, events, records_a_read, late, stops });
    run_cases(setups, async |setup| differences(setup).await);
}
