//! What CloudWatch makes of the data of a period: sums of sums and counts, extremes of extremes.

use std::collections::BTreeMap;

use super::datum::PutDatum;

/// The statistics of one period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Statistics {
    pub sample_count: f64,
    pub sum: f64,
    pub minimum: f64,
    pub maximum: f64,
}

impl Statistics {
    pub fn average(&self) -> f64 {
        self.sum / self.sample_count
    }
}

/// One metric without dimensions, by the start of the period in seconds. A datum belongs to the period that holds its time stamp.
pub fn statistics<'a>(
    data: impl IntoIterator<Item = &'a PutDatum>,
    metric: &str,
    period_secs: i64,
) -> BTreeMap<i64, Statistics> {
    let mut periods: BTreeMap<i64, Statistics> = BTreeMap::new();
    for datum in data.into_iter().filter(|d| d.metric == metric && d.dimensions.is_empty()) {
        let period = (datum.time_millis.div_euclid(1_000)).div_euclid(period_secs) * period_secs;
        let s = datum.sample;
        let new = Statistics { sample_count: s.count, sum: s.sum, minimum: s.minimum, maximum: s.maximum };
        let merge = |old: &mut Statistics| {
            old.sample_count += new.sample_count;
            old.sum += new.sum;
            old.minimum = old.minimum.min(new.minimum);
            old.maximum = old.maximum.max(new.maximum);
        };
        periods.entry(period).and_modify(merge).or_insert(new);
    }
    periods
}
