//! What the tests share: a double, a sink that publishes to it, rows to offer.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use headcount::clock::{Clock, ManualClock};
use headcount::sink::cloudwatch::{CloudWatch, CloudWatchOptions, PublishedTable};
use headcount::types::{MICROS_PER_SEC, MetricMapping, MetricStatistic, Micros};

use crate::cloudwatch_double::Double;

/// The time of the service and of the sink, unless a test sets it: 2027-01-15T08:00:00Z.
pub(super) const NOW: Micros = 1_800_000_000 * MICROS_PER_SEC;

/// A wait for something that must happen ends with the test's failure after this long.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn clock(now: Micros) -> Arc<dyn Clock> {
    Arc::new(ManualClock::at(now))
}

/// Options that do not wait.
pub(super) fn options(double: &Double) -> CloudWatchOptions {
    CloudWatchOptions { flush: Duration::ZERO, ..CloudWatchOptions::loopback("Custom/Streaming", double.endpoint()) }
}

/// Waits for what must come.
pub(super) async fn until(what: &str, mut ready: impl FnMut() -> bool) {
    let waiting = async {
        while !ready() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("waited in vain: {what}"));
}

/// A table of `value` and, if it is to have a dimension, `label`; its windows are a minute.
pub(super) fn table(metric: &str, labelled: bool) -> PublishedTable {
    let dimensions = if labelled { vec![("label".to_owned(), 1)] } else { vec![] };
    let mapping =
        MetricMapping { metric: metric.to_owned(), unit: "Count", statistic: MetricStatistic::Sample(0), dimensions };
    PublishedTable { metrics: vec![mapping], window: 60 * MICROS_PER_SEC }
}

/// Rows of such a table: the values, each with a label of its own of so many characters.
pub(super) fn rows(values: &[i64], label_chars: usize) -> RecordBatch {
    let labels = values.iter().map(|v| format!("{v:0>label_chars$}"));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("value", Arc::new(Int64Array::from(values.to_vec()))),
        ("label", Arc::new(StringArray::from_iter_values(labels))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

pub(super) async fn connect(options: &CloudWatchOptions, tables: Vec<PublishedTable>) -> CloudWatch {
    CloudWatch::connect(options, tables, clock(NOW)).await.unwrap()
}
