//! Accepted events as columns.

use arrow::array::{
    ArrayBuilder, ArrayRef, ArrowPrimitiveType, BooleanBuilder, Int32Builder, Int64Builder, PrimitiveArray,
    PrimitiveBuilder, RecordBatch, StringArray, StringBuilder, TimestampMicrosecondBuilder,
};
use std::sync::Arc;

use super::values::Value;
use crate::Result;
use crate::schema::{Contract, Kind};
use crate::types::{Micros, Record};

/// A batch of `Contract::events_schema` that is being filled.
#[derive(Debug)]
pub(super) struct Rows {
    contract: Arc<Contract>,
    rows: usize,
    /// The contract's. Shorter than `rows` where nulls are still to be added: an event has a third of the fields, and many nulls at
    /// once cost no more than one.
    columns: Vec<Column>,
    shard_id: StringBuilder,
    sequence_number: StringBuilder,
    sub_sequence_number: Int64Builder,
    /// `ingest_time`, `event_time_original`, `shard_high_time`.
    times: [TimestampMicrosecondBuilder; 3],
}

impl Rows {
    pub(super) fn new(contract: Arc<Contract>) -> Self {
        let columns = contract.fields().iter().map(|field| Column::new(field.kind)).collect();
        Self {
            contract,
            rows: 0,
            columns,
            shard_id: StringBuilder::new(),
            sequence_number: StringBuilder::new(),
            sub_sequence_number: Int64Builder::new(),
            times: Default::default(),
        }
    }

    /// Adds an event: the contract's values, then those of its provenance as far as the row brought it, in the order of the
    /// columns. The record says what the row does not.
    pub(super) fn append(&mut self, values: &[Value<'_>], shard: &str, record: &Record, sub_sequence_number: i64) {
        let (fields, provenance) = values.split_at(self.columns.len().min(values.len()));
        for (column, value) in self.columns.iter_mut().zip(fields) {
            if !matches!(value, Value::Absent) {
                column.append(self.rows, value);
            }
        }
        self.rows += 1;
        let text = |index: usize| provenance.get(index).and_then(Value::text);
        let whole = |index: usize| provenance.get(index).and_then(Value::whole);
        self.shard_id.append_value(text(0).unwrap_or(shard));
        self.sequence_number.append_value(text(1).unwrap_or(&record.sequence_number));
        self.sub_sequence_number.append_value(whole(2).unwrap_or(sub_sequence_number));
        let times: [Option<Micros>; 3] = [whole(3).or(record.arrival_time), whole(4), whole(5)];
        for (column, time) in self.times.iter_mut().zip(times) {
            column.append_option(time);
        }
    }

    /// The batch so far; empties the columns.
    pub(super) fn finish(&mut self) -> Result<RecordBatch> {
        let rows = std::mem::take(&mut self.rows);
        let mut columns: Vec<ArrayRef> = self.columns.iter_mut().map(|column| column.finish(rows)).collect();
        columns.push(Arc::new(finish_text(&mut self.shard_id)));
        columns.push(Arc::new(finish_text(&mut self.sequence_number)));
        columns.push(Arc::new(finish_numbers(&mut self.sub_sequence_number)));
        columns.extend(self.times.iter_mut().map(finish_time));
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
    fn append(&mut self, row: usize, value: &Value<'_>) {
        self.fill(row);
        match self {
            Column::Text(builder) => builder.append_option(value.text()),
            Column::Time(builder) => builder.append_option(value.whole()),
            Column::Int32(builder) => builder.append_option(value.whole().and_then(|n| i32::try_from(n).ok())),
            Column::Int64(builder) => builder.append_option(value.whole()),
            Column::Bool(builder) => builder.append_option(match value {
                Value::Truth(truth) => Some(*truth),
                _ => None,
            }),
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
