//! Makes one call to the service, again if need be.

use std::error::Error as StdError;
use std::time::Duration;

use aws_sdk_kinesis::config::http::HttpResponse;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};

use super::client::Shared;
use super::counters::add;
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

/// Makes calls, and says where they went, how often and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller<'a>(pub(super) &'a Shared);

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
            let Shared { counters, place, .. } = self.0;
            let fault = Fault::of(&error);
            match fault {
                Fault::Throttled => add(&counters.throttled, 1),
                Fault::Unavailable => add(&counters.unavailable, 1),
                _ => {}
            }
            let pause = if fault.passes() { backoff.next_pause() } else { None };
            let Some(pause) = pause else {
                backoff.reset();
                return Err(Failure { fault, error: fault.error(operation, place).because(error) });
            };
            self.note_retry(operation, fault, pause, &error);
            tokio::time::sleep(pause).await;
        }
    }

    fn note_retry(&self, operation: &str, fault: Fault, pause: Duration, error: &(dyn StdError + 'static)) {
        let Shared { counters, place, trouble, clock, .. } = self.0;
        let pause_millis = pause.as_millis() as u64;
        // The SDK's own text says no more than "service error": what happened is at the end of the chain.
        let mut cause = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        match fault {
            // Shards are shared with other readers; now and then is normal, and the counter shows how often.
            Fault::Throttled => tracing::debug!(operation, place, pause_millis, %cause, "throttled: will try again"),
            _ => tracing::warn!(operation, place, pause_millis, %cause, "a call failed: will try again"),
        }
        trouble.note(clock.now(), format!("{}; tried again", fault.error(operation, place)));
        add(&counters.retries, 1);
        metrics::counter!(names::RETRIES_TOTAL, "service" => "kinesis").increment(1);
    }
}
