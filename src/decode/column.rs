//! One column of rows that are being read, value by value.
//!
//! An event has a third of the fields. So a row without a value costs its column nothing until a later row has one, or all rows are
//! known.

use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowPrimitiveType, BooleanArray, PrimitiveArray, StringArray};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{ArrowNativeType, Int32Type, Int64Type, TimestampMicrosecondType};

use super::values::Value;
use crate::schema::Kind;
use crate::types::Micros;
use crate::{Error, Result};

/// Values of one kind of field.
#[derive(Debug)]
pub(super) enum Column {
    Text(Texts),
    /// The JSON text of objects.
    Json(Texts),
    Time(Numbers<Micros>),
    Int32(Numbers<i32>),
    Int64(Numbers<i64>),
    Bool(Numbers<bool>),
}

impl Column {
    pub(super) fn new(kind: Kind) -> Self {
        match kind {
            Kind::String => Column::Text(Texts::default()),
            Kind::Json => Column::Json(Texts::default()),
            Kind::Timestamp => Column::Time(Numbers::default()),
            Kind::Int32 => Column::Int32(Numbers::default()),
            Kind::Int64 => Column::Int64(Numbers::default()),
            Kind::Bool => Column::Bool(Numbers::default()),
        }
    }

    /// Whether `row`, which is the last, has a value.
    #[inline]
    pub(super) fn has(&self, row: u32) -> bool {
        match self {
            Column::Text(texts) | Column::Json(texts) => texts.has(row),
            Column::Time(times) => times.has(row),
            Column::Int32(numbers) => numbers.has(row),
            Column::Int64(numbers) => numbers.has(row),
            Column::Bool(truths) => truths.has(row),
        }
    }

    /// The text of `row`, which is the last.
    #[inline]
    pub(super) fn text(&self, row: u32) -> Option<&[u8]> {
        match self {
            Column::Text(texts) | Column::Json(texts) => texts.of(row),
            _ => None,
        }
    }

    /// Takes the value of `row`, which is the last, back.
    pub(super) fn undo(&mut self, row: u32) {
        match self {
            Column::Text(texts) | Column::Json(texts) => texts.undo(row),
            Column::Time(times) => times.undo(row),
            Column::Int32(numbers) => numbers.undo(row),
            Column::Int64(numbers) => numbers.undo(row),
            Column::Bool(truths) => truths.undo(row),
        }
    }

    /// Gives `row` a value, which was read by the column's kind.
    pub(super) fn push(&mut self, row: u32, value: &Value<'_>) {
        match (self, value) {
            (Column::Text(texts) | Column::Json(texts), Value::Text(text)) => texts.push(row, text),
            (Column::Time(times), Value::Whole(micros)) => times.push(row, *micros),
            (Column::Int64(numbers), Value::Whole(whole)) => numbers.push(row, *whole),
            (Column::Int32(numbers), Value::Whole(whole)) => {
                if let Ok(whole) = i32::try_from(*whole) {
                    numbers.push(row, whole);
                }
            }
            (Column::Bool(truths), Value::Truth(truth)) => truths.push(row, *truth),
            _ => {}
        }
    }

    /// The values of `rows` rows, nulls included; empties the column.
    pub(super) fn finish(&mut self, rows: usize) -> Result<ArrayRef> {
        Ok(match self {
            Column::Text(texts) | Column::Json(texts) => Arc::new(texts.finish(rows)?),
            Column::Time(times) => Arc::new(times.finish_as::<TimestampMicrosecondType>(rows)?.with_timezone("UTC")),
            Column::Int32(numbers) => Arc::new(numbers.finish_as::<Int32Type>(rows)?),
            Column::Int64(numbers) => Arc::new(numbers.finish_as::<Int64Type>(rows)?),
            Column::Bool(truths) => {
                let (values, nulls) = truths.finish(rows);
                Arc::new(BooleanArray::new(BooleanBuffer::from(values), nulls))
            }
        })
    }
}

/// Texts, one behind the other. One may be written in pieces, with [`Texts::bytes`] and then [`Texts::end`].
#[derive(Debug, Default)]
pub(super) struct Texts {
    /// As Arrow has them: where the first text begins, and where that of each row ends, up to the last that has one. A null begins and
    /// ends where the text before it ends.
    offsets: Vec<i32>,
    bytes: Vec<u8>,
    valid: Valid,
}

impl Texts {
    #[inline]
    pub(super) fn has(&self, row: u32) -> bool {
        self.offsets.len() == row as usize + 2
    }

    /// The text of `row`, which is the last.
    #[inline]
    pub(super) fn of(&self, row: u32) -> Option<&[u8]> {
        match *self.offsets.as_slice() {
            [.., start, end] if self.has(row) => self.bytes.get(start as usize..end as usize),
            _ => None,
        }
    }

    /// Where the pieces of a text go. They must be UTF-8 together.
    #[inline]
    pub(super) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// What was written since the last end is the text of `row`. Whether it is more than nothing.
    #[inline(always)]
    pub(super) fn end(&mut self, row: u32) -> bool {
        let before = self.last_end();
        // The bytes of a read are far fewer than 2³¹; `finish` makes sure.
        let end = self.bytes.len() as i32;
        fill(&mut self.offsets, row as usize + 1, before);
        self.offsets.push(end);
        self.valid.set(row);
        end != before
    }

    pub(super) fn push(&mut self, row: u32, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
        self.end(row);
    }

    pub(super) fn undo(&mut self, row: u32) {
        if self.has(row) {
            self.offsets.pop();
            self.valid.unset(row);
            self.drop_pieces();
        }
    }

    /// Forgets what was written since the last end.
    pub(super) fn drop_pieces(&mut self) {
        self.bytes.truncate(self.last_end() as usize);
    }

    #[inline(always)]
    fn last_end(&self) -> i32 {
        self.offsets.last().map_or(0, |&end| end)
    }

    fn finish(&mut self, rows: usize) -> Result<StringArray> {
        if i32::try_from(self.bytes.len()).is_err() {
            let bytes = self.bytes.len();
            return Err(Error::internal(format!("{bytes} bytes of one field in one read do not fit a column")));
        }
        let end = self.last_end();
        self.offsets.resize(rows + 1, end);
        let offsets = taken(&mut self.offsets);
        let values = taken(&mut self.bytes);
        Ok(StringArray::try_new(OffsetBuffer::new(offsets.into()), values.into(), self.valid.finish(rows))?)
    }
}

/// Values of one width.
#[derive(Debug, Default)]
pub(super) struct Numbers<T> {
    /// One for each row, up to the last that has one.
    values: Vec<T>,
    valid: Valid,
}

impl<T: Copy + Default> Numbers<T> {
    #[inline]
    pub(super) fn has(&self, row: u32) -> bool {
        self.values.len() == row as usize + 1
    }

    #[inline(always)]
    pub(super) fn push(&mut self, row: u32, value: T) {
        fill(&mut self.values, row as usize, T::default());
        self.values.push(value);
        self.valid.set(row);
    }

    pub(super) fn undo(&mut self, row: u32) {
        if self.has(row) {
            self.values.pop();
            self.valid.unset(row);
        }
    }

    fn finish(&mut self, rows: usize) -> (Vec<T>, Option<NullBuffer>) {
        self.values.resize(rows, T::default());
        (taken(&mut self.values), self.valid.finish(rows))
    }

    fn finish_as<P: ArrowPrimitiveType<Native = T>>(&mut self, rows: usize) -> Result<PrimitiveArray<P>>
    where
        T: ArrowNativeType,
    {
        let (values, nulls) = self.finish(rows);
        Ok(PrimitiveArray::try_new(ScalarBuffer::from(values), nulls)?)
    }
}

/// Makes it at least `len` long.
#[inline(always)]
fn fill<T: Copy>(vec: &mut Vec<T>, len: usize, value: T) {
    // Mostly it is: a field that came in the row before.
    if vec.len() < len {
        vec.resize(len, value);
    }
}

/// Which rows have a value: a bit for each, the first in the lowest, up to the last word that has one.
#[derive(Debug, Default)]
struct Valid(Vec<u64>);

impl Valid {
    #[inline(always)]
    fn set(&mut self, row: u32) {
        let (place, bit) = (row as usize / 64, 1 << (row % 64));
        match self.0.get_mut(place) {
            Some(word) => *word |= bit,
            None => {
                self.0.resize(place, 0);
                self.0.push(bit);
            }
        }
    }

    fn unset(&mut self, row: u32) {
        if let Some(word) = self.0.get_mut(row as usize / 64) {
            *word &= !(1 << (row % 64));
        }
    }

    /// Nothing if all of `rows` rows have one.
    fn finish(&mut self, rows: usize) -> Option<NullBuffer> {
        self.0.resize(rows.div_ceil(64), 0);
        // Arrow numbers the bits of bytes, from the lowest.
        let bits = taken(&mut self.0).into_iter().map(u64::to_le).collect();
        let nulls = NullBuffer::new(BooleanBuffer::new(Buffer::from_vec::<u64>(bits), 0, rows));
        (nulls.null_count() > 0).then_some(nulls)
    }
}

/// The contents; what is left has room for as many: reads mostly resemble the one before, and what grows by doubling is copied
/// several times and ends half empty.
fn taken<T>(vec: &mut Vec<T>) -> Vec<T> {
    let room = Vec::with_capacity(vec.len() + vec.len() / 16);
    std::mem::replace(vec, room)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};

    use super::*;

    #[test]
    fn rows_without_a_value_are_null() {
        for with in [&[][..], &[0], &[4], &[1, 2], &[0, 1, 2, 3, 4], &[0, 2, 4]] {
            let mut text = Column::new(Kind::String);
            let mut whole = Column::new(Kind::Int32);
            let mut truth = Column::new(Kind::Bool);
            // A second time, to see that nothing is left of the first.
            for _ in 0..2 {
                for &row in with {
                    text.push(row, &Value::Text(format!("t{row}").into()));
                    whole.push(row, &Value::Whole(i64::from(row)));
                    truth.push(row, &Value::Truth(row % 2 == 1));
                }
                let [text, whole, truth] = [&mut text, &mut whole, &mut truth].map(|column| column.finish(5).unwrap());
                for row in 0..5 {
                    let valid = with.contains(&(row as u32));
                    assert_eq!([text.is_valid(row), whole.is_valid(row), truth.is_valid(row)], [valid; 3]);
                    if valid {
                        assert_eq!(text.as_string::<i32>().value(row), format!("t{row}"));
                        assert_eq!(whole.as_primitive::<Int32Type>().value(row), row as i32);
                        assert_eq!(truth.as_boolean().value(row), row % 2 == 1);
                    }
                }
            }
        }
    }

    #[test]
    fn a_value_can_be_taken_back() {
        let mut texts = Texts::default();
        texts.push(0, "a");
        texts.push(1, "bc");
        texts.undo(1);
        texts.undo(1);
        assert_eq!((texts.of(0), texts.of(1)), (Some(&b"a"[..]), None));
        texts.bytes().extend(b"half");
        texts.drop_pieces();
        texts.push(1, "d");
        assert_eq!(texts.of(1), Some(&b"d"[..]));
        assert_eq!(texts.finish(2).unwrap(), StringArray::from(vec!["a", "d"]));
        assert_eq!(texts.finish(1).unwrap(), StringArray::from(vec![None::<&str>]));

        let mut column = Column::new(Kind::Int64);
        column.push(0, &Value::Whole(1));
        column.push(1, &Value::Whole(2));
        column.undo(1);
        assert!(!column.has(1));
        assert_eq!(column.finish(2).unwrap().as_primitive::<Int64Type>().null_count(), 1);
    }
}
