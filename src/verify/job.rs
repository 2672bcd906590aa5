//! A whole verification.

use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::compare::Comparison;
use super::snapshot::{Snapshot, session};
use super::verdict::Verified;
use crate::backfill::{self, BackfillOptions, Watch};
use crate::clock::Clock;
use crate::engine::Pipelines;
use crate::error::Result;
use crate::query::QueryOptions;
use crate::sink::lake::{Lake, LakeOptions};
use crate::source::file::FileShard;

/// What a verification is asked.
#[derive(Debug, Clone)]
pub struct VerifyOptions {
    /// How the tables are computed again; its range is what is verified, by the start of windows. It writes no raw rows.
    pub backfill: BackfillOptions,
    /// How tables are read in each of the two places.
    pub query: QueryOptions,
    /// How many differences of a table are told.
    pub told_max: usize,
    /// An empty folder for what is computed again.
    pub folder: PathBuf,
}

/// Computes every table of `pipelines` again from `shards`, raw events of the lake, and compares them with the lake's. Nothing of the lake
/// is changed.
///
/// # Errors
/// As [`backfill::run`] and [`LakeQuery::run`](crate::query::LakeQuery::run).
pub async fn run(
    pipelines: Arc<Pipelines>,
    shards: Vec<FileShard>,
    lake: &Snapshot,
    options: VerifyOptions,
    clock: Arc<dyn Clock>,
    watch: &dyn Watch,
    stop: CancellationToken,
) -> Result<Verified> {
    let again = Lake::open(&options.folder.to_string_lossy(), &LakeOptions::default())?;
    let range = options.backfill.range;
    let backfill = BackfillOptions { raw: false, ..options.backfill };
    let done = backfill::run(Arc::clone(&pipelines), shards, &again, backfill, clock, watch, stop).await?;
    let want = session(&again, &pipelines, options.query).await?;
    let mut tables = Vec::new();
    for plan in &pipelines.plans {
        let delay = pipelines.watermark_delay(plan);
        let raw_until = lake.raw_until.map(|high_time| high_time.saturating_sub(delay));
        let there = (lake.complete.get(&plan.name).copied(), raw_until);
        tables.push(Comparison::new(plan, range, there, options.told_max).run(&lake.tables, &want).await?);
    }
    Ok(Verified { events: done.counters.read, tables })
}
