//! From the configuration to what a job needs.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::aws::BucketOptions;
use crate::backfill::{BackfillOptions, Range};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::engine::lookups::LoadedLookup;
use crate::engine::tables::{TableOptions, WindowTables, file_prefix, published_tables};
use crate::engine::{EngineOptions, Pipelines};
use crate::error::{Error, Result};
use crate::limits::BACKFILL_BUFFER_BYTES_MAX;
use crate::operator::window::Lateness;
use crate::pipeline::PipelineFile;
use crate::schema::Contract;
use crate::sink::cloudwatch::{CloudWatch, CloudWatchOptions, StorageResolution};
use crate::sink::lake::{Lake, LakeOptions, RollPolicy};
use crate::types::MICROS_PER_HOUR;

/// The configuration from a file, or the built-in one, with the environment over it.
pub(super) fn load_config(path: Option<&Path>) -> Result<Config> {
    Config::load(path, std::env::vars())
}

/// A runtime with a worker a core, or as many as configured.
pub(super) fn runtime(config: &Config) -> Result<tokio::runtime::Runtime> {
    runtime_of(workers(config))
}

/// How many threads compute.
pub(super) fn workers(config: &Config) -> usize {
    config.run.worker_threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// A runtime of `threads` threads.
pub(super) fn runtime_of(threads: usize) -> Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(threads);
    builder.enable_all().build().map_err(|e| Error::external("the worker threads could not be started").because(e))
}

pub(super) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

/// The event contract that the configuration names.
pub(super) fn contract(config: &Config) -> Result<Contract> {
    let (place, text) = schema_file(config)?;
    Contract::from_json(&text, &place)
}

/// The place of the contract's file, and its text.
pub(super) fn schema_file(config: &Config) -> Result<(String, Cow<'static, str>)> {
    match config.schema.file() {
        None => {
            let (place, text) = Contract::shipped_file();
            Ok((place.to_owned(), text.into()))
        }
        Some(file) => {
            let place = file.display().to_string();
            let text = std::fs::read_to_string(&file)
                .map_err(|e| Error::user("the schema file cannot be read").at(&place).because(e))?;
            Ok((place, text.into()))
        }
    }
}

/// The pipeline files that the configuration names, and where they are from.
pub(super) fn pipeline_files(config: &Config) -> Result<(String, Vec<Result<PipelineFile>>)> {
    match config.pipelines.folder() {
        None => Ok(("built in".to_owned(), PipelineFile::shipped())),
        Some(dir) => Ok((dir.display().to_string(), PipelineFile::load_dir(&dir)?)),
    }
}

/// Every lookup table that the configuration names, as it is now.
///
/// # Errors
/// Of every table that cannot be read.
pub(super) async fn lookups(config: &Config) -> Result<Vec<LoadedLookup>, Vec<Error>> {
    let buckets = bucket_options(config);
    let (mut loaded, mut problems) = (Vec::new(), Vec::new());
    for lookup in &config.lookups {
        match LoadedLookup::load(lookup, &buckets).await {
            Ok(one) => loaded.push(one),
            Err(e) => problems.push(e),
        }
    }
    if problems.is_empty() { Ok(loaded) } else { Err(problems) }
}

/// Every pipeline, compiled, with the lookup tables that they join.
///
/// # Errors
/// All problems of all files and tables.
pub(super) async fn compile(config: &Config, lateness: Lateness) -> Result<Arc<Pipelines>, Vec<Error>> {
    let contract = contract(config).map_err(|e| vec![e])?;
    let lookups = lookups(config).await?;
    let (_, loaded) = pipeline_files(config).map_err(|e| vec![e])?;
    let mut files = Vec::new();
    let mut problems = Vec::new();
    for file in loaded {
        match file {
            Ok(file) => files.push(file),
            Err(e) => problems.push(e),
        }
    }
    let options = EngineOptions::of(config, lateness);
    match Pipelines::with_lookups(Arc::new(contract), &files, &lookups, options).await {
        Ok(pipelines) if problems.is_empty() => Ok(Arc::new(pipelines)),
        Ok(_) => Err(problems),
        Err(more) => {
            problems.extend(more);
            Err(problems)
        }
    }
}

/// The first of several problems, which says that there are more.
pub(super) fn first_of(mut problems: Vec<Error>) -> Error {
    let more = problems.len().saturating_sub(1);
    if problems.is_empty() {
        return Error::internal("a failure without a reason");
    }
    let first = problems.swap_remove(0);
    if more == 0 {
        return first;
    }
    let remedy = first.remedy().map_or_else(String::new, |r| format!("{r}; "));
    first.hint(format!("{remedy}`headcount check` lists this and {more} more"))
}

/// How to reach S3: the lake's bucket, and those of inputs.
pub(super) fn bucket_options(config: &Config) -> BucketOptions {
    let region = config.lake.region.clone().unwrap_or_else(|| config.source.region.clone());
    BucketOptions { region: Some(region), endpoint_url: config.lake.endpoint_url.clone() }
}

/// Why nothing can be said of a lake that is not there.
pub(super) fn no_such_lake(url: &str) -> Error {
    Error::user("there is no such lake")
        .at(url)
        .hint("--lake, --config FILE or HEADCOUNT__LAKE__URL says which lake; `headcount run` makes one")
}

/// How to reach the lake.
pub(super) fn lake_options(config: &Config) -> LakeOptions {
    LakeOptions { bucket: bucket_options(config), compression_level: config.lake.compression_level }
}

/// The lake at `url`, or the configured one, after completing what an earlier process left half done.
pub(super) async fn open_lake(config: &Config, url: Option<&str>, clock: &dyn Clock) -> Result<Lake> {
    let lake = Lake::open(url.unwrap_or(&config.lake.url), &lake_options(config))?;
    let recovery = lake.recover(clock.now()).await?;
    for id in recovery.completed {
        tracing::warn!(replacement = %id, "an earlier backfill or replay had been cut short: its replacement was completed");
    }
    for id in recovery.removed {
        tracing::warn!(replacement = %id, "an earlier backfill or replay had been cut short: what it had staged was removed");
    }
    Ok(lake)
}

/// As [`open_lake`], of a lake that is there: a folder that is not is not made.
pub(super) async fn existing_lake(config: &Config, url: &str, clock: &dyn Clock) -> Result<Option<Lake>> {
    if Lake::existing(url, &lake_options(config))?.is_none() {
        return Ok(None);
    }
    open_lake(config, Some(url), clock).await.map(Some)
}

/// How tables are computed from files.
pub(super) fn backfill_options(config: &Config, range: Range, clock: &dyn Clock) -> BackfillOptions {
    BackfillOptions {
        range,
        raw: true,
        workers: workers(config),
        memory_bytes_max: BACKFILL_BUFFER_BYTES_MAX,
        spill_dir: None,
        // Whole hours are at hand, so an hour is one file.
        tables: TableOptions { gather: MICROS_PER_HOUR, ..table_options(config) },
        prefix: file_prefix(clock),
    }
}

/// Has `tables` publish to CloudWatch as configured; where to, if so.
///
/// # Errors
/// A user's error without credentials.
pub(super) async fn publish(
    config: &Config,
    pipelines: &Pipelines,
    tables: &mut WindowTables,
    clock: &Arc<dyn Clock>,
) -> Result<Option<String>> {
    let configured = &config.cloudwatch;
    let named: Vec<&str> = pipelines.plans.iter().filter(|p| !p.metrics.is_empty()).map(|p| p.name.as_str()).collect();
    if named.is_empty() {
        return Ok(None);
    }
    if !configured.enabled {
        tracing::info!(
            tables = named.join(","),
            "nothing is published to CloudWatch, though pipelines name it: cloudwatch.enabled is false"
        );
        return Ok(None);
    }
    let options = CloudWatchOptions {
        region: Some(configured.region.clone()),
        endpoint_url: configured.endpoint_url.clone(),
        resolution: match configured.by_the_second {
            true => StorageResolution::Second,
            false => StorageResolution::Minute,
        },
        flush: Duration::from_micros(configured.flush.unsigned_abs()),
        retry: Duration::from_micros(configured.retry.unsigned_abs()),
        series_max: configured.series_max,
        // Processes that failed at one moment come back spread out.
        jitter_seed: clock.now().unsigned_abs() ^ u64::from(std::process::id()),
        ..CloudWatchOptions::new(&configured.namespace)
    };
    let cloudwatch = CloudWatch::connect(&options, published_tables(pipelines), Arc::clone(clock)).await?;
    let place = cloudwatch.place().to_owned();
    tables.publish_to(cloudwatch);
    Ok(Some(place))
}

pub(super) fn table_options(config: &Config) -> TableOptions {
    TableOptions {
        roll: RollPolicy { bytes_max: config.lake.raw_roll_bytes, age_max: config.lake.raw_roll },
        gather: config.lake.gather,
    }
}
