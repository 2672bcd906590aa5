//! `headcount checkpoint`

use super::args::{CheckpointAction, CheckpointArgs};
use super::out::say;
use super::progress::thousands;
use super::setup;
use crate::engine::checkpoint::{Checkpoint, Header, read_header};
use crate::error::{Error, Result};
use crate::sink::lake::{CheckpointStore, StoredCheckpoint};
use crate::telemetry::start_logging;
use crate::types::format_micros;

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
            CheckpointAction::List => list(&store, lake.url()).await,
            CheckpointAction::Show { number } => show(&store, number).await,
            CheckpointAction::Reset { keep_positions: false } => reset(&store).await,
            CheckpointAction::Reset { keep_positions: true } => keep_positions(&store).await,
        }
    })
}

async fn list(store: &CheckpointStore, lake: &str) -> Result<()> {
    let all = store.list().await?;
    if all.is_empty() {
        say!("no checkpoints in {lake}: a run that is stopped writes one");
    }
    for stored in all {
        match header(store, stored).await {
            Ok(h) => say!(
                "{:>6}  {}  {:>9} bytes  {} shards  watermark {}  {} open windows  {}",
                stored.number,
                format_micros(h.written_at),
                thousands(stored.bytes),
                h.summary.positions.len(),
                h.summary.watermark.map_or_else(|| "-".to_owned(), format_micros),
                thousands(h.summary.open_windows),
                h.stream
            ),
            Err(e) => say!("{:>6}  {}", stored.number, e.message()),
        }
    }
    Ok(())
}

async fn show(store: &CheckpointStore, number: Option<u64>) -> Result<()> {
    let stored = find(store, number).await?;
    let h = header(store, stored).await?;
    say!("checkpoint    {} ({} bytes) at {}", stored.number, thousands(stored.bytes), store.place(stored.number));
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

async fn reset(store: &CheckpointStore) -> Result<()> {
    let all = store.list().await?;
    // The last one goes last: cut short, this leaves the state that counts.
    for stored in &all {
        store.remove(stored.number).await?;
    }
    say!("removed {} checkpoints: the next start begins anew", all.len());
    Ok(())
}

async fn keep_positions(store: &CheckpointStore) -> Result<()> {
    let stored = find(store, None).await?;
    let mut checkpoint = Checkpoint::from_bytes(&read(store, stored).await?)?;
    checkpoint.state.keep_positions();
    checkpoint.header.summary.open_windows = 0;
    // With the windows goes what they were joined with: the next start takes the tables as they are.
    checkpoint.header.lookups.clear();
    let number = store.write(stored.number, checkpoint.to_bytes()?).await?;
    let floor = checkpoint.state.floors.all.map_or_else(String::new, |floor| {
        let floor = format_micros(floor);
        format!(
            "; windows that begin before {floor} are not written (of tables of CONCURRENCY those before one session timeout later): \
             backfill them from the raw rows"
        )
    });
    say!("checkpoint {number}: the positions of checkpoint {}, and no open windows{floor}", stored.number);
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
        None => Error::user("there are no checkpoints").at(store.folder()).hint("a run that is stopped writes one"),
    })
}

async fn header(store: &CheckpointStore, stored: StoredCheckpoint) -> Result<Header> {
    read_header(&read(store, stored).await?).map_err(|e| e.at(store.place(stored.number)))
}

async fn read(store: &CheckpointStore, stored: StoredCheckpoint) -> Result<bytes::Bytes> {
    let bytes = store.read(stored.number).await?;
    bytes.ok_or_else(|| Error::external("the checkpoint was removed meanwhile").at(store.place(stored.number)))
}
