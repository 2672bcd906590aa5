//! A list of everything that is wrong, in the order of the file.

use crate::error::Error;

use super::layers::Origin;

/// Errors with the line they belong to; environment variables come after the file.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<(usize, Error)>);

impl Problems {
    /// Adds an error that belongs to what was typed at `origin`; the place is filled in.
    pub(super) fn push(&mut self, origin: &Origin, error: Error) {
        self.0.push((origin.rank(), error.at(origin.to_string())));
    }

    /// The errors in the order of the file.
    pub(super) fn into_vec(mut self) -> Vec<Error> {
        self.0.sort_by_key(|(rank, _)| *rank);
        self.0.into_iter().map(|(_, error)| error).collect()
    }
}
