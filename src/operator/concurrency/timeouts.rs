//! The timeouts that presence and activity answer to: those of the job, and those that a query sets for itself.

use serde::{Deserialize, Serialize};

use crate::types::Micros;

/// The timeouts of presence and activity, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConcurrencyOptions {
    /// How long a touch holds a session present.
    pub session_timeout: Micros,
    /// How long a closure holds without touches; how far back a stream's end reaches.
    pub closed_retention: Micros,
    /// How long a stream that was never announced stays active after its last event.
    pub stream_timeout: Micros,
    /// How long an announced stream stays active after its last event.
    pub announced_timeout: Micros,
}

impl ConcurrencyOptions {
    /// The timeouts by their names, as the configuration's keys have them without `_secs`.
    pub fn named(&self) -> [(&'static str, Micros); 4] {
        let values = [self.session_timeout, self.closed_retention, self.stream_timeout, self.announced_timeout];
        std::array::from_fn(|i| (OwnTimeouts::NAMES[i], values[i]))
    }
}

/// The timeouts that a query sets for itself, in the order of [`Self::NAMES`]. Those that it leaves out are the job's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OwnTimeouts([Option<Micros>; 4]);

impl OwnTimeouts {
    /// Their names.
    pub const NAMES: [&'static str; 4] = ["session_timeout", "closed_retention", "stream_timeout", "announced_timeout"];

    /// Their names as arguments of a call.
    pub const ARGUMENTS: [&'static str; 4] =
        ["SESSION_TIMEOUT", "CLOSED_RETENTION", "STREAM_TIMEOUT", "ANNOUNCED_TIMEOUT"];

    /// Those of a call, in the order of [`Self::NAMES`].
    pub fn new(values: [Option<Micros>; 4]) -> Self {
        Self(values)
    }

    /// Whether the query sets the one of this name.
    pub fn sets(&self, name: &str) -> bool {
        Self::NAMES.iter().zip(self.0).any(|(known, value)| *known == name && value.is_some())
    }

    /// What the query answers to in a job with these.
    pub fn over(&self, job: &ConcurrencyOptions) -> ConcurrencyOptions {
        let [session_timeout, closed_retention, stream_timeout, announced_timeout] = self.0;
        ConcurrencyOptions {
            session_timeout: session_timeout.unwrap_or(job.session_timeout),
            closed_retention: closed_retention.unwrap_or(job.closed_retention),
            stream_timeout: stream_timeout.unwrap_or(job.stream_timeout),
            announced_timeout: announced_timeout.unwrap_or(job.announced_timeout),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_query_leaves_out_is_the_jobs() {
        let job =
            ConcurrencyOptions { session_timeout: 1, closed_retention: 2, stream_timeout: 3, announced_timeout: 4 };
        assert_eq!(OwnTimeouts::default().over(&job), job);
        let own = OwnTimeouts::new([Some(9), None, None, Some(8)]);
        assert_eq!(own.over(&job), ConcurrencyOptions { session_timeout: 9, announced_timeout: 8, ..job });
        let sets = OwnTimeouts::NAMES.map(|name| own.sets(name));
        assert_eq!(sets, [true, false, false, true]);
    }
}
