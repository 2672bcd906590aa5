//! What went wrong last: kept to be shown, beside the log, to whoever asks a running job how it is.

use std::sync::{Arc, Mutex, PoisonError};

use crate::types::Micros;

/// An error, and when it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// When.
    pub at: Micros,
    /// The error's message, place and remedy, on one line.
    pub message: String,
}

/// Keeps the last trouble. Clones share it: who has the trouble keeps one, who shows it another.
#[derive(Debug, Clone, Default)]
pub struct LastTrouble(Arc<Mutex<Option<Trouble>>>);

impl LastTrouble {
    /// Something went wrong.
    pub fn note(&self, at: Micros, message: impl Into<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Trouble { at, message: message.into() });
    }

    /// The last trouble, if there was any.
    pub fn get(&self) -> Option<Trouble> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
