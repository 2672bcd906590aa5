//! One column of rows that are being read, value by value.
//!
//! An event has two thirds of the fields. So what a row has no value for costs it nothing: a block of rows begins with nulls, and a value
//! is put into its place there.

use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowPrimitiveType, BooleanArray, PrimitiveArray, StringArray};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{ArrowNativeType, Int32Type, Int64Type, TimestampMicrosecondType};

use super::specials::CHUNK;
use super::values::Value;
use crate::schema::Kind;
use crate::types::Micros;
use crate::{Error, Result};

/// How many rows end with [`Column::end_block`].
pub(super) const BLOCK: usize = u64::BITS as usize;

/// Values of one kind of field.
#[derive(Debug)]
pub(super) enum Column {
    /// Texts, or the JSON text of objects.
    Text(Texts),
    Time(Numbers<Micros>),
    Int32(Numbers<i32>),
    Int64(Numbers<i64>),
    Bool(Numbers<bool>),
}

impl Column {
    pub(super) fn new(kind: Kind) -> Self {
        match kind {
            Kind::String | Kind::Json => Column::Text(Texts::default()),
            Kind::Timestamp => Column::Time(Numbers::default()),
            Kind::Int32 => Column::Int32(Numbers::default()),
            Kind::Int64 => Column::Int64(Numbers::default()),
            Kind::Bool => Column::Bool(Numbers::default()),
        }
    }

    /// Nobody asks for its texts once they are read: of each row that has one comes an empty one. Other values are kept: they cost little.
    pub(super) fn pass_by(&mut self) {
        if let Column::Text(texts) = self {
            texts.pass_by = true;
        }
    }

    /// The next row is the first of another block of rows.
    pub(super) fn end_block(&mut self) {
        match self {
            Column::Text(texts) => texts.end_block(),
            Column::Time(times) => times.end_block(),
            Column::Int32(numbers) => numbers.end_block(),
            Column::Int64(numbers) => numbers.end_block(),
            Column::Bool(truths) => truths.end_block(),
        }
    }

    /// Whether `row`, which is the last, has a value.
    pub(super) fn has(&self, row: usize) -> bool {
        match self {
            Column::Text(texts) => texts.has(row),
            Column::Time(times) => times.has(row),
            Column::Int32(numbers) => numbers.has(row),
            Column::Int64(numbers) => numbers.has(row),
            Column::Bool(truths) => truths.has(row),
        }
    }

    /// The text of `row`, which is the last.
    pub(super) fn text(&self, row: usize) -> Option<&[u8]> {
        match self {
            Column::Text(texts) => texts.of(row),
            _ => None,
        }
    }

    /// Takes the value of `row`, which is the last, back, if it has one.
    pub(super) fn undo(&mut self, row: usize) {
        match self {
            Column::Text(texts) => texts.undo(row),
            Column::Time(times) => times.undo(row),
            Column::Int32(numbers) => numbers.undo(row),
            Column::Int64(numbers) => numbers.undo(row),
            Column::Bool(truths) => truths.undo(row),
        }
    }

    /// Gives `row`, which is the last and has none, a value, which was read by the column's kind.
    pub(super) fn put(&mut self, row: usize, value: &Value<'_>) {
        match (self, value) {
            (Column::Text(texts), Value::Text(text)) => texts.put(row, text),
            (Column::Bool(truths), Value::Truth(truth)) => truths.put(row, *truth),
            (column, Value::Whole(whole)) => {
                // What is read by the column's kind is not too large.
                column.put_whole(row, *whole);
            }
            _ => {}
        }
    }

    /// The same, of an integer or microseconds. `None` if the column has none such, or not so large ones.
    #[inline(always)]
    pub(super) fn put_whole(&mut self, row: usize, whole: i64) -> Option<()> {
        match self {
            Column::Time(numbers) | Column::Int64(numbers) => numbers.put(row, whole),
            Column::Int32(numbers) => numbers.put(row, whole.try_into().ok()?),
            Column::Text(_) | Column::Bool(_) => return None,
        }
        Some(())
    }

    /// The values of `rows` rows, nulls included; empties the column.
    pub(super) fn finish(&mut self, rows: usize) -> Result<ArrayRef> {
        Ok(match self {
            Column::Text(texts) => Arc::new(texts.finish(rows)?),
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

/// Texts, one behind the other. One may be written in pieces, and is there with [`Texts::end_at`].
#[derive(Debug, Default)]
pub(super) struct Texts {
    lens: Numbers<u32>,
    /// The texts up to `end`, and room behind it.
    bytes: Vec<u8>,
    end: usize,
    /// They are not kept.
    pass_by: bool,
}

impl Texts {
    fn end_block(&mut self) {
        self.lens.end_block();
        if self.pass_by {
            self.end = 0;
        }
    }

    /// Where all texts so far end.
    #[inline(always)]
    pub(super) fn end(&self) -> usize {
        self.end
    }

    /// What is behind all texts so far. It may be written over, and is short if it is to be had by [`Texts::write`].
    #[inline(always)]
    pub(super) fn room(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// Writes bytes at `at`, from where all texts end, or behind others that were written since.
    #[inline(never)]
    pub(super) fn write(&mut self, at: usize, bytes: &[u8]) {
        let end = at + bytes.len();
        if self.bytes.len() < end + CHUNK {
            self.bytes.resize(2 * end + CHUNK, 0);
        }
        if let Some(room) = self.bytes.get_mut(at..end) {
            room.copy_from_slice(bytes);
        }
    }

    /// What was written up to `end` is the text of `row`, which is the last and has none. It must be UTF-8. Whether it is more than
    /// nothing.
    #[inline(always)]
    pub(super) fn end_at(&mut self, row: usize, end: usize) -> bool {
        let len = end - self.end;
        self.end = end;
        // All texts of a read together are shorter than 2³¹; `finish` makes sure.
        self.lens.put(row, len as u32);
        len != 0
    }

    pub(super) fn put(&mut self, row: usize, text: &str) {
        self.write(self.end, text.as_bytes());
        self.end_at(row, self.end + text.len());
    }

    #[inline]
    pub(super) fn has(&self, row: usize) -> bool {
        self.lens.has(row)
    }

    /// The text of `row`, which is the last.
    #[inline]
    pub(super) fn of(&self, row: usize) -> Option<&[u8]> {
        let len = self.lens.of(row)? as usize;
        self.bytes.get(self.end - len..self.end)
    }

    pub(super) fn undo(&mut self, row: usize) {
        if let Some(len) = self.lens.of(row) {
            self.end -= len as usize;
            self.lens.undo(row);
        }
    }

    fn finish(&mut self, rows: usize) -> Result<StringArray> {
        // `OffsetBuffer` would panic.
        if i32::try_from(self.end).is_err() {
            let bytes = self.end;
            return Err(Error::internal(format!("{bytes} bytes of one field in one read do not fit a column")));
        }
        let (lens, nulls) = self.lens.finish(rows);
        if self.pass_by {
            self.end = 0;
            return Ok(StringArray::try_new(OffsetBuffer::new_zeroed(rows), Buffer::default(), nulls)?);
        }
        let offsets = OffsetBuffer::from_lengths(lens.iter().map(|&len| len as usize));
        // Zeros, so that there is room at once.
        let room = vec![0; self.end + self.end / 16 + CHUNK];
        let mut values = std::mem::replace(&mut self.bytes, room);
        values.truncate(std::mem::take(&mut self.end));
        Ok(StringArray::try_new(offsets, values.into(), nulls)?)
    }
}

/// Values of one width, which is that of `T`.
#[derive(Debug)]
pub(super) struct Numbers<T> {
    /// Of all rows but the last block of them, one for each; and which are values: a bit for each, the first in the lowest.
    values: Vec<T>,
    valid: Vec<u64>,
    /// Of the last block.
    last: [T; BLOCK],
    last_valid: u64,
}

impl<T: Copy + Default> Default for Numbers<T> {
    fn default() -> Self {
        Self { values: Vec::new(), valid: Vec::new(), last: [T::default(); BLOCK], last_valid: 0 }
    }
}

impl<T: Copy + Default> Numbers<T> {
    fn end_block(&mut self) {
        self.values.extend_from_slice(&self.last);
        self.valid.push(self.last_valid);
        self.last = [T::default(); BLOCK];
        self.last_valid = 0;
    }

    /// Gives `row`, of the last block, a value.
    #[inline(always)]
    pub(super) fn put(&mut self, row: usize, value: T) {
        if let Some(of_row) = self.last.get_mut(row % BLOCK) {
            *of_row = value;
        }
        self.last_valid |= 1 << (row % BLOCK);
    }

    #[inline(always)]
    fn has(&self, row: usize) -> bool {
        self.last_valid >> (row % BLOCK) & 1 == 1
    }

    #[inline(always)]
    fn of(&self, row: usize) -> Option<T> {
        self.last.get(row % BLOCK).filter(|_| self.has(row)).copied()
    }

    fn undo(&mut self, row: usize) {
        self.put(row, T::default());
        self.last_valid &= !(1 << (row % BLOCK));
    }

    /// The values, and which are some: nothing if all of `rows` rows have one.
    fn finish(&mut self, rows: usize) -> (Vec<T>, Option<NullBuffer>) {
        self.end_block();
        self.values.truncate(rows);
        self.valid.truncate(rows.div_ceil(BLOCK));
        // Arrow numbers the bits of bytes, from the lowest.
        let bits = taken(&mut self.valid).into_iter().map(u64::to_le).collect();
        let nulls = NullBuffer::new(BooleanBuffer::new(Buffer::from_vec::<u64>(bits), 0, rows));
        (taken(&mut self.values), (nulls.null_count() > 0).then_some(nulls))
    }

    fn finish_as<P: ArrowPrimitiveType<Native = T>>(&mut self, rows: usize) -> Result<PrimitiveArray<P>>
    where
        T: ArrowNativeType,
    {
        let (values, nulls) = self.finish(rows);
        Ok(PrimitiveArray::try_new(ScalarBuffer::from(values), nulls)?)
    }
}

/// The contents; what is left has room for as many: reads mostly resemble the one before, and what grows by doubling is copied
/// several times and ends half empty.
fn taken<T>(vec: &mut Vec<T>) -> Vec<T> {
    let room = Vec::with_capacity(vec.len() + vec.len() / 16 + BLOCK);
    std::mem::replace(vec, room)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};

    use super::*;

    #[test]
    fn rows_without_a_value_are_null() {
        let last = BLOCK + 4;
        for with in [&[][..], &[0], &[4], &[1, 2], &[0, 1, 2, 3, 4], &[0, 2, last], &[BLOCK - 1, BLOCK]] {
            let mut columns = [Kind::String, Kind::Int32, Kind::Bool].map(Column::new);
            // A second time, to see that nothing is left of the first.
            for _ in 0..2 {
                for row in 0..=last {
                    if row > 0 && row % BLOCK == 0 {
                        columns.iter_mut().for_each(Column::end_block);
                    }
                    if with.contains(&row) {
                        let text = Value::Text(format!("t{row}").into());
                        let values = [text, Value::Whole(row as i64), Value::Truth(row % 2 == 1)];
                        columns.iter_mut().zip(&values).for_each(|(column, value)| column.put(row, value));
                    }
                    assert!(columns.iter().all(|column| column.has(row) == with.contains(&row)));
                }
                let [text, whole, truth] = columns.each_mut().map(|column| column.finish(last + 1).unwrap());
                for row in 0..=last {
                    let valid = with.contains(&row);
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
    fn texts_are_written_in_pieces_of_any_length() {
        let source: String = (0..200).map(|i| char::from(b'a' + i % 26)).collect();
        let lens = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 48, 100, 0, 3];
        let mut texts = Texts::default();
        for _ in 0..2 {
            for (row, len) in lens.into_iter().enumerate() {
                let mut end = texts.end();
                for chunk in source.as_bytes()[..len].chunks(CHUNK) {
                    // All of a chunk, and then less of it.
                    texts.write(end, &source.as_bytes()[end - texts.end()..][..CHUNK]);
                    end += chunk.len();
                }
                assert_eq!(texts.end_at(row, end), len > 0);
                assert_eq!(texts.of(row), Some(&source.as_bytes()[..len]));
            }
            let expected = StringArray::from_iter_values(lens.map(|len| &source[..len]));
            assert_eq!(texts.finish(lens.len()).unwrap(), expected);
        }
    }

    #[test]
    fn texts_that_pass_by_are_there_while_their_row_is_read() {
        let mut column = Column::new(Kind::String);
        column.pass_by();
        for _ in 0..2 {
            for row in 0..3 * BLOCK {
                if row > 0 && row % BLOCK == 0 {
                    column.end_block();
                }
                if row % 3 > 0 {
                    column.put(row, &Value::Text(format!("text {row}").into()));
                    assert_eq!(column.text(row), Some(format!("text {row}").as_bytes()));
                }
                if row % 3 == 2 {
                    column.undo(row);
                    assert_eq!(column.text(row), None);
                }
            }
            let Column::Text(texts) = &column else { unreachable!() };
            assert!(texts.bytes.len() < 3 * BLOCK * 10, "{} bytes are kept", texts.bytes.len());
            let rows = column.finish(3 * BLOCK).unwrap();
            let expected: StringArray = (0..3 * BLOCK).map(|row| (row % 3 == 1).then_some("")).collect();
            assert_eq!(rows.as_string::<i32>(), &expected);
        }
    }

    #[test]
    fn a_value_can_be_taken_back() {
        let mut texts = Texts::default();
        texts.put(0, "a");
        texts.put(1, "bc");
        texts.undo(1);
        texts.undo(1);
        assert_eq!((texts.of(0), texts.of(1)), (Some(&b"a"[..]), None));
        texts.write(texts.end(), b"half");
        texts.put(1, "d");
        assert_eq!(texts.of(1), Some(&b"d"[..]));
        texts.put(2, "e");
        texts.undo(2);
        assert_eq!(texts.finish(3).unwrap(), StringArray::from(vec![Some("a"), Some("d"), None]));
        assert_eq!(texts.finish(1).unwrap(), StringArray::from(vec![None::<&str>]));

        let mut column = Column::new(Kind::Int64);
        column.put(0, &Value::Whole(1));
        column.put(1, &Value::Whole(2));
        column.undo(1);
        assert!(column.has(0) && !column.has(1));
        assert_eq!(column.finish(2).unwrap().as_primitive::<Int64Type>().iter().collect::<Vec<_>>(), [Some(1), None]);
    }
}
