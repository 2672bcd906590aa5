//! How a start takes an application over: from a run that was stopped, that was killed, or that still runs and is to write no more.
//!
//! ```text
//!  last commit fits? ─► put a record of its own under the next number ─► move the files that the commit names ─► remove those of nobody
//!                       from here on the other run is shut out
//! ```

use std::sync::Arc;

use super::changes;
use super::checkpoint::{Checkpoint, Header, Summary, read_header};
use super::job_state::JobState;
use super::pipelines::Pipelines;
use crate::clock::Clock;
use crate::config::OnChangedPipeline;
use crate::error::{Error, Result};
use crate::limits::TAKE_OVER_TRIES_MAX;
use crate::sink::lake::{CheckpointStore, Move, Moved, Put, Uncommitted};

/// The last commit that has a state, and the last number of all.
#[derive(Debug)]
pub struct Found {
    /// The last number; 0 if there is none.
    pub last: u64,
    /// How often the application was taken over.
    pub generation: u64,
    /// The commit, and its number.
    pub checkpoint: Option<(u64, Checkpoint)>,
    /// The run that put the last number, and may be at work still; empty if there is none.
    pub predecessor: String,
    /// Files of nobody that were removed.
    pub leftovers: usize,
    /// Files that the commit names and that could not be moved to their places yet: the run's commits name them too, and move them.
    pub unmoved: Vec<Move>,
}

/// Who takes over.
pub struct TakeOver<'a> {
    /// The application's commits.
    pub store: &'a CheckpointStore,
    /// Where the run's files will wait; none if it does not commit while it runs: then nobody is shut out.
    pub files: Option<&'a Uncommitted>,
    /// The start of the names of the run's files.
    pub run: &'a str,
    /// What it computes.
    pub pipelines: &'a Pipelines,
    /// The stream whose positions count, in words.
    pub stream: &'a str,
    /// What is done with the state of pipelines that have changed.
    pub on_changed: OnChangedPipeline,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

/// What a start would go on from.
///
/// # Errors
/// External or transient if the lake cannot be read; as [`Checkpoint::from_bytes`], at the object's place.
pub async fn find(store: &CheckpointStore) -> Result<Found> {
    let Some(last) = store.list().await?.pop() else {
        return Ok(Found {
            last: 0,
            generation: 0,
            checkpoint: None,
            predecessor: String::new(),
            leftovers: 0,
            unmoved: Vec::new(),
        });
    };
    let gone = |number| Error::external("the checkpoint was removed meanwhile").at(store.place(number));
    let bytes = store.read(last.number).await?.ok_or_else(|| gone(last.number))?;
    let header = read_header(&bytes).map_err(|e| e.at(store.place(last.number)))?;
    let (generation, predecessor) = (header.generation, header.run);
    let found = |checkpoint| Found {
        last: last.number,
        generation,
        checkpoint,
        predecessor,
        leftovers: 0,
        unmoved: Vec::new(),
    };
    let (number, bytes) = match header.goes_on_from {
        None => (last.number, bytes),
        Some(0) => return Ok(found(None)),
        Some(number) => (number, store.read(number).await?.ok_or_else(|| gone(number))?),
    };
    let checkpoint = Checkpoint::from_bytes(&bytes).map_err(|e| e.at(store.place(number)))?;
    Ok(found(Some((number, checkpoint))))
}

impl TakeOver<'_> {
    /// Takes over; what to go on from.
    ///
    /// # Errors
    /// As [`find`] and [`changes::fit`]: then nothing has changed. External or transient if the lake fails.
    pub async fn run(&self) -> Result<Found> {
        let mut found = self.claim().await?;
        if let Some(files) = self.files {
            if let Some((_, checkpoint)) = &found.checkpoint {
                let Moved { left, error, gone } = files.publish(&checkpoint.header.files).await;
                for file in gone {
                    tracing::warn!(
                        file = file.to,
                        "a committed file is gone; a later replacement seems to have removed it"
                    );
                }
                if let Some(e) = error {
                    tracing::error!(error = %e, files = left.len(), "committed files were not moved into their tables: the run's commits try again");
                }
                found.unmoved = left;
            }
            found.leftovers = files.remove_leftovers(&found.predecessor, &found.unmoved).await?;
        }
        Ok(found)
    }

    async fn claim(&self) -> Result<Found> {
        for _ in 0..TAKE_OVER_TRIES_MAX {
            let found = find(self.store).await?;
            if let Some((number, checkpoint)) = &found.checkpoint {
                // Who is refused takes nothing over.
                let at = |e: Error| e.at(self.store.place(*number));
                checkpoint.header.check_positions(self.pipelines, self.stream).map_err(at)?;
                changes::refuse(checkpoint, self.pipelines, self.on_changed).map_err(at)?;
            }
            if self.files.is_none() {
                return Ok(found);
            }
            let record = self.record(&found).to_bytes()?;
            if let Put::Done(number) = self.store.put(found.last, record.into()).await? {
                let generation = found.generation + 1;
                tracing::info!(generation, number, "this process goes on with the application");
                return Ok(Found { last: number, generation, ..found });
            }
        }
        Err(Error::external("other processes take the same application over at the same time")
            .at(self.store.folder())
            .hint("run one process for an application, or give each its own run.application"))
    }

    /// Has no state of its own.
    fn record(&self, found: &Found) -> Checkpoint {
        let new = || Header::new(self.pipelines, self.stream, 0, Summary::default());
        let of = found.checkpoint.as_ref();
        let header = Header {
            written_at: self.clock.now(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            generation: found.generation + 1,
            run: self.run.to_owned(),
            goes_on_from: Some(of.map_or(0, |(number, _)| *number)),
            ..of.map_or_else(new, |(_, checkpoint)| checkpoint.header.clone())
        };
        Checkpoint { header, state: JobState::default(), source: Vec::new() }
    }
}
