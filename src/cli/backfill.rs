//! `headcount backfill`

use tokio_util::sync::CancellationToken;

use super::args::BackfillArgs;
use super::lake_columns::refuse_other_types;
use super::out::say;
use super::progress::{Bars, Stopwatch, thousands};
use super::setup;
use super::signals::{Signals, stop_on_signal};
use crate::backfill::{BackfillOptions, BackfillSummary, Range};
use crate::config::Config;
use crate::engine::lookups::LookupHistory;
use crate::engine::tables::{TableSummary, table_schemas};
use crate::error::{Error, Result};
use crate::source::file::{discover, group_by_shard_column, shards};
use crate::telemetry::start_logging;
use crate::types::format_micros;

/// Computes the tables and says what was written.
pub fn run(args: &BackfillArgs) -> Result<()> {
    args.check()?;
    let range = Range::try_new(args.from, args.to)?;
    let config = setup::load_config(args.config.as_deref())?;
    start_logging(&config.log, std::env::var("RUST_LOG").ok().as_deref())?;
    // Every worker is busy for tens of milliseconds at a time: two threads more see to it that what only hands work on need not wait.
    setup::runtime_of(setup::workers(&config) + 2)?.block_on(backfill(args, &config, range))
}

async fn backfill(args: &BackfillArgs, config: &Config, range: Range) -> Result<()> {
    let clock = setup::clock();
    let pipelines = setup::compile(config, args.lateness.into()).await.map_err(setup::first_of)?;
    let files = discover(&args.input, &setup::bucket_options(config)).await?;
    let shards = group_by_shard_column(shards(files, args.shard_from.as_ref())?).await?;
    let lake = setup::open_lake(config, args.lake.as_deref(), clock.as_ref()).await?;
    refuse_other_types(config, &lake, &table_schemas(&pipelines)).await?;
    if let Some(number) = args.lookups_of {
        let history = LookupHistory::new(&lake, &config.run.application);
        history.put_back_of(&pipelines.lookups, number).await?;
    }
    for table in pipelines.lookups.tables() {
        tracing::info!(table = %table.table.name, version = table.current().hash, "joined with a lookup table");
    }
    let options = BackfillOptions { raw: !args.windows_only, ..setup::backfill_options(config, range, clock.as_ref()) };
    let bars = Bars::new();
    let watch = Stopwatch::start();
    let stop = CancellationToken::new();
    let listening = tokio::spawn(stop_on_signal(Signals::new()?, stop.clone()));
    let done = crate::backfill::run(pipelines, shards, &lake, options, clock, &bars, stop).await;
    listening.abort();
    bars.finish();
    let done = done?;
    tracing::info!(
        lake = lake.url(),
        hours = done.replaced.hours,
        files = done.replaced.files,
        files_removed = done.replaced.files_removed,
        read = done.counters.read,
        kept = done.counters.kept,
        "table-hours replaced"
    );
    print(&done, lake.url(), watch.secs())
}

fn print(summary: &BackfillSummary, lake: &str, secs: f64) -> Result<()> {
    let c = &summary.counters;
    say!(
        "{} events in {secs:.1} s, {} events/s",
        thousands(c.read),
        thousands((c.read as f64 / secs.max(1e-3)) as u64)
    );
    say!(
        "  kept {}, duplicates {}, dead letters {}, clocks repaired {}",
        thousands(c.kept),
        thousands(c.duplicates),
        thousands(c.dead_letters),
        thousands(c.shifted + c.clamped)
    );
    if let Some((first, last)) = summary.events {
        say!("  event times from {} to {}", format_micros(first), format_micros(last));
    }
    if summary.spilled_bytes > 0 {
        say!("  {:.1} MB waited on disk", summary.spilled_bytes as f64 / 1e6);
    }
    print_tables(&summary.tables);
    let r = &summary.replaced;
    say!("{lake}: {} table-hours replaced by {} files, {} old files removed", r.hours, r.files, r.files_removed);
    match c.contradictions().as_slice() {
        [] => Ok(()),
        wrong => Err(Error::internal(format!("the counters do not add up: {}", wrong.join("; ")))),
    }
}

/// Tables with rows, one a line.
pub(super) fn print_tables(tables: &[TableSummary]) {
    for (name, written) in tables.iter().filter(|(_, w)| w.rows > 0) {
        say!(
            "  {name:<32} {:>12} rows {:>5} files {:>9.2} MB",
            thousands(written.rows),
            written.files,
            written.bytes as f64 / 1e6
        );
    }
}
