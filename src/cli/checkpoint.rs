//! `headcount checkpoint`

use std::time::Duration;

use super::args::{CheckpointAction, CheckpointArgs};
use super::out::say;
use super::progress::thousands;
use super::setup;
use crate::engine::checkpoint::{Header, read_header_of};
use crate::engine::reset::{self, Kept, Reset};
use crate::error::{Error, Result};
use crate::sink::lake::{CheckpointStore, Lake, StoredCheckpoint};
use crate::telemetry::start_logging;
use crate::types::{MICROS_PER_SEC, Micros, format_micros};

/// Lists, shows or resets the checkpoints of the configured lake and application.
pub fn run(args: &CheckpointArgs) -> Result<()> {
    let config = setup::load_config(args.config.as_deref())?;
    start_logging(&config.log, std::env::var("RUST_LOG").ok().as_deref())?;
    setup::runtime(&config)?.block_on(async {
        let url = &config.lake.url;
        let Some(lake) = setup::existing_lake(&config, url, setup::clock().as_ref()).await? else {
            if matches!(args.action, CheckpointAction::List) {
                say!("no checkpoints: there is no lake at {url} yet");
                return Ok(());
            }
            return Err(setup::no_such_lake(url));
        };
        let store = CheckpointStore::new(&lake, &config.run.application);
        match args.action {
            CheckpointAction::List => list(&store, lake.url(), setup::clock().now()).await,
            CheckpointAction::Show { number } => show(&store, number).await,
            CheckpointAction::Reset { keep_positions: false } => reset(&store, &lake, &config.run.application).await,
            CheckpointAction::Reset { keep_positions: true } => keep_positions(&store).await,
        }
    })
}

async fn list(store: &CheckpointStore, lake: &str, now: Micros) -> Result<()> {
    let all = store.list().await?;
    if all.is_empty() {
        say!(
            "no checkpoints in {lake}: a run that reads a Kinesis stream writes them while it runs, others when they are stopped"
        );
        return Ok(());
    }
    say!(
        "{:>6}  {:<27}  {:>10}  {:>6}  {:>13}  {:>5}  {:>8}  {:<27}  {:>12}  stream",
        "number",
        "written",
        "generation",
        "shards",
        "bytes",
        "files",
        "age",
        "watermark",
        "open windows"
    );
    for stored in all {
        match header(store, stored).await {
            Ok(h) => say!(
                "{:>6}  {:<27}  {:>10}  {:>6}  {:>13}  {:>5}  {:>8}  {:<27}  {:>12}  {}{}",
                stored.number,
                format_micros(h.outline.written_at),
                h.outline.generation,
                h.summary.positions.len(),
                thousands(stored.bytes),
                h.outline.files.len(),
                age(now, h.outline.written_at),
                h.summary.watermark.map_or_else(|| "-".to_owned(), format_micros),
                thousands(h.summary.open_windows),
                h.stream,
                of_whom(&h)
            ),
            Err(e) => say!("{:>6}  {}", stored.number, e.message()),
        }
    }
    Ok(())
}

/// What there is to say of a checkpoint that no run has committed.
fn of_whom(header: &Header) -> String {
    match header.outline.goes_on_from {
        None if header.positions_only => "  (positions only)".to_owned(),
        None => String::new(),
        Some(0) => "  (nothing to go on from)".to_owned(),
        Some(number) => format!("  (takes over {number})"),
    }
}

/// How long ago, to the second.
fn age(now: Micros, then: Micros) -> String {
    let secs = (now.saturating_sub(then) / MICROS_PER_SEC).max(0).unsigned_abs();
    let whole = if secs >= 86_400 { secs - secs % 3_600 } else { secs };
    humantime::format_duration(Duration::from_secs(whole)).to_string().replace(' ', "")
}

async fn show(store: &CheckpointStore, number: Option<u64>) -> Result<()> {
    let stored = find(store, number).await?;
    let h = header(store, stored).await?;
    say!("checkpoint    {} ({} bytes) at {}", stored.number, thousands(stored.bytes), store.place(stored.number));
    match h.outline.goes_on_from {
        None if h.positions_only => say!("holds         positions only: no windows are open"),
        None => {}
        Some(0) => say!("holds         nothing: the next start begins anew"),
        Some(number) => say!("takes over    checkpoint {number}, whose state is the one that counts"),
    }
    say!("generation    {}, run {}", h.outline.generation, h.outline.run);
    say!("files         {}", h.outline.files.len());
    say!("written       {} by headcount {}", format_micros(h.outline.written_at), h.outline.program);
    say!("stream        {}", h.stream);
    say!("watermark     {}", h.summary.watermark.map_or_else(|| "-".to_owned(), format_micros));
    say!("events read   {}", thousands(h.summary.events_read));
    say!("open windows  {}", thousands(h.summary.open_windows));
    say!("remembered    {} sessions, {} streams", thousands(h.summary.sessions), thousands(h.summary.streams));
    say!("pipelines     {}", h.pipelines.keys().cloned().collect::<Vec<_>>().join(", "));
    for (table, version) in &h.lookups {
        say!("lookup        {table}, version {version}");
    }
    for (shard, position) in &h.summary.positions {
        say!("{shard}  {position}");
    }
    Ok(())
}

async fn reset(store: &CheckpointStore, lake: &Lake, application: &str) -> Result<()> {
    let Reset { number, removed, unreadable } = reset::reset(store, lake, application, setup::clock().as_ref()).await?;
    if number == 0 {
        say!("no checkpoints: the next start begins anew");
        return Ok(());
    }
    for number in unreadable {
        tracing::warn!(
            number,
            "the checkpoint is damaged, and does not say which files it makes part of their tables: those that were not moved yet are given up"
        );
    }
    say!(
        "removed {removed} checkpoints: the next start begins anew. Checkpoint {number} says so to a run that goes on: it ends"
    );
    Ok(())
}

async fn keep_positions(store: &CheckpointStore) -> Result<()> {
    let kept = reset::keep_positions(store, setup::clock().as_ref()).await?;
    let Some(Kept { number, of, state }) = kept else { return Err(none(store)) };
    let floor = state.floors.all.map_or_else(String::new, |floor| {
        let floor = format_micros(floor);
        format!(
            "; windows that begin before {floor} are not written (of tables of CONCURRENCY those before one session timeout later): \
             backfill them from the raw rows"
        )
    });
    say!("checkpoint {number}: the positions of checkpoint {of}, and no open windows{floor}");
    Ok(())
}

async fn find(store: &CheckpointStore, number: Option<u64>) -> Result<StoredCheckpoint> {
    let mut all = store.list().await?;
    let found = match number {
        None => all.pop(),
        Some(number) => all.into_iter().find(|c| c.number == number),
    };
    found.ok_or_else(|| match number {
        Some(number) => Error::user("there is no such checkpoint")
            .at(store.place(number))
            .hint("`headcount checkpoint list` says which there are"),
        None => none(store),
    })
}

fn none(store: &CheckpointStore) -> Error {
    Error::user("there are no checkpoints").at(store.folder()).hint("a run that is stopped writes one")
}

async fn header(store: &CheckpointStore, stored: StoredCheckpoint) -> Result<Header> {
    let header = read_header_of(store, stored).await?;
    header.ok_or_else(|| Error::external("the checkpoint was removed meanwhile").at(store.place(stored.number)))
}
