//! `headcount explain`

use std::path::Path;

use super::args::ExplainArgs;
use super::out;
use super::setup;
use crate::config::Config;
use crate::engine::EngineOptions;
use crate::error::{Error, Result};
use crate::operator::concurrency::{Concurrency, ConcurrencyQuery};
use crate::operator::memory::StateMemory;
use crate::operator::window::Lateness;
use crate::pipeline::{Compiler, Explanation, JobTimes, PipelineFile};
use crate::types::nearest;

/// Prints the continuous plan of one pipeline.
///
/// # Errors
/// A user error if there is no such pipeline, or it is wrong; the configuration's own errors.
pub fn run(args: &ExplainArgs) -> Result<()> {
    let config = setup::load_config(args.config.as_deref())?;
    let text = setup::runtime(&config)?.block_on(explanation(&config, &args.pipeline))?;
    out::print(format_args!("{text}"));
    Ok(())
}

async fn explanation(config: &Config, pipeline: &str) -> Result<String> {
    let options = EngineOptions::of(config, Lateness::Judge);
    let contract = setup::contract(config)?;
    let lookups = setup::lookups(config).await.map_err(setup::first_of)?;
    let tables: Vec<_> = lookups.into_iter().map(|l| l.table).collect();
    let compiler = Compiler::with_lookups(&contract, &tables, StateMemory::new(options.memory_bytes_max))?;
    let (file, others) = find(config, pipeline)?;
    let plan = compiler.compile(&file).await?;
    let problems = options.problems(std::slice::from_ref(&plan), std::slice::from_ref(&file));
    if let Some(problem) = problems.into_iter().next() {
        return Err(problem);
    }
    let mut queries: Vec<ConcurrencyQuery> = plan.concurrency_queries().cloned().collect();
    let finest = match queries.is_empty() {
        true => None,
        false => {
            // The other tables share the state. One that is wrong is the business of `check`.
            for other in others {
                if let Ok(plan) = compiler.compile(&other).await {
                    queries.extend(plan.concurrency_queries().cloned());
                }
            }
            Some(Concurrency::finest_window(&queries).map_err(|e| e.at(&file.place))?)
        }
    };
    let times = JobTimes {
        watermark_delay: options.watermark_delay,
        idle_timeout: options.judge.idle_timeout,
        concurrency: options.concurrency,
        finest_concurrency_window: finest,
        gather: config.lake.gather,
    };
    Ok(Explanation::of(&plan, contract.stream_name(), &times).to_string())
}

/// The pipeline that was asked for, by name or by path, and the others that a run would have beside it.
fn find(config: &Config, pipeline: &str) -> Result<(PipelineFile, Vec<PipelineFile>)> {
    let path = Path::new(pipeline);
    if path.extension().is_some_and(|e| e == "sql") || path.components().count() > 1 {
        let file = PipelineFile::load(path)?;
        // A draft may be read where the folder of the configuration cannot.
        let configured = setup::pipeline_files(config).map(|(_, files)| files).unwrap_or_default();
        let others = configured.into_iter().flatten().filter(|other| other.name != file.name).collect();
        return Ok((file, others));
    }
    let (place, loaded) = setup::pipeline_files(config)?;
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for file in loaded {
        match file {
            Ok(file) => good.push(file),
            Err(e) => bad.push(e),
        }
    }
    if let Some(at) = good.iter().position(|file| file.name == pipeline) {
        return Ok((good.swap_remove(at), good));
    }
    match bad.into_iter().find(|e| e.place().is_some_and(|place| is_of(place, pipeline))) {
        Some(error) => Err(error),
        None => Err(unknown(pipeline, &place, &good)),
    }
}

/// Whether a `file:line` belongs to the file of a pipeline.
fn is_of(place: &str, pipeline: &str) -> bool {
    let file = place.rsplit_once(".sql").map_or(place, |(stem, _)| stem);
    Path::new(file).file_name().is_some_and(|name| name == pipeline)
}

fn unknown(pipeline: &str, place: &str, files: &[PipelineFile]) -> Error {
    let mut names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    names.sort_unstable();
    let meant = nearest(pipeline, names.iter().copied());
    let meant = meant.map_or_else(String::new, |name| format!("did you mean {name}? "));
    Error::user(format!("there is no pipeline {pipeline}"))
        .at(format!("pipelines, {place}"))
        .hint(format!("{meant}the pipelines are {}; or give the path of a .sql file", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_is_answered_with_those_that_are_known() {
        let files: Vec<PipelineFile> = PipelineFile::shipped().into_iter().map(Result::unwrap).collect();
        let error = unknown("concurrent_viewer", "built in", &files);
        assert_eq!(error.exit_code(), 2);
        let said = error.report();
        assert!(said.starts_with("pipelines, built in: there is no pipeline concurrent_viewer\n"), "{said}");
        assert!(
            said.contains("did you mean concurrent_viewers? the pipelines are concurrent_viewers, platform_totals, "),
            "{said}"
        );
        assert!(!unknown("nonsense", "built in", &files).report().contains("did you mean"));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_known_by_its_place() {
        assert!(is_of("pipelines/revenue.sql:3", "revenue"));
        assert!(is_of("a/b/revenue.sql", "revenue"));
        assert!(!is_of("pipelines/revenue.sql:3", "user_activity"));
        assert!(!is_of("pipelines/all_revenue.sql:3", "revenue"));
    }
}
