//! What the rest of the program holds of the sink.

use std::sync::Arc;
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use tokio::task::JoinHandle;
use tokio_util::sync::DropGuard;

use super::backlog::Backlog;
use super::client::Metrics;
use super::counters::{CloudWatchCounters, CloudWatchCounts, Dropped};
use super::datum::{Datum, Window, data};
use super::options::CloudWatchOptions;
use super::publisher::{Ending, Publisher};
use super::series::Series;
use crate::clock::Clock;
use crate::error::Result;
use crate::limits::CLOUDWATCH_FLUSH_SECS_MAX;
use crate::types::{MetricMapping, Micros};

/// What is published of one table.
#[derive(Debug, Clone)]
pub struct PublishedTable {
    /// Its metrics; none for most tables.
    pub metrics: Vec<MetricMapping>,
    /// Size of its windows.
    pub window: Micros,
}

/// Publishes metrics in a task of its own. Dropped without [`CloudWatch::close`], the task goes on until nothing waits.
#[derive(Debug)]
pub struct CloudWatch {
    tables: Vec<PublishedTable>,
    series: Series,
    backlog: Arc<Backlog>,
    counters: Arc<CloudWatchCounters>,
    place: String,
    ending: Ending,
    /// Tells the task that nothing more comes.
    flush: DropGuard,
    task: JoinHandle<()>,
}

impl CloudWatch {
    /// Finds region and credentials and starts the task. CloudWatch itself is not asked for anything: that it does not answer must not
    /// keep a job from its start.
    ///
    /// # Errors
    /// A user's error for impossible options, without a region, or without credentials.
    pub async fn connect(
        options: &CloudWatchOptions,
        tables: Vec<PublishedTable>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let metrics = Metrics::connect(options).await?;
        let place = metrics.place().to_owned();
        let (backlog, counters) = (Arc::<Backlog>::default(), Arc::new(CloudWatchCounters::start()));
        let ending = Ending::default();
        let publisher =
            Publisher::new(metrics, options, Arc::clone(&backlog), Arc::clone(&counters), clock, ending.clone());
        Ok(Self {
            tables,
            series: Series::new(options.series_max),
            backlog,
            counters,
            place,
            flush: ending.flush.clone().drop_guard(),
            ending,
            task: tokio::spawn(publisher.run()),
        })
    }

    /// Takes the rows of a complete window of a table. Neither waits nor fails; what cannot be published is counted.
    pub fn offer(&mut self, table: usize, window_end: Micros, rows: &RecordBatch) {
        let Some(published) = self.tables.get(table) else { return };
        let window = Window { end: window_end, size: published.window };
        let mut good: Vec<Datum> = Vec::new();
        for (i, mapping) in published.metrics.iter().enumerate() {
            for datum in data(mapping, window, rows) {
                match datum {
                    Ok(datum) if self.series.admit(table, i, &datum.dimensions) => good.push(datum),
                    Ok(_) => self.counters.dropped(Dropped::SeriesLimit, 1),
                    Err(why) => self.counters.dropped(why, 1),
                }
            }
        }
        if !good.is_empty() {
            let gone = self.backlog.push(good);
            self.counters.dropped(Dropped::BacklogFull, gone);
        }
    }

    /// Publishes what waits, for [`CLOUDWATCH_FLUSH_SECS_MAX`] at most, and drops the rest; what became of all data.
    pub async fn close(self) -> CloudWatchCounts {
        let Self { counters, ending, flush, mut task, .. } = self;
        drop(flush);
        if tokio::time::timeout(Duration::from_secs(CLOUDWATCH_FLUSH_SECS_MAX), &mut task).await.is_err() {
            ending.give_up.cancel();
            // Whatever became of the task, the lake is what counts.
            let _ = task.await;
        }
        let counts = counters.snapshot();
        tracing::info!(
            published = counts.published,
            dropped = counts.dropped_total(),
            "publishing to CloudWatch has ended"
        );
        counts
    }

    /// Counts of what was published and what was not.
    pub fn counters(&self) -> Arc<CloudWatchCounters> {
        Arc::clone(&self.counters)
    }

    /// Namespace, region and endpoint, for messages.
    pub fn place(&self) -> &str {
        &self.place
    }
}
