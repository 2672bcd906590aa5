//! A shard's reads, decoded one ahead: judging is sequential, decoding need not wait for it.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use tokio::task::JoinHandle;

use super::columns::WaitingColumns;
use crate::decode::{Decoded, Decoder, Provenance, Unpacked, unpack};
use crate::error::{Error, Result};
use crate::schema::Contract;
use crate::source::file::{FileBatch, FileShardReader};
use crate::types::ReadBatch;

/// What one read of a shard holds.
pub(super) enum Events {
    /// Records, and what they were.
    Decoded(ReadBatch, Decoded),
    /// Rows that were decoded before.
    Rows(RecordBatch),
}

/// Reads and decodes a shard's files, while the caller works on the read before.
///
/// ```text
///  thread that may block   read 3
///  task                           decode 2
///  caller                                   judge 1
/// ```
pub(super) struct DecodeAhead {
    running: Option<JoinHandle<Step>>,
}

type Step = Result<Option<(FileShardReader, Decoders, Events)>>;

/// A decoder for each who may say where a row came from.
struct Decoders {
    /// For event files: the row itself, if it does.
    of_rows: Decoder,
    /// For records of a stream that were put into a file: the record, as if it came from the stream.
    of_records: Decoder,
}

impl DecodeAhead {
    /// Begins with the first read.
    pub(super) fn start(reader: FileShardReader, contract: &Arc<Contract>, columns: &WaitingColumns) -> Self {
        let decoder = |provenance| {
            let decoder = Decoder::new(Arc::clone(contract), provenance);
            decoder.without_texts(|column| columns.have_text(column, contract))
        };
        let decoders = Decoders { of_rows: decoder(Provenance::Row), of_records: decoder(Provenance::Record) };
        Self { running: Some(tokio::spawn(step(reader, decoders))) }
    }

    /// The next read; none at the end of the shard and after an error.
    pub(super) async fn next(&mut self) -> Result<Option<Events>> {
        let Some(running) = self.running.take() else { return Ok(None) };
        let done = running.await.map_err(|e| Error::internal("the decoding of a file broke off").because(e))?;
        Ok(done?.map(|(reader, decoders, events)| {
            self.running = Some(tokio::spawn(step(reader, decoders)));
            events
        }))
    }
}

async fn step(mut reader: FileShardReader, mut decoders: Decoders) -> Step {
    let Some(batch) = reader.next().await? else { return Ok(None) };
    let events = match batch {
        FileBatch::Rows(rows) => Events::Rows(rows),
        FileBatch::Records(read) => {
            let decoded = decoders.of_rows.decode(&read)?;
            Events::Decoded(read, decoded)
        }
        FileBatch::Entries(entries) => {
            let Unpacked { read, dead_letters } = unpack(entries);
            let mut decoded = decoders.of_records.decode(&read)?;
            decoded.refuse(dead_letters);
            Events::Decoded(read, decoded)
        }
    };
    Ok(Some((reader, decoders, events)))
}
