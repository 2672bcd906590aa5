//! Files that people write: schemas, pipelines, configurations.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use headcount::config::Config;
use headcount::decode::{Decoder, Provenance};
use headcount::error::{Domain, Error};
use headcount::pipeline::{Compiler, PipelineFile};
use headcount::schema::{Contract, Kind};
use headcount::types::{ReadBatch, Record};
use serde_json::{Map, Value, json};

use super::decoding::CONTRACT;
use super::work::{block_on, in_file, with_stack};

/// Any text as a schema: a contract by which a right event becomes a row, or an error that names a line of the file and a remedy.
pub fn schema(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Contract::from_json(text, "s.json") {
        Err(e) => assert_told(&e, "s.json", text),
        Ok(contract) => {
            let columns = contract.events_schema();
            assert!(
                columns
                    .fields()
                    .iter()
                    .all(|f| columns.index_of(f.name()).is_ok_and(|i| columns.field(i) == f.as_ref()))
            );
            let event = event_of(&contract);
            let record = |data: &Value| Record {
                data: data.to_string().into(),
                sequence_number: "1".into(),
                arrival_time: None,
            };
            let records = vec![record(&event), record(&json!({})), record(&json!([event, 7]))];
            let read = ReadBatch { shard: "s".into(), records, millis_behind_latest: None, polled_at: None };
            let decoded = Decoder::new(Arc::new(contract), Provenance::Record).decode(&read).unwrap();
            assert_eq!((decoded.events.num_rows(), decoded.dead_letters.len()), (2, 2), "{event}");
        }
    }
}

/// An event with every field.
fn event_of(contract: &Contract) -> Value {
    let value = |kind, allowed: &[String]| match kind {
        // A value that must not be empty may be the only one that is allowed.
        Kind::String => json!(allowed.iter().find(|text| !text.is_empty()).map_or("x", String::as_str)),
        Kind::Timestamp => json!("2026-01-31T18:00:00Z"),
        Kind::Int32 | Kind::Int64 => json!(-7),
        Kind::Bool => json!(true),
        Kind::Json => json!({"a": [1]}),
    };
    let fields = contract.fields().iter().map(|f| (f.name.clone(), value(f.kind, &f.allowed)));
    Value::Object(fields.collect::<Map<_, _>>())
}

/// Any text as a pipeline file: a header and a query that are its parts, or an error that names a line of the file.
pub fn pipeline(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match PipelineFile::parse("p/x.sql", text) {
        Err(e) => assert_told(&e, "p/x.sql", text),
        Ok(file) => {
            assert!(!file.sql.is_empty() && text.contains(&file.sql));
            let first = file.sql.lines().next().unwrap();
            let line = text.split('\n').nth(file.first_line - 1).unwrap();
            assert!(line.contains(first.trim_end()), "line {} is not where the query begins", file.first_line);
            let lines = text.split('\n').count();
            let mut places = vec![file.at_line(0), file.at_line(1), file.at_key("title"), file.at_key("")];
            places.extend((0..3).map(|n| file.at_metric(n, "value")));
            places.iter().for_each(|place| assert_line(place, "p/x.sql", lines));
            // The end of the file, and blanks around the query, say nothing.
            let again = PipelineFile::parse("p/x.sql", &format!("\n{} ;; \n", text.trim_end())).unwrap();
            assert_eq!((&again.header, &again.sql), (&file.header, &file.sql));
            assert_eq!(again.first_line, file.first_line + 1);
        }
    }
}

/// Any text as a pipeline's query: it compiles, the same way again; or it is refused as the user's mistake, with a place.
pub fn query(data: &[u8]) {
    static COMPILER: LazyLock<Compiler> = LazyLock::new(|| Compiler::new(&CONTRACT).unwrap());
    let Ok(sql) = std::str::from_utf8(data) else { return };
    let text = format!("/*\ntitle = \"t\"\n*/\n{sql}");
    let Ok(file) = PipelineFile::parse("p/x.sql", &text) else { return };
    with_stack(|| match block_on(COMPILER.compile(&file)) {
        Err(e) => assert_told(&e, "p/x.sql", &text),
        Ok(plan) => {
            assert!(!plan.nodes.is_empty() && plan.nodes.iter().all(|node| node.windowing().slide > 0));
            assert_eq!(block_on(COMPILER.compile(&file)).unwrap().fingerprint, plan.fingerprint);
        }
    });
}

/// Any text as a configuration: whatever is wrong is named with its place; it loads if nothing is, always to the same.
pub fn config(data: &[u8]) {
    in_file("c.toml", data, |path| {
        let lines = data.split(|&b| b == b'\n').count();
        let problems = Config::problems(Some(path), std::iter::empty());
        for problem in &problems {
            assert_eq!(problem.domain(), Domain::User, "{problem}");
            let place = problem.place().expect("a problem has a place");
            if place != "defaults" {
                assert_line(place, path.to_str().unwrap(), lines);
            }
        }
        check_loads(Some(path), &[], &problems);
    });
}

/// Any text as environment variables, one `SECTION__KEY=value` a line, over the built-in configuration: as [`config`].
pub fn environment(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let variables = text.split('\n').filter_map(|line| line.split_once('='));
    let variables = variables.map(|(name, value)| (format!("HEADCOUNT__{name}"), value.to_owned()));
    let variables: Vec<(String, String)> = variables.collect();
    let problems = Config::problems(None, variables.iter().cloned());
    for problem in &problems {
        assert_eq!(problem.domain(), Domain::User, "{problem}");
        assert!(problem.place().is_some(), "{problem}");
    }
    check_loads(None, &variables, &problems);
}

fn check_loads(path: Option<&Path>, env: &[(String, String)], problems: &[Error]) {
    match (Config::load(path, env.iter().cloned()), problems) {
        (Ok(config), []) => {
            let again = Config::load(path, env.iter().cloned()).unwrap();
            assert_eq!(format!("{config:?}"), format!("{again:?}"));
        }
        (Err(e), [first, ..]) => assert_eq!((e.message(), e.place()), (first.message(), first.place())),
        (Ok(_), [first, ..]) => panic!("it loads, though {first}"),
        (Err(e), []) => panic!("nothing is wrong, but {e}"),
    }
}

/// A mistake of the user's, with its place.
fn assert_told(e: &Error, file: &str, text: &str) {
    assert_eq!(e.domain(), Domain::User, "{}", e.report());
    assert!(!e.message().is_empty());
    assert_line(e.place().expect("an error has a place"), file, text.split('\n').count());
}

/// `place` is a file's, and if it names a line, one of those that the file has.
fn assert_line(place: &str, file: &str, lines: usize) {
    let rest = place.strip_prefix(file).unwrap_or_else(|| panic!("{place} is not in {file}"));
    let Some(rest) = rest.strip_prefix(':') else { return assert_eq!(rest, "") };
    let line = rest.split([' ', ':']).next().unwrap();
    let line: usize = line.parse().unwrap_or_else(|_| panic!("{place} has no line"));
    assert!((1..=lines).contains(&line), "{place} is beyond {lines} lines");
}
