//! `headcount checkpoint`

use std::time::Duration;

use super::args::{CheckpointAction, CheckpointArgs};
use super::out::say;
use super::progress::thousands;
use super::setup;
use crate::engine::checkpoint::{Header, read_header};
use crate::engine::take_over::{self, Found};
use crate::error::{Error, Result};
use crate::sink::lake::{CheckpointStore, Lake, StoredCheckpoint, Uncommitted};
use crate::telemetry::start_logging;
use crate::types::{MICROS_PER_SEC, Micros, format_micros};

/// Who writes and completes what here: no run has this name.
const RESET: &str = "reset";

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
                format_micros(h.written_at),
                h.generation,
                h.summary.positions.len(),
                thousands(stored.bytes),
                h.files.len(),
                age(now, h.written_at),
                h.summary.watermark.map_or_else(|| "-".to_owned(), format_micros),
                thousands(h.summary.open_windows),
                h.stream,
                took_over(&h)
            ),
            Err(e) => say!("{:>6}  {}", stored.number, e.message()),
        }
    }
    Ok(())
}

/// What there is to say of a checkpoint without a state of its own.
fn took_over(header: &Header) -> String {
    match header.goes_on_from {
        None => String::new(),
        Some(0) => "  (a first start)".to_owned(),
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
    if let Some(number) = h.goes_on_from {
        say!(
            "takes over    {}",
            if number == 0 {
                "nothing: a first start".to_owned()
            } else {
                format!("checkpoint {number}, whose state is the one that counts")
            }
        );
    }
    say!("generation    {}, run {}", h.generation, h.run);
    say!("files         {}", h.files.len());
    say!("written       {} by headcount {}", format_micros(h.written_at), h.program);
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
    let all = store.list().await?;
    let mut order: Vec<u64> = all.iter().map(|stored| stored.number).collect();
    if let Ok(Found { checkpoint: Some((number, checkpoint)), .. }) = take_over::find(store).await {
        // What was committed stays, wherever its files are.
        Uncommitted::new(lake, application, RESET).publish(&checkpoint.header.files).await.all()?;
        // Cut short, this leaves the state that counts.
        order.sort_by_key(|n| (*n == number, *n));
    }
    for number in &order {
        store.remove(*number).await?;
    }
    say!("removed {} checkpoints: the next start begins anew", all.len());
    Ok(())
}

async fn keep_positions(store: &CheckpointStore) -> Result<()> {
    let found = take_over::find(store).await?;
    let Some((from, mut checkpoint)) = found.checkpoint else { return Err(none(store)) };
    RESET.clone_into(&mut checkpoint.header.run);
    checkpoint.header.generation = found.generation;
    checkpoint.state.keep_positions();
    checkpoint.header.summary.open_windows = 0;
    // With the windows goes what they were joined with: the next start takes the tables as they are.
    checkpoint.header.lookups.clear();
    let number = store.write(found.last, checkpoint.to_bytes()?).await?;
    let floor = checkpoint.state.floors.all.map_or_else(String::new, |floor| {
        let floor = format_micros(floor);
        format!(
            "; windows that begin before {floor} are not written (of tables of CONCURRENCY those before one session timeout later): \
             backfill them from the raw rows"
        )
    });
    say!("checkpoint {number}: the positions of checkpoint {from}, and no open windows{floor}");
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
    read_header(&read(store, stored).await?).map_err(|e| e.at(store.place(stored.number)))
}

async fn read(store: &CheckpointStore, stored: StoredCheckpoint) -> Result<bytes::Bytes> {
    let bytes = store.read(stored.number).await?;
    bytes.ok_or_else(|| Error::external("the checkpoint was removed meanwhile").at(store.place(stored.number)))
}
