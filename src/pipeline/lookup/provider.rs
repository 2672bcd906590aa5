//! A lookup table as queries see it.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result, internal_err};
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::{Expr, TableScan, TableType};
use datafusion::physical_plan::ExecutionPlan;

use crate::error::Error;
use crate::pipeline::stream_table::ROW_NUMBER;
use crate::schema::SHARD_HIGH_TIME;
use crate::types::Micros;

/// A table that the stream and windowed results can be joined with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupTable {
    /// Its name in `FROM`.
    pub name: Arc<str>,
    /// Its columns, all nullable. Every version has them.
    pub schema: SchemaRef,
    /// Where it is read from, for people.
    pub place: String,
    /// How often it is looked at for changes; 0 for never.
    pub refresh: Micros,
}

impl LookupTable {
    /// Whether it fits beside the stream.
    pub(in crate::pipeline) fn check(&self, stream: &str) -> Result<(), Error> {
        let name = &self.name;
        if name.as_ref() == stream {
            return Err(Error::user(format!("the lookup table {name} has the name of the stream"))
                .at(&self.place)
                .hint("give it another name: [lookup.NAME] in the configuration"));
        }
        let own = [ROW_NUMBER, SHARD_HIGH_TIME].into_iter().find(|own| self.schema.index_of(own).is_ok());
        match own {
            Some(own) => Err(Error::user(format!(
                "the lookup table {name} has a column {own}, which is one of the stream's own"
            ))
            .at(&self.place)
            .hint(format!("rename it, or declare the columns to be read without it: [lookup.{name}.columns]"))),
            None => Ok(()),
        }
    }
}

/// It resolves names and columns. A scan that is left in a plan is a query that was not refused.
#[derive(Debug)]
pub(in crate::pipeline) struct LookupProvider(pub Arc<LookupTable>);

impl LookupProvider {
    /// The lookup table that a scan reads, if it reads one.
    pub(super) fn of(scan: &TableScan) -> Option<Arc<LookupTable>> {
        let provider = source_as_provider(&scan.source).ok()?;
        provider.downcast_ref::<Self>().map(|p| Arc::clone(&p.0))
    }
}

#[async_trait]
impl TableProvider for LookupProvider {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        _projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        internal_err!("the lookup table {} is read outside of a join", self.0.name)
    }
}
