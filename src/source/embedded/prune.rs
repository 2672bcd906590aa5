//! Keeps the embedded Kinesis small.
//!
//! Once a second a pass notes, for each shard, the index that the next record will get. A record whose index is below the one noted
//! `retain` ago has been there for that long. No clock and no timestamp comes into it: while a laptop sleeps there are no passes, and
//! nothing that the consumer has not seen yet goes.
//!
//! A pass costs what it deletes: it reads the oldest records of each shard, in chunks, until it meets one that stays.

use std::collections::VecDeque;
use std::time::Duration;

use ferrokinesis::sequence::{SeqObj, parse_sequence, stringify_sequence};
use ferrokinesis::store::Store;
use ferrokinesis::types::Stream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Time between two passes.
const PASS_EVERY: Duration = Duration::from_secs(1);

/// Records read and deleted at a time: a reader of the shard waits no longer than that takes.
const CHUNK: usize = 500;

/// How far each shard was at some moment: the index of its next record.
#[derive(Debug)]
struct Mark {
    at: Instant,
    next_index: Vec<u64>,
}

/// Drops the records that nobody wants any more.
pub(super) struct Pruner {
    // Properties
    store: Store,
    stream_name: String,
    retain: Duration,
    retain_bytes: u64,
    // State
    marks: VecDeque<Mark>,
}

impl Pruner {
    pub(super) fn new(store: Store, stream_name: String, retain: Duration, retain_bytes: u64) -> Self {
        Self { store, stream_name, retain, retain_bytes, marks: VecDeque::new() }
    }

    /// Prunes until `stop`.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(PASS_EVERY) => {}
            }
            let deleted = self.pass().await;
            if deleted > 0 {
                tracing::trace!(deleted, stream = self.stream_name, "embedded Kinesis pruned");
            }
        }
    }

    /// One pass; how many records went.
    pub(super) async fn pass(&mut self) -> usize {
        // Somebody may have deleted the stream: then there is nothing to keep small.
        let Ok(stream) = self.store.get_stream(&self.stream_name).await else { return 0 };
        let mut next_index = Vec::with_capacity(stream.shards.len());
        for shard in 0..stream.shards.len() {
            next_index.push(self.store.current_shard_seq(&self.stream_name, shard as i64).await);
        }
        let now = Instant::now();
        let mut deleted = 0;
        let mut reached = None;
        // From the oldest mark on: first those out of time, then as many as the size asks for. What came since the last pass stays.
        while let Some(mark) = self.marks.front() {
            let out_of_time = now.duration_since(mark.at) >= self.retain;
            let too_much = self.store.metrics().retained_bytes() > self.retain_bytes;
            if !out_of_time && !too_much {
                break;
            }
            let Some(mark) = self.marks.pop_front() else { break };
            if too_much {
                deleted += self.delete_before(&stream, &mark).await;
            } else {
                reached = Some(mark);
            }
        }
        if let Some(mark) = reached {
            deleted += self.delete_before(&stream, &mark).await;
        }
        self.marks.push_back(Mark { at: now, next_index });
        deleted
    }

    /// Deletes what was there at `mark`.
    async fn delete_before(&self, stream: &Stream, mark: &Mark) -> usize {
        let mut deleted = 0;
        for (shard, (info, next_index)) in stream.shards.iter().zip(&mark.next_index).enumerate() {
            let Ok(first) = parse_sequence(&info.sequence_number_range.starting_sequence_number) else { continue };
            let prefix = format!("{:08x}", shard as u32);
            let end =
                stringify_sequence(&SeqObj { seq_ix: Some(*next_index), seq_time: Some(0), byte1: None, ..first });
            let (start, end) = (format!("{prefix}/"), format!("{prefix}/{end}"));
            loop {
                let oldest = self.store.get_records_range_limited(&self.stream_name, &start, &end, CHUNK).await;
                let keys: Vec<String> = oldest.into_iter().map(|(key, _)| key).collect();
                self.store.delete_record_keys(&self.stream_name, &keys).await;
                deleted += keys.len();
                if keys.len() < CHUNK {
                    break;
                }
            }
        }
        deleted
    }
}
