//! The header's `[[cloudwatch]]`: which columns of the result become a metric of Amazon CloudWatch, and how.
//!
//! ```toml
//! [[cloudwatch]]
//! metric = "ConcurrentViewers"
//! unit = "Count"
//! average = "viewers_avg"
//! minimum = "viewers_min"
//! maximum = "viewers_max"
//! ```
//!
//! One of three keys says what the row knows about its window:
//!
//! | key | the column is | published as |
//! |---|---|---|
//! | `average` | the average over the window; needs `minimum` and `maximum` | a statistic set with the weight of the window's seconds |
//! | `current` | a value that stands for the whole window; `minimum` and `maximum` where they are known, else the value itself | as above |
//! | `value` | one sample, such as a count of events; no `minimum`, no `maximum` | a plain value |
//!
//! What CloudWatch would refuse, or what would mix different things in one metric, is refused here.

use arrow::datatypes::DataType;
use serde::Deserialize;

use super::file::{PipelineFile, SinkName};
use super::output::Output;
use crate::error::{Error, Result};
use crate::limits::{CLOUDWATCH_DIMENSIONS_MAX, CLOUDWATCH_NAME_CHARS_MAX};
use crate::types::{METRIC_UNITS, MetricMapping, MetricStatistic, is_metric_name};

/// One `[[cloudwatch]]` of a header, as written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricHeader {
    /// The metric's name.
    pub metric: String,
    /// One of CloudWatch's units.
    #[serde(default = "no_unit")]
    pub unit: String,
    /// The column of one sample.
    pub value: Option<String>,
    /// The column of the window's average.
    pub average: Option<String>,
    /// The column of a value that stands for the whole window.
    pub current: Option<String>,
    /// The column of the lowest value in the window.
    pub minimum: Option<String>,
    /// The column of the highest value in the window.
    pub maximum: Option<String>,
    /// Columns of text that become dimensions of their names.
    #[serde(default)]
    pub dimensions: Vec<String>,
}

fn no_unit() -> String {
    "None".to_owned()
}

/// The metrics of a file, checked against its table.
///
/// # Errors
/// A user's error with the line of the key, the reason and the remedy.
pub(super) fn check(file: &PipelineFile, output: &Output) -> Result<Vec<MetricMapping>> {
    let named = file.header.sinks.contains(&SinkName::CloudWatch);
    if named && file.header.cloudwatch.is_empty() {
        return Err(Error::user("the sink cloudwatch is named, but no metric is described")
            .at(file.at_key("sinks"))
            .hint("add [[cloudwatch]] with metric = \"…\" and value = \"…\", or take the sink out of sinks"));
    }
    if !named && !file.header.cloudwatch.is_empty() {
        return Err(Error::user("a metric is described, but the sink cloudwatch is not named")
            .at(file.at_metric(0, "metric"))
            .hint("write sinks = [\"lake\", \"cloudwatch\"], or remove [[cloudwatch]]"));
    }
    let mut found: Vec<MetricMapping> = Vec::new();
    for (n, header) in file.header.cloudwatch.iter().enumerate() {
        let mapping = Described { file, output, n, header }.mapping()?;
        if found.iter().any(|other| other.identity() == mapping.identity()) {
            return Err(Error::user(format!("the metric {} is described twice", mapping.metric))
                .at(file.at_metric(n, "metric"))
                .hint("rename one: CloudWatch would mix their values"));
        }
        found.push(mapping);
    }
    Ok(found)
}

/// One metric that is being checked.
struct Described<'a> {
    file: &'a PipelineFile,
    output: &'a Output,
    n: usize,
    header: &'a MetricHeader,
}

impl Described<'_> {
    fn mapping(&self) -> Result<MetricMapping> {
        let header = self.header;
        if !is_metric_name(&header.metric, CLOUDWATCH_NAME_CHARS_MAX) {
            let reason = format!("{:?} cannot be the name of a metric", header.metric);
            return Err(self.refuse("metric", reason, NAME_HINT));
        }
        let unit = METRIC_UNITS.into_iter().find(|u| *u == header.unit).ok_or_else(|| {
            let reason = format!("CloudWatch knows no unit {:?}", header.unit);
            self.refuse(
                "unit",
                reason,
                "write one of its units, as \"Count\", \"Milliseconds\", \"Percent\" or \"None\"",
            )
        })?;
        let statistic = self.statistic()?;
        let dimensions = self.dimensions()?;
        for key in &self.file.header.keys {
            if !header.dimensions.contains(key) {
                let reason = format!("rows that differ in the key {key} would all go into one metric");
                let remedy = format!("add \"{key}\" to dimensions, or aggregate over it in a query of its own");
                return Err(self.refuse("dimensions", reason, &remedy));
            }
        }
        Ok(MetricMapping { metric: header.metric.clone(), unit, statistic, dimensions })
    }

    fn statistic(&self) -> Result<MetricStatistic> {
        let MetricHeader { value, average, current, minimum, maximum, .. } = self.header;
        match (value, average, current) {
            (Some(value), None, None) => {
                for (key, given) in [("minimum", minimum), ("maximum", maximum)] {
                    if given.is_some() {
                        let remedy = "leave it out, or write average or current instead of value";
                        return Err(self.refuse(key, format!("a plain value has no {key}"), remedy));
                    }
                }
                Ok(MetricStatistic::Sample(self.number("value", value)?))
            }
            (None, Some(average), None) => {
                let (Some(minimum), Some(maximum)) = (minimum, maximum) else {
                    let remedy = "name the columns of minimum and maximum: CloudWatch shows both, and an average does not tell them";
                    return Err(self.refuse("average", "an average needs its extremes".to_owned(), remedy));
                };
                self.weighted(("average", average), minimum, maximum)
            }
            (None, None, Some(current)) => {
                let (minimum, maximum) = (minimum.as_ref().unwrap_or(current), maximum.as_ref().unwrap_or(current));
                self.weighted(("current", current), minimum, maximum)
            }
            _ => {
                let reason =
                    format!("the metric {} needs exactly one of value, average and current", self.header.metric);
                Err(self.refuse(
                    "metric",
                    reason,
                    "name one column: value for a plain count, average or current for a level",
                ))
            }
        }
    }

    fn weighted(&self, (key, typical): (&str, &str), minimum: &str, maximum: &str) -> Result<MetricStatistic> {
        Ok(MetricStatistic::Weighted {
            typical: self.number(key, typical)?,
            minimum: self.number("minimum", minimum)?,
            maximum: self.number("maximum", maximum)?,
        })
    }

    fn dimensions(&self) -> Result<Vec<(String, usize)>> {
        let names = &self.header.dimensions;
        if names.len() > CLOUDWATCH_DIMENSIONS_MAX {
            let reason = format!("{} dimensions are more than CloudWatch takes", names.len());
            return Err(self.refuse("dimensions", reason, "name 30 at most: each combination is billed as a metric"));
        }
        let mut dimensions: Vec<(String, usize)> = Vec::new();
        for name in names {
            let column = self.column("dimensions", name)?;
            if dimensions.iter().any(|(other, _)| other == name) {
                return Err(self.refuse("dimensions", format!("the dimension {name} is there twice"), "name it once"));
            }
            if !is_metric_name(name, CLOUDWATCH_NAME_CHARS_MAX) {
                let reason = format!("{name} cannot be the name of a dimension");
                return Err(self.refuse("dimensions", reason, NAME_HINT));
            }
            let field = self.output.schema().field(column);
            if *field.data_type() != DataType::Utf8 {
                let reason = format!("the dimension {name} is no text");
                let remedy = format!("select CAST({name} AS VARCHAR) AS {name}, or take a column of text");
                return Err(self.refuse("dimensions", reason, &remedy));
            }
            dimensions.push((name.clone(), column));
        }
        Ok(dimensions)
    }

    fn number(&self, key: &str, name: &str) -> Result<usize> {
        let column = self.column(key, name)?;
        match self.output.schema().field(column).data_type() {
            t if t.is_numeric() => Ok(column),
            t => {
                let reason = format!("the column {name} is no number but {t}");
                Err(self.refuse(key, reason, "take a column of numbers, or CAST it"))
            }
        }
    }

    fn column(&self, key: &str, name: &str) -> Result<usize> {
        self.output.column(name).ok_or_else(|| {
            let reason = format!("the metric {} takes {name}, which the query does not select", self.header.metric);
            self.refuse(key, reason, "name a column of the result, or select it")
        })
    }

    fn refuse(&self, key: &str, reason: String, remedy: &str) -> Error {
        Error::user(reason).at(self.file.at_metric(self.n, key)).hint(remedy)
    }
}

const NAME_HINT: &str = "use 1 to 255 printable ASCII characters, not only blanks, and no colon at the start";
