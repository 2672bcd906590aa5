//! How rows of a table become a metric of CloudWatch: what a pipeline's header says, checked against the table's columns.

/// One metric of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricMapping {
    /// The metric's name.
    pub metric: String,
    /// One of [`METRIC_UNITS`].
    pub unit: &'static str,
    /// What a row says about its window.
    pub statistic: MetricStatistic,
    /// Name and column of each dimension, in the header's order. The columns are text.
    pub dimensions: Vec<(String, usize)>,
}

/// What a row says about its window. The columns are numbers, given by their position in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricStatistic {
    /// One sample: `SampleCount` 1, `Sum`, `Minimum` and `Maximum` its value.
    Sample(usize),
    /// A statistic set that weighs as much as its window is long: `SampleCount` is the window's seconds, `Sum` is `typical` times
    /// that, so that the average over any number of windows is weighted by time.
    Weighted {
        /// The window's average, or a value that stands for the whole window.
        typical: usize,
        /// The lowest value in the window.
        minimum: usize,
        /// The highest value in the window.
        maximum: usize,
    },
}

/// The units that CloudWatch knows
/// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html>).
pub const METRIC_UNITS: [&str; 27] = [
    "Seconds",
    "Microseconds",
    "Milliseconds",
    "Bytes",
    "Kilobytes",
    "Megabytes",
    "Gigabytes",
    "Terabytes",
    "Bits",
    "Kilobits",
    "Megabits",
    "Gigabits",
    "Terabits",
    "Percent",
    "Count",
    "Bytes/Second",
    "Kilobytes/Second",
    "Megabytes/Second",
    "Gigabytes/Second",
    "Terabytes/Second",
    "Bits/Second",
    "Kilobits/Second",
    "Megabits/Second",
    "Gigabits/Second",
    "Terabits/Second",
    "Count/Second",
    "None",
];

impl MetricMapping {
    /// What tells a metric from others of its namespace: its name and the names of its dimensions, in alphabetical order.
    pub fn identity(&self) -> (&str, Vec<&str>) {
        let mut dimensions: Vec<&str> = self.dimensions.iter().map(|(name, _)| name.as_str()).collect();
        dimensions.sort_unstable();
        (&self.metric, dimensions)
    }
}

/// Whether CloudWatch takes `text` as the name of a metric, a dimension or a namespace of at most `chars_max` characters: ASCII
/// without control characters, something besides blanks, no colon at the start.
pub fn is_metric_name(text: &str, chars_max: usize) -> bool {
    is_metric_text(text, chars_max) && !text.starts_with(':')
}

/// Whether CloudWatch takes `text` as the value of a dimension of at most `chars_max` characters.
pub fn is_metric_text(text: &str, chars_max: usize) -> bool {
    let printable = |b: u8| b.is_ascii() && !b.is_ascii_control();
    text.len() <= chars_max && text.bytes().all(printable) && text.bytes().any(|b| b != b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_printable_ascii_of_some_length() {
        for good in ["ActiveStreams", "p95 (ms)", "a:b", "Custom/Streaming"] {
            assert!(is_metric_name(good, 255), "{good}");
        }
        for bad in ["", "  ", ":a", "Zürich", "a\nb", "\u{7f}"] {
            assert!(!is_metric_name(bad, 255), "{bad:?}");
        }
        assert!(is_metric_name(&"x".repeat(255), 255) && !is_metric_name(&"x".repeat(256), 255));
        assert!(is_metric_text(":a", 2));
    }

    #[test]
    fn the_order_of_dimensions_does_not_make_another_metric() {
        let mapping = |dimensions: [&str; 2]| MetricMapping {
            metric: "m".to_owned(),
            unit: "None",
            statistic: MetricStatistic::Sample(0),
            dimensions: dimensions.map(|d| (d.to_owned(), 0)).to_vec(),
        };
        assert_eq!(mapping(["a", "b"]).identity(), mapping(["b", "a"]).identity());
    }
}
