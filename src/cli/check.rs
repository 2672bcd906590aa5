//! `headcount check`

use super::args::CheckArgs;
use super::lake_columns;
use super::out::{complain, say};
use super::progress::thousands;
use super::setup;
use crate::config::{Config, SourceKind};
use crate::error::{Error, Result};
use crate::operator::window::Lateness;
use crate::schema::Contract;

/// Prints every problem of the configuration, the schema and the pipelines; how many there are.
///
/// # Errors
/// Only if the check itself fails.
pub fn run(args: &CheckArgs) -> Result<usize> {
    let path = args.config.as_deref();
    let problems = Config::problems(path, std::env::vars());
    if !problems.is_empty() {
        return Ok(print(&problems));
    }
    let config = setup::load_config(path)?;
    let runtime = setup::runtime(&config)?;
    let pipelines = match runtime.block_on(setup::compile(&config, Lateness::Judge)) {
        Ok(pipelines) => pipelines,
        Err(problems) => return Ok(print(&problems)),
    };
    let lake = runtime.block_on(lake_columns::compare(&config, &pipelines));
    // What hangs in a look-up of a name or of credentials must not hold the end up.
    runtime.shutdown_background();
    if !lake.problems.is_empty() {
        return Ok(print(&lake.problems));
    }
    let place = path.map_or_else(|| "built-in config/local.toml".to_owned(), |p| p.display().to_string());
    let schema = config.schema.file().map_or_else(|| "built in".to_owned(), |f| f.display().to_string());
    let contract = &pipelines.contract;
    say!("config     {place}");
    say!("schema     {schema}: {} fields of {}", contract.fields().len(), contract.stream_name());
    say!("pipelines  {}", setup::pipeline_files(&config)?.0);
    for plan in &pipelines.plans {
        let secs = plan.windowing().slide as f64 / 1e6;
        // A session comes out when there was nothing for so long.
        let when = if plan.windowing().session { "after" } else { "every" };
        say!("  {:<24} {when} {secs:>4} s  {}", plan.name, plan.header.title);
    }
    for lookup in &config.lookups {
        let name = &lookup.name;
        match pipelines.lookups.table(name) {
            Some(joined) => {
                let rows = thousands(joined.current().rows.num_rows() as u64);
                let columns = joined.table.schema.fields().len();
                say!("lookup     {name}: {rows} rows of {columns} columns at {}", lookup.location);
            }
            None => say!("lookup     {name}: at {}, which no query joins", lookup.location),
        }
    }
    match lake.files {
        0 => say!("lake       {}", config.lake.url),
        n if lake.other_files == 0 => {
            say!("lake       {}: its files have the same columns ({n} looked at)", config.lake.url)
        }
        n => say!(
            "lake       {}: its files can be read together with new ones, though {} of {n} have other columns",
            config.lake.url,
            lake.other_files
        ),
    }
    for note in lake.notes.iter().chain(&lake.not_compared) {
        say!("note: {note}");
    }
    if let Some(note) = simulated(&config, contract) {
        say!("note: {note}");
    }
    say!("All is well.");
    Ok(0)
}

/// The embedded Kinesis plays events of users, whatever the schema is of.
fn simulated(config: &Config, contract: &Contract) -> Option<String> {
    let plays = Contract::shipped().ok()?;
    (config.source.kind == SourceKind::Embedded && contract.stream_name() != plays.stream_name()).then(|| {
        format!(
            "source.kind is \"embedded\": the Kinesis that `run` starts is fed with {}, and not with {}",
            plays.stream_name(),
            contract.stream_name()
        )
    })
}

fn print(problems: &[Error]) -> usize {
    for problem in problems {
        complain!("{}\n", problem.report());
    }
    let plural = if problems.len() == 1 { "" } else { "s" };
    complain!("{} problem{plural}", problems.len());
    problems.len()
}
