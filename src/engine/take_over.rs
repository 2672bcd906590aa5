//! How a start takes an application over: from a run that was stopped, that was killed, or that still runs and is to write no more.
//!
//! ```text
//!  look: the last commit fits? ─► claim: put a record of its own under the next number ─► read the state ─► move the files that the
//!        nothing has changed            from here on the other run is shut out            commit names ─► remove those of nobody
//! ```
//!
//! What can be tried without shutting anybody out is tried before the claim, by the caller too. The claim reads no more than the front of
//! the last record, so that it is not overtaken by every commit of a run that goes on. The record of a first start has a state: where its
//! shards begin. So whoever goes on after it, goes on from there, even if nothing was committed since.
//!
//! A start that stands still after its claim may be taken over from too. So what it removes then is what it has found before: nothing of a run
//! that came after it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::board::Status;
use super::changes;
use super::checkpoint::{Checkpoint, Header, Summary, read_header_of};
use super::front::Outline;
use super::job_state::JobState;
use super::pipelines::Pipelines;
use crate::clock::Clock;
use crate::config::OnChangedPipeline;
use crate::error::{Error, Result, Retry};
use crate::limits::{TAKE_OVER_PAUSE_MILLIS, TAKE_OVER_TRIES_MAX};
use crate::sink::lake::{CheckpointStore, Move, Moved, Put, Uncommitted};

/// A state to go on from, and its number.
pub type Numbered = (u64, Checkpoint);

/// What a start goes on from.
#[derive(Debug)]
pub struct Found {
    /// The last number; 0 if there is none.
    pub last: u64,
    /// How often the application was taken over.
    pub generation: u64,
    /// The commit that has the state; none if there is nothing to go on from.
    pub checkpoint: Option<Numbered>,
    /// The run that was shut out, and may be at work still; empty if there was none.
    pub predecessor: String,
    /// Files of nobody that were removed.
    pub leftovers: usize,
    /// Files that the commit names and that could not be moved to their places yet: the run's commits name them too, and move them.
    pub unmoved: Vec<Move>,
}

/// What there is before anybody has taken over.
#[derive(Debug, Default)]
pub struct Looked {
    /// The last number; 0 if there is none.
    last: u64,
    generation: u64,
    /// The commit that has the state; none if there is nothing to go on from.
    pub checkpoint: Option<Numbered>,
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

/// The last record, as far as its front says.
pub(super) struct Last {
    pub number: u64,
    pub header: Header,
}

impl Last {
    /// None if there is none.
    ///
    /// # Errors
    /// External or transient if the lake cannot be read; as [`Checkpoint::from_bytes`], at the object's place. Transient if others put and
    /// remove records faster than they are read.
    pub(super) async fn of(store: &CheckpointStore) -> Result<Option<Self>> {
        let Some(last) = store.last().await? else { return Ok(None) };
        let header = read_header_of(store, last).await?.ok_or_else(|| removed().at(store.place(last.number)))?;
        Ok(Some(Self { number: last.number, header }))
    }

    /// The number of the state that counts; none if there is nothing to go on from.
    fn state_at(&self) -> Option<u64> {
        match self.header.outline.goes_on_from {
            None => Some(self.number),
            Some(0) => None,
            Some(number) => Some(number),
        }
    }

    /// The state that counts.
    pub(super) async fn state(&self, store: &CheckpointStore) -> Result<Option<Numbered>> {
        match self.state_at() {
            None => Ok(None),
            Some(number) => read_state(store, number).await.map(|state| Some((number, state))),
        }
    }
}

/// The last record's number and outline, and the state that counts: for somebody who looks only. None if there is no record.
///
/// # Errors
/// External or transient if the lake cannot be read; as [`Checkpoint::from_bytes`], at the object's place.
pub async fn find(store: &CheckpointStore) -> Result<Option<(u64, Outline, Option<Numbered>)>> {
    patiently(async || {
        let Some(last) = Last::of(store).await? else { return Ok(None) };
        let state = last.state(store).await?;
        Ok(Some((last.number, last.header.outline, state)))
    })
    .await
}

/// Whoever looks again finds another one.
fn removed() -> Error {
    Error::transient("the checkpoint was removed meanwhile")
}

async fn read_state(store: &CheckpointStore, number: u64) -> Result<Checkpoint> {
    let bytes = store.read(number).await?.ok_or_else(|| removed().at(store.place(number)))?;
    Checkpoint::from_bytes(&bytes).map_err(|e| e.at(store.place(number)))
}

/// What the record of this run says of the claim.
struct Claimed {
    last: u64,
    outline: Outline,
}

impl TakeOver<'_> {
    /// What a start would go on from, if it fits. Nothing has changed, and nobody is shut out.
    ///
    /// # Errors
    /// External or transient if the lake cannot be read; as [`Checkpoint::from_bytes`] and [`changes::fit`], at the object's place.
    pub async fn look(&self) -> Result<Looked> {
        patiently(async || {
            let Some(last) = Last::of(self.store).await? else { return Ok(Looked::default()) };
            self.check(&last)?;
            let checkpoint = last.state(self.store).await?;
            Ok(Looked { last: last.number, generation: last.header.outline.generation, checkpoint })
        })
        .await
    }

    /// Takes over; what to go on from. `looked` is what [`look`](Self::look) has found, which is not read again if it still counts;
    /// `begin` is where shards begin if there is nothing to go on from: without it, where they did is not known to who comes next.
    ///
    /// # Errors
    /// As [`look`](Self::look); external if others take over at the same time, again and again.
    pub async fn run(&self, looked: Looked, begin: Option<&JobState>) -> Result<Found> {
        let Some(files) = self.files else {
            let Looked { last, generation, checkpoint } = looked;
            return Ok(Found {
                last,
                generation,
                checkpoint,
                predecessor: String::new(),
                leftovers: 0,
                unmoved: Vec::new(),
            });
        };
        let leftovers = patiently(async || files.leftovers().await).await?;
        let Claimed { last, outline } = patiently(async || self.claim(begin).await).await?;
        let Outline { generation, predecessor, files: committed, goes_on_from, .. } = outline;
        tracing::info!(generation, number = last, "this process goes on with the application");
        let checkpoint = match (goes_on_from.unwrap_or(0), looked.checkpoint) {
            (0, _) => None,
            (number, Some(known)) if known.0 == number => Some(known),
            (number, _) => Some((number, patiently(async || read_state(self.store, number).await).await?)),
        };
        let Moved { left: unmoved, error, gone } = files.publish(&committed).await;
        for file in gone {
            tracing::warn!(file = file.to, "a committed file is gone; a later replacement seems to have removed it");
        }
        if let Some(e) = error {
            tracing::error!(error = %e, files = unmoved.len(), "committed files were not moved into their tables: the run's commits try again");
        }
        let removing = async || files.remove_leftovers(&leftovers, &committed, &unmoved, &predecessor).await;
        let leftovers = patiently(removing).await?;
        Ok(Found { last, generation, checkpoint, predecessor, leftovers, unmoved })
    }

    /// Who is refused takes nothing over.
    fn check(&self, last: &Last) -> Result<()> {
        let Some(number) = last.state_at() else { return Ok(()) };
        let at = |e: Error| e.at(self.store.place(number));
        let Last { header, .. } = last;
        header.check_positions(self.pipelines, self.stream).map_err(at)?;
        changes::refuse(header, header.positions_only, self.pipelines, self.on_changed).map_err(at).map(drop)
    }

    async fn claim(&self, begin: Option<&JobState>) -> Result<Claimed> {
        let last = Last::of(self.store).await?;
        if let Some(last) = &last {
            if last.header.outline.run == self.run {
                // An earlier try of this claim, of which the store gave no word.
                let state_is_own = last.header.outline.goes_on_from.is_none();
                let goes_on_from = if state_is_own { None } else { last.state_at() };
                let outline = Outline { goes_on_from, ..last.header.outline.clone() };
                return Ok(Claimed { last: last.number, outline });
            }
            self.check(last)?;
        }
        let record = self.record(last.as_ref(), begin);
        match self.store.put(last.map_or(0, |last| last.number), record.to_bytes()?.into()).await? {
            Put::Done(number) => Ok(Claimed { last: number, outline: record.header.outline }),
            Put::Taken => Err(Error::transient("other processes take the same application over at the same time")
                .at(self.store.folder())
                .hint("run one process for an application, or give each its own run.application")),
        }
    }

    /// Has no state of its own but where a first start begins.
    fn record(&self, last: Option<&Last>, begin: Option<&JobState>) -> Checkpoint {
        let before = last.map(|last| &last.header.outline);
        let outline = Outline {
            written_at: self.clock.now(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            generation: before.map_or(0, |before| before.generation) + 1,
            run: self.run.to_owned(),
            predecessor: before.map_or_else(String::new, |before| before.at_work().to_owned()),
            // Who is killed before all of them are moved leaves that to the next.
            files: before.map(|before| before.files.clone()).unwrap_or_default(),
            goes_on_from: last.and_then(Last::state_at).or(begin.is_none().then_some(0)),
        };
        let (header, state) = match (last.filter(|last| last.state_at().is_some()), begin) {
            (Some(last), _) => (last.header.clone(), JobState::default()),
            (None, Some(begin)) => {
                let summary = Summary::of(begin, &Status::default(), 0);
                (Header::new(self.pipelines, self.stream, 0, summary), begin.clone())
            }
            (None, None) => (Header::default(), JobState::default()),
        };
        // Nothing was joined yet: of no version is known that it is kept.
        let lookups = if outline.goes_on_from.is_none() { BTreeMap::new() } else { header.lookups.clone() };
        Checkpoint { header: Header { outline, lookups, ..header }, state, source: Vec::new() }
    }
}

/// Tries again what may pass, for a while.
pub(super) async fn patiently<T>(mut step: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let mut pause = Duration::from_millis(TAKE_OVER_PAUSE_MILLIS);
    for _ in 1..TAKE_OVER_TRIES_MAX {
        match step().await {
            Err(e) if e.retry() == Retry::BackOff => {
                tracing::debug!(error = %e, "taking over: tries again");
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            done => return done,
        }
    }
    step().await
}
