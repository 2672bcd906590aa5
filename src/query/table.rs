//! A table of the lake, as DataFusion's planner sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, Result, project_schema};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_optimizer::pruning::{PruningPredicate, PruningPredicateBuilder};
use datafusion::physical_plan::ExecutionPlan;

use super::columns::TableColumns;
use super::prune::HourStatistics;
use super::scan::LakeScan;
use super::session::Revisions;
use crate::error;
use crate::schema::{REVISION, WINDOW_END, WINDOW_START};
use crate::sink::lake::{DEAD_LETTERS, Lake, LakeFile};
use crate::types::Micros;

/// The columns that tell which window a row is of.
pub(super) const WINDOW: [&str; 2] = [WINDOW_START, WINDOW_END];

/// What all files of a table have in common.
#[derive(Debug)]
pub(super) struct TableShape {
    /// Its path below the lake.
    pub(super) path: String,
    /// Its columns, those of the folders last.
    pub(super) schema: SchemaRef,
    /// The column that a file's hour is that of, if known.
    pub(super) time: Option<String>,
    /// Whether rows that a later revision has replaced are left out.
    pub(super) last_revisions: bool,
}

/// A table, and the files that it had when it was first asked for.
#[derive(Debug)]
pub(super) struct LakeTable {
    lake: Lake,
    shape: Arc<TableShape>,
    files: Vec<LakeFile>,
}

impl LakeTable {
    /// Lists the files of a table and reads some of their footers. One without files has the `known` columns.
    ///
    /// # Errors
    /// A user error if there is neither a file nor a known column; external if the lake cannot be read.
    pub(super) async fn open(
        lake: &Lake,
        path: &str,
        known: Option<&SchemaRef>,
        revisions: Revisions,
    ) -> error::Result<Self> {
        let files = lake.list_recorded(path).await?;
        if files.is_empty() && known.is_none() {
            return Err(error::Error::user("the table has no files").at(lake.place(path)).hint(
                "a run or a backfill writes them; the columns of a table that has none are those of its pipeline: name its \
                 configuration by --config",
            ));
        }
        let TableColumns { schema, time } = TableColumns::of(lake, &files, known).await?;
        let is_windows = WINDOW.iter().all(|name| schema.field_with_name(name).is_ok())
            && schema.field_with_name(REVISION).is_ok_and(|f| f.data_type() == &DataType::Int32);
        // Files that do not say it are older than their saying so.
        let time = time.or_else(|| match path {
            _ if is_windows => Some(WINDOW_START.to_owned()),
            DEAD_LETTERS => Some("ingest_time".to_owned()),
            _ => None,
        });
        let last_revisions = is_windows && revisions == Revisions::Last;
        let shape = TableShape { path: path.to_owned(), schema, time, last_revisions };
        Ok(Self { lake: lake.clone(), shape: Arc::new(shape), files })
    }

    /// A test for what cannot hold a row that the filters let through; none if they exclude nothing.
    fn predicate(&self, state: &dyn Session, filters: &[Expr]) -> Result<Option<Arc<PruningPredicate>>> {
        let Some(filter) = conjunction(filters.iter().cloned()) else { return Ok(None) };
        let schema = DFSchema::try_from(Arc::clone(&self.shape.schema))?;
        let filter = state.create_physical_expr(filter, &schema)?;
        Ok(PruningPredicateBuilder::new().with_file_schema(Arc::clone(&self.shape.schema)).build(filter))
    }

    /// The files of the hours that may matter.
    fn kept(&self, predicate: Option<&PruningPredicate>) -> Result<Vec<LakeFile>> {
        let Some(predicate) = predicate else { return Ok(self.files.clone()) };
        let hours: BTreeSet<Micros> = self.files.iter().map(|file| file.hour).collect();
        let hours: Vec<Micros> = hours.into_iter().collect();
        let kept = predicate.prune(&HourStatistics { table: &self.shape, hours: &hours })?;
        let kept: BTreeSet<Micros> =
            hours.into_iter().zip(kept).filter(|(_, kept)| *kept).map(|(hour, _)| hour).collect();
        Ok(self.files.iter().filter(|file| kept.contains(&file.hour)).cloned().collect())
    }
}

/// What is read together: a file, or all files of an hour where rows of one may replace rows of another.
fn units(files: Vec<LakeFile>, by_hour: bool) -> Vec<Vec<LakeFile>> {
    if !by_hour {
        return files.into_iter().map(|file| vec![file]).collect();
    }
    let mut hours: BTreeMap<Micros, Vec<LakeFile>> = BTreeMap::new();
    for file in files {
        hours.entry(file.hour).or_default().push(file);
    }
    hours.into_values().collect()
}

/// Deals units out to at most `parts`, each to the one with the fewest bytes so far. There is always one.
fn dealt(units: Vec<Vec<LakeFile>>, parts: usize) -> Vec<Vec<Vec<LakeFile>>> {
    let mut dealt: Vec<(u64, Vec<Vec<LakeFile>>)> = Vec::new();
    dealt.resize_with(parts.min(units.len()).max(1), Default::default);
    for unit in units {
        if let Some((bytes, part)) = dealt.iter_mut().min_by_key(|(bytes, _)| *bytes) {
            *bytes += unit.iter().map(|file| file.bytes).sum::<u64>();
            part.push(unit);
        }
    }
    dealt.into_iter().map(|(_, part)| part).collect()
}

#[async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.shape.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        // They exclude hours and row groups; rows are filtered above.
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let predicate = self.predicate(state, filters)?;
        let files = self.kept(predicate.as_deref())?;
        let read = (files.len(), self.files.len());
        let parts = dealt(units(files, self.shape.last_revisions), state.config().target_partitions());
        let output = project_schema(&self.shape.schema, projection)?;
        Ok(Arc::new(LakeScan::new(self.lake.clone(), Arc::clone(&self.shape), output, predicate, parts, read)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(hour: Micros, bytes: u64) -> LakeFile {
        LakeFile { table: "t".into(), hour, path: format!("{hour}-{bytes}"), bytes }
    }

    #[test]
    fn hours_stay_together_and_bytes_are_shared_out() {
        let files = || vec![file(1, 5), file(1, 6), file(2, 1), file(3, 2)];
        let bytes = |parts: Vec<Vec<Vec<LakeFile>>>| -> Vec<Vec<Vec<u64>>> {
            let of_unit = |unit: &Vec<LakeFile>| unit.iter().map(|f| f.bytes).collect();
            parts.iter().map(|part| part.iter().map(of_unit).collect()).collect()
        };
        assert_eq!(bytes(dealt(units(files(), true), 2)), [vec![vec![5, 6]], vec![vec![1], vec![2]]]);
        assert_eq!(bytes(dealt(units(files(), false), 2)), vec![vec![vec![5], vec![1], vec![2]], vec![vec![6]]]);
        assert_eq!(dealt(units(vec![], false), 4).len(), 1);
    }
}
