//! Arrow batches inside of serialised state: as the bytes of an Arrow IPC stream.
//!
//! Use on a field: `#[serde(with = "crate::types::arrow_bytes")]`.

use std::fmt;
use std::io::Cursor;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use serde::de::Visitor;
use serde::ser::Error as _;
use serde::{Deserializer, Serializer};

/// Writes a batch.
pub fn serialize<S: Serializer>(batch: &RecordBatch, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(&to_bytes(batch).map_err(S::Error::custom)?)
}

/// Reads a batch back.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RecordBatch, D::Error> {
    deserializer.deserialize_bytes(BatchVisitor)
}

fn to_bytes(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let mut stream = StreamWriter::try_new(Vec::new(), batch.schema_ref())?;
    stream.write(batch)?;
    stream.into_inner()
}

struct BatchVisitor;

impl Visitor<'_> for BatchVisitor {
    type Value = RecordBatch;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an Arrow IPC stream of one batch")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<RecordBatch, E> {
        let mut stream = StreamReader::try_new(Cursor::new(bytes), None).map_err(E::custom)?;
        match stream.next() {
            Some(batch) => batch.map_err(E::custom),
            None => Err(E::custom("an Arrow IPC stream without a batch")),
        }
    }
}

/// A batch that serialises itself, where an attribute on the field does not reach.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct StoredBatch(#[serde(with = "crate::types::arrow_bytes")] pub RecordBatch);
