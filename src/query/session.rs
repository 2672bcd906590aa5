//! A session over one lake.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::SessionConfig;
use futures::StreamExt;

use super::catalog::{CATALOG, KnownTable, LakeCatalog, SCHEMA, name_of};
use super::failure::failure;
use super::statement::Statement;
use crate::error::{Error, Result};
use crate::limits::{QUERY_BATCH_ROWS, QUERY_CONSUMERS_NAMED};
use crate::pipeline::{WindowTableFunctions, register_own};
use crate::sink::lake::Lake;

/// Memory below which it does not help to give one more thread a share of its own: each sort keeps some for merging what waits on disk,
/// and a query has several at once.
const PARTITION_BYTES_MIN: usize = 64 << 20;

/// How a query runs.
#[derive(Debug, Clone, Copy)]
pub struct QueryOptions {
    /// Threads that compute. Fewer do, if memory is short.
    pub workers: usize,
    /// Bytes that sorting, grouping and joining may keep in memory; beyond it they wait on disk, or the query is refused.
    pub memory_bytes_max: usize,
    /// Which rows of a window that was emitted more than once are there.
    pub revisions: Revisions,
}

/// Which rows of a window that was emitted more than once a query sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revisions {
    /// Those with the highest revision: they stand.
    Last,
    /// All that were written.
    All,
}

/// A session over the tables of a lake.
pub struct LakeQuery {
    state: SessionState,
    catalog: Arc<LakeCatalog>,
}

/// The result of a statement, as it is computed.
pub struct ResultRows<'a> {
    statement: &'a Statement,
    rows: SendableRecordBatchStream,
}

impl LakeQuery {
    /// A session over a lake that has tables at `paths`. Of `known` ones, those that it has not are there without rows.
    ///
    /// # Errors
    /// Internal if the session cannot be made.
    pub fn new(lake: &Lake, paths: BTreeSet<String>, known: Vec<KnownTable>, options: QueryOptions) -> Result<Self> {
        let partitions = options.workers.min(options.memory_bytes_max / PARTITION_BYTES_MIN).max(1);
        let mut config = SessionConfig::new()
            .with_target_partitions(partitions)
            .with_batch_size(QUERY_BATCH_ROWS)
            .with_information_schema(true)
            .with_create_default_catalog_and_schema(false)
            .with_default_catalog_and_schema(CATALOG, SCHEMA);
        config.options_mut().sql_parser.map_string_types_to_utf8view = false;
        config.options_mut().sql_parser.collect_spans = true;
        let named = std::num::NonZeroUsize::new(QUERY_CONSUMERS_NAMED).unwrap_or(std::num::NonZeroUsize::MIN);
        let pool = TrackConsumersPool::new(FairSpillPool::new(options.memory_bytes_max), named);
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool)).build_arc()?;
        let catalog = Arc::new(LakeCatalog::new(lake, paths, known, options.revisions));
        let mut state =
            SessionStateBuilder::new().with_config(config).with_runtime_env(runtime).with_default_features().build();
        register_own(&mut state)?;
        state.catalog_list().register_catalog(CATALOG.to_owned(), Arc::clone(&catalog) as _);
        Ok(Self { state, catalog })
    }

    /// Lists the files of tables now. Queries of them read these, whatever comes later.
    ///
    /// # Errors
    /// A user error if a table is neither in the lake nor known; external if the lake cannot be read.
    pub async fn list(&self, paths: impl IntoIterator<Item = &str>) -> Result<()> {
        for path in paths {
            self.catalog.list(path).await?;
        }
        Ok(())
    }

    /// Plans a statement and begins to run it.
    ///
    /// # Errors
    /// A user error with its line, if there is no such table, column or function, or types do not match; external if the lake cannot be read.
    pub async fn run<'a>(&self, statement: &'a Statement) -> Result<ResultRows<'a>> {
        let is_function = |name: &String| self.state.table_functions().contains_key(name);
        for table in statement.tables()?.iter().filter(|table| !is_function(table)) {
            self.catalog.check(table)?;
        }
        let arguments = statement.table_arguments()?;
        let rows = self.start(statement, &arguments).await.map_err(|e| failure(&statement.text(), &e))?;
        Ok(ResultRows { statement, rows })
    }

    async fn start(
        &self,
        statement: &Statement,
        arguments: &BTreeSet<String>,
    ) -> Result<SendableRecordBatchStream, DataFusionError> {
        // The planner does not see the tables in the arguments of a call.
        let mut tables = HashMap::new();
        for path in arguments {
            if let Some(table) = self.catalog.table(path).await? {
                tables.insert(name_of(path), table);
            }
        }
        let mut state = self.state.clone();
        state.register_relation_planner(Arc::new(WindowTableFunctions::over_tables(tables)))?;
        let plan = state.statement_to_plan(statement.parsed.clone()).await?;
        // The parser let through what reads; this holds whatever it may have missed.
        let reading = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        reading.verify_plan(&plan)?;
        let plan = self.state.create_physical_plan(&plan).await?;
        execute_stream(plan, self.state.task_ctx())
    }
}

impl ResultRows<'_> {
    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    /// Whether the result is a plan in words, to be shown as it is laid out.
    pub fn explains(&self) -> bool {
        self.statement.explains
    }

    /// The next rows; none at the end.
    ///
    /// # Errors
    /// A user error if a value cannot be computed or the query needs too much memory; external if the lake cannot be read on.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>> {
        let next = self.rows.next().await.transpose();
        next.map_err(|e| -> Error { failure(&self.statement.text(), &e) })
    }
}
