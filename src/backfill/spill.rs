//! The file behind a [`TimeBuckets`](super::TimeBuckets): batches appended one after the other, read back by position.
//!
//! One file for all buckets, so that a day of minutes does not need a thousand open files. It has no name in the file system (or is
//! deleted with its last handle), so nothing stays behind, not even after a kill. Every segment is an Arrow IPC stream of its own, compressed
//! with LZ4: the schema costs a few kilobytes each, and any segment can be read without the others.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::ipc::CompressionType;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};

use crate::error::{Error, Result};

/// Where a spilled batch lies, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    offset: u64,
    len: usize,
}

/// A nameless temporary file of batches.
#[derive(Debug)]
pub(super) struct SpillFile {
    dir: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: File,
    end: u64,
}

impl SpillFile {
    /// A new empty file in `dir`, which must exist.
    pub(super) fn create(dir: &Path) -> Result<Self> {
        let file = tempfile::tempfile_in(dir).map_err(|e| failed("cannot make a spill file", dir, e))?;
        Ok(Self::over(file, dir))
    }

    fn over(file: File, dir: &Path) -> Self {
        Self { dir: dir.to_owned(), inner: Mutex::new(Inner { file, end: 0 }) }
    }

    /// Bytes in the file.
    pub(super) fn len(&self) -> u64 {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).end
    }

    /// Writes a batch at the end.
    pub(super) fn append(&self, batch: &RecordBatch) -> Result<Segment> {
        let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME))?;
        let mut stream = StreamWriter::try_new_with_options(Vec::new(), batch.schema_ref(), options)?;
        stream.write(batch)?;
        let bytes = stream.into_inner()?;

        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let offset = inner.end;
        let written = inner.file.seek(SeekFrom::Start(offset)).and_then(|_| inner.file.write_all(&bytes));
        written.map_err(|e| failed("cannot write a spill file", &self.dir, e))?;
        inner.end = offset + bytes.len() as u64;
        Ok(Segment { offset, len: bytes.len() })
    }

    /// Reads a batch back.
    pub(super) fn read(&self, segment: Segment) -> Result<RecordBatch> {
        let mut bytes = vec![0; segment.len];
        {
            let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            let read = inner.file.seek(SeekFrom::Start(segment.offset)).and_then(|_| inner.file.read_exact(&mut bytes));
            read.map_err(|e| failed("cannot read a spill file", &self.dir, e))?;
        }
        match StreamReader::try_new(Cursor::new(bytes), None)?.next() {
            Some(batch) => Ok(batch?),
            None => Err(Error::internal("a spilled segment holds no batch")),
        }
    }
}

fn failed(message: &str, dir: &Path, e: io::Error) -> Error {
    Error::external(message)
        .at(dir.display().to_string())
        .hint("free space there, or set TMPDIR to a folder with room for the events of the time range")
        .because(e)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array};

    use super::*;

    fn batch() -> RecordBatch {
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100));
        RecordBatch::try_from_iter([("n", column)]).unwrap()
    }

    #[test]
    fn segments_are_read_in_any_order() {
        let spill = SpillFile::create(&std::env::temp_dir()).unwrap();
        let first = spill.append(&batch()).unwrap();
        let second = spill.append(&batch().slice(10, 5)).unwrap();
        assert_eq!(spill.read(second).unwrap(), batch().slice(10, 5));
        assert_eq!(spill.read(first).unwrap(), batch());
    }

    #[test]
    fn nothing_stays_in_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let spill = SpillFile::create(dir.path()).unwrap();
        spill.append(&batch()).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_external_error_with_a_remedy() {
        let full = File::options().read(true).write(true).open("/dev/full").unwrap();
        let e = SpillFile::over(full, Path::new("/spill")).append(&batch()).unwrap_err();
        assert_eq!((e.exit_code(), e.message()), (1, "cannot write a spill file"));
        assert!(e.remedy().is_some_and(|r| r.contains("free space")));
    }
}
