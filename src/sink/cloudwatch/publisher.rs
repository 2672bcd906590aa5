//! The task that talks to CloudWatch: one call at a time, again after a pause if need be.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::backlog::{Backlog, Waiting};
use super::client::{Failure, Metrics};
use super::counters::{CloudWatchCounters, Dropped};
use super::fault::Fault;
use super::options::CloudWatchOptions;
use crate::aws::{Backoff, Pauses};
use crate::clock::Clock;
use crate::limits::{
    CLOUDWATCH_BACKOFF_MILLIS_MAX, CLOUDWATCH_BACKOFF_MILLIS_MIN, CLOUDWATCH_DATA_PER_PUT_MAX, CLOUDWATCH_EDGE_SECS,
    CLOUDWATCH_FUTURE_SECS_MAX, CLOUDWATCH_PAST_SECS_MAX, CLOUDWATCH_WARN_SECS,
};
use crate::types::MICROS_PER_SEC;

/// How the task is told to end.
#[derive(Debug, Clone, Default)]
pub(super) struct Ending {
    /// Nothing more comes: publish what waits, without waiting for more.
    pub(super) flush: CancellationToken,
    /// Drop what still waits.
    pub(super) give_up: CancellationToken,
}

/// Takes data from the backlog to CloudWatch.
pub(super) struct Publisher {
    // properties: constant
    metrics: Metrics,
    backlog: Arc<Backlog>,
    counters: Arc<CloudWatchCounters>,
    clock: Arc<dyn Clock>,
    ending: Ending,
    flush: Duration,
    retry: Duration,
    // state: mutable
    backoff: Backoff,
    /// The last call failed.
    failing: bool,
    /// Dropped since the last warning, and when that was.
    unsaid: usize,
    said: Option<Instant>,
}

impl Publisher {
    pub(super) fn new(
        metrics: Metrics,
        options: &CloudWatchOptions,
        backlog: Arc<Backlog>,
        counters: Arc<CloudWatchCounters>,
        clock: Arc<dyn Clock>,
        ending: Ending,
    ) -> Self {
        let pauses = Pauses {
            millis_min: CLOUDWATCH_BACKOFF_MILLIS_MIN,
            millis_max: CLOUDWATCH_BACKOFF_MILLIS_MAX,
            floor: Duration::ZERO,
            // The age of the data ends them.
            tries: u32::MAX,
        };
        Self {
            metrics,
            backlog,
            counters,
            clock,
            ending,
            flush: options.flush,
            retry: options.retry,
            backoff: Backoff::new(options.jitter_seed, pauses),
            failing: false,
            unsaid: 0,
            said: None,
        }
    }

    /// Publishes until it is told to end and nothing waits, or to give up.
    pub(super) async fn run(mut self) {
        let Ending { flush, give_up } = self.ending.clone();
        loop {
            tokio::select! {
                () = self.backlog.holds(1) => {}
                () = flush.cancelled() => {}
            }
            if !self.failing {
                // What is emitted at the same moment shares a call.
                tokio::select! {
                    () = tokio::time::sleep(self.flush) => {}
                    () = self.backlog.holds(CLOUDWATCH_DATA_PER_PUT_MAX) => {}
                    () = flush.cancelled() => {}
                }
            }
            if give_up.is_cancelled() || (flush.is_cancelled() && self.backlog.len() == 0) {
                break;
            }
            if let Some(pause) = self.put_next().await {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = give_up.cancelled() => {}
                }
            }
        }
        let left = self.backlog.clear();
        self.dropped(Dropped::Stopped, left);
        self.warn_of_dropped();
    }

    /// Makes one call; the pause before the next, if this one has to be repeated.
    async fn put_next(&mut self) -> Option<Duration> {
        let batch = self.in_time(self.backlog.take());
        if batch.is_empty() {
            return None;
        }
        if self.failing {
            self.counters.retried();
        }
        let give_up = self.ending.give_up.clone();
        let done = tokio::select! {
            done = self.metrics.put(batch.iter().map(|w| &w.datum)) => done,
            () = give_up.cancelled() => {
                // It may have arrived. Nobody will know.
                self.restore(batch);
                return None;
            }
        };
        match done {
            Ok(()) => {
                self.counters.published(batch.len());
                if std::mem::take(&mut self.failing) {
                    tracing::info!(place = self.metrics.place(), "CloudWatch takes metrics again");
                }
                self.backoff.reset();
                None
            }
            Err(failure) if failure.fault == Fault::Refused => {
                tracing::error!(
                    error = %failure.error,
                    cause = failure.cause(),
                    data = batch.len(),
                    "CloudWatch refused metrics: they are dropped"
                );
                self.counters.dropped(Dropped::Refused, batch.len());
                None
            }
            Err(failure) => self.put_off(batch, &failure),
        }
    }

    /// Keeps what is within the budget for another try.
    fn put_off(&mut self, batch: Vec<Waiting>, failure: &Failure) -> Option<Duration> {
        self.restore(batch);
        let pause = self.backoff.next_pause();
        if std::mem::replace(&mut self.failing, true) {
            tracing::debug!(fault = ?failure.fault, ?pause, "PutMetricData failed again");
        } else {
            let cause = failure.cause();
            tracing::warn!(error = %failure.error, cause, "CloudWatch takes no metrics: they will be tried again");
        }
        let expired = self.backlog.expire(Instant::now(), self.retry);
        self.dropped(Dropped::RetryBudget, expired);
        pause
    }

    /// Leaves out what CloudWatch would refuse for its time: a run that reads an old stream begins with it.
    fn in_time(&mut self, batch: Vec<Waiting>) -> Vec<Waiting> {
        let now = self.clock.now();
        let oldest = now - (CLOUDWATCH_PAST_SECS_MAX - CLOUDWATCH_EDGE_SECS) * MICROS_PER_SEC;
        let newest = now + (CLOUDWATCH_FUTURE_SECS_MAX - CLOUDWATCH_EDGE_SECS) * MICROS_PER_SEC;
        let count = |fits: &dyn Fn(i64) -> bool| batch.iter().filter(|w| fits(w.datum.time)).count();
        let (too_old, too_new) = (count(&|t| t < oldest), count(&|t| t > newest));
        self.dropped(Dropped::TooOld, too_old);
        self.dropped(Dropped::TooNew, too_new);
        batch.into_iter().filter(|w| (oldest..=newest).contains(&w.datum.time)).collect()
    }

    fn restore(&mut self, batch: Vec<Waiting>) {
        let gone = self.backlog.restore(batch);
        self.dropped(Dropped::BacklogFull, gone);
    }

    fn dropped(&mut self, why: Dropped, data: usize) {
        self.counters.dropped(why, data);
        self.unsaid += data;
        let pause = Duration::from_secs(CLOUDWATCH_WARN_SECS);
        if self.unsaid > 0 && self.said.is_none_or(|said| said.elapsed() >= pause) {
            self.warn_of_dropped();
        }
    }

    fn warn_of_dropped(&mut self) {
        if self.unsaid > 0 {
            tracing::warn!(
                data = self.unsaid,
                place = self.metrics.place(),
                "metrics were not published: headcount_cloudwatch_dropped_total has the reasons"
            );
            self.unsaid = 0;
            self.said = Some(Instant::now());
        }
    }
}
