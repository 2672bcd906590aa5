//! A whole verification.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::compare::Comparison;
use super::verdict::Verified;
use crate::backfill::{self, BackfillOptions, Range, Watch};
use crate::clock::Clock;
use crate::engine::Pipelines;
use crate::engine::tables::table_schemas;
use crate::error::Result;
use crate::query::{LakeQuery, QueryOptions, Revisions};
use crate::sink::lake::{Lake, LakeOptions};
use crate::source::file::FileShard;

/// What a verification is asked.
#[derive(Debug, Clone)]
pub struct VerifyOptions {
    /// How the tables are computed again; its range is what is verified, by the start of windows. It writes no raw rows.
    pub backfill: BackfillOptions,
    /// Bytes that the sorts may keep in memory, for each of the two places.
    pub sort_bytes_max: usize,
    /// How many differences of a table are told.
    pub told_max: usize,
    /// An empty folder for what is computed again.
    pub folder: PathBuf,
}

/// Computes every table of `pipelines` again from `shards`, the raw events of `lake`, and compares them with the lake's. Nothing of the lake
/// is changed.
///
/// # Errors
/// As [`backfill::run`] and [`LakeQuery::run`].
pub async fn run(
    pipelines: Arc<Pipelines>,
    shards: Vec<FileShard>,
    lake: &Lake,
    options: VerifyOptions,
    clock: Arc<dyn Clock>,
    watch: &dyn Watch,
    stop: CancellationToken,
) -> Result<Verified> {
    let again = Lake::open(&options.folder.to_string_lossy(), &LakeOptions::default())?;
    let (range, workers): (Range, usize) = (options.backfill.range, options.backfill.workers);
    let backfill = BackfillOptions { raw: false, ..options.backfill };
    let done = backfill::run(Arc::clone(&pipelines), shards, &again, backfill, clock, watch, stop).await?;
    let query = QueryOptions { workers, memory_bytes_max: options.sort_bytes_max, revisions: Revisions::Last };
    let (have, want) = (session(lake, &pipelines, query).await?, session(&again, &pipelines, query).await?);
    let mut tables = Vec::new();
    for plan in &pipelines.plans {
        tables.push(Comparison::new(plan, range, options.told_max).run(&have, &want).await?);
    }
    Ok(Verified { events: done.counters.read, tables })
}

async fn session(lake: &Lake, pipelines: &Pipelines, options: QueryOptions) -> Result<LakeQuery> {
    let paths: BTreeSet<String> = lake.tables().await?.into_iter().collect();
    let known = table_schemas(pipelines).into_iter().map(|(name, _, schema)| (name, schema)).collect();
    LakeQuery::new(lake, paths, known, options)
}
