//! `headcount check`

use super::args::CheckArgs;
use super::out::{complain, say};
use super::setup;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::operator::window::Lateness;

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
    let compiled = setup::runtime(&config)?.block_on(setup::compile(&config, Lateness::Judge));
    let pipelines = match compiled {
        Ok(pipelines) => pipelines,
        Err(problems) => return Ok(print(&problems)),
    };
    let place = path.map_or_else(|| "built-in config/local.toml".to_owned(), |p| p.display().to_string());
    let schema = config.schema.file().map_or_else(|| "built in".to_owned(), |f| f.display().to_string());
    let contract = &pipelines.contract;
    say!("config     {place}");
    say!("schema     {schema}: {} fields of {}", contract.fields().len(), contract.stream_name());
    say!("pipelines  {}", setup::pipeline_files(&config)?.0);
    for plan in &pipelines.plans {
        let secs = plan.window_size() as f64 / 1e6;
        say!("  {:<24} every {secs:>4} s  {}", plan.name, plan.header.title);
    }
    say!("All is well.");
    Ok(0)
}

fn print(problems: &[Error]) -> usize {
    for problem in problems {
        complain!("{}\n", problem.report());
    }
    let plural = if problems.len() == 1 { "" } else { "s" };
    complain!("{} problem{plural}", problems.len());
    problems.len()
}
