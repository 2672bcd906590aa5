//! Scenes: events in shorthand, run through the engine, and what came out, in seconds.
//!
//! A scene is a list of words such as `J10 1/z~B:H40<A=v#DE@50`: the shard (0 unless said), the stream (`s`), the session
//! (`A`), a letter for the type with the second of the event, and what follows its mark:
//! `<` previous session, `=` viewer (`viewer SESSION` unless said; `=-` none), `#` country, `%` channel, `!` event id (the
//! word itself unless said), `@` the second of its arrival. Unless said an event arrives when it happens, but never before
//! the one that its shard read before it.

#![allow(unreachable_pub, reason = "the interface towards the other modules of these tests")]

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat};
use headcount::decode::Provenance;
use headcount::engine::Pipelines;
use headcount::engine::lookups::LoadedLookup;
use headcount::pipeline::{Compiler, PipelineFile};
use headcount::schema::Contract;
use serde_json::{Value, json};

use crate::harness::{self, Cut, Run};
use crate::reference::{Options, RefRecord, Row, SEC, Val};

/// Second 0 of every scene: the start of an hour.
pub const ZERO: i64 = 1_800_000_000 * SEC;

/// Second `s` of the scene.
pub fn at(s: i64) -> i64 {
    ZERO + s * SEC
}

/// One record with one event, or with something that is none.
#[derive(Debug, Clone)]
pub struct Event {
    pub shard: usize,
    /// Second of arrival.
    pub arrival: Option<i64>,
    pub body: Value,
}

impl Event {
    pub fn arriving(self, second: i64) -> Self {
        Self { arrival: Some(second), ..self }
    }

    pub fn without_arrival(self) -> Self {
        Self { arrival: None, ..self }
    }

    /// Sets a field.
    pub fn with(mut self, field: &str, value: Value) -> Self {
        self.body[field] = value;
        self
    }
}

/// An event of `event_type` at second `t` that arrives then.
pub fn event(event_type: &str, t: i64) -> Event {
    let body = json!({
        "schema_version": "1", "event_id": format!("{event_type}@{t}"), "event_type": event_type, "event_time": time(at(t)),
    });
    Event { shard: 0, arrival: Some(t), body }
}

/// A record that holds no event.
pub fn broken(arrival: i64) -> Event {
    Event { shard: 0, arrival: Some(arrival), body: json!(7) }
}

/// A time as events carry it.
pub fn time(micros: i64) -> Value {
    json!(DateTime::from_timestamp_micros(micros).unwrap().to_rfc3339_opts(SecondsFormat::Micros, true))
}

/// Reads a scene.
pub fn scene(text: &str) -> Vec<Event> {
    let mut now: BTreeMap<usize, i64> = BTreeMap::new();
    text.split_whitespace()
        .map(|word| {
            let mut event = read_word(word);
            let now = now.entry(event.shard).or_insert(i64::MIN);
            if let (Some(t), false) = (event.arrival, word.contains('@')) {
                event.arrival = Some(t.max(*now));
            }
            *now = event.arrival.unwrap_or(*now).max(*now);
            event
        })
        .collect()
}

fn read_word(word: &str) -> Event {
    let (shard, rest) = word.split_once('/').unwrap_or(("0", word));
    let (rest, arrival) = rest.split_once('@').map_or((rest, None), |(r, a)| (r, Some(a)));
    let id = rest;
    let (stream, rest) = rest.split_once('~').unwrap_or(("s", rest));
    let (session, rest) = rest.split_once(':').unwrap_or(("A", rest));
    let marks: Vec<usize> = rest.char_indices().filter(|(_, c)| "<=#%!".contains(*c)).map(|(i, _)| i).collect();
    let (letter, second) = rest[..marks.first().copied().unwrap_or(rest.len())].split_at(1);
    let event_type = match letter {
        "J" => "view.started",
        "H" | "h" | "x" => "view.heartbeat",
        "R" => "view.resumed",
        "P" => "view.paused",
        "L" => "view.ended",
        "V" => "view.error",
        "S" => "stream.started",
        "E" => "stream.ended",
        "Q" => "stream.quality_changed",
        "C" => "chat.message_sent",
        "U" => "user.logged_in",
        _ => panic!("{word}?"),
    };
    let mut event = event(event_type, second.parse().unwrap()).with("event_id", json!(id));
    event.shard = shard.parse().unwrap();
    match letter {
        "U" => {}
        // Chat is of another stream, so that it keeps windows going without being an event of this one.
        "C" => event.body["stream_id"] = json!("other"),
        _ => event.body["stream_id"] = json!(stream),
    }
    if event_type.starts_with("view.") {
        event.body["session_id"] = json!(session);
        event.body["viewer_id"] = json!(format!("viewer {session}"));
    }
    if let "h" | "x" = letter {
        event.body["player_state"] = json!(if letter == "h" { "paused" } else { "ended" });
    }
    for (i, start) in marks.iter().enumerate() {
        let value = &rest[start + 1..marks.get(i + 1).copied().unwrap_or(rest.len())];
        let field = match &rest[*start..=*start] {
            "<" => "previous_session_id",
            "=" => "viewer_id",
            "#" => "country",
            "%" => "channel_id",
            _ => "event_id",
        };
        event.body[field] = if value == "-" { Value::Null } else { json!(value) };
    }
    if let Some(arrival) = arrival {
        event.arrival = Some(arrival.parse().unwrap());
    }
    event
}

/// Spreads events over shards in turn; a repeat goes where the first one went.
pub fn spread(events: &[Event], shards: usize) -> Vec<Event> {
    let mut ids: Vec<&Value> = Vec::new();
    let mut spread = events.to_vec();
    for (event, to) in events.iter().zip(&mut spread) {
        let id = &event.body["event_id"];
        let turn = ids.iter().position(|known| *known == id).unwrap_or_else(|| {
            ids.push(id);
            ids.len() - 1
        });
        to.shard = turn % shards;
    }
    spread
}

/// Events as records of their shards.
pub fn records(events: &[Event]) -> Vec<RefRecord> {
    let mut sequences: BTreeMap<usize, u64> = BTreeMap::new();
    events
        .iter()
        .map(|e| {
            let sequence = sequences.entry(e.shard).or_default();
            *sequence += 1;
            RefRecord {
                shard: e.shard.to_string(),
                sequence: *sequence,
                arrival: e.arrival.map(at),
                bytes: e.body.to_string().into_bytes(),
            }
        })
        .collect()
}

/// The text of a pipeline file: a header and a query.
pub fn pipeline(name: &str, header: &str, sql: &str) -> PipelineFile {
    PipelineFile::parse(&format!("pipelines/{name}.sql"), &format!("/*\ntitle = \"{name}\"\n{header}\n*/\n{sql}\n"))
        .unwrap()
}

/// A query for concurrency over windows of `seconds`, with every column that it has.
pub fn concurrency(name: &str, seconds: i64, partition: &[&str]) -> PipelineFile {
    concurrency_by(name, seconds, partition, &[])
}

/// The same with arguments of a name and a number of seconds.
pub fn concurrency_by(name: &str, seconds: i64, partition: &[&str], timeouts: &[(&str, i64)]) -> PipelineFile {
    let mut columns = vec!["window_start", "window_end"];
    columns.extend(partition);
    if partition == ["stream_id"] {
        columns.push("channel_id");
    }
    if partition.is_empty() {
        columns.extend(["active_streams", "active_streams_min", "active_streams_avg", "active_streams_max"]);
    }
    columns.extend([
        "viewers_min",
        "viewers_avg",
        "viewers_max",
        "viewers_current",
        "unique_viewers",
        "viewer_minutes",
    ]);
    let by = if partition.is_empty() { String::new() } else { format!(" PARTITION BY {}", partition.join(", ")) };
    let timeouts: String =
        timeouts.iter().map(|(name, seconds)| format!(", {name} => INTERVAL '{seconds}' SECOND")).collect();
    let sql = format!(
        "SELECT {}\nFROM TABLE(CONCURRENCY(TABLE user_events{by}, DESCRIPTOR(event_time), INTERVAL '{seconds}' SECOND{timeouts}))",
        columns.join(", ")
    );
    pipeline(name, &format!("keys = {partition:?}"), &sql)
}

/// The shipped pipeline of that name.
pub fn shipped(name: &str) -> PipelineFile {
    harness::shipped().into_iter().find(|f| f.name == name).unwrap()
}

/// Pipelines, ready to run scenes.
pub struct Job {
    runtime: tokio::runtime::Runtime,
    pipelines: Arc<Pipelines>,
}

impl Job {
    pub fn new(files: &[PipelineFile], options: Options) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let pipelines = runtime.block_on(harness::pipelines(files, &options));
        Self { runtime, pipelines }
    }

    /// A job whose queries may join `lookups`.
    pub fn with_lookups(files: &[PipelineFile], lookups: &[LoadedLookup]) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let pipelines = runtime.block_on(harness::pipelines_with(files, lookups, &Options::default()));
        Self { runtime, pipelines }
    }

    /// Pipelines that call functions which this compiler knows.
    pub fn compiled_by(compiler: &Compiler, files: &[PipelineFile]) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let options = harness::engine_options(&Options::default());
        let contract = Arc::new(Contract::shipped().unwrap());
        let compiled = runtime.block_on(Pipelines::compile_by(compiler, contract, files, &[], options));
        Self { runtime, pipelines: Arc::new(compiled.unwrap_or_else(|e| panic!("{e:?}"))) }
    }

    /// Runs events as they come from the stream.
    pub fn run(&self, events: &[Event]) -> Run {
        self.run_records(&records(events), Provenance::Record)
    }

    /// Runs records: one at a time, and all at once with the shards the other way round, which must not matter. Nothing
    /// may vanish.
    pub fn run_records(&self, records: &[RefRecord], provenance: Provenance) -> Run {
        let run = |records_a_read, reversed| {
            let cut = Cut { records: records_a_read, reversed };
            self.runtime.block_on(harness::run(&self.pipelines, records, provenance, cut))
        };
        let (run, other) = (run(1, false), run(1_000, true));
        assert_eq!(run.tables, other.tables, "the cut matters");
        assert_eq!(run.late, other.late, "the cut matters");
        assert_eq!(run.events, other.events, "the cut matters");
        assert_eq!(run.counters, other.counters, "the cut matters");
        assert_eq!(run.counters.contradictions(), Vec::<String>::new(), "something vanished");
        run
    }

    /// Runs rows of a lake, which come in no particular order: no window is closed before all are read.
    pub fn run_whole(&self, records: &[RefRecord], provenance: Provenance) -> Run {
        let cut = Cut { records: records.len(), reversed: false };
        let run = self.runtime.block_on(harness::run(&self.pipelines, records, provenance, cut));
        assert_eq!(run.counters.contradictions(), Vec::<String>::new(), "something vanished");
        run
    }
}

/// `columns` of `rows`, one line a row, in order of the columns: times in seconds of the scene, floats to four digits.
pub fn lines(rows: &[Row], columns: &str) -> Vec<String> {
    let columns: Vec<&str> = columns.split_whitespace().collect();
    let mut picked: Vec<Vec<&Val>> = rows.iter().map(|row| columns.iter().map(|c| &row[*c]).collect()).collect();
    picked.sort();
    let line = |values: Vec<&Val>| {
        let texts: Vec<String> = columns.iter().zip(values).map(|(column, value)| text(column, value)).collect();
        texts.join(" ")
    };
    picked.into_iter().map(line).collect()
}

fn text(column: &str, value: &Val) -> String {
    match value {
        Val::Null => "null".to_owned(),
        Val::Bool(b) => b.to_string(),
        Val::Int(t) if column.starts_with("window_") || column.contains("_time") => {
            let micros = t - ZERO;
            if micros % SEC == 0 { (micros / SEC).to_string() } else { (micros as f64 / SEC as f64).to_string() }
        }
        Val::Int(i) => i.to_string(),
        Val::Float(f) => format!("{f:.4}"),
        Val::Str(s) => s.clone(),
    }
}

/// The late rows of a table, as `shard/sequence number`.
pub fn late(run: &Run, table: &str) -> Vec<String> {
    run.late[table].iter().map(|(shard, sequence, _)| format!("{shard}/{sequence}")).collect()
}

/// Whole numbers of a row.
pub fn int(row: &Row, column: &str) -> i64 {
    match row[column] {
        Val::Int(i) => i,
        ref other => panic!("{column} is {other:?}"),
    }
}

/// Joins windows of `size` seconds in which something was so throughout to intervals, in seconds.
pub fn joined(starts: impl IntoIterator<Item = i64>, size: i64) -> Vec<(i64, i64)> {
    let mut joined: Vec<(i64, i64)> = Vec::new();
    for start in starts {
        let from = (start - ZERO) / SEC;
        match joined.last_mut() {
            Some(last) if last.1 == from => last.1 = from + size,
            _ => joined.push((from, from + size)),
        }
    }
    joined
}

/// The second of the latest event.
pub fn latest(events: &[Event]) -> i64 {
    let times = events.iter().filter_map(|e| e.body["event_time"].as_str());
    let latest = times.map(|t| DateTime::parse_from_rfc3339(t).unwrap().timestamp_micros()).max().unwrap();
    (latest - ZERO) / SEC
}
