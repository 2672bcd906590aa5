//! One Parquet file on its way into the lake: rows are encoded, full row groups are uploaded, and the file appears when it is finished.
//!
//! ```text
//!  write(batch) ──► ArrowWriter, in memory: at most one row group ──► Upload: parts of 8 MiB ──► finish: complete
//!                   (encoded on a blocking thread)
//! ```
//!
//! Encoding is pure computation, about half a millisecond for a thousand rows. Batches of any size go to a thread that may block, so that the
//! sockets and timers of the runtime are not held up; tiny ones are encoded on the spot, as the hand-over would cost more.
//! A write that is cancelled half-way loses the encoder, and with it the file: later calls say so.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::location::Lake;
use super::upload::{OnFailure, Upload};
use crate::error::{Error, Result};
use crate::limits::LAKE_ENCODE_INLINE_ROWS_MAX;
use crate::types::Micros;

/// What a writer has put into the lake: finished files, their rows, and their size in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WriteSummary {
    /// Files that are complete and visible.
    pub files: u64,
    /// Rows in them.
    pub rows: u64,
    /// Their size on the disk or in the bucket.
    pub bytes: u64,
}

impl WriteSummary {
    /// Adds what another writer, or another file, has put there.
    pub fn add(&mut self, other: WriteSummary) {
        self.files += other.files;
        self.rows += other.rows;
        self.bytes += other.bytes;
    }
}

type Encoder = ArrowWriter<Vec<u8>>;

/// An open file.
pub(super) struct ParquetFile {
    // Properties.
    place: String,
    path: String,
    pub(super) opened_at: Micros,
    // State.
    /// Absent while a batch is being encoded, and for good after a failure.
    encoder: Option<Encoder>,
    upload: Upload,
    rows: u64,
}

impl ParquetFile {
    /// A new file at `relative` within the lake. Nothing is visible before [`finish`](Self::finish).
    pub(super) fn create(
        lake: &Lake,
        relative: &str,
        schema: SchemaRef,
        properties: WriterProperties,
        opened_at: Micros,
        on_failure: OnFailure,
    ) -> Result<Self> {
        let upload = Upload::new(lake, relative, on_failure);
        let encoder = ArrowWriter::try_new(Vec::new(), schema, Some(properties))?;
        let (place, path) = (lake.place(relative), relative.to_owned());
        Ok(Self { place, path, opened_at, encoder: Some(encoder), upload, rows: 0 })
    }

    /// Where it is written, below the lake.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Bytes so far: uploaded ones and an estimate of those still in memory.
    pub(super) fn bytes(&self) -> u64 {
        self.encoder.as_ref().map_or(0, |e| (e.bytes_written() + e.in_progress_size()) as u64)
    }

    /// Adds rows. After an error the file is lost.
    pub(super) async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let batch = batch.clone();
        self.rows += batch.num_rows() as u64;
        let inline = batch.num_rows() <= LAKE_ENCODE_INLINE_ROWS_MAX;
        self.encode(inline, move |encoder| encoder.write(&batch)).await?;
        self.send().await
    }

    /// Writes the rest and makes the file visible.
    pub(super) async fn finish(mut self) -> Result<WriteSummary> {
        let inline = self.encoder.as_ref().is_some_and(|e| e.in_progress_rows() <= LAKE_ENCODE_INLINE_ROWS_MAX);
        self.encode(inline, |encoder| encoder.finish().map(drop)).await?;
        self.send().await?;
        let bytes = self.bytes();
        self.upload.complete().await?;
        Ok(WriteSummary { files: 1, rows: self.rows, bytes })
    }

    /// Gives the file up: nothing of it stays.
    pub(super) async fn abort(self) {
        self.upload.abort().await;
    }

    async fn encode<F>(&mut self, inline: bool, job: F) -> Result<()>
    where
        F: FnOnce(&mut Encoder) -> Result<(), ParquetError> + Send + 'static,
    {
        let Some(mut encoder) = self.encoder.take() else {
            return Err(Error::internal("a file was written to after a failure").at(self.place.clone()));
        };
        let (encoder, done) = if inline {
            let done = job(&mut encoder);
            (encoder, done)
        } else {
            let run = move || {
                let done = job(&mut encoder);
                (encoder, done)
            };
            tokio::task::spawn_blocking(run).await.map_err(|e| {
                Error::internal("the encoding of a Parquet file broke off").at(self.place.clone()).because(e)
            })?
        };
        done.map_err(|e| Error::internal("rows cannot be encoded as Parquet").at(self.place.clone()).because(e))?;
        self.encoder = Some(encoder);
        Ok(())
    }

    /// Hands what is encoded (whole row groups, the footer) to the upload.
    async fn send(&mut self) -> Result<()> {
        let Some(encoder) = &mut self.encoder else { return Ok(()) };
        // A fresh file's first bytes are only the format's magic number: not worth a call.
        if encoder.inner().len() < 64 {
            return Ok(());
        }
        let mut encoded = std::mem::take(encoder.inner_mut());
        // It may be kept for a while.
        encoded.shrink_to_fit();
        let sent = self.upload.put(Bytes::from(encoded)).await;
        if sent.is_err() {
            self.encoder = None;
        }
        sent
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, BinaryArray};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use rand::{RngCore, SeedableRng, rngs::SmallRng};

    use super::*;
    use crate::limits::LAKE_UPLOAD_PART_BYTES;
    use crate::sink::lake::LakeOptions;

    /// Rows that do not compress.
    fn noise(rng: &mut SmallRng) -> RecordBatch {
        let mut value = vec![0; 4_096];
        let values = (0..600).map(|_| {
            rng.fill_bytes(&mut value);
            Some(value.clone())
        });
        RecordBatch::try_from_iter([("data", Arc::new(BinaryArray::from_iter(values)) as ArrayRef)]).unwrap()
    }

    fn create(dir: &tempfile::TempDir) -> (Lake, ParquetFile) {
        let lake = Lake::open(dir.path().to_str().unwrap(), &LakeOptions::default()).unwrap();
        let schema = noise(&mut SmallRng::seed_from_u64(1)).schema();
        let properties = WriterProperties::builder()
            .set_dictionary_enabled(false)
            .set_max_row_group_row_count(None)
            .set_max_row_group_bytes(Some(1024 * 1024))
            .build();
        let file = ParquetFile::create(&lake, "t/x.parquet", schema, properties, 0, OnFailure::GiveUp).unwrap();
        (lake, file)
    }

    #[tokio::test]
    async fn a_file_of_several_parts_and_row_groups_appears_whole() {
        let dir = tempfile::tempdir().unwrap();
        let (lake, mut file) = create(&dir);
        let mut rng = SmallRng::seed_from_u64(1);
        let batches: Vec<_> = (0..8).map(|_| noise(&mut rng)).collect();
        for batch in &batches {
            file.write(batch).await.unwrap();
        }
        let path = dir.path().join("t/x.parquet");
        assert!(dir.path().join("t").exists(), "parts are uploaded while the file is open");
        assert!(!path.exists());
        let summary = file.finish().await.unwrap();
        assert_eq!(summary, WriteSummary { files: 1, rows: 4_800, bytes: path.metadata().unwrap().len() });
        assert!(summary.bytes > 2 * LAKE_UPLOAD_PART_BYTES as u64);
        let bytes = lake.fetch("t/x.parquet").await.unwrap().unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
        assert!(reader.metadata().num_row_groups() >= 8);
        let rows: Vec<_> = reader.with_batch_size(600).build().unwrap().map(Result::unwrap).collect();
        assert_eq!(rows, batches);
    }

    #[tokio::test]
    async fn an_aborted_file_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (_, mut file) = create(&dir);
        let mut rng = SmallRng::seed_from_u64(1);
        for _ in 0..6 {
            file.write(&noise(&mut rng)).await.unwrap();
        }
        file.abort().await;
        assert_eq!(std::fs::read_dir(dir.path().join("t")).unwrap().count(), 0);
    }
}
