//! Names to tables: a catalog whose schema `lake` has the lake's tables, and whose schema `_late` the late rows of each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::TableType;
use tokio::sync::Mutex;

use super::session::Revisions;
use super::table::LakeTable;
use crate::error::Error;
use crate::sink::lake::{LATE, Lake, late_table, table_of_late};
use crate::types::nearest;

/// The catalog's name. It need not be written.
pub(super) const CATALOG: &str = "headcount";

/// The schema of the tables that are not of late rows. It need not be written.
pub(super) const SCHEMA: &str = "lake";

/// A table that a run would write, by its path below the lake: it has no rows while it is not in the lake.
pub type KnownTable = (String, SchemaRef);

/// The path below the lake of a table of a schema.
pub(super) fn table_path(schema: Option<&str>, table: &str) -> String {
    match schema {
        Some(LATE) => late_table(table),
        _ => table.to_owned(),
    }
}

/// The tables of a lake.
#[derive(Debug)]
pub(super) struct LakeCatalog {
    tables: Arc<SchemaTables>,
    late: Arc<SchemaTables>,
}

/// Those of one schema. Their files are looked at when they are first asked for, and stay those.
#[derive(Debug)]
struct SchemaTables {
    schema: &'static str,
    lake: Lake,
    paths: Arc<BTreeSet<String>>,
    known: Arc<Vec<KnownTable>>,
    revisions: Revisions,
    /// Those that were asked for, by path.
    opened: Mutex<BTreeMap<String, Arc<LakeTable>>>,
}

impl SchemaTables {
    /// Whether a table is in the lake or known, whatever its schema.
    fn has(&self, path: &str) -> bool {
        self.paths.contains(path) || self.known(path).is_some()
    }

    async fn open(&self, path: &str) -> Result<Arc<LakeTable>, Error> {
        let mut opened = self.opened.lock().await;
        if let Some(table) = opened.get(path) {
            return Ok(Arc::clone(table));
        }
        let table = Arc::new(LakeTable::open(&self.lake, path, self.known(path), self.revisions).await?);
        opened.insert(path.to_owned(), Arc::clone(&table));
        Ok(table)
    }

    fn known(&self, path: &str) -> Option<&SchemaRef> {
        self.known.iter().find(|(known, _)| known == path).map(|(_, schema)| schema)
    }
}

impl LakeCatalog {
    /// The catalog of a lake that has tables at `paths`; `known` ones that it has not are empty.
    pub(super) fn new(lake: &Lake, paths: BTreeSet<String>, known: Vec<KnownTable>, revisions: Revisions) -> Self {
        let (paths, known) = (Arc::new(paths), Arc::new(known));
        let tables = |schema| {
            let (lake, paths, known) = (lake.clone(), Arc::clone(&paths), Arc::clone(&known));
            Arc::new(SchemaTables { schema, lake, paths, known, revisions, opened: Mutex::default() })
        };
        Self { tables: tables(SCHEMA), late: tables(LATE) }
    }

    /// A table by its path below the lake; none if it is neither in the lake nor known.
    pub(super) async fn table(&self, path: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match table_of_late(path) {
            Some(late) => self.late.table(late).await,
            None => self.tables.table(path).await,
        }
    }

    /// Lists the files of a table that is in the lake or known, if it was not asked for yet.
    pub(super) async fn list(&self, path: &str) -> Result<(), Error> {
        self.tables.open(path).await.map(drop)
    }

    /// Refuses a table that is neither in the lake nor known, and names what may have been meant.
    pub(super) fn check(&self, path: &str) -> Result<(), Error> {
        if self.tables.has(path) {
            return Ok(());
        }
        let SchemaTables { lake, paths, known, .. } = self.tables.as_ref();
        let error = Error::user(format!("there is no table {}", name_of(path))).at(lake.url());
        let all: BTreeSet<&str> = paths.iter().chain(known.iter().map(|(name, _)| name)).map(String::as_str).collect();
        let meant = nearest(path, all.into_iter());
        let here: Vec<String> = paths.iter().map(|path| name_of(path)).collect();
        let here = match here.is_empty() {
            true => "the lake has no tables yet".to_owned(),
            false => format!("the tables are {}", here.join(", ")),
        };
        Err(error.hint(match meant {
            Some(name) => format!("did you mean {}? {here}", name_of(name)),
            None => here,
        }))
    }
}

/// How a query names a table.
pub(super) fn name_of(path: &str) -> String {
    table_of_late(path).map_or_else(|| path.to_owned(), |late| format!("{LATE}.{late}"))
}

impl CatalogProvider for LakeCatalog {
    fn schema_names(&self) -> Vec<String> {
        vec![SCHEMA.to_owned(), LATE.to_owned()]
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let tables = [&self.tables, &self.late].into_iter().find(|tables| tables.schema == name)?;
        Some(Arc::clone(tables) as _)
    }
}

#[async_trait]
impl SchemaProvider for SchemaTables {
    fn table_names(&self) -> Vec<String> {
        let name = |path: &String| match self.schema {
            LATE => table_of_late(path).map(str::to_owned),
            _ => Some(path.clone()).filter(|path| !path.contains('/')),
        };
        self.paths.iter().filter_map(name).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let path = table_path(Some(self.schema), name);
        if !self.has(&path) {
            return Ok(None);
        }
        let table = self.open(&path).await;
        table.map(|table| Some(table as _)).map_err(|e| DataFusionError::External(Box::new(e)))
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        Ok(self.table_exist(name).then_some(TableType::Base))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.has(&table_path(Some(self.schema), name))
    }
}
