//! A shard's reads, decoded one ahead: judging is sequential, decoding need not wait for it.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use tokio::task::JoinHandle;

use crate::decode::{Decoded, Decoder, Provenance};
use crate::error::{Error, Result};
use crate::schema::Contract;
use crate::source::file::{FileBatch, FileShardReader};
use crate::types::ReadBatch;

/// What one read of a shard holds.
pub(super) enum Events {
    /// Lines, and what they were.
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

type Step = Result<Option<(FileShardReader, Decoder, Events)>>;

impl DecodeAhead {
    /// Begins with the first read.
    pub(super) fn start(reader: FileShardReader, contract: Arc<Contract>) -> Self {
        Self { running: Some(tokio::spawn(step(reader, Decoder::new(contract, Provenance::Row)))) }
    }

    /// The next read; none at the end of the shard and after an error.
    pub(super) async fn next(&mut self) -> Result<Option<Events>> {
        let Some(running) = self.running.take() else { return Ok(None) };
        let done = running.await.map_err(|e| Error::internal("the decoding of a file broke off").because(e))?;
        Ok(done?.map(|(reader, decoder, events)| {
            self.running = Some(tokio::spawn(step(reader, decoder)));
            events
        }))
    }
}

async fn step(mut reader: FileShardReader, mut decoder: Decoder) -> Step {
    Ok(match reader.next().await? {
        None => None,
        Some(FileBatch::Rows(rows)) => Some((reader, decoder, Events::Rows(rows))),
        Some(FileBatch::Records(read)) => {
            let decoded = decoder.decode(&read)?;
            Some((reader, decoder, Events::Decoded(read, decoded)))
        }
    })
}
