//! Arrow batches inside of serialised state: as the bytes of an Arrow IPC stream.
//!
//! Use on a field: `#[serde(with = "crate::types::arrow_bytes")]`.

use std::fmt;
use std::panic::catch_unwind;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamDecoder;
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

/// A batch as the bytes of an Arrow IPC stream.
///
/// # Errors
/// If a column has a type that Arrow IPC does not know.
pub fn to_bytes(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
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
        from_bytes(bytes).map_err(E::custom)
    }
}

/// The batch in the bytes of an Arrow IPC stream.
///
/// # Errors
/// If they are damaged.
pub fn from_bytes(bytes: &[u8]) -> Result<RecordBatch, ArrowError> {
    // Arrow checks values, but takes types, offsets and lengths of buffers as they come, and panics over those that make no sense.
    let read = catch_unwind(|| decode(bytes));
    read.unwrap_or_else(|_| Err(ArrowError::IpcError("damaged beyond Arrow's checks".to_owned())))
}

/// By Arrow's push decoder, which takes no memory for what is only announced: its reader would for a body of any length.
fn decode(bytes: &[u8]) -> Result<RecordBatch, ArrowError> {
    let mut rest = Buffer::from(bytes);
    match StreamDecoder::new().decode(&mut rest)? {
        Some(batch) => Ok(batch),
        None => Err(ArrowError::IpcError("an Arrow IPC stream without a batch".to_owned())),
    }
}

/// A batch that serialises itself, where an attribute on the field does not reach.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct StoredBatch(#[serde(with = "crate::types::arrow_bytes")] pub RecordBatch);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};

    use super::*;

    #[test]
    fn damage_is_an_error_at_every_place() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("bc")]));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let batch = RecordBatch::try_from_iter([("t", texts), ("n", numbers)]).unwrap();
        let bytes = postcard::to_stdvec(&StoredBatch(batch.clone())).unwrap();
        let read = |bytes: &[u8]| postcard::from_bytes::<StoredBatch>(bytes).map(|stored| stored.0);
        assert_eq!(read(&bytes).unwrap(), batch);
        let refused = (0..bytes.len()).filter(|&at| {
            let mut damaged = bytes.clone();
            damaged[at] = 0xfe;
            read(&damaged).is_err()
        });
        assert!(refused.count() > bytes.len() / 10);
    }
}
