//! Sorts the SDK's errors by what to do about them.

use aws_sdk_cloudwatch::config::http::HttpResponse;
use aws_sdk_cloudwatch::error::{ProvideErrorMetadata, SdkError};

use crate::error::Error;

/// What a failed call means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Over a limit of the service: slow down.
    Throttled,
    /// The service, or the way to it, is ill: try again.
    Unavailable,
    /// The caller may not do this, or nobody knows the caller. Somebody may mend that while the process runs.
    Denied,
    /// The request itself is wrong, and stays so.
    Refused,
}

impl Fault {
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
    fn of_reply(code: &str, status: u16) -> Self {
        match code {
            "Throttling"
            | "ThrottlingException"
            | "RequestLimitExceeded"
            | "TooManyRequestsException"
            | "LimitExceeded" => Fault::Throttled,
            "AccessDenied"
            | "AccessDeniedException"
            | "NotAuthorized"
            | "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "IncompleteSignature"
            | "MissingAuthenticationToken"
            | "OptInRequired" => Fault::Denied,
            "ExpiredToken"
            | "ExpiredTokenException"
            | "RequestExpired"
            | "InternalServiceError"
            | "InternalFailure"
            | "ServiceUnavailable" => Fault::Unavailable,
            _ => match status {
                429 => Fault::Throttled,
                408 | 500.. => Fault::Unavailable,
                401 | 403 => Fault::Denied,
                _ => Fault::Refused,
            },
        }
    }

    /// The error that an operator sees. `place` names the namespace, region and endpoint.
    pub(super) fn error(self, place: &str) -> Error {
        match self {
            Fault::Throttled => Error::transient("PutMetricData is throttled"),
            Fault::Unavailable => {
                Error::transient("CloudWatch gives no answer").hint("check the network and the endpoint")
            }
            Fault::Denied => Error::user("PutMetricData is not allowed").hint(
                "allow cloudwatch:PutMetricData in the namespace to these credentials, and check the machine's clock",
            ),
            Fault::Refused => Error::external("PutMetricData was refused"),
        }
        .at(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_told_by_code_first_and_status_second() {
        assert_eq!(Fault::of_reply("Throttling", 400), Fault::Throttled);
        assert_eq!(Fault::of_reply("InternalServiceError", 500), Fault::Unavailable);
        assert_eq!(Fault::of_reply("InvalidParameterValue", 400), Fault::Refused);
        assert_eq!(Fault::of_reply("AccessDenied", 403), Fault::Denied);
        assert_eq!(Fault::of_reply("", 503), Fault::Unavailable);
        assert_eq!(Fault::of_reply("", 413), Fault::Refused);
    }
}
