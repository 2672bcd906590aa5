//! Makes one call to the service, again if need be.

use std::error::Error as StdError;

use aws_sdk_kinesis::config::http::HttpResponse;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};

use super::counters::{KinesisCounters, add};
use super::fault::Fault;
use crate::aws::Backoff;
use crate::error::Error;
use crate::telemetry::metrics as names;

/// A call that did not work in the end.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) fault: Fault,
    pub(super) error: Error,
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

/// Where calls go, for messages and counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller<'a> {
    pub(super) place: &'a str,
    pub(super) counters: &'a KinesisCounters,
}

impl Caller<'_> {
    /// Calls until it works, until the fault is one that does not pass, or until `backoff` has no more tries.
    pub(super) async fn call<T, E, F>(
        &self,
        operation: &str,
        backoff: &mut Backoff,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        loop {
            let error = match attempt().await {
                Ok(reply) => {
                    backoff.reset();
                    return Ok(reply);
                }
                Err(error) => error,
            };
            let fault = Fault::of(&error);
            match fault {
                Fault::Throttled => add(&self.counters.throttled, 1),
                Fault::Unavailable => add(&self.counters.unavailable, 1),
                _ => {}
            }
            let pause = if fault.passes() { backoff.next_pause() } else { None };
            let Some(pause) = pause else {
                backoff.reset();
                return Err(Failure { fault, error: fault.error(operation, self.place).because(error) });
            };
            tracing::debug!(operation, ?fault, ?pause, place = self.place, "a call failed and will be tried again");
            add(&self.counters.retries, 1);
            metrics::counter!(names::RETRIES_TOTAL, "service" => "kinesis").increment(1);
            tokio::time::sleep(pause).await;
        }
    }
}
