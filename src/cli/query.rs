//! `headcount query`

use std::collections::BTreeSet;
use std::io::Read as _;

use super::args::QueryArgs;
use super::result::{Format, print};
use super::setup;
use super::signals::Signals;
use crate::config::Config;
use crate::decode::DeadLetter;
use crate::engine::tables::table_schemas;
use crate::error::{Error, Result};
use crate::limits::PIPELINE_FILE_BYTES_MAX;
use crate::operator::window::Lateness;
use crate::query::{KnownTable, LakeQuery, QueryOptions, Revisions, Statement};
use crate::sink::lake::{DEAD_LETTERS, Lake};
use crate::telemetry::start_logging;

/// Runs one statement over the tables of a lake and prints its rows.
///
/// # Errors
/// A user error if the statement is wrong or there is no such lake; external if the lake cannot be read or a signal came.
pub fn run(args: &QueryArgs) -> Result<()> {
    let config = setup::load_config(args.config.as_deref())?;
    start_logging(&config.log, std::env::var("RUST_LOG").ok().as_deref())?;
    let statement = match args.sql.as_str() {
        "-" => Statement::parse(&standard_input()?)?,
        sql => Statement::parse(sql)?,
    };
    setup::runtime(&config)?.block_on(async {
        // What waits on disk goes with the query; a signal that ended the process would leave it.
        let mut signals = Signals::new()?;
        tokio::select! {
            done = query(args, &config, &statement) => done,
            () = signals.next() => Err(Error::external("the query was stopped before its end")),
        }
    })
}

fn standard_input() -> Result<String> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(PIPELINE_FILE_BYTES_MAX + 1).read_to_string(&mut text);
    read.map_err(|e| Error::user("the query cannot be read").at("standard input").because(e))?;
    Ok(text)
}

async fn query(args: &QueryArgs, config: &Config, statement: &Statement) -> Result<()> {
    let url = args.lake.as_deref().unwrap_or(&config.lake.url);
    // Nothing is written, not even to complete what another process has left half done.
    let lake = Lake::existing(url, &setup::lake_options(config))?.ok_or_else(|| setup::no_such_lake(url))?;
    let paths: BTreeSet<String> = lake.tables().await?.into_iter().collect();
    let named = &statement.tables()? | &statement.table_arguments()?;
    let known = match named.is_subset(&paths) {
        true => Vec::new(),
        false => known_tables(config).await,
    };
    let options = QueryOptions {
        workers: setup::workers(config),
        memory_bytes_max: args.memory * 1024 * 1024,
        revisions: if args.all_revisions { Revisions::All } else { Revisions::Last },
    };
    let session = LakeQuery::new(&lake, paths, known, options)?;
    let format = match (args.json, args.csv) {
        (true, _) => Format::Json,
        (_, true) => Format::Csv,
        _ => Format::Table { rows_max: args.rows },
    };
    print(session.run(statement).await?, format).await
}

/// The tables that a run of this configuration would write. What is wrong with it is the business of `check`.
async fn known_tables(config: &Config) -> Vec<KnownTable> {
    match setup::compile(config, Lateness::Ignore).await {
        Ok(pipelines) => table_schemas(&pipelines).into_iter().map(|(name, _, schema)| (name, schema)).collect(),
        Err(_) => vec![(DEAD_LETTERS.to_owned(), DeadLetter::schema())],
    }
}
