//! One error type, sorted by what the caller can do about it.
//!
//! * [`Domain::User`]: the configuration, a pipeline or an input is wrong; the message says where and what to change. Exit code 2.
//! * [`Domain::External`]: a service, a disk or a network failed. Exit code 1. Worth another try only if [`Error::retry`] says so.
//! * [`Domain::Internal`]: a bug in Headcount. Exit code 1.
//! * [`Domain::Successor`]: nothing failed; another process has taken the work over. Exit code 3, on which nobody should start it again.
//!
//! `Display` prints the message, its place and its remedy, and never the source: print the chain with [`Error::report`].

use std::error::Error as StdError;
use std::fmt;

/// Result of everything in Headcount that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whose move it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// The user's: a config, a pipeline or an input has to change.
    User,
    /// An outside party's: a service, a disk, a network.
    External,
    /// Ours: a bug.
    Internal,
    /// Nobody's here: another process does the work from now on.
    Successor,
}

/// Whether the same call may succeed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// It will fail again.
    Never,
    /// It may succeed after a pause.
    BackOff,
}

/// An error with its place (file, key, shard …) and its remedy, where known.
#[derive(Debug)]
pub struct Error {
    domain: Domain,
    retry: Retry,
    message: String,
    place: Option<String>,
    hint: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    fn new(domain: Domain, retry: Retry, message: String) -> Self {
        Self { domain, retry, message, place: None, hint: None, source: None }
    }

    /// A mistake of the user's: a short lowercase message.
    pub fn user(message: impl Into<String>) -> Self {
        Self::new(Domain::User, Retry::Never, message.into())
    }

    /// A failure of an outside party that will not pass by itself.
    pub fn external(message: impl Into<String>) -> Self {
        Self::new(Domain::External, Retry::Never, message.into())
    }

    /// A failure of an outside party that may pass: throttling, a timeout, a 5xx.
    pub fn transient(message: impl Into<String>) -> Self {
        Self::new(Domain::External, Retry::BackOff, message.into())
    }

    /// A bug of Headcount's own.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Domain::Internal, Retry::Never, message.into())
    }

    /// Why this process must stop: another one has taken its work over. Started again, it would take it back.
    pub fn taken_over(message: impl Into<String>) -> Self {
        Self::new(Domain::Successor, Retry::Never, message.into())
    }

    /// Where: `pipelines/revenue.sql:12`, `config key lake.url`, `shard shardId-000000000001`.
    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.place = Some(place.into());
        self
    }

    /// What to do about it, as an imperative sentence without a full stop.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The error underneath.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same error once more, for one that is shared; its causes as text.
    #[must_use]
    pub fn copied(&self) -> Self {
        Self {
            domain: self.domain,
            retry: self.retry,
            message: self.message.clone(),
            place: self.place.clone(),
            hint: self.hint.clone(),
            source: self.source.as_ref().map(|source| source.to_string().into()),
        }
    }

    /// Whose move it is.
    pub fn domain(&self) -> Domain {
        self.domain
    }

    /// Whether the same call may succeed later.
    pub fn retry(&self) -> Retry {
        self.retry
    }

    /// The message without place, hint and source.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where it happened, if known.
    pub fn place(&self) -> Option<&str> {
        self.place.as_deref()
    }

    /// The remedy, if known.
    pub fn remedy(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The exit code of a command that ends with this error: 2 for the user's mistakes, 1 for failures at run time, 3 if another process has
    /// taken over.
    pub fn exit_code(&self) -> u8 {
        match self.domain {
            Domain::User => 2,
            Domain::External | Domain::Internal => 1,
            Domain::Successor => 3,
        }
    }

    /// Everything a person needs: message, place, causes, remedy; one to a line.
    pub fn report(&self) -> String {
        let mut out = match &self.place {
            Some(place) => format!("{place}: {}", self.message),
            None => self.message.clone(),
        };
        let mut said = self.message.clone();
        let mut source = self.source.as_deref().map(|s| s as &dyn StdError);
        while let Some(cause) = source {
            let text = cause.to_string();
            // Many libraries repeat their cause in their own text: say each thing once.
            if !said.contains(&text) {
                out.push_str("\n  because: ");
                out.push_str(&text);
                said = text;
            }
            source = cause.source();
        }
        if let Some(hint) = &self.hint {
            out.push_str("\n  remedy: ");
            out.push_str(hint);
        }
        out
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|s| s as &(dyn StdError + 'static))
    }
}

impl From<arrow::error::ArrowError> for Error {
    fn from(e: arrow::error::ArrowError) -> Self {
        Error::internal("an Arrow kernel refused its input").because(e)
    }
}

impl From<datafusion::error::DataFusionError> for Error {
    fn from(e: datafusion::error::DataFusionError) -> Self {
        if matches!(e.find_root(), datafusion::error::DataFusionError::ResourcesExhausted(_)) {
            return Error::external("the state of the job needs more memory than run.memory_mib_max").because(e).hint(
                "give it more, or have fewer groups: shorter windows, fewer keys, another task for some of the tables",
            );
        }
        Error::internal("a query plan failed").because(e)
    }
}

impl From<parquet::errors::ParquetError> for Error {
    fn from(e: parquet::errors::ParquetError) -> Self {
        Error::external("reading or writing Parquet failed").because(e)
    }
}

impl From<object_store::Error> for Error {
    fn from(e: object_store::Error) -> Self {
        use object_store::Error as O;
        let message = "the object store refused a request";
        match &e {
            O::Generic { .. } => Error::transient(message).because(e),
            _ => Error::external(message).because(e),
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(e: std::io::Error) -> Self {
        Error::external("an input or output operation failed").because(e)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_says_each_cause_once_and_ends_with_the_remedy() {
        let io = std::io::Error::other("no space left");
        let e = Error::external("cannot write").at("data/lake").hint("free some space").because(io);
        assert_eq!(e.report(), "data/lake: cannot write\n  because: no space left\n  remedy: free some space");
        assert_eq!(e.to_string(), "data/lake: cannot write (free some space)");
        assert_eq!(e.exit_code(), 1);
    }
}
