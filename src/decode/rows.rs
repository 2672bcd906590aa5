//! Accepted events as columns, and the event that is being read.

use std::sync::Arc;

use arrow::array::RecordBatch;

use super::column::Column;
use super::values::Value;
use crate::Result;
use crate::schema::{Contract, PROVENANCE};
use crate::types::Record;

/// A batch of `Contract::events_schema` that is being filled. Values of the row under way go into the columns as they are read; it
/// becomes a row with [`Rows::commit`], or never was, with [`Rows::undo`].
#[derive(Debug)]
pub(super) struct Rows {
    contract: Arc<Contract>,
    /// Rows so far, without the one under way.
    rows: u32,
    /// The contract's, then the provenance.
    columns: Vec<Column>,
    /// Where the provenance begins.
    provenance: usize,
    /// Whether the row under way may have a value.
    begun: bool,
}

impl Rows {
    pub(super) fn new(contract: Arc<Contract>) -> Self {
        let provenance = contract.fields().len();
        let kinds = contract.fields().iter().map(|field| field.kind).chain(PROVENANCE.map(|(_, kind, _)| kind));
        let columns = kinds.map(Column::new).collect();
        Self { contract, rows: 0, columns, provenance, begun: false }
    }

    /// The number of the row under way, and the column at `place`.
    #[inline]
    pub(super) fn column(&mut self, place: usize) -> Option<(u32, &mut Column)> {
        self.begun = true;
        Some((self.rows, self.columns.get_mut(place)?))
    }

    /// Whether the row under way has a value at `place`.
    #[inline]
    pub(super) fn has(&self, place: usize) -> bool {
        self.columns.get(place).is_some_and(|column| column.has(self.rows))
    }

    /// Whether it has one that says something: an empty text does not.
    #[inline]
    pub(super) fn is_told(&self, place: usize) -> bool {
        match self.columns.get(place) {
            Some(Column::Text(texts)) => texts.of(self.rows).is_some_and(|text| !text.is_empty()),
            Some(column) => column.has(self.rows),
            None => false,
        }
    }

    /// Its text at `place`, if there is one.
    #[inline]
    pub(super) fn text(&self, place: usize) -> Option<&[u8]> {
        match self.columns.get(place)? {
            Column::Text(texts) | Column::Json(texts) => texts.of(self.rows),
            _ => None,
        }
    }

    /// Gives it a value at `place`, where it has none.
    pub(super) fn set(&mut self, place: usize, value: &Value<'_>) {
        if let Some((row, column)) = self.column(place) {
            column.push(row, value);
        }
    }

    /// Forgets the row under way.
    pub(super) fn undo(&mut self) {
        if std::mem::take(&mut self.begun) {
            self.columns.iter_mut().for_each(|column| column.undo(self.rows));
        }
    }

    /// Adds the row under way. The record says of its provenance what the event does not.
    pub(super) fn commit(&mut self, shard: &str, record: &Record, sub_sequence_number: i64) {
        let row = self.rows;
        let [shards, sequences, subs, arrivals, ..] = self.columns.split_at_mut(self.provenance).1 else { return };
        if let Column::Text(shards) = shards
            && !shards.has(row)
        {
            shards.push(row, shard);
        }
        if let Column::Text(sequences) = sequences
            && !sequences.has(row)
        {
            sequences.push(row, &record.sequence_number);
        }
        if let Column::Int64(subs) = subs
            && !subs.has(row)
        {
            subs.push(row, sub_sequence_number);
        }
        if let (Column::Time(arrivals), Some(arrival)) = (arrivals, record.arrival_time)
            && !arrivals.has(row)
        {
            arrivals.push(row, arrival);
        }
        self.rows += 1;
        self.begun = false;
    }

    /// The batch so far; empties the columns.
    pub(super) fn finish(&mut self) -> Result<RecordBatch> {
        let rows = std::mem::take(&mut self.rows) as usize;
        let columns = self.columns.iter_mut().map(|column| column.finish(rows)).collect::<Result<_>>()?;
        Ok(RecordBatch::try_new(self.contract.events_schema(), columns)?)
    }
}
