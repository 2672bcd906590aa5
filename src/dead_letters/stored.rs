//! Letters as the lake has them.

use std::sync::Arc;

use arrow::array::{
    Array, AsArray, BinaryArray, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};

use super::filter::Filter;
use crate::decode::DeadLetter;
use crate::error::{Error, Result};
use crate::limits::LETTERS_BATCH_ROWS;
use crate::schema::{INGEST_TIME, SEQUENCE_NUMBER, SHARD_ID, SUB_SEQUENCE_NUMBER};
use crate::sink::lake::{DEAD_LETTERS, Lake, LakeFile, LakeRows};
use crate::types::Micros;

/// The files that may hold letters of `filter`, by hour.
pub(super) async fn files(lake: &Lake, filter: &Filter) -> Result<Vec<LakeFile>> {
    let mut files = lake.list(DEAD_LETTERS).await?;
    files.retain(|file| filter.may_be_in(file.hour));
    Ok(files)
}

/// A file of letters that is being read.
pub(super) struct LetterFile {
    rows: LakeRows,
    hour: Micros,
}

impl LetterFile {
    pub(super) async fn open(lake: &Lake, file: &LakeFile) -> Result<Self> {
        Ok(Self { rows: lake.rows(file, None, LETTERS_BATCH_ROWS).await?, hour: file.hour })
    }

    /// The next letters; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Letters>> {
        let Some(batch) = self.rows.next().await? else { return Ok(None) };
        let letters = Letters::of(&batch, self.hour);
        letters.map(Some).ok_or_else(|| {
            Error::external("the file's columns are not those of dead letters")
                .at(self.rows.place())
                .hint("move it out of the lake")
        })
    }
}

/// Some letters of one file.
pub(super) struct Letters {
    reason: StringArray,
    message: StringArray,
    data: BinaryArray,
    shard: StringArray,
    sequence: StringArray,
    sub: Int64Array,
    arrival: TimestampMicrosecondArray,
    hour: Micros,
}

impl Letters {
    fn of(batch: &RecordBatch, hour: Micros) -> Option<Self> {
        let text = |name: &str| batch.column_by_name(name)?.as_string_opt::<i32>().cloned();
        let arrival = batch.column_by_name(INGEST_TIME)?.as_primitive_opt::<TimestampMicrosecondType>()?;
        Some(Self {
            reason: text("reason")?,
            message: text("message")?,
            data: batch.column_by_name("data")?.as_binary_opt::<i32>()?.clone(),
            shard: text(SHARD_ID)?,
            sequence: text(SEQUENCE_NUMBER)?,
            sub: batch.column_by_name(SUB_SEQUENCE_NUMBER)?.as_primitive_opt::<Int64Type>()?.clone(),
            arrival: arrival.clone(),
            hour,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.reason.len()
    }

    pub(super) fn reason(&self, i: usize) -> &str {
        self.reason.value(i)
    }

    pub(super) fn message(&self, i: usize) -> &str {
        self.message.value(i)
    }

    pub(super) fn data(&self, i: usize) -> &[u8] {
        self.data.value(i)
    }

    pub(super) fn shard(&self, i: usize) -> &str {
        self.shard.value(i)
    }

    pub(super) fn sequence(&self, i: usize) -> &str {
        self.sequence.value(i)
    }

    pub(super) fn sub(&self, i: usize) -> i64 {
        self.sub.value(i)
    }

    pub(super) fn arrival(&self, i: usize) -> Option<Micros> {
        self.arrival.is_valid(i).then(|| self.arrival.value(i))
    }

    /// When it arrived, or else the hour that it is filed in.
    pub(super) fn time(&self, i: usize) -> Micros {
        self.arrival(i).unwrap_or(self.hour)
    }

    /// The start of the hour of the file.
    pub(super) fn hour(&self) -> Micros {
        self.hour
    }

    /// The letters of `kept`, in the schema of dead letters.
    pub(super) fn only(&self, kept: &BooleanArray) -> Result<RecordBatch> {
        let all = RecordBatch::try_new(
            DeadLetter::schema(),
            vec![
                Arc::new(self.reason.clone()),
                Arc::new(self.message.clone()),
                Arc::new(self.data.clone()),
                Arc::new(self.shard.clone()),
                Arc::new(self.sequence.clone()),
                Arc::new(self.sub.clone()),
                Arc::new(self.arrival.clone().with_timezone("UTC")),
            ],
        )?;
        Ok(filter_record_batch(&all, kept)?)
    }
}
