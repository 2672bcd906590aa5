//! `headcount verify`

use tokio_util::sync::CancellationToken;

use super::args::{Lateness as LatenessArg, VerifyArgs};
use super::lake_columns::refuse_other_types;
use super::out::say;
use super::progress::{Bars, Stopwatch, thousands};
use super::setup;
use super::signals::{Signals, stop_on_signal};
use crate::backfill::Range;
use crate::config::{Config, SourceKind};
use crate::engine::Pipelines;
use crate::engine::tables::table_schemas;
use crate::error::{Error, Result};
use crate::limits::{VERIFY_BEHIND_MAX, VERIFY_LISTINGS_MAX, VERIFY_RAW_BEHIND_MAX, VERIFY_SORT_BYTES_MAX};
use crate::query::{QueryOptions, Revisions};
use crate::sink::lake::Lake;
use crate::source::file::{FileShard, discover, group_by_shard_column, shards};
use crate::telemetry::start_logging;
use crate::types::{Micros, format_micros};
use crate::verify::{Snapshot, SnapshotOptions, TableVerdict, Verified, VerifyOptions};

/// Compares the tables of a lake with its raw events, and says what differs: how many rows.
pub fn run(args: &VerifyArgs) -> Result<u64> {
    args.check()?;
    let range = Range::try_new(args.from, args.to)?;
    let config = setup::load_config(args.config.as_deref())?;
    start_logging(&config.log, std::env::var("RUST_LOG").ok().as_deref())?;
    setup::runtime_of(setup::workers(&config) + 2)?.block_on(verify(args, &config, range))
}

async fn verify(args: &VerifyArgs, config: &Config, range: Range) -> Result<u64> {
    let clock = setup::clock();
    let pipelines = setup::compile(config, args.lateness.into()).await.map_err(setup::first_of)?;
    let url = args.lake.as_deref().unwrap_or(&config.lake.url);
    let lake = Lake::existing(url, &setup::lake_options(config))?.ok_or_else(|| setup::no_such_lake(url))?;
    refuse_other_types(config, &lake, &table_schemas(&pipelines)).await?;
    let query = QueryOptions {
        workers: setup::workers(config),
        memory_bytes_max: VERIFY_SORT_BYTES_MAX,
        revisions: Revisions::All,
    };
    let snapshot = SnapshotOptions {
        application: &config.run.application,
        gather: config.lake.gather,
        reached: reached(config, clock.now()),
        raw_until: raw_until(config, clock.now()),
        looks: VERIFY_LISTINGS_MAX,
        query,
    };
    let snapshot = Snapshot::take(&lake, &pipelines, snapshot).await?;
    let raw = raw_events(config, &pipelines, &lake, &snapshot, range).await?;
    let folder = tempfile::Builder::new().prefix("headcount-verify-").tempdir();
    let folder = folder.map_err(|e| Error::external("no temporary folder can be made").at("TMPDIR").because(e))?;
    let options = VerifyOptions {
        backfill: setup::backfill_options(config, range, clock.as_ref()),
        query,
        told_max: args.differences,
        folder: folder.path().to_owned(),
    };
    let bars = Bars::new();
    let watch = Stopwatch::start();
    let stop = CancellationToken::new();
    let listening = tokio::spawn(stop_on_signal(Signals::new()?, stop.clone()));
    let done = crate::verify::run(pipelines, raw, &snapshot, options, clock, &bars, stop).await;
    listening.abort();
    bars.finish();
    let verified = done?;
    print(&verified, lake.url(), args.lateness, watch.secs());
    Ok(verified.differences())
}

/// The high time of a run that is at work and has committed nothing: of our own stream, which is read as it is written. One that reads Kinesis
/// has committed something, or may be behind by any time.
fn reached(config: &Config, now: Micros) -> Option<Micros> {
    let is_known = config.source.kind == SourceKind::Embedded || config.run.checkpoints;
    is_known.then(|| now.saturating_sub(config.time.idle_timeout).saturating_sub(VERIFY_BEHIND_MAX))
}

/// The high time up to which a run of our own stream has finished the files of raw rows: they are closed by their age, and a row is in time for
/// windows of up to the idle timeout before it came.
fn raw_until(config: &Config, now: Micros) -> Option<Micros> {
    let behind = config.lake.raw_roll.saturating_add(config.time.idle_timeout).saturating_add(VERIFY_RAW_BEHIND_MAX);
    (config.source.kind == SourceKind::Embedded).then(|| now.saturating_sub(behind))
}

/// The raw events that may matter to windows of the range.
async fn raw_events(
    config: &Config,
    pipelines: &Pipelines,
    lake: &Lake,
    snapshot: &Snapshot,
    range: Range,
) -> Result<Vec<FileShard>> {
    let files = snapshot.raw_files(pipelines, range).await?;
    let files: Vec<String> = files.iter().map(|file| lake.place(&file.path)).collect();
    if files.is_empty() {
        return Err(Error::user("the lake has no raw events to verify its tables by")
            .at(lake.place(pipelines.contract.stream_name()))
            .hint("a run or a backfill writes them; --lake URL says which lake"));
    }
    let found = discover(&files, &setup::bucket_options(config)).await?;
    group_by_shard_column(shards(found, None)?).await
}

fn print(verified: &Verified, lake: &str, lateness: LatenessArg, secs: f64) {
    let judged = match lateness {
        LatenessArg::Replay => "judged late or not as they were when they came",
        LatenessArg::Ignore => "none of them late",
    };
    say!("{lake}: {} raw events in {secs:.1} s, {judged}", thousands(verified.events));
    for table in &verified.tables {
        say!("  {:<32} {}", table.table, summary(table));
        for difference in &table.differences {
            say!("    {}: {}", difference.key, difference.what);
        }
    }
    match (verified.differences(), lateness) {
        (0, _) => say!("no difference"),
        (wrong, LatenessArg::Ignore) => say!("{} rows differ", thousands(wrong)),
        (wrong, LatenessArg::Replay) => say!(
            "{} rows differ (tables of a backfill without --lateness replay are verified with --lateness ignore)",
            thousands(wrong)
        ),
    }
}

/// `1,234 rows equal`, and what is not.
fn summary(table: &TableVerdict) -> String {
    let mut parts = vec![format!("{} rows equal", thousands(table.equal))];
    let counted = [(table.different, "different"), (table.missing, "missing"), (table.too_many, "too many")];
    parts.extend(counted.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", thousands(*n))));
    if table.too_new > 0 {
        parts.push(format!("{} whose raw events may still be to be written", thousands(table.too_new)));
    }
    if table.to_come > 0 {
        let since = table.complete.map_or_else(
            || "no table has windows yet".to_owned(),
            |until| format!("of windows that are complete after {}", format_micros(until)),
        );
        parts.push(format!("{} still to be written ({since})", thousands(table.to_come)));
    }
    parts.join(", ")
}
