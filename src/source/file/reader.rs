//! A shard's files, one after the other, read one batch ahead on a thread that may block.

use std::vec;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use tokio::task::JoinHandle;

use super::input::{FileKind, InputFile, Progress};
use super::json::JsonReader;
use super::rows::RowReader;
use super::shards::FileShard;
use crate::error::{Error, Result};
use crate::types::{ReadBatch, ShardId};

/// What one read of a shard gives.
#[derive(Debug, Clone)]
pub enum FileBatch {
    /// Lines or values, still to be decoded. Sequence numbers are those of lines or values, counted on from file to file of the shard,
    /// from 1. Without arrival times.
    Records(ReadBatch),
    /// Entries of documents of GetRecords, still to be unpacked: each says itself what the record's sequence number, arrival time and
    /// data are. Here their numbers, counted on in the same way, stand for sequence numbers.
    Entries(ReadBatch),
    /// Rows of the events schema, as a decoder would give them.
    Rows(RecordBatch),
}

/// Reads a [`FileShard`] to its end.
pub struct FileShardReader {
    /// The read that is under way; none before the first and after the last.
    ahead: Option<JoinHandle<(Files, Result<Option<FileBatch>>)>>,
    files: Option<Files>,
}

impl FileShardReader {
    /// A reader of a shard's files. `events` is the schema that Parquet rows are brought into; `progress` counts stored bytes.
    /// Nothing is opened before the first [`next`](Self::next).
    pub fn new(shard: FileShard, events: SchemaRef, progress: Progress) -> Self {
        let FileShard { name, files } = shard;
        let files = Files { shard: name, events, progress, files: files.into_iter(), current: None, lines: 0 };
        Self { ahead: None, files: Some(files) }
    }

    /// The next batch, none at the end of the shard and after an error. Needs a Tokio runtime.
    ///
    /// # Errors
    /// External, if a file is missing, damaged or cut off, with its name and the place in it; user, if a Parquet file's columns do not fit.
    pub async fn next(&mut self) -> Result<Option<FileBatch>> {
        let running = match (self.ahead.take(), self.files.take()) {
            (Some(running), _) => running,
            (None, Some(files)) => start(files),
            (None, None) => return Ok(None),
        };
        let (files, batch) =
            running.await.map_err(|e| Error::internal("the reading of a file broke off").because(e))?;
        let batch = batch?;
        if batch.is_some() {
            self.ahead = Some(start(files));
        }
        Ok(batch)
    }
}

fn start(mut files: Files) -> JoinHandle<(Files, Result<Option<FileBatch>>)> {
    tokio::task::spawn_blocking(move || {
        let batch = files.next();
        (files, batch)
    })
}

/// The blocking part.
struct Files {
    // Properties.
    shard: ShardId,
    events: SchemaRef,
    progress: Progress,
    // State.
    files: vec::IntoIter<InputFile>,
    current: Option<Current>,
    lines: u64,
}

enum Current {
    Json(JsonReader),
    Rows(RowReader),
}

impl Files {
    fn next(&mut self) -> Result<Option<FileBatch>> {
        loop {
            let batch = match &mut self.current {
                Some(Current::Json(json)) => json.next(&self.shard, &mut self.lines)?,
                Some(Current::Rows(rows)) => rows.next(&mut self.lines)?.map(FileBatch::Rows),
                None => None,
            };
            if batch.is_some() {
                return Ok(batch);
            }
            let Some(file) = self.files.next() else {
                self.current = None;
                return Ok(None);
            };
            self.current = Some(self.open(&file)?);
        }
    }

    fn open(&self, file: &InputFile) -> Result<Current> {
        let progress = self.progress.clone();
        Ok(match file.kind {
            FileKind::Json => Current::Json(JsonReader::open(file, progress)?),
            FileKind::Parquet => {
                Current::Rows(RowReader::open(file, self.events.clone(), self.shard.clone(), progress)?)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ::bytes::Bytes;
    use arrow::array::{ArrayRef, AsArray, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};
    use object_store::memory::InMemory;
    use object_store::path::Path;
    use object_store::{ObjectStore, ObjectStoreExt};
    use parquet::arrow::ArrowWriter;
    use parquet::basic::CompressionCodec;
    use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaDataReader, ParquetMetaDataWriter};

    use super::super::input::Place;
    use super::*;
    use crate::error::Domain;

    fn events() -> SchemaRef {
        let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
        Arc::new(Schema::new(vec![text("event_id", false), text("country", true), text("sequence_number", false)]))
    }

    fn parquet(first: usize, rows: usize) -> Vec<u8> {
        let ids: ArrayRef = Arc::new(StringArray::from_iter_values((first..first + rows).map(|i| format!("e{i}"))));
        let other = ids.clone();
        let batch = RecordBatch::try_from_iter([("other", other), ("event_id", ids)]).unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.into_inner().unwrap()
    }

    /// The same files on a disk and in a bucket.
    async fn places(files: &[(&str, Vec<u8>)]) -> (tempfile::TempDir, [FileShard; 2]) {
        let dir = tempfile::tempdir().unwrap();
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let (mut local, mut remote) = (Vec::new(), Vec::new());
        for (name, content) in files {
            let file = |place| InputFile {
                name: (*name).into(),
                kind: FileKind::of_name(name).unwrap(),
                bytes: content.len() as u64,
                place,
            };
            let path = dir.path().join(name);
            std::fs::write(&path, content).unwrap();
            local.push(file(Place::Local(path)));
            store.put(&Path::from(*name), content.clone().into()).await.unwrap();
            remote.push(file(Place::Remote(store.clone(), Path::from(*name))));
        }
        let shard = |files| FileShard { name: "s".into(), files };
        (dir, [shard(local), shard(remote)])
    }

    /// `sequence number:content` of every record and row, or the error.
    async fn read(shard: FileShard) -> Result<Vec<String>> {
        let total = shard.bytes();
        let progress = Progress::default();
        let mut reader = FileShardReader::new(shard, events(), progress.clone());
        let mut got = Vec::new();
        let mut read = async || -> Result<()> {
            while let Some(batch) = reader.next().await? {
                match batch {
                    FileBatch::Records(read) | FileBatch::Entries(read) => got.extend(
                        read.records
                            .iter()
                            .map(|r| format!("{}:{}", r.sequence_number, str::from_utf8(&r.data).unwrap())),
                    ),
                    FileBatch::Rows(rows) => {
                        let (ids, numbers) = (rows.column(0).as_string::<i32>(), rows.column(2).as_string::<i32>());
                        got.extend(numbers.iter().zip(ids).map(|(n, id)| format!("{}:{}", n.unwrap(), id.unwrap())));
                    }
                }
            }
            assert_eq!(progress.bytes(), total);
            Ok(())
        };
        let outcome = read().await;
        if outcome.is_err() {
            assert!(reader.next().await.unwrap().is_none(), "it ends after an error");
        }
        outcome.map(|()| got)
    }

    #[tokio::test]
    async fn files_follow_each_other_and_numbers_count_on() {
        let files = [("1.ndjson", b"a\n\nb".to_vec()), ("2.json", b"".to_vec()), ("3.ndjson", b"c\n".to_vec())];
        let (_dir, shards) = places(&files).await;
        for shard in shards {
            assert_eq!(read(shard).await.unwrap(), ["1:a", "3:b", "4:c"]);
        }
    }

    #[tokio::test]
    async fn parquet_is_read_from_disk_and_bucket_alike() {
        let (_dir, shards) = places(&[("1.parquet", parquet(0, 40_000)), ("2.parquet", parquet(40_000, 2))]).await;
        for shard in shards {
            let got = read(shard).await.unwrap();
            assert_eq!(got.len(), 40_002);
            assert_eq!((got[0].as_str(), got[40_001].as_str()), ("1:e0", "40002:e40001"));
        }
    }

    #[tokio::test]
    async fn a_wrong_byte_is_an_error_of_the_file_and_not_of_the_program() {
        let whole = parquet(0, 3);
        let mut refused = 0;
        for at in (0..whole.len()).step_by(3) {
            for byte in [0x00, 0x7f, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] = byte;
                let (_dir, [local, remote]) = places(&[("a.parquet", damaged)]).await;
                let shard = if at % 2 == 0 { local } else { remote };
                let mut reader = FileShardReader::new(shard, events(), Progress::default());
                while let Some(batch) = reader.next().await.transpose() {
                    let Err(e) = batch else { continue };
                    assert_ne!(e.domain(), Domain::Internal, "byte {at} is {byte}: {}", e.report());
                    assert_eq!(e.place(), Some("a.parquet"));
                    refused += 1;
                }
            }
        }
        assert!(refused > whole.len() / 10);
    }

    /// The file, with a footer that says that its columns are in `codec`: none but Zstandard is built in, to write or to read.
    fn said_to_be_in(codec: CompressionCodec, file: Vec<u8>) -> Vec<u8> {
        let file = Bytes::from(file);
        let metadata = ParquetMetaDataReader::new().parse_and_finish(&file).unwrap();
        let in_codec =
            |column: &ColumnChunkMetaData| column.clone().into_builder().set_compression_codec(codec).build().unwrap();
        let groups = metadata.row_groups().iter().map(|group| {
            let columns = group.columns().iter().map(in_codec).collect();
            group.clone().into_builder().set_column_metadata(columns).build().unwrap()
        });
        let said = metadata.clone().into_builder().set_row_groups(groups.collect()).build();
        let footer = u32::from_le_bytes(file[file.len() - 8..file.len() - 4].try_into().unwrap());
        let mut written = file[..file.len() - 8 - footer as usize].to_vec();
        ParquetMetaDataWriter::new(&mut written, &said).finish().unwrap();
        written
    }

    #[tokio::test]
    async fn a_codec_that_is_not_built_in_is_named_with_the_remedy() {
        let snappy = said_to_be_in(CompressionCodec::SNAPPY, parquet(0, 3));
        let (_dir, shards) = places(&[("a.parquet", snappy)]).await;
        for shard in shards {
            let e = read(shard).await.unwrap_err();
            assert_eq!((e.exit_code(), e.place()), (2, Some("a.parquet")), "{e}");
            assert_eq!(e.message(), "column event_id is compressed with SNAPPY");
            assert!(e.remedy().unwrap().contains("COMPRESSION zstd"), "{e}");
        }
        let (_dir, [shard, _]) =
            places(&[("a.parquet", said_to_be_in(CompressionCodec::UNCOMPRESSED, parquet(0, 3)))]).await;
        assert_eq!(read(shard).await.unwrap().len(), 3);
    }

    #[tokio::test]
    async fn missing_and_damaged_files_are_named() {
        let mut cut = parquet(0, 1_000);
        let footer = cut.split_off(500);
        for (name, content) in [("a.parquet", cut), ("b.parquet", footer), ("c.parquet", b"".to_vec())] {
            let (_dir, shards) = places(&[(name, content)]).await;
            for shard in shards {
                let e = read(shard).await.unwrap_err();
                assert_eq!((e.exit_code(), e.place()), (1, Some(name)), "{e}");
            }
        }
        let (dir, [local, _]) = places(&[("gone.json", b"".to_vec())]).await;
        drop(dir);
        let e = read(local).await.unwrap_err();
        assert_eq!((e.exit_code(), e.place()), (1, Some("gone.json")));
    }
}
