//! Accepted events as columns, and the event that is being read.

use std::sync::Arc;

use arrow::array::RecordBatch;

use super::column::{BLOCK, Column};
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
    rows: usize,
    /// The contract's, then the provenance.
    columns: Vec<Column>,
    /// Where the provenance begins.
    provenance: usize,
    /// Which values the row under way has.
    told: Told,
}

/// How many places of a row are told: all of nearly any contract.
const TOLD: usize = u64::BITS as usize;

/// Which of the first places of a row have a value.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Told {
    /// A bit for each place that has one.
    values: u64,
    /// A bit for each that has one which says nothing: an empty text.
    empty: u64,
}

impl Told {
    /// Values at all of these places; none if one of them is beyond those that are known.
    pub(super) fn at(places: &[usize]) -> Option<Self> {
        let bits = places.iter().map(|&place| Self::bit(place));
        // A place may be named twice.
        bits.clone().all(|bit| bit != 0).then(|| Self { values: bits.fold(0, |all, bit| all | bit), empty: 0 })
    }

    /// What stands for a place; nothing if it is beyond those that are known: the columns must be looked at.
    pub(super) fn bit(place: usize) -> u64 {
        if place < TOLD { 1 << place } else { 0 }
    }

    /// Whether there may be a value at the place of `bit`.
    #[inline]
    pub(super) fn may_have(self, bit: u64) -> bool {
        bit == 0 || self.values & bit != 0
    }

    /// Whether there is a value at the place of `bit`, which stands for one.
    #[inline(always)]
    pub(super) fn has(self, bit: u64) -> bool {
        self.values & bit != 0
    }

    /// There is a value at the place of `bit`.
    #[inline(always)]
    pub(super) fn tell(&mut self, bit: u64, says_something: bool) {
        self.values |= bit;
        if !says_something {
            self.empty |= bit;
        }
    }

    /// There is none any more.
    pub(super) fn forget(&mut self, bit: u64) {
        self.values &= !bit;
        self.empty &= !bit;
    }

    /// The places that have one.
    fn places(self) -> impl Iterator<Item = usize> {
        let next = |&values: &u64| Some(values & (values - 1)).filter(|&rest| rest != 0);
        let first = Some(self.values).filter(|&values| values != 0);
        std::iter::successors(first, next).map(|values| values.trailing_zeros() as usize)
    }

    /// Whether there is a value that says something at all places of `others`.
    #[inline]
    fn has_all(self, others: Self) -> bool {
        others.values & !(self.values & !self.empty) == 0
    }
}

impl Rows {
    pub(super) fn new(contract: Arc<Contract>) -> Self {
        let provenance = contract.fields().len();
        let kinds = contract.fields().iter().map(|field| field.kind).chain(PROVENANCE.map(|(_, kind, _)| kind));
        let columns = kinds.map(Column::new).collect();
        Self { contract, rows: 0, columns, provenance, told: Told::default() }
    }

    /// Keeps no texts of columns that are not `wanted`, but whether there are some.
    pub(super) fn pass_by(&mut self, wanted: impl Fn(&str) -> bool) {
        let schema = self.contract.events_schema();
        let fields = schema.fields().iter().zip(&mut self.columns);
        fields.filter(|(field, _)| !wanted(field.name())).for_each(|(_, column)| column.pass_by());
    }

    /// The number of the row under way, which has no value yet, the columns, and what they are given.
    #[inline]
    pub(super) fn begin(&mut self) -> (usize, &mut [Column], &mut Told) {
        (self.rows, &mut self.columns, &mut self.told)
    }

    /// Whether the row under way is known to say something at all these places. (It may, if not.)
    #[inline]
    pub(super) fn tells(&self, places: Option<Told>) -> bool {
        places.is_some_and(|places| self.told.has_all(places))
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
        self.columns.get(place)?.text(self.rows)
    }

    /// Gives it a value at `place`, where it has none.
    pub(super) fn set(&mut self, place: usize, value: &Value<'_>) {
        if let Some(column) = self.columns.get_mut(place) {
            column.put(self.rows, value);
            if column.has(self.rows) {
                self.told.tell(Told::bit(place), value.text() != Some(""));
            }
        }
    }

    /// Forgets the row under way.
    pub(super) fn undo(&mut self) {
        for place in std::mem::take(&mut self.told).places() {
            if let Some(column) = self.columns.get_mut(place) {
                column.undo(self.rows);
            }
        }
        self.columns.iter_mut().skip(TOLD).for_each(|column| column.undo(self.rows));
    }

    /// Adds the row under way. The record says of its provenance what the event does not.
    pub(super) fn commit(&mut self, shard: &str, record: &Record, sub_sequence_number: i64) {
        let row = self.rows;
        let [shards, sequences, subs, arrivals, ..] = self.columns.split_at_mut(self.provenance).1 else { return };
        if let Column::Text(shards) = shards
            && !shards.has(row)
        {
            shards.put(row, shard);
        }
        if let Column::Text(sequences) = sequences
            && !sequences.has(row)
        {
            sequences.put(row, &record.sequence_number);
        }
        if !subs.has(row) {
            subs.put_whole(row, sub_sequence_number);
        }
        if let Some(arrival) = record.arrival_time
            && !arrivals.has(row)
        {
            arrivals.put_whole(row, arrival);
        }
        self.rows += 1;
        self.told = Told::default();
        if self.rows.is_multiple_of(BLOCK) {
            self.columns.iter_mut().for_each(Column::end_block);
        }
    }

    /// The batch so far; empties the columns.
    pub(super) fn finish(&mut self) -> Result<RecordBatch> {
        let rows = std::mem::take(&mut self.rows);
        let columns = self.columns.iter_mut().map(|column| column.finish(rows)).collect::<Result<_>>()?;
        Ok(RecordBatch::try_new(self.contract.events_schema(), columns)?)
    }
}
