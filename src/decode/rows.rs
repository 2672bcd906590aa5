//! Accepted events as columns.

use arrow::array::{
    ArrayBuilder, ArrayRef, ArrowPrimitiveType, BooleanBuilder, Int32Builder, Int64Builder, PrimitiveArray,
    PrimitiveBuilder, RecordBatch, StringArray, StringBuilder, TimestampMicrosecondBuilder,
};
use std::sync::Arc;

use super::event::Event;
use super::values::Value;
use crate::Result;
use crate::schema::{Contract, Kind, PROVENANCE};
use crate::types::Record;

/// A batch of `Contract::events_schema` that is being filled.
#[derive(Debug)]
pub(super) struct Rows {
    contract: Arc<Contract>,
    rows: usize,
    /// The contract's, then the provenance. Shorter than `rows` where nulls are still to be added: an event has a third of the
    /// fields, and many nulls at once cost no more than one.
    columns: Vec<Column>,
    /// Where the provenance begins.
    provenance: usize,
}

impl Rows {
    pub(super) fn new(contract: Arc<Contract>) -> Self {
        let provenance = contract.fields().len();
        let kinds = contract.fields().iter().map(|field| field.kind).chain(PROVENANCE.map(|(_, kind, _)| kind));
        let columns = kinds.map(Column::new).collect();
        Self { contract, rows: 0, columns, provenance }
    }

    /// Adds an event. The record says of its provenance what the event does not.
    pub(super) fn append(&mut self, event: &Event<'_>, shard: &str, record: &Record, sub_sequence_number: i64) {
        let row = self.rows;
        for (place, value) in event.found() {
            if let Some(column) = self.columns.get_mut(place) {
                column.append(row, value);
            }
        }
        self.rows += 1;
        let of_record = [
            Value::Text(shard),
            Value::Text(&record.sequence_number),
            Value::Whole(sub_sequence_number),
            record.arrival_time.map_or(Value::Absent, Value::Whole),
        ];
        for (column, value) in self.columns.iter_mut().skip(self.provenance).zip(of_record) {
            if column.len() <= row {
                column.append(row, value);
            }
        }
    }

    /// The batch so far; empties the columns.
    pub(super) fn finish(&mut self) -> Result<RecordBatch> {
        let rows = std::mem::take(&mut self.rows);
        let columns = self.columns.iter_mut().map(|column| column.finish(rows)).collect();
        Ok(RecordBatch::try_new(self.contract.events_schema(), columns)?)
    }
}

/// The column; the builder is given room for another like it: reads mostly resemble the one before, and a buffer that grows by
/// doubling is copied several times and ends half empty.
fn finish_text(builder: &mut StringBuilder) -> StringArray {
    let (rows, bytes) = (builder.len(), builder.values_slice().len());
    let array = builder.finish();
    *builder = StringBuilder::with_capacity(rows + rows / 16, bytes + bytes / 16);
    array
}

/// As [`finish_text`].
fn finish_numbers<T: ArrowPrimitiveType>(builder: &mut PrimitiveBuilder<T>) -> PrimitiveArray<T> {
    let rows = builder.len();
    let array = builder.finish();
    *builder = PrimitiveBuilder::with_capacity(rows + rows / 16);
    array
}

fn finish_time(builder: &mut TimestampMicrosecondBuilder) -> ArrayRef {
    Arc::new(finish_numbers(builder).with_timezone("UTC"))
}

#[derive(Debug)]
enum Column {
    Text(StringBuilder),
    Time(TimestampMicrosecondBuilder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Bool(BooleanBuilder),
}

impl Column {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::String | Kind::Json => Column::Text(StringBuilder::new()),
            Kind::Timestamp => Column::Time(TimestampMicrosecondBuilder::new()),
            Kind::Int32 => Column::Int32(Int32Builder::new()),
            Kind::Int64 => Column::Int64(Int64Builder::new()),
            Kind::Bool => Column::Bool(BooleanBuilder::new()),
        }
    }

    fn len(&self) -> usize {
        match self {
            Column::Text(builder) => builder.len(),
            Column::Time(builder) => builder.len(),
            Column::Int32(builder) => builder.len(),
            Column::Int64(builder) => builder.len(),
            Column::Bool(builder) => builder.len(),
        }
    }

    /// Nulls, as far as row `rows`.
    fn fill(&mut self, rows: usize) {
        let nulls = rows.saturating_sub(self.len());
        if nulls == 0 {
            // Not even none of them: a column without nulls needs no bitmap.
            return;
        }
        match self {
            Column::Text(builder) => builder.append_nulls(nulls),
            Column::Time(builder) => builder.append_nulls(nulls),
            Column::Int32(builder) => builder.append_nulls(nulls),
            Column::Int64(builder) => builder.append_nulls(nulls),
            Column::Bool(builder) => builder.append_nulls(nulls),
        }
    }

    /// The value of row `row`, which was read by the column's kind.
    fn append(&mut self, row: usize, value: Value<'_>) {
        self.fill(row);
        match (self, value) {
            (Column::Text(builder), Value::Text(text)) => builder.append_value(text),
            (Column::Time(builder), Value::Whole(micros)) => builder.append_value(micros),
            (Column::Int64(builder), Value::Whole(whole)) => builder.append_value(whole),
            (Column::Int32(builder), Value::Whole(whole)) => builder.append_option(i32::try_from(whole).ok()),
            (Column::Bool(builder), Value::Whole(truth)) => builder.append_value(truth != 0),
            // A null, which the next `fill` adds.
            _ => {}
        }
    }

    fn finish(&mut self, rows: usize) -> ArrayRef {
        self.fill(rows);
        match self {
            Column::Text(builder) => Arc::new(finish_text(builder)),
            Column::Time(builder) => finish_time(builder),
            Column::Int32(builder) => Arc::new(finish_numbers(builder)),
            Column::Int64(builder) => Arc::new(finish_numbers(builder)),
            Column::Bool(builder) => Arc::new(builder.finish()),
        }
    }
}
