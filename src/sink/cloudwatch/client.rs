//! The connection to CloudWatch: one call, with neither memory nor patience.

use std::error::Error as StdError;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit, StatisticSet};

use super::datum::{Datum, Sample};
use super::fault::Fault;
use super::options::{CloudWatchOptions, StorageResolution};
use crate::aws::Service;
use crate::error::{Error, Result};
use crate::limits::CLOUDWATCH_TRY_SECS_MAX;
use crate::types::MICROS_PER_SEC;

/// Puts metric data into one namespace.
#[derive(Debug)]
pub(super) struct Metrics {
    client: Client,
    namespace: String,
    resolution: StorageResolution,
    place: String,
}

/// A call that did not work.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) fault: Fault,
    pub(super) error: Error,
}

impl Metrics {
    /// Finds region and credentials. Nothing is asked of CloudWatch yet.
    ///
    /// # Errors
    /// A user's error for impossible options, without a region, or without credentials.
    pub(super) async fn connect(options: &CloudWatchOptions) -> Result<Self> {
        options.validate()?;
        let service = Service {
            what: format!("CloudWatch namespace `{}`", options.namespace),
            region: options.region.as_deref(),
            region_hint: "set cloudwatch.region, or AWS_REGION in the environment",
            endpoint_url: options.endpoint_url.as_deref(),
            access: options.access,
            try_secs_max: CLOUDWATCH_TRY_SECS_MAX,
        };
        let (config, place) = service.config().await?;
        Ok(Self {
            client: Client::new(&config),
            namespace: options.namespace.clone(),
            resolution: options.resolution,
            place,
        })
    }

    /// Namespace, region and endpoint, for messages.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Puts what fits into one call. Larger calls are compressed by the SDK.
    pub(super) async fn put<'a>(&self, data: impl Iterator<Item = &'a Datum>) -> Result<(), Failure> {
        let data = data.map(|d| self.datum(d)).collect();
        let put = self.client.put_metric_data().namespace(&self.namespace).set_metric_data(Some(data));
        match put.send().await {
            Ok(_) => Ok(()),
            Err(e) => {
                let fault = Fault::of(&e);
                Err(Failure { fault, error: fault.error(&self.place).because(e) })
            }
        }
    }

    fn datum(&self, datum: &Datum) -> MetricDatum {
        let dimension = |(name, value): &(String, String)| Dimension::builder().name(name).value(value).build();
        let dimensions: Vec<Dimension> = datum.dimensions.iter().map(dimension).collect();
        let seconds = datum.time.div_euclid(MICROS_PER_SEC);
        let nanos = datum.time.rem_euclid(MICROS_PER_SEC) as u32 * 1_000;
        let out = MetricDatum::builder()
            .metric_name(&*datum.metric)
            .set_dimensions(Some(dimensions).filter(|d| !d.is_empty()))
            .timestamp(DateTime::from_secs_and_nanos(seconds, nanos))
            .unit(StandardUnit::from(datum.unit))
            .storage_resolution(match self.resolution {
                StorageResolution::Second => 1,
                StorageResolution::Minute => 60,
            });
        match datum.sample {
            Sample::Value(value) => out.value(value),
            Sample::Set { count, sum, minimum, maximum } => out.statistic_values(
                StatisticSet::builder().sample_count(count).sum(sum).minimum(minimum).maximum(maximum).build(),
            ),
        }
        .build()
    }
}

impl Failure {
    /// What lies at the bottom: the SDK's own text says no more than "service error".
    pub(super) fn cause(&self) -> String {
        let mut cause: &(dyn StdError + 'static) = &self.error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        cause.to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::types::METRIC_UNITS;

    #[test]
    fn units_are_those_of_the_service() {
        let ours = BTreeSet::from(METRIC_UNITS);
        assert_eq!(ours, StandardUnit::values().iter().copied().collect());
    }
}
