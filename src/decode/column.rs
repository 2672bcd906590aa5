//! One column of rows that are being read, value by value.
//!
//! An event has a third of the fields. So a column keeps the values that came and the numbers of their rows; a row without a value
//! costs it nothing until all rows are known.

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
    /// The rows that have a text, and where it ends.
    ends: Vec<(u32, i32)>,
    bytes: Vec<u8>,
}

impl Texts {
    #[inline]
    pub(super) fn has(&self, row: u32) -> bool {
        self.ends.last().is_some_and(|&(last, _)| last == row)
    }

    /// The text of `row`, which is the last.
    #[inline]
    pub(super) fn of(&self, row: u32) -> Option<&[u8]> {
        let (start, end) = match *self.ends.as_slice() {
            [.., (_, start), (last, end)] if last == row => (start, end),
            [(last, end)] if last == row => (0, end),
            _ => return None,
        };
        self.bytes.get(start as usize..end as usize)
    }

    /// Where the pieces of a text go. They must be UTF-8 together.
    #[inline]
    pub(super) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// What was written since the last end is the text of `row`. Whether it is more than nothing.
    #[inline(always)]
    pub(super) fn end(&mut self, row: u32) -> bool {
        let before = self.ends.last().map_or(0, |&(_, end)| end);
        // The bytes of a read are far fewer than 2³¹; `finish` makes sure.
        let end = self.bytes.len() as i32;
        self.ends.push((row, end));
        end != before
    }

    pub(super) fn push(&mut self, row: u32, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
        self.end(row);
    }

    pub(super) fn undo(&mut self, row: u32) {
        if self.has(row) {
            self.ends.pop();
            self.drop_pieces();
        }
    }

    /// Forgets what was written since the last end.
    pub(super) fn drop_pieces(&mut self) {
        self.bytes.truncate(self.ends.last().map_or(0, |&(_, end)| end as usize));
    }

    fn finish(&mut self, rows: usize) -> Result<StringArray> {
        if i32::try_from(self.bytes.len()).is_err() {
            let bytes = self.bytes.len();
            return Err(Error::internal(format!("{bytes} bytes of one field in one read do not fit a column")));
        }
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        let nulls = if self.ends.len() == rows {
            offsets.extend(self.ends.iter().map(|&(_, end)| end));
            None
        } else {
            // A null begins and ends where the text before it ends.
            let mut last = 0;
            for &(row, end) in &self.ends {
                let start = row as usize + 1;
                if offsets.len() < start {
                    offsets.resize(start, last);
                }
                offsets.push(end);
                last = end;
            }
            offsets.resize(rows + 1, last);
            Some(all_but(self.ends.iter().map(|&(row, _)| row), rows))
        };
        self.ends.clear();
        let values = taken(&mut self.bytes);
        Ok(StringArray::try_new(OffsetBuffer::new(offsets.into()), values.into(), nulls)?)
    }
}

/// Values of one width, with their rows.
#[derive(Debug, Default)]
pub(super) struct Numbers<T>(Vec<(u32, T)>);

impl<T: Copy + Default> Numbers<T> {
    #[inline]
    pub(super) fn has(&self, row: u32) -> bool {
        self.0.last().is_some_and(|&(last, _)| last == row)
    }

    #[inline(always)]
    pub(super) fn push(&mut self, row: u32, value: T) {
        self.0.push((row, value));
    }

    pub(super) fn undo(&mut self, row: u32) {
        if self.has(row) {
            self.0.pop();
        }
    }

    fn finish(&mut self, rows: usize) -> (Vec<T>, Option<NullBuffer>) {
        let found = if self.0.len() == rows {
            (self.0.iter().map(|&(_, value)| value).collect(), None)
        } else {
            let mut values = vec![T::default(); rows];
            for &(row, value) in &self.0 {
                if let Some(place) = values.get_mut(row as usize) {
                    *place = value;
                }
            }
            (values, Some(all_but(self.0.iter().map(|&(row, _)| row), rows)))
        };
        self.0.clear();
        found
    }

    fn finish_as<P: ArrowPrimitiveType<Native = T>>(&mut self, rows: usize) -> Result<PrimitiveArray<P>>
    where
        T: ArrowNativeType,
    {
        let (values, nulls) = self.finish(rows);
        Ok(PrimitiveArray::try_new(ScalarBuffer::from(values), nulls)?)
    }
}

/// Nulls everywhere in `rows` rows but in these.
fn all_but(valid: impl Iterator<Item = u32>, rows: usize) -> NullBuffer {
    let mut bits = vec![0_u64; rows.div_ceil(64)];
    for row in valid {
        if let Some(word) = bits.get_mut(row as usize / 64) {
            *word |= 1 << (row % 64);
        }
    }
    // Arrow numbers the bits of bytes, from the lowest.
    let bits = bits.into_iter().map(u64::to_le).collect();
    NullBuffer::new(BooleanBuffer::new(Buffer::from_vec::<u64>(bits), 0, rows))
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

        let mut column = Column::new(Kind::Int64);
        column.push(0, &Value::Whole(1));
        column.push(1, &Value::Whole(2));
        column.undo(1);
        assert!(!column.has(1));
        assert_eq!(column.finish(2).unwrap().as_primitive::<Int64Type>().null_count(), 1);
    }
}
