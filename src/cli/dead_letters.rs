//! `headcount dead-letters`

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::args::{DeadLettersAction, DeadLettersArgs, LetterFilter};
use super::lake_columns::refuse_other_types;
use super::out::{print, say, write};
use super::progress::thousands;
use super::setup;
use super::signals::{Signals, stop_on_signal};
use super::text::{hex_dump, printable, shell_word};
use crate::config::Config;
use crate::dead_letters::{Filter, Head, LetterName, Listing, ReplayOptions, Replayed, Whole, find, list, replay};
use crate::engine::EngineOptions;
use crate::engine::tables::{file_prefix, raw_schemas};
use crate::error::{Error, Result};
use crate::limits::{LETTER_HEX_BYTES_MAX, LETTERS_SHOWN_MAX};
use crate::operator::window::Lateness;
use crate::schema::Contract;
use crate::sink::lake::Lake;
use crate::telemetry::start_logging;
use crate::types::{MICROS_PER_HOUR, format_micros};

/// Lists, shows or replays the dead letters of a lake.
pub fn run(args: &DeadLettersArgs) -> Result<()> {
    let config = setup::load_config(args.config.as_deref())?;
    start_logging(&config.log, std::env::var("RUST_LOG").ok().as_deref())?;
    setup::runtime(&config)?.block_on(async {
        let url = args.lake.as_deref().unwrap_or(&config.lake.url);
        let lake = setup::existing_lake(&config, url, setup::clock().as_ref()).await?;
        let lake = lake.ok_or_else(|| setup::no_such_lake(url))?;
        match &args.action {
            DeadLettersAction::List { filter, limit, json } => {
                let listing = list(&lake, &filter.into(), *limit).await?;
                match json {
                    true => listing.newest.iter().for_each(|head| say!("{}", as_json(head))),
                    false => print_listing(&listing, filter, args, &lake),
                }
                Ok(())
            }
            DeadLettersAction::Show { name, filter, raw } => show(&lake, name, &filter.into(), *raw).await,
            DeadLettersAction::Replay { filter, dry_run } => {
                let contract = Arc::new(setup::contract(&config)?);
                // A dry run too: it says what would be done.
                refuse_other_types(&config, &lake, &raw_schemas(&contract)).await?;
                let replayed = replay_letters(&config, &contract, &lake, filter.into(), *dry_run).await?;
                print_replayed(&replayed, filter, *dry_run, args, &lake);
                if !dry_run {
                    print_backfills(&replayed, contract.stream_name(), args, &lake);
                }
                Ok(())
            }
        }
    })
}

fn as_json(head: &Head) -> serde_json::Value {
    json!({
        "arrival_time": head.arrival_time.map(format_micros),
        "reason": head.reason,
        "shard_id": head.shard,
        "sequence_number": head.sequence_number,
        "sub_sequence_number": head.sub_sequence_number,
        "bytes": head.bytes,
        "message": head.message,
    })
}

fn print_listing(listing: &Listing, filter: &LetterFilter, args: &DeadLettersArgs, lake: &Lake) {
    for head in &listing.newest {
        say!(
            "{}  {}  {} {}  {} bytes",
            arrival(head),
            printable(&head.reason, false),
            printable(&head.shard, false),
            name_of(head),
            thousands(head.bytes)
        );
        say!("    {}", printable(&head.message, false));
    }
    let (all, shown) = (listing.letters(), listing.newest.len());
    if all == 0 {
        let which = if is_any(filter) { "" } else { " such" };
        return say!("no{which} dead letters in {}", lake.url());
    }
    say!("dead letters: {}; the newest {} are above", thousands(all), thousands(shown as u64));
    print_counts(&listing.by_reason);
    if let Some(head) = listing.newest.first() {
        let shard = shell_word(&head.shard);
        say!("one of them whole:   headcount dead-letters show {} --shard {shard}{}", name_of(head), place_words(args));
    }
    say!("what a mended schema would make of them:");
    say!("  headcount dead-letters replay{} --dry-run{}", filter_words(filter), place_words(args));
}

fn print_counts(by_reason: &BTreeMap<String, u64>) {
    let mut counts: Vec<_> = by_reason.iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for (reason, count) in counts {
        say!("  {:<34} {:>12}", printable(reason, false), thousands(*count));
    }
}

/// Without an arrival time, the hour that it is filed in.
fn arrival(head: &Head) -> String {
    match head.arrival_time {
        Some(time) => format_micros(time),
        None => format!("hour {}", format_micros(head.time)),
    }
}

/// What `show` takes.
fn name_of(head: &Head) -> String {
    shell_word(&printable(&format!("{}:{}", head.sequence_number, head.sub_sequence_number), false)).into_owned()
}

fn is_any(filter: &LetterFilter) -> bool {
    filter_words(filter).is_empty()
}

/// The words that choose the same letters again.
fn filter_words(filter: &LetterFilter) -> String {
    let mut words = String::new();
    for (name, value) in [
        ("--from", filter.from.map(format_micros)),
        ("--to", filter.to.map(format_micros)),
        ("--reason", filter.reason.map(|reason| reason.code().to_owned())),
        ("--shard", filter.shard.as_deref().map(|shard| shell_word(shard).into_owned())),
    ] {
        if let Some(value) = value {
            words.extend([" ", name, " ", &value]);
        }
    }
    words
}

/// The words that name the same lake and configuration again.
fn place_words(args: &DeadLettersArgs) -> String {
    let lake = args.lake.as_ref().map(|lake| format!(" --lake {}", shell_word(lake)));
    lake.unwrap_or_default() + &config_words(args)
}

fn config_words(args: &DeadLettersArgs) -> String {
    let config = args.config.as_ref().map(|file| format!(" --config {}", shell_word(&file.display().to_string())));
    config.unwrap_or_default()
}

async fn show(lake: &Lake, name: &LetterName, filter: &Filter, raw: bool) -> Result<()> {
    let found = find(lake, filter, name).await?;
    if raw {
        let Some(first) = found.first() else { return Ok(()) };
        if found.iter().any(|letter| letter.data != first.data) {
            return Err(Error::user("several dead letters are called so, with different bytes")
                .at(&name.sequence_number)
                .hint("choose by --from and --to: without --raw all are shown"));
        }
        return write(&first.data).map(drop);
    }
    for letter in &found {
        print_whole(letter);
    }
    match found.len() {
        1 => {}
        LETTERS_SHOWN_MAX => say!("{LETTERS_SHOWN_MAX} letters of this name are above; there may be more"),
        copies => say!("{copies} letters of this name: one record that was read again, or lines of different files"),
    }
    Ok(())
}

fn print_whole(letter: &Whole) {
    let head = &letter.head;
    say!("reason               {}", printable(&head.reason, false));
    say!("message              {}", printable(&head.message, false));
    say!("shard_id             {}", printable(&head.shard, false));
    say!("sequence_number      {}", printable(&head.sequence_number, false));
    say!("sub_sequence_number  {}", head.sub_sequence_number);
    say!("ingest_time          {}", head.arrival_time.map_or_else(|| "-".to_owned(), format_micros));
    say!("file                 {}", letter.file);
    say!("data                 {} bytes", thousands(head.bytes));
    match str::from_utf8(&letter.data) {
        Ok(text) => say!("{}", printable(text, true)),
        Err(_) => {
            let shown = letter.data.get(..LETTER_HEX_BYTES_MAX).unwrap_or(&letter.data);
            print(format_args!("{}", hex_dump(shown)));
            let more = letter.data.len() - shown.len();
            if more > 0 {
                say!("… and {} bytes more: --raw writes them all", thousands(more as u64));
            }
        }
    }
    say!("");
}

async fn replay_letters(
    config: &Config,
    contract: &Arc<Contract>,
    lake: &Lake,
    filter: Filter,
    dry_run: bool,
) -> Result<Replayed> {
    let clock = setup::clock();
    let options = ReplayOptions {
        filter,
        dry_run,
        judge: EngineOptions::of(config, Lateness::Judge).judge,
        roll: setup::table_options(config).roll,
        prefix: file_prefix(clock.as_ref()),
        spill_dir: None,
    };
    let stop = CancellationToken::new();
    let listening = tokio::spawn(stop_on_signal(Signals::new()?, stop.clone()));
    let replayed = replay(lake, contract, &options, &clock, stop).await;
    listening.abort();
    replayed
}

fn print_replayed(replayed: &Replayed, filter: &LetterFilter, dry_run: bool, args: &DeadLettersArgs, lake: &Lake) {
    let r = replayed;
    let would = if dry_run { "would be " } else { "" };
    let line = |what: &str, n: u64| say!("{what:<36} {:>12}", thousands(n));
    line("dead letters read", r.letters);
    line(&format!("rows {would}added"), r.rows);
    line(&format!("duplicates {would}left out"), r.duplicates);
    line(&format!("letters {would}gone"), r.gone);
    line(&format!("hours of raw events {would}touched"), r.hours.len() as u64);
    line("still letters", r.still.values().sum());
    print_counts(&r.still);
    if r.letter_hours.is_empty() {
        return say!("nothing changes in {}", lake.url());
    }
    if dry_run {
        say!("nothing was done. To do it:");
        say!("  headcount dead-letters replay{}{}", filter_words(filter), place_words(args));
    }
}

/// How the windows come to their new rows.
fn print_backfills(replayed: &Replayed, table: &str, args: &DeadLettersArgs, lake: &Lake) {
    let stretches = replayed.stretches();
    let Some(&(_, last)) = stretches.last() else { return };
    say!("windows are not computed anew by this. For those that the rows belong to:");
    let input = format!("{}/{table}", lake.url().trim_end_matches('/'));
    for (from, to) in stretches {
        say!(
            "  headcount backfill --input {} --lake {} --from {} --to {}{}",
            shell_word(&input),
            shell_word(lake.url()),
            format_micros(from),
            format_micros(to),
            config_words(args)
        );
    }
    say!(
        "(with the schema of this command, also if the environment names it: columns that a backfill's schema lacks are not written again)"
    );
    say!("(with --lateness replay, if late rows are to stay out of their windows, as in a run)");
    if last > setup::clock().now() - MICROS_PER_HOUR {
        say!("not yet, if a run writes to this lake: these hours are not over, and a backfill replaces them whole");
    }
}
