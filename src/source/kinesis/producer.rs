//! Puts records into a stream.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;

use super::client::Shared;
use super::counters::add;
use super::fault::Fault;
use crate::aws::Backoff;
use crate::error::{Error, Result};
use crate::limits;

/// A record to put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutRecord {
    /// Decides the shard, by its MD5.
    pub partition_key: String,
    /// The payload.
    pub data: Vec<u8>,
}

impl PutRecord {
    fn bytes(&self) -> usize {
        self.partition_key.len() + self.data.len()
    }
}

/// Puts records through PutRecords, in calls that the service takes, and again those that it refused.
///
/// One call is under way at a time, so records of a shard keep their order, except around one that was refused and sent again.
#[derive(Debug)]
pub struct Producer {
    shared: Arc<Shared>,
    backoff: Backoff,
}

impl Producer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let backoff = Backoff::new(shared.options.jitter_seed ^ 0x9d, shared.options.pauses(Duration::ZERO));
        Self { shared, backoff }
    }

    /// Puts all of them; how many calls it took to have them taken.
    ///
    /// # Errors
    /// A user's error when a record is larger than [`limits::RECORD_BYTES_MAX`], the stream is missing or access is denied; a transient one
    /// when the service kept refusing records for [`KinesisOptions::tries`](super::KinesisOptions::tries). Some records may have been taken by then.
    pub async fn put(&mut self, records: Vec<PutRecord>) -> Result<u64> {
        let mut calls = 0;
        let mut batch = Vec::new();
        let mut bytes = 0;
        for record in records {
            let size = record.bytes();
            if size > limits::RECORD_BYTES_MAX {
                return Err(Error::user(format!("a record of {size} bytes is larger than Kinesis takes"))
                    .at(&self.shared.place));
            }
            if !batch.is_empty()
                && (batch.len() == limits::PUT_RECORDS_MAX || bytes + size > limits::PUT_RECORDS_BYTES_MAX)
            {
                calls += self.put_batch(std::mem::take(&mut batch)).await?;
                bytes = 0;
            }
            bytes += size;
            batch.push(entry(record)?);
        }
        if !batch.is_empty() {
            calls += self.put_batch(batch).await?;
        }
        Ok(calls)
    }

    /// Puts what fits into one call, until all of it is taken.
    async fn put_batch(&mut self, mut batch: Vec<PutRecordsRequestEntry>) -> Result<u64> {
        let mut calls = 0;
        let mut refusals =
            Backoff::new(self.shared.options.jitter_seed ^ 0x7e, self.shared.options.pauses(Duration::ZERO));
        loop {
            let shared = &self.shared;
            let request =
                shared.client.put_records().stream_name(&shared.options.stream_name).set_records(Some(batch.clone()));
            let reply = shared.caller().call("PutRecords", &mut self.backoff, || request.clone().send()).await?;
            calls += 1;
            let mut refusal = None;
            let mut results = reply.records.into_iter();
            let sent = batch.len();
            // A result that is missing counts as a refusal: better twice than never.
            batch.retain(|_| match results.next() {
                Some(result) => match result.error_code {
                    Some(code) => {
                        refusal = Some((code, result.error_message.unwrap_or_default()));
                        true
                    }
                    None => false,
                },
                None => true,
            });
            let counters = &shared.counters;
            add(&counters.puts, 1);
            add(&counters.records_put, (sent - batch.len()) as u64);
            if batch.is_empty() {
                return Ok(calls);
            }
            let (code, message) = refusal.unwrap_or_default();
            let fault = Fault::of_reply(&code, 500);
            add(if fault == Fault::Throttled { &counters.throttled } else { &counters.unavailable }, 1);
            if batch.len() < sent {
                refusals.reset();
            }
            let pause = if fault.passes() { refusals.next_pause() } else { None };
            let Some(pause) = pause else {
                let fault = if fault.passes() { Fault::Throttled } else { fault };
                return Err(fault.error("PutRecords", &shared.place).because(format!("{code}: {message}")));
            };
            add(&counters.records_put_again, batch.len() as u64);
            tokio::time::sleep(pause).await;
        }
    }
}

fn entry(record: PutRecord) -> Result<PutRecordsRequestEntry> {
    PutRecordsRequestEntry::builder()
        .partition_key(record.partition_key)
        .data(Blob::new(record.data))
        .build()
        .map_err(|e| Error::internal("a record to put is incomplete").because(e))
}
