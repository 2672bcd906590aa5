//! A file of JSON, read by its layout.

use super::bytes::FileBytes;
use super::documents::DocumentReader;
use super::input::{InputFile, Progress};
use super::layout::Layout;
use super::lines::LineReader;
use super::reader::FileBatch;
use super::values::ValueReader;
use crate::error::Result;
use crate::types::ShardId;

/// Reads a file of JSON to its end. Only for threads that may block.
pub(super) enum JsonReader {
    /// A record a line.
    Lines(LineReader),
    /// A record a value.
    Values(ValueReader),
    /// Entries of documents of GetRecords.
    Documents(DocumentReader),
}

impl JsonReader {
    /// Opens a file and looks at how it is laid out.
    pub(super) fn open(file: &InputFile, progress: Progress) -> Result<Self> {
        let mut bytes = FileBytes::open(file, progress)?;
        Ok(match Layout::of(&mut bytes)? {
            Layout::Lines => Self::Lines(LineReader::new(bytes)),
            Layout::Values => Self::Values(ValueReader::new(bytes)?),
            Layout::Documents => Self::Documents(DocumentReader::new(bytes)?),
        })
    }

    /// The next batch, none at the end of the file. `records` counts on through the shard's files.
    pub(super) fn next(&mut self, shard: &ShardId, records: &mut u64) -> Result<Option<FileBatch>> {
        Ok(match self {
            Self::Lines(lines) => lines.next(shard, records)?.map(FileBatch::Records),
            Self::Values(values) => values.next(shard, records)?.map(FileBatch::Records),
            Self::Documents(documents) => documents.next(shard, records)?.map(FileBatch::Entries),
        })
    }
}
