//! Letters and lakes to try things on.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::AsArray;
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use bytes::Bytes;
use headcount::clock::SystemClock;
use headcount::dead_letters::{Filter, ReplayOptions, Replayed};
use headcount::decode::{DeadLetter, Reason};
use headcount::engine::Pipelines;
use headcount::engine::judge::JudgeOptions;
use headcount::error::{Error, Result};
use headcount::schema::Contract;
use headcount::sink::lake::{DEAD_LETTERS, Lake, RollPolicy, TableSpec, TableWriter};
use headcount::types::{MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SEC, Micros, format_micros, parse_rfc3339};
use tokio_util::sync::CancellationToken;

use crate::fixture::batches;
use crate::harness::{self, engine_options};
use crate::reference::Options;

pub(super) fn hour(n: i64) -> Micros {
    parse_rfc3339("2026-02-03T00:00:00Z").unwrap() + n * MICROS_PER_HOUR
}

pub(super) fn at(h: i64, minute: i64, second: i64) -> Micros {
    hour(h) + minute * MICROS_PER_MINUTE + second * MICROS_PER_SEC
}

pub(super) fn event(id: &str, kind: &str, at: Micros, more: &str) -> String {
    let at = format_micros(at);
    format!(r#"{{"schema_version":"1","event_id":"{id}","event_type":"{kind}","event_time":"{at}"{more}}}"#)
}

/// An event of a session of the one stream.
pub(super) fn view(id: &str, kind: &str, session: &str, at: Micros, more: &str) -> String {
    event(id, kind, at, &format!(r#","stream_id":"s","session_id":"{session}"{more}"#))
}

pub(super) fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn shipped() -> Arc<Contract> {
    Arc::new(Contract::shipped().unwrap())
}

/// The shipped contract, but that there are no televisions.
pub(super) fn strict() -> Arc<Contract> {
    Arc::new(Contract::from_json(&strict_schema(), "strict.json").unwrap())
}

pub(crate) fn strict_schema() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/user_event.v1.json");
    let mut schema: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    schema["properties"]["device_type"]["enum"] = serde_json::json!(["web", "mobile"]);
    schema.to_string()
}

pub(super) async fn pipelines_of(contract: Arc<Contract>, options: &Options) -> Arc<Pipelines> {
    let compiled = Pipelines::compile(contract, &harness::shipped(), engine_options(options)).await;
    Arc::new(compiled.unwrap_or_else(|e| panic!("{e:?}")))
}

/// As the product judges by default.
pub(super) fn judge() -> JudgeOptions {
    engine_options(&Options::default()).judge
}

/// A letter of a stream.
pub(super) fn letter(
    shard: &str,
    number: i64,
    sub: i64,
    arrival: Micros,
    data: impl AsRef<[u8]>,
    reason: Reason,
) -> DeadLetter {
    DeadLetter {
        data: Bytes::copy_from_slice(data.as_ref()),
        shard: shard.into(),
        sequence_number: number.to_string().into(),
        sub_sequence_number: sub,
        arrival_time: Some(arrival),
        reason,
        message: "as it was".to_owned(),
    }
}

/// Puts letters into a lake, as a run does.
pub(super) async fn bury(lake: &Lake, letters: &[DeadLetter]) {
    let mut writer = TableWriter::new(
        lake.clone(),
        TableSpec::dead_letters(unique("bury")),
        RollPolicy::default(),
        Arc::new(SystemClock),
    );
    writer.write(&DeadLetter::to_batch(letters).unwrap()).await.unwrap();
    writer.close().await.unwrap();
}

fn unique(name: &str) -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    format!("{name}-{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// All letters, sorted by shard, record and place.
pub(super) async fn letters(lake: &Lake) -> Vec<DeadLetter> {
    let mut all = Vec::new();
    for batch in batches(lake, DEAD_LETTERS).await {
        let column = |name: &str| batch.column_by_name(name).unwrap();
        let text = |name: &str, i: usize| column(name).as_string::<i32>().value(i).to_owned();
        let arrivals = column("ingest_time").as_primitive::<TimestampMicrosecondType>();
        for (i, arrival) in arrivals.iter().enumerate() {
            all.push(DeadLetter {
                data: Bytes::copy_from_slice(column("data").as_binary::<i32>().value(i)),
                shard: text("shard_id", i).into(),
                sequence_number: text("sequence_number", i).into(),
                sub_sequence_number: column("sub_sequence_number").as_primitive::<Int64Type>().value(i),
                arrival_time: arrival,
                reason: Reason::from_code(&text("reason", i)).unwrap(),
                message: text("message", i),
            });
        }
    }
    all.sort_by_key(|l| (l.shard.to_string(), l.sequence_number.to_string(), l.sub_sequence_number));
    all
}

/// The files of a table.
pub(super) async fn paths(lake: &Lake, table: &str) -> Vec<String> {
    lake.list(table).await.unwrap().into_iter().map(|f| f.path).collect()
}

pub(super) async fn try_replay(
    lake: &Lake,
    contract: &Arc<Contract>,
    filter: Filter,
    judge: JudgeOptions,
    dry_run: bool,
) -> Result<Replayed> {
    stoppable(lake, contract, filter, judge, dry_run, CancellationToken::new()).await
}

async fn stoppable(
    lake: &Lake,
    contract: &Arc<Contract>,
    filter: Filter,
    judge: JudgeOptions,
    dry_run: bool,
    stop: CancellationToken,
) -> Result<Replayed> {
    let options = ReplayOptions {
        filter,
        dry_run,
        judge,
        roll: RollPolicy::default(),
        prefix: unique("replay"),
        spill_dir: None,
    };
    headcount::dead_letters::replay(lake, contract, &options, &(Arc::new(SystemClock) as _), stop).await
}

/// A replay that must work.
pub(super) async fn replay(lake: &Lake, contract: &Arc<Contract>, filter: Filter) -> Replayed {
    try_replay(lake, contract, filter, judge(), false).await.unwrap_or_else(|e| panic!("{}", e.report()))
}

/// What a replay says that was stopped at its beginning.
pub(super) async fn interrupted(lake: &Lake, contract: &Arc<Contract>) -> Error {
    let stop = CancellationToken::new();
    stop.cancel();
    stoppable(lake, contract, Filter::default(), judge(), false, stop).await.unwrap_err()
}
