//! How the state of an application is given up, all of it or what is open.
//!
//! ```text
//!  put a record that says so under the next number ─► move the files that were committed ─► remove what came before
//!  from here on a run that goes on is shut out        they stay, wherever they are
//! ```
//!
//! It may be cut short anywhere: with the record it is done, and whoever comes next completes what the record names.

use super::checkpoint::{Checkpoint, Header};
use super::front::{Outline, Outlined, RESET, read_outline};
use super::job_state::JobState;
use super::take_over::{Last, patiently};
use crate::clock::Clock;
use crate::error::{Domain, Error, Result};
use crate::sink::lake::{CheckpointStore, Lake, Put, Uncommitted};

/// What was given up.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reset {
    /// The number of the record that says so; 0 if there was nothing to give up.
    pub number: u64,
    /// Records that were removed.
    pub removed: usize,
    /// Records that were too damaged to tell which files they name.
    pub unreadable: Vec<u64>,
}

/// Positions that were kept.
#[derive(Debug)]
pub struct Kept {
    /// The number of the record that has them.
    pub number: u64,
    /// The number of the state that they are of.
    pub of: u64,
    /// What is left of that state.
    pub state: JobState,
}

/// What the records say that matters to who gives them up.
#[derive(Default)]
struct Known {
    last: u64,
    /// Of the newest record that can be read.
    outline: Outline,
    unreadable: Vec<u64>,
}

/// Gives everything up: the next start begins anew. What was committed stays, wherever its files are.
///
/// A state that this version cannot read, or that is damaged, is given up all the same, as far as its outline tells which files belong to
/// their tables.
///
/// # Errors
/// External or transient if the lake fails, user if the last record is of a format that does not tell: then the state still counts.
pub async fn reset(store: &CheckpointStore, lake: &Lake, application: &str, clock: &dyn Clock) -> Result<Reset> {
    let put = patiently(async || {
        let Some(known) = Known::of(store).await? else { return Ok(None) };
        if known.outline.is_reset() {
            // It was cut short, or there was no start since.
            return Ok(Some((known.last, known)));
        }
        let header = Header::of_nothing(outline_after(&known.outline, clock));
        let record = Checkpoint { header, state: JobState::default(), source: Vec::new() };
        match store.put(known.last, record.to_bytes()?.into()).await? {
            Put::Done(number) => Ok(Some((number, known))),
            Put::Taken => Err(changing(store)),
        }
    });
    let Some((number, known)) = put.await? else { return Ok(Reset::default()) };
    let files = Uncommitted::new(lake, application, RESET);
    patiently(async || files.publish(&known.outline.files).await.all()).await?;
    let removed = patiently(async || store.remove_before(number).await).await?;
    Ok(Reset { number, removed, unreadable: known.unreadable })
}

/// Gives up what is open, and keeps the positions; none if there is no state.
///
/// # Errors
/// External or transient if the lake fails; as [`Checkpoint::from_bytes`].
pub async fn keep_positions(store: &CheckpointStore, clock: &dyn Clock) -> Result<Option<Kept>> {
    let put = patiently(async || {
        let Some(last) = Last::of(store).await? else { return Ok(None) };
        let Some((of, checkpoint)) = last.state(store).await? else { return Ok(None) };
        let outline = outline_after(&last.header.outline, clock);
        let record = positions_of(checkpoint, outline);
        match store.put(last.number, record.to_bytes()?.into()).await? {
            Put::Done(number) => Ok(Some(Kept { number, of, state: record.state })),
            Put::Taken => Err(changing(store)),
        }
    });
    let Some(kept) = put.await? else { return Ok(None) };
    patiently(async || store.remove_old(kept.number).await).await?;
    Ok(Some(kept))
}

/// The record of a state without what was open.
fn positions_of(mut checkpoint: Checkpoint, outline: Outline) -> Checkpoint {
    checkpoint.state.keep_positions();
    checkpoint.header.summary.open_windows = 0;
    // With the windows goes what they were joined with: the next start takes the tables as they are.
    checkpoint.header.lookups.clear();
    checkpoint.header.outline = outline;
    checkpoint
}

/// The outline of a record that is put after another.
fn outline_after(before: &Outline, clock: &dyn Clock) -> Outline {
    Outline {
        written_at: clock.now(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        // Nobody takes over by it.
        generation: before.generation,
        run: RESET.to_owned(),
        predecessor: before.at_work().to_owned(),
        files: before.files.clone(),
        goes_on_from: None,
    }
}

impl Known {
    /// None if there are no records.
    async fn of(store: &CheckpointStore) -> Result<Option<Self>> {
        let mut records = store.list().await?;
        let Some(last) = records.last().map(|last| last.number) else { return Ok(None) };
        let mut known = Self { last, ..Self::default() };
        while let Some(stored) = records.pop() {
            match read_outline(store, stored).await {
                Ok(Outlined::Says(outline)) => {
                    known.outline = outline;
                    break;
                }
                Ok(Outlined::Nothing) => known.unreadable.push(stored.number),
                Ok(Outlined::Gone) => return Err(changing(store)),
                // Only what the last one names may not have been named again.
                Err(e) if e.domain() == Domain::User && stored.number != last => known.unreadable.push(stored.number),
                Err(e) => return Err(e),
            }
        }
        Ok(Some(known))
    }
}

/// Whoever tries again may succeed.
fn changing(store: &CheckpointStore) -> Error {
    Error::transient("the checkpoints change while they are to be given up")
        .at(store.folder())
        .hint("stop the run that writes them, then try again")
}
