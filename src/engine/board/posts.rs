//! The board: where the tasks of a job post their news.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::dead_letter_log::DeadLetterLog;
use super::status::{
    CombineStatus, CommitStatus, LookupStatus, OpenWindows, Phase, PipelineName, ShardStatus, Status, TableStatus,
};
use super::throughput::{Sample, Samples};
use crate::engine::Pipelines;
use crate::engine::inquiry::Inquiries;
use crate::error::Error;
use crate::sink::cloudwatch::CloudWatchCounters;
use crate::telemetry::LastTrouble;
use crate::types::{Micros, ShardId};

/// Shared by the tasks of a job. The lock is held for copies only, once a batch.
#[derive(Debug, Default)]
pub struct Board {
    posted: Mutex<Posted>,
    inquiries: Inquiries,
}

#[derive(Debug, Default)]
struct Posted {
    status: Status,
    samples: Samples,
    letters: DeadLetterLog,
    /// Where others keep their trouble: the source's retries.
    troubles: Vec<LastTrouble>,
    /// Where the publisher counts.
    publishing: Option<Arc<CloudWatchCounters>>,
}

impl Board {
    /// The board of a job that starts now.
    pub fn new(now: Micros) -> Self {
        let status = Status { started_at: now, ..Status::default() };
        Self { posted: Mutex::new(Posted { status, ..Posted::default() }), inquiries: Inquiries::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Posted> {
        self.posted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What others want to know of the job that is not posted.
    pub fn inquiries(&self) -> &Inquiries {
        &self.inquiries
    }

    /// The lake was opened, and answered.
    pub fn lake_reached(&self) {
        self.lock().status.lake_reached = true;
    }

    /// The job runs `pipelines` over `shards`.
    pub fn begin(&self, pipelines: &Pipelines, shards: impl IntoIterator<Item = ShardId>) {
        let concurrency: Vec<usize> = pipelines.concurrency_plans().collect();
        let mut posted = self.lock();
        posted.status.pipelines = (pipelines.plans.iter().enumerate())
            .map(|(i, p)| PipelineName { name: p.name.clone(), concurrency: concurrency.contains(&i) })
            .collect();
        posted.status.expected = Some(shards.into_iter().collect());
        if posted.status.phase == Phase::Starting {
            posted.status.phase = Phase::Running;
        }
    }

    /// A shard's news.
    pub fn shard(&self, shard: &ShardId, status: ShardStatus) {
        self.lock().status.shards.insert(ShardId::clone(shard), status);
    }

    /// News of the place where shards meet. What windows are open there is posted by itself.
    pub fn combined(&self, status: CombineStatus) {
        let combine = &mut self.lock().status.combine;
        let open = std::mem::take(&mut combine.open);
        *combine = CombineStatus { open, ..status };
    }

    /// The windows that are open where shards meet, by pipeline.
    pub fn open_where_shards_meet(&self, open: Vec<OpenWindows>) {
        self.lock().status.combine.open = open;
    }

    /// A window of a pipeline was emitted.
    pub fn emitted(&self, pipeline: &str) {
        *self.lock().status.windows.entry(pipeline.to_owned()).or_default() += 1;
    }

    /// News of a table.
    pub fn table(&self, table: &str, status: TableStatus) {
        self.lock().status.tables.insert(table.to_owned(), status);
    }

    /// News of a lookup table.
    pub fn lookup(&self, table: &str, status: LookupStatus) {
        self.lock().status.lookups.insert(table.to_owned(), status);
    }

    /// News of the job's commits.
    pub fn commits(&self, status: CommitStatus) {
        self.lock().status.commits = Some(status);
    }

    /// A writer of the lake begins its work at a time, or has done it (`None`).
    pub fn writing(&self, writer: &'static str, since: Option<Micros>) {
        let mut posted = self.lock();
        match since {
            Some(since) => posted.status.writing_since.insert(writer, since),
            None => posted.status.writing_since.remove(writer),
        };
    }

    /// How many messages wait in a queue.
    pub fn queue(&self, queue: &'static str, length: usize) {
        self.lock().status.queues.insert(queue, length);
    }

    /// The job is being ended in good order.
    pub fn stopping(&self) {
        let mut posted = self.lock();
        if posted.status.phase != Phase::Failed {
            posted.status.phase = Phase::Stopping;
        }
    }

    /// A task of the job failed.
    pub fn failed(&self, now: Micros, error: &Error) {
        let own = LastTrouble::default();
        own.note(now, error.to_string());
        let mut posted = self.lock();
        posted.status.phase = Phase::Failed;
        posted.troubles.push(own);
    }

    /// Shows this trouble too, if it is the latest.
    pub fn watch(&self, trouble: LastTrouble) {
        self.lock().troubles.push(trouble);
    }

    /// Shows what is published.
    pub fn publishing(&self, counters: Arc<CloudWatchCounters>) {
        self.lock().publishing = Some(counters);
    }

    /// Once a second: samples the throughput, brings the metrics up to date, and logs new dead letters.
    pub fn tick(&self, now: Micros) {
        let mut posted = self.lock();
        let shards = &posted.status.shards;
        let sum = |of: fn(&ShardStatus) -> u64| shards.values().map(of).sum();
        let sample =
            Sample { at: now, records: sum(|s| s.records), bytes: sum(|s| s.bytes), events: sum(|s| s.events_read) };
        posted.samples.add(sample);
        posted.status.throughput = posted.samples.throughput();
        let letters = posted.status.dead_letters();
        let news = posted.letters.news(now, &letters);
        drop(posted);
        if let Some(news) = news {
            news.log();
        }
        self.status().report(now);
    }

    /// A copy of everything.
    pub fn status(&self) -> Status {
        let posted = self.lock();
        let trouble = posted.troubles.iter().filter_map(LastTrouble::get).max_by_key(|t| t.at);
        let published = posted.publishing.as_ref().map(|counters| counters.snapshot());
        Status { trouble, published, ..posted.status.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_windows_stay_until_they_are_counted_again() {
        let board = Board::default();
        let open = |end| vec![OpenWindows { ends: [end].into(), ..OpenWindows::default() }];
        board.open_where_shards_meet(open(7));
        board.combined(CombineStatus { watermark: Some(3), ..CombineStatus::default() });
        let combine = board.status().combine;
        assert_eq!((combine.watermark, combine.open), (Some(3), open(7)));
        board.open_where_shards_meet(open(8));
        assert_eq!(board.status().combine.open, open(8));
    }

    #[test]
    fn the_latest_trouble_is_shown_whoever_has_it() {
        let board = Board::new(5);
        assert_eq!((board.status().started_at, board.status().trouble), (5, None));
        let retries = LastTrouble::default();
        board.watch(retries.clone());
        retries.note(10, "throttled");
        assert_eq!(board.status().trouble.unwrap().message, "throttled");
        board.failed(20, &Error::external("the disk is full").at("/lake"));
        let status = board.status();
        assert_eq!(
            (status.phase, status.trouble.unwrap().message.as_str()),
            (Phase::Failed, "/lake: the disk is full")
        );
        board.stopping();
        assert_eq!(board.status().phase, Phase::Failed, "a failure is not forgotten at the stop");
        retries.note(30, "throttled again");
        assert_eq!(board.status().trouble.unwrap().at, 30);
    }
}
