//! Sorts the SDK's errors by what to do about them.

use aws_sdk_kinesis::config::http::HttpResponse;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};

use crate::error::Error;

/// What a failed call means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Over a limit of the service: slow down.
    Throttled,
    /// The service, or the way to it, is ill: try again.
    Unavailable,
    /// The shard iterator is too old: get another.
    ExpiredIterator,
    /// The caller may not do this, or nobody knows the caller.
    Denied,
    /// No such stream, or no such shard in it.
    NotFound,
    /// The request itself is wrong.
    Refused,
}

impl Fault {
    /// Whether the same call may work later.
    pub(super) fn passes(self) -> bool {
        matches!(self, Fault::Throttled | Fault::Unavailable)
    }

    pub(super) fn of<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Self {
        match error {
            SdkError::ServiceError(e) => Self::of_reply(e.err().code().unwrap_or(""), e.raw().status().as_u16()),
            SdkError::ResponseError(e) if e.raw().status().is_client_error() => Fault::Refused,
            SdkError::ConstructionFailure(_) => Fault::Refused,
            // Timeouts, connections refused or broken, replies cut short, credentials that cannot be renewed just now.
            _ => Fault::Unavailable,
        }
    }

    /// By the error code of the reply, or by its HTTP status where the code says nothing.
    pub(super) fn of_reply(code: &str, status: u16) -> Self {
        match code {
            "ProvisionedThroughputExceededException"
            | "LimitExceededException"
            | "KMSThrottlingException"
            | "ThrottlingException"
            | "Throttling"
            | "RequestLimitExceeded"
            | "TooManyRequestsException"
            | "SlowDown" => Fault::Throttled,
            "ExpiredIteratorException" => Fault::ExpiredIterator,
            "ResourceNotFoundException" => Fault::NotFound,
            "AccessDeniedException"
            | "AccessDenied"
            | "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "IncompleteSignatureException"
            | "MissingAuthenticationTokenException"
            | "OptInRequired"
            | "KMSAccessDeniedException"
            | "KMSDisabledException"
            | "KMSInvalidStateException"
            | "KMSNotFoundException"
            | "KMSOptInRequired" => Fault::Denied,
            // A stream that is being created or changed, a token about to be renewed: both pass.
            "ResourceInUseException"
            | "ExpiredTokenException"
            | "ExpiredToken"
            | "InternalFailure"
            | "InternalFailureException"
            | "ServiceUnavailable"
            | "ServiceUnavailableException"
            | "RequestTimeout"
            | "RequestTimeoutException" => Fault::Unavailable,
            _ => match status {
                429 => Fault::Throttled,
                500.. => Fault::Unavailable,
                403 => Fault::Denied,
                _ => Fault::Refused,
            },
        }
    }

    /// The error that a user sees. `place` names the stream, region and endpoint.
    pub(super) fn error(self, operation: &str, place: &str) -> Error {
        match self {
            Fault::Throttled => Error::transient(format!("{operation} is throttled"))
                .hint("other readers share the shards' limits: give each its own fan-out consumer, or add shards"),
            Fault::Unavailable => Error::transient(format!("{operation} gets no answer from the service"))
                .hint("check the network and the endpoint"),
            Fault::ExpiredIterator => Error::internal(format!("{operation} was given an iterator that had expired")),
            Fault::Denied => Error::user(format!("{operation} is not allowed")).hint(format!(
                "allow kinesis:{operation} on the stream to these credentials, and check the machine's clock"
            )),
            Fault::NotFound => Error::user("there is no such stream or shard")
                .hint("check the stream's name, the region and the account, or create the stream"),
            Fault::Refused => Error::external(format!("{operation} was refused")),
        }
        .at(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_told_by_code_first_and_status_second() {
        assert_eq!(Fault::of_reply("LimitExceededException", 400), Fault::Throttled);
        assert_eq!(Fault::of_reply("ExpiredIteratorException", 400), Fault::ExpiredIterator);
        assert_eq!(Fault::of_reply("UnrecognizedClientException", 400), Fault::Denied);
        assert_eq!(Fault::of_reply("", 503), Fault::Unavailable);
        assert_eq!(Fault::of_reply("InvalidArgumentException", 400), Fault::Refused);
        assert!(Fault::Throttled.passes() && Fault::Unavailable.passes() && !Fault::Denied.passes());
    }

    #[test]
    fn what_the_user_can_mend_is_the_users() {
        for fault in [Fault::Denied, Fault::NotFound] {
            let e = fault.error("GetRecords", "stream `s` in eu-west-1");
            assert_eq!(e.exit_code(), 2);
            assert!(e.remedy().is_some() && e.place() == Some("stream `s` in eu-west-1"));
        }
    }
}
