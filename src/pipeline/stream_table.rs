//! The stream of events as a table that plans can scan.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;

use crate::operator::batch_scan::BatchScanExec;

/// The number of a row in its batch: how a late row is found again. Added to each batch before a run, never written.
pub const ROW_NUMBER: &str = "_row";

/// The stream named in the contract, as a table; its batches come through the scan's slot.
#[derive(Debug)]
pub(super) struct StreamTable {
    name: String,
    schema: SchemaRef,
}

impl StreamTable {
    /// `events` is the schema of decoded events; the row number is added at its end.
    pub(super) fn new(name: &str, events: &Schema) -> Self {
        Self { name: name.to_owned(), schema: with_row_number(events) }
    }
}

/// `events` with [`ROW_NUMBER`] at its end.
pub(super) fn with_row_number(events: &Schema) -> SchemaRef {
    let mut fields = events.fields().to_vec();
    fields.push(Arc::new(Field::new(ROW_NUMBER, DataType::UInt32, false)));
    Arc::new(Schema::new(fields))
}

#[async_trait]
impl TableProvider for StreamTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(BatchScanExec::try_new(&self.name, Arc::clone(&self.schema), projection.cloned())?))
    }
}
