//! Aggregates and functions over windows: distinct values of several columns, order, sub-queries, JSON, functions of one's own.
//!
//! [`Job::run`] runs each scene cut in two ways, with the shards the other way round, and wants the same rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray};
use arrow::datatypes::DataType;
use datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};
use headcount::pipeline::{Compiler, PipelineFile};
use headcount::schema::Contract;
use serde_json::json;

use crate::harness::{Run, longest::longest};
use crate::reference::Options;

use super::scene::{Event, Job, lines, pipeline, scene, spread};

const TUMBLE: &str = "TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))";

/// A query of `aggregates` over windows of a minute, and perhaps columns.
fn windowed(aggregates: &str, by: &str) -> PipelineFile {
    let sql = format!(
        "SELECT window_start, window_end, {by}{aggregates} FROM {TUMBLE} GROUP BY {by}window_start, window_end"
    );
    pipeline("table", "", &sql)
}

fn run(file: PipelineFile, events: &[Event]) -> Run {
    Job::new(&[file], Options::default()).run(events)
}

fn column(aggregate: &str, events: &[Event]) -> Vec<String> {
    lines(&run(windowed(&format!("{aggregate} AS x"), ""), events).tables["table"], "x")
}

#[test]
fn rows_of_several_columns_are_counted_once() {
    let rows = [
        ("a", json!("bc"), json!(1), 0),
        ("a", json!("bc"), json!(1), 1),
        ("a", json!("bc"), json!(1), 60),
        ("ab", json!("c"), json!(1), 2),
        ("a", json!("bc"), json!(2), 3),
        ("a", json!(null), json!(1), 4),
        ("a", json!("bc"), json!(null), 5),
    ];
    let events = rows.map(|(stream, country, bitrate, second)| {
        let [event] = scene(&format!("{stream}~H{second}!{second}")).try_into().unwrap();
        event.with("country", country).with("bitrate_kbps", bitrate)
    });
    let counts =
        "COUNT(DISTINCT stream_id, country) AS texts, COUNT(DISTINCT stream_id, country, bitrate_kbps) AS mixed,
        COUNT(DISTINCT bitrate_kbps, event_time) FILTER (WHERE bitrate_kbps = 1) AS times,
        COUNT(DISTINCT bitrate_kbps / 2.0) AS floats, COUNT(DISTINCT bitrate_kbps > 1) AS truths";
    let table = "texts mixed times floats truths";
    for shards in 1..=3 {
        let run = run(windowed(counts, ""), &spread(&events, shards));
        assert_eq!(lines(&run.tables["table"], table), ["1 1 1 1 1", "2 3 4 2 2"], "{shards} shards");
    }
    // Above the windows as below.
    let above = "COUNT(DISTINCT stream_id, country) AS texts, COUNT(DISTINCT stream_id, n) AS pairs";
    let sql = format!(
        "SELECT window_start, window_end, {above}, COUNT(DISTINCT n) AS single FROM (
           SELECT window_start, window_end, stream_id, country, bitrate_kbps, COUNT(*) AS n FROM {TUMBLE}
           GROUP BY window_start, window_end, stream_id, country, bitrate_kbps)
         GROUP BY window_start, window_end"
    );
    let run = run(pipeline("table", "", &sql), &spread(&events, 2));
    assert_eq!(lines(&run.tables["table"], "texts pairs single"), ["1 1 1", "2 3 2"]);
}

#[test]
fn an_aggregate_that_wants_its_input_in_order_gets_it() {
    let events = scene("0/c~Q7 1/a~Q5 0/e~Q9 2/b~Q3 1/d~Q8 0/z~Q61");
    let of = |aggregate: &str| {
        let run = run(windowed(&format!("{aggregate} AS x"), ""), &events);
        lines(&run.tables["table"], "window_start x")
    };
    assert_eq!(of("NTH_VALUE(stream_id, 2 ORDER BY event_time)"), ["0 a", "60 null"]);
    assert_eq!(of("NTH_VALUE(stream_id, 1 ORDER BY event_time)"), ["0 b", "60 z"]);
    assert_eq!(of("NTH_VALUE(stream_id, 2 ORDER BY event_time DESC)"), ["0 d", "60 null"]);
    assert_eq!(of("NTH_VALUE(stream_id, -1 ORDER BY stream_id)"), ["0 e", "60 z"]);
    assert_eq!(of("NTH_VALUE(stream_id, 3 ORDER BY event_time)"), ["0 c", "60 null"]);
    let filtered =
        |from: &str| of(&format!("NTH_VALUE(stream_id, 1 ORDER BY event_time) FILTER (WHERE stream_id > '{from}')"));
    assert_eq!(filtered("b"), ["0 c", "60 z"]);
    assert_eq!(filtered("zz"), ["0 null", "60 null"]);
}

#[test]
fn ties_of_an_ordered_aggregate_are_broken_by_its_arguments() {
    let events = scene("0/c~Q7!1 1/a~Q7!2 0/d~Q7!3 2/b~Q7!4");
    for (aggregate, expected) in [
        ("FIRST_VALUE(stream_id ORDER BY event_time)", "a"),
        ("LAST_VALUE(stream_id ORDER BY event_time)", "d"),
        ("NTH_VALUE(stream_id, 3 ORDER BY event_time)", "c"),
        ("STRING_AGG(stream_id, '-' ORDER BY event_time)", "a-b-c-d"),
    ] {
        for shards in 1..=4 {
            assert_eq!(column(aggregate, &spread(&events, shards)), [expected], "{aggregate} over {shards} shards");
        }
    }
}

#[test]
fn ties_above_the_windows_are_broken_by_the_keys() {
    let by_stream = format!(
        "SELECT window_start, window_end, stream_id, country, COUNT(*) AS n FROM {TUMBLE}
         GROUP BY window_start, window_end, stream_id, country"
    );
    // All have one event; `null` is the last of its stream.
    let events = scene("0/d~Q1 1/b~Q2#x 2/a~Q3 0/c~Q4 1/b~Q5#a 2/e~Q6 1/b~Q7");
    let chosen = |sql: &str| {
        let file = pipeline("table", "", &sql.replace("$w", &format!("({by_stream})")));
        let job = Job::new(&[file], Options::default());
        let runs: Vec<_> = (1..=4)
            .map(|shards| lines(&job.run(&spread(&events, shards)).tables["table"], "place stream_id country"))
            .collect();
        assert!(runs.windows(2).all(|pair| pair[0] == pair[1]), "{sql}: {runs:?}");
        runs[0].clone()
    };
    let first = ["1 a null", "2 b a", "3 b x"];
    let numbered = |order: &str| {
        format!(
            "SELECT * FROM (SELECT window_start, window_end, stream_id, country,
               ROW_NUMBER() OVER (PARTITION BY window_start, window_end {order}) AS place FROM $w) WHERE place <= 3"
        )
    };
    assert_eq!(chosen(&numbered("ORDER BY n DESC")), first);
    assert_eq!(chosen(&numbered("")), first);
    // What is asked for comes first.
    assert_eq!(chosen(&numbered("ORDER BY n, stream_id DESC")), ["1 e null", "2 d null", "3 c null"]);
    let limited =
        |tail: &str| format!("SELECT window_start, window_end, n AS place, stream_id, country FROM $w {tail}");
    let three = ["1 a null", "1 b a", "1 b x"];
    assert_eq!(chosen(&limited("ORDER BY n DESC LIMIT 3")), three);
    assert_eq!(chosen(&limited("LIMIT 3")), three);
    assert_eq!(chosen(&limited("ORDER BY n LIMIT 2 OFFSET 1")), ["1 b a", "1 b x"]);
    // RANK has ties, and keeps them.
    let ranked = chosen(&numbered("ORDER BY n DESC").replace("ROW_NUMBER()", "RANK()"));
    assert_eq!(ranked.len(), 7, "{ranked:?}");
    let running = "SELECT window_start, window_end, stream_id, country,
        SUM(n) OVER (ORDER BY n ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS place FROM $w";
    assert_eq!(chosen(running)[..4], ["1 a null", "2 b a", "3 b x", "4 b null"]);
    let distinct = "SELECT DISTINCT ON (window_start, window_end) window_start, window_end, n AS place, stream_id, country FROM $w";
    assert_eq!(chosen(distinct), ["1 a null"]);
    // The keys are known by their new names, behind a join and another aggregate too.
    let renamed = "SELECT window_start, window_end, place, s AS stream_id, c AS country FROM (
        SELECT a.window_start, a.window_end, s, c, ROW_NUMBER() OVER (ORDER BY a.m) AS place
        FROM (SELECT window_start, window_end, stream_id AS s, country AS c, MAX(n) AS m FROM $w
              GROUP BY window_start, window_end, stream_id, country) a
        JOIN (SELECT window_start, window_end, SUM(n) AS total FROM $w GROUP BY window_start, window_end) b
        ON a.window_start = b.window_start AND a.window_end = b.window_end) WHERE place <= 3";
    assert_eq!(chosen(renamed), first);
}

#[test]
fn sub_queries_above_the_windows_see_the_same_window() {
    let by_stream = format!(
        "WITH w AS (SELECT window_start, window_end, stream_id, COUNT(*) AS n FROM {TUMBLE}
                    GROUP BY window_start, window_end, stream_id),
              c AS (SELECT window_start, window_end, stream_id FROM {TUMBLE} WHERE country = 'DE'
                    GROUP BY window_start, window_end, stream_id)"
    );
    let chosen = |condition: &str| {
        let sql = format!("{by_stream} SELECT window_start, window_end, stream_id, n FROM w WHERE {condition}");
        let events = scene("0/a~Q0 1/a~Q1 0/b~Q2#DE 0/a~Q60#DE 1/b~Q61 1/b~Q62");
        lines(&run(pipeline("table", "", &sql), &events).tables["table"], "window_start stream_id n")
    };
    assert_eq!(chosen("stream_id IN (SELECT stream_id FROM c)"), ["0 b 1", "60 a 1"]);
    assert_eq!(chosen("stream_id NOT IN (SELECT stream_id FROM c)"), ["0 a 2", "60 b 2"]);
    assert_eq!(chosen("EXISTS (SELECT 1 FROM c WHERE c.stream_id = w.stream_id)"), ["0 b 1", "60 a 1"]);
    assert_eq!(chosen("n = (SELECT MAX(n) FROM w GROUP BY window_start, window_end)"), ["0 a 2", "60 b 2"]);
    assert_eq!(chosen("n > (SELECT AVG(n) FROM w GROUP BY window_start, window_end)"), ["0 a 2", "60 b 2"]);
}

#[test]
fn constants_are_looked_up_below_the_windows() {
    for condition in [
        "country IN (SELECT c FROM (VALUES ('DE'), ('FR')) AS near (c))",
        "EXISTS (SELECT 1 FROM (VALUES ('DE'), ('FR')) AS near (c) WHERE c = country)",
        "country <= (SELECT MAX(c) FROM (VALUES ('DE'), ('FR')) AS near (c))",
    ] {
        let sql = format!(
            "SELECT window_start, window_end, COUNT(*) AS n FROM {TUMBLE} WHERE {condition} GROUP BY window_start, window_end"
        );
        let run = run(pipeline("table", "", &sql), &scene("0/Q0#DE 1/Q1#US 0/Q2 1/Q3#FR 0/Q60#DE"));
        assert_eq!(lines(&run.tables["table"], "window_start n"), ["0 2", "60 1"], "{condition}");
    }
}

#[test]
fn json_is_read_by_paths() {
    let [event] = scene("Q0").try_into().unwrap();
    let properties = json!({"plan": "a\nb", "n": 1.5, "yes": true, "no": null, "o": {"p.q": [7, {"r": "s"}]}});
    let events = [event.with("properties", properties)];
    let of = |call: &str| column(&format!("MAX({call})"), &events);
    assert_eq!(of("JSON_VALUE(properties, '$.plan')"), ["a\nb"]);
    assert_eq!(of("JSON_VALUE(properties, '$.n')"), ["1.5"]);
    assert_eq!(of("CAST(JSON_VALUE(properties, '$.n') AS DOUBLE) * 2"), ["3.0000"]);
    assert_eq!(of("JSON_VALUE(properties, '$.yes')"), ["true"]);
    assert_eq!(of("JSON_VALUE(properties, '$.o[''p.q''][1].r')"), ["s"]);
    for null in ["$.no", "$.o", "$.nowhere", "$.plan.x"] {
        assert_eq!(of(&format!("JSON_VALUE(properties, '{null}')")), ["null"], "{null}");
    }
    assert_eq!(of("JSON_QUERY(properties, '$.o')").len(), 1);
    assert_eq!(of("REPLACE(JSON_QUERY(properties, '$.o[''p.q''][1]'), ' ', '')"), [r#"{"r":"s"}"#]);
    assert_eq!(of("JSON_QUERY(properties, '$.plan')"), ["null"]);
    let there = |path: &str| of(&format!("CAST(JSON_EXISTS(properties, '{path}') AS INT)"));
    assert_eq!([there("$.no"), there("$.o"), there("$.nowhere"), there("$")].concat(), ["1", "1", "0", "1"]);
    assert_eq!(column("COUNT(JSON_EXISTS(properties, '$.a'))", &scene("Q0")), ["0"], "no JSON, no answer");
}

fn compiler() -> Compiler {
    Compiler::new(&Contract::shipped().unwrap()).unwrap()
}

#[test]
fn functions_of_ones_own_run_below_and_above_the_windows() {
    let doubled = |volatility| {
        let twice = |args: &[ColumnarValue]| {
            let texts = args[0].to_array(1)?;
            let twice: StringArray = texts.as_string::<i32>().iter().map(|t| t.map(|t| t.repeat(2))).collect();
            Ok(ColumnarValue::Array(Arc::new(twice)))
        };
        create_udf("twice", vec![DataType::Utf8], DataType::Utf8, volatility, Arc::new(twice))
    };
    let mut compiler = compiler();
    compiler.register(doubled(Volatility::Immutable)).unwrap();
    compiler.register(longest(Volatility::Immutable)).unwrap();
    let sql = format!(
        "SELECT window_start, window_end, LONGEST(TWICE(s)) AS above, MAX(l) AS below FROM (
           SELECT window_start, window_end, TWICE(stream_id) AS s, LONGEST(country) AS l FROM {TUMBLE}
           GROUP BY window_start, window_end, TWICE(stream_id))
         GROUP BY window_start, window_end"
    );
    let job = Job::compiled_by(&compiler, &[pipeline("table", "", &sql)]);
    let run = job.run(&scene("0/a~Q0#DE 1/bcd~Q1#FRA 0/bcd~Q60"));
    assert_eq!(lines(&run.tables["table"], "window_start above below"), ["0 12 3", "60 12 0"]);
}

#[tokio::test]
async fn a_function_of_ones_own_has_a_name_of_its_own_and_is_repeatable() {
    let random = |name: &str, volatility| {
        let seven = |_: &[ColumnarValue]| Ok(ColumnarValue::Array(Arc::new(Int64Array::from(vec![7])) as ArrayRef));
        create_udf(name, vec![DataType::Utf8], DataType::Int64, volatility, Arc::new(seven))
    };
    let mut compiler = compiler();
    let taken = compiler.register(random("sum", Volatility::Immutable)).unwrap_err();
    assert_eq!(taken.report(), "there is a function sum already\n  remedy: give yours another name");
    compiler.register(random("dice", Volatility::Volatile)).unwrap();
    let refused = compiler.compile(&windowed("MAX(DICE(stream_id)) AS x", "")).await.unwrap_err();
    assert_eq!(refused.message(), "dice() does not give the same result when the events are read again");
    compiler.register(longest(Volatility::Volatile)).unwrap();
    let above = "MAX(x) OVER (PARTITION BY window_start) AS y, LONGEST(s) OVER (PARTITION BY window_start) AS l FROM";
    let over = format!(
        "SELECT window_start, window_end, {above} (
           SELECT window_start, window_end, stream_id AS s, COUNT(*) AS x FROM {TUMBLE} GROUP BY window_start, window_end, stream_id)"
    );
    for file in [windowed("LONGEST(stream_id) AS x", ""), pipeline("table", "", &over)] {
        let refused = compiler.compile(&file).await.unwrap_err();
        assert_eq!(refused.message(), "longest() does not give the same result when the events are read again");
    }
}
