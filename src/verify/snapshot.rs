//! A lake as it is at one moment: what is compared, with what, and up to where.
//!
//! ```text
//!  last commit ─► files of the tables ─► files of raw events ─► the same commit still, and its files at their places?
//!                 later events than the windows, never earlier                       no: look again
//! ```
//!
//! Up to where a table's windows are in the lake, the state of the commit says. What is there says it too: where one table has windows, the
//! others have theirs, but for those that wait for their file, `lake.gather_secs` of them. And where nothing was ever committed, the clock
//! does: a backfill has written everything, and a run that does not commit is not behind.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use arrow::array::{Array, AsArray};
use arrow::datatypes::TimestampMicrosecondType;

use super::compare::quoted;
use crate::engine::Pipelines;
use crate::engine::tables::table_schemas;
use crate::engine::take_over::{Numbered, find};
use crate::error::{Domain, Error, Result};
use crate::query::{LakeQuery, QueryOptions, Statement};
use crate::schema::{REVISION, WINDOW_START};
use crate::sink::lake::{CheckpointStore, Lake, LakeFile, Move};
use crate::types::Micros;

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// A lake at one moment.
pub struct Snapshot {
    /// Its tables.
    pub(super) tables: LakeQuery,
    /// Its files of raw events.
    pub(super) raw: Vec<LakeFile>,
    /// By table: windows that end by it are there, and revisions of those whose allowed lateness does.
    pub(super) complete: BTreeMap<String, Micros>,
    /// The high time up to which its raw rows are there, if some may not be.
    pub(super) raw_until: Option<Micros>,
}

/// What a snapshot is taken of.
#[derive(Debug, Clone, Copy)]
pub struct SnapshotOptions<'a> {
    /// Whose commits say how far the tables are.
    pub application: &'a str,
    /// Of how much event time a live run puts windows into one file.
    pub gather: Micros,
    /// Where nothing was committed: the high time that a run which is at work has reached by now, if that can be told.
    pub reached: Option<Micros>,
    /// Of a run that does not commit: the high time up to which all raw rows are in files, whether it is at work or not.
    pub raw_until: Option<Micros>,
    /// How often it looks, a second between, whether a commit's files are at their places.
    pub looks: usize,
    /// How the tables are read.
    pub query: QueryOptions,
}

impl Snapshot {
    /// Looks at the tables of `pipelines` in `lake`.
    ///
    /// # Errors
    /// External if the files of the last commit stay away from their places; as [`LakeQuery::run`].
    pub async fn take(lake: &Lake, pipelines: &Pipelines, options: SnapshotOptions<'_>) -> Result<Self> {
        let store = CheckpointStore::new(lake, options.application);
        for look in 0..options.looks {
            if look > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            let last = last_commit(&store).await?;
            let tables = session(lake, pipelines, options.query).await?;
            tables.list(pipelines.plans.iter().map(|plan| plan.name.as_str())).await?;
            let stream = pipelines.contract.stream_name();
            let raw = lake.list_recorded(stream).await?;
            tables.list([stream]).await?;
            let waiting = lake.uncommitted(options.application).await?;
            let (number, files) = last.as_ref().map_or((0, &[][..]), |last| (last.number, &last.files));
            let is_last = store.list().await?.last().map_or(0, |last| last.number) == number;
            if is_last && !files.iter().any(|file| waiting.contains(&file.from)) {
                let complete = complete(&tables, pipelines, last.as_ref(), options);
                return Ok(Self { complete: complete.await?, tables, raw, raw_until: options.raw_until });
            }
        }
        Err(Error::external("the files of the last commit are not at their places, or there is another commit each second")
            .at(store.folder())
            .hint("the next start of the run moves the files, if it was killed over it; of a run that is at work, verify again"))
    }
}

/// The tables of `pipelines`, with every revision of their rows.
pub(super) async fn session(lake: &Lake, pipelines: &Pipelines, options: QueryOptions) -> Result<LakeQuery> {
    let paths: BTreeSet<String> = lake.tables().await?.into_iter().collect();
    let known = table_schemas(pipelines).into_iter().map(|(name, _, schema)| (name, schema)).collect();
    LakeQuery::new(lake, paths, known, options)
}

/// What the last commit says.
#[derive(Default)]
struct LastCommit {
    number: u64,
    /// Those that it makes part of their tables.
    files: Vec<Move>,
    state: Option<Numbered>,
}

/// The last commit. One of another version says nothing but its number.
async fn last_commit(store: &CheckpointStore) -> Result<Option<LastCommit>> {
    let Some(last) = store.list().await?.pop() else { return Ok(None) };
    match find(store).await {
        Ok(found) => Ok(found.map(|(number, outline, state)| LastCommit { number, files: outline.files, state })),
        Err(e) if e.domain() == Domain::User => {
            tracing::warn!(error = %e, "the last commit is not asked how far the tables are");
            Ok(Some(LastCommit { number: last.number, ..LastCommit::default() }))
        }
        Err(e) => Err(e),
    }
}

/// Up to where each table is complete, if anything says so.
async fn complete(
    tables: &LakeQuery,
    pipelines: &Pipelines,
    last: Option<&LastCommit>,
    SnapshotOptions { gather, reached, .. }: SnapshotOptions<'_>,
) -> Result<BTreeMap<String, Micros>> {
    let state = last.and_then(|last| last.state.as_ref()).map(|(_, checkpoint)| &checkpoint.state);
    let mut high_time = reached.filter(|_| last.is_none());
    for plan in &pipelines.plans {
        // By its start: the last window that a backfill writes ends after all that it has read.
        let delay = pipelines.watermark_delay(plan);
        let (any, revised) = last_window_starts(tables, &plan.name).await?;
        let revised = revised.map(|start| start.saturating_add(plan.allowed_lateness()));
        high_time = high_time.max(any.max(revised).map(|start| start.saturating_add(delay)));
    }
    let mut complete = BTreeMap::new();
    for plan in &pipelines.plans {
        let committed = state.map(|state| state.written_until(plan)).transpose()?.flatten();
        let behind = pipelines.watermark_delay(plan).saturating_add(gather);
        let until = committed.max(high_time.map(|high_time: Micros| high_time.saturating_sub(behind)));
        complete.extend(until.map(|until| (plan.name.clone(), until)));
    }
    Ok(complete)
}

/// When the last window of a table starts, and the last one that was revised.
async fn last_window_starts(tables: &LakeQuery, table: &str) -> Result<(Option<Micros>, Option<Micros>)> {
    let revised = format!("MAX({WINDOW_START}) FILTER (WHERE {REVISION} > 0)");
    let statement = Statement::parse(&format!("SELECT MAX({WINDOW_START}), {revised} FROM {}", quoted(table)))?;
    let mut rows = tables.run(&statement).await?;
    let mut last = (None, None);
    while let Some(batch) = rows.next().await? {
        let latest = |column: usize| {
            let times = batch.column(column).as_primitive_opt::<TimestampMicrosecondType>();
            let times = times.ok_or_else(|| Error::external("window_start is no time in microseconds").at(table))?;
            Ok::<_, Error>((0..times.len()).filter(|row| times.is_valid(*row)).map(|row| times.value(row)).max())
        };
        last = (last.0.max(latest(0)?), last.1.max(latest(1)?));
    }
    Ok(last)
}
