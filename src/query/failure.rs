//! What DataFusion says, as a person can use it: whose move it is, where, what to do.

use arrow::error::ArrowError;
use datafusion::common::DataFusionError;

use crate::error::Error;
use crate::pipeline::{SqlText, refuse};

/// The error of a query that could not be planned, or broke off.
pub(super) fn failure(text: &SqlText<'_>, error: &DataFusionError) -> Error {
    match error.find_root() {
        DataFusionError::External(e) => match e.downcast_ref::<Error>() {
            // A mistake in the query has its line; whatever else failed has a place of its own.
            Some(own) if own.place().is_some() || own.exit_code() != 2 => own.copied(),
            _ => refuse(*text, error),
        },
        DataFusionError::ResourcesExhausted(reason) => too_much(text, reason),
        DataFusionError::ArrowError(e, _) => match e.as_ref() {
            ArrowError::ExternalError(_) | ArrowError::IoError(..) => failed(text, error),
            e => Error::user(lowercase(&reason(e)))
                .at(text.place)
                .hint("a value of the data is not what the query takes it for: filter it out, or use TRY_CAST, NULLIF or CASE"),
        },
        DataFusionError::IoError(_) | DataFusionError::ObjectStore(_) => failed(text, error),
        DataFusionError::Internal(_) => Error::internal("the query failed").at(text.place).because(error.to_string()),
        _ => refuse(*text, error),
    }
}

fn failed(text: &SqlText<'_>, error: &DataFusionError) -> Error {
    let remedy = "see that the folder for temporary files (TMPDIR) has space";
    Error::external("the query broke off").at(text.place).hint(remedy).because(error.to_string())
}

fn too_much(text: &SqlText<'_>, reason: &str) -> Error {
    let reason = reason.lines().next().unwrap_or(reason).to_owned();
    Error::user("the query needs more memory than it may use")
        .at(text.place)
        .hint("give it more by --memory; or let it read less (WHERE on year, month, day, hour or a time), keep less apart (GROUP BY), or join the smaller table")
        .because(reason)
}

/// What Arrow says, without the kind of error before it.
pub(super) fn reason(error: &ArrowError) -> String {
    match error {
        ArrowError::CastError(text) | ArrowError::ComputeError(text) | ArrowError::InvalidArgumentError(text) => {
            text.clone()
        }
        other => other.to_string(),
    }
}

fn lowercase(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
