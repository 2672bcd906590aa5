//! Letters that can be read by now become rows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::BooleanArray;
use tokio_util::sync::CancellationToken;

use super::again::{Again, Fate};
use super::candidates::Candidates;
use super::filter::Filter;
use super::stored::{LetterFile, Letters, files};
use crate::clock::Clock;
use crate::decode::DeadLetter;
use crate::engine::judge::JudgeOptions;
use crate::engine::tables::raw_spec;
use crate::error::{Error, Result};
use crate::schema::Contract;
use crate::sink::lake::{DEAD_LETTERS, Lake, LakeFile, Replacement, RollPolicy, TableSpec, TableWriter};
use crate::types::{MICROS_PER_HOUR, Micros};

/// The staging folder of every replay, so that there is one at a time.
const STAGING_ID: &str = "dead-letters";

/// What a replay is asked.
#[derive(Debug, Clone)]
pub struct ReplayOptions {
    /// Which letters.
    pub filter: Filter,
    /// Only say what would be done.
    pub dry_run: bool,
    /// How events are judged.
    pub judge: JudgeOptions,
    /// When files are closed.
    pub roll: RollPolicy,
    /// The start of all files' names.
    pub prefix: String,
    /// Where rows wait that do not fit into memory; the system's folder for temporary files by default.
    pub spill_dir: Option<PathBuf>,
}

/// What a replay did, or would do.
#[derive(Debug, Clone, Default)]
pub struct Replayed {
    /// Letters that were read.
    pub letters: u64,
    /// Of them, those that are gone: all that they held are rows or duplicates.
    pub gone: u64,
    /// Rows that were added.
    pub rows: u64,
    /// Rows that were not: their ids are in the raw table, or came twice.
    pub duplicates: u64,
    /// Letters that are there instead of those that were read, by the reason's code. One that was used in part may have become several.
    pub still: BTreeMap<String, u64>,
    /// Hours of the raw table that have got rows.
    pub hours: BTreeSet<Micros>,
    /// Hours of the dead letters that have changed.
    pub letter_hours: BTreeSet<Micros>,
}

impl Replayed {
    /// The hours whose windows the rows can change, as ranges from the first hour to the first that is not in it: those that have
    /// got rows, and each one's next, into which sessions reach.
    pub fn stretches(&self) -> Vec<(Micros, Micros)> {
        let mut stretches: Vec<(Micros, Micros)> = Vec::new();
        for &hour in &self.hours {
            let end = hour + 2 * MICROS_PER_HOUR;
            match stretches.last_mut() {
                Some((_, last)) if *last >= hour => *last = end,
                _ => stretches.push((hour, end)),
            }
        }
        stretches
    }
}

/// Takes the letters of `options.filter` in again by `contract`. What can be read by now is added to the raw table, each id once, and is
/// a letter no more; what cannot stays a letter, with the reason that it has now. All of it in one step: see [`Replacement`].
///
/// # Errors
/// User, if there are too many rows for one replay; external or transient, if the lake fails, if another replay is under way, if
/// somebody else has exchanged letters meanwhile, or if it is stopped before the step: the lake is unchanged then. The step itself is
/// not stopped.
pub async fn replay(
    lake: &Lake,
    contract: &Arc<Contract>,
    options: &ReplayOptions,
    clock: &Arc<dyn Clock>,
    stop: CancellationToken,
) -> Result<Replayed> {
    let mut job = Job { lake, contract, options, stop, again: Again::try_new(contract, options.judge)? };
    if options.dry_run {
        return job.read().await.map(|read| read.summary);
    }
    let mut replacement = Replacement::begin_alone(lake, STAGING_ID).await?;
    let staged = job.stage(&mut replacement, clock).await;
    match staged {
        Ok(summary) => {
            let replaced = replacement.commit().await?;
            let Replayed { letters, gone, rows, duplicates, .. } = summary;
            let (files, files_removed) = (replaced.files, replaced.files_removed);
            tracing::info!(
                lake = lake.url(),
                letters,
                gone,
                rows,
                duplicates,
                files,
                files_removed,
                "dead letters replayed"
            );
            Ok(summary)
        }
        Err(e) => {
            if let Err(also) = replacement.abort().await {
                tracing::warn!(error = %also, "the staging folder could not be removed");
            }
            Err(e)
        }
    }
}

/// Whether to stop is asked between two steps: a write that is broken off could come after the staging folder was removed.
pub(super) fn go_on(stop: &CancellationToken) -> Result<()> {
    match stop.is_cancelled() {
        true => Err(Error::external("interrupted: the lake is unchanged")),
        false => Ok(()),
    }
}

struct Job<'a> {
    lake: &'a Lake,
    contract: &'a Arc<Contract>,
    options: &'a ReplayOptions,
    stop: CancellationToken,
    again: Again,
}

/// What the first pass found.
struct Read {
    summary: Replayed,
    candidates: Candidates,
    /// Files in which something changes.
    changed: Vec<LakeFile>,
}

impl Job<'_> {
    /// The first pass: what becomes of every letter.
    async fn read(&mut self) -> Result<Read> {
        let mut summary = Replayed::default();
        let mut candidates = Candidates::new(self.contract, self.options.spill_dir.clone());
        let mut changed = Vec::new();
        for file in files(self.lake, &self.options.filter).await? {
            let mut letters = LetterFile::open(self.lake, &file).await?;
            let mut changes = false;
            while let Some(letters) = letters.next().await? {
                go_on(&self.stop)?;
                for i in (0..letters.len()).filter(|&i| self.options.filter.takes(&letters, i)) {
                    let (rows, fate) = self.again.take(&letters, i)?;
                    if let Some(rows) = rows {
                        candidates.add(rows)?;
                    }
                    changes |= !matches!(fate, Fate::AsBefore);
                    summary.count(&letters, i, &fate);
                }
            }
            if changes {
                summary.letter_hours.insert(file.hour);
                changed.push(file);
            }
        }
        candidates.leave_out_known(self.lake, &self.stop).await?;
        summary.rows = candidates.len();
        summary.duplicates = candidates.duplicates();
        summary.hours = candidates.hours();
        Ok(Read { summary, candidates, changed })
    }

    /// Both passes: everything that the step puts into the lake and takes away.
    async fn stage(&mut self, replacement: &mut Replacement, clock: &Arc<dyn Clock>) -> Result<Replayed> {
        let Read { summary, candidates, changed } = self.read().await?;
        let (prefix, roll) = (&self.options.prefix, self.options.roll);
        replacement.add_to(self.contract.stream_name());
        replacement.add_to(DEAD_LETTERS);
        let mut raw = replacement.table_writer(raw_spec(self.contract, prefix), roll, Arc::clone(clock));
        let written = candidates.write(&mut raw, &self.stop).await;
        close_or_abort(raw, written).await?;
        let mut rest = replacement.table_writer(TableSpec::dead_letters(prefix), roll, Arc::clone(clock));
        let mut written = Ok(());
        for file in &changed {
            written = self.write_rest(file, &mut rest).await;
            if written.is_err() {
                break;
            }
        }
        close_or_abort(rest, written).await?;
        changed.into_iter().for_each(|file| replacement.take_away(file));
        Ok(summary)
    }

    /// The second pass: what is left of a file's letters, those that were not asked for included.
    async fn write_rest(&mut self, file: &LakeFile, to: &mut TableWriter) -> Result<()> {
        let mut letters = LetterFile::open(self.lake, file).await?;
        while let Some(letters) = letters.next().await? {
            go_on(&self.stop)?;
            let mut kept = vec![true; letters.len()];
            let mut new = Vec::new();
            for i in (0..letters.len()).filter(|&i| self.options.filter.takes(&letters, i)) {
                // By now it is known to come out as in the first pass: it depends on the letter alone.
                let (_, fate) = self.again.take(&letters, i)?;
                kept[i] = matches!(fate, Fate::AsBefore);
                match fate {
                    Fate::Rows | Fate::AsBefore => {}
                    Fate::Still(reason, message) => new.push(DeadLetter {
                        data: bytes::Bytes::copy_from_slice(letters.data(i)),
                        shard: letters.shard(i).into(),
                        sequence_number: letters.sequence(i).into(),
                        sub_sequence_number: letters.sub(i),
                        arrival_time: letters.arrival(i),
                        reason,
                        message,
                    }),
                    Fate::InPart(letters) => new.extend(letters),
                }
            }
            let as_before = letters.only(&BooleanArray::from(kept))?;
            to.write_undated(&as_before, Some(letters.hour())).await?;
            for batch in DeadLetter::to_batches(&new) {
                to.write_undated(&batch?, Some(letters.hour())).await?;
            }
        }
        Ok(())
    }
}

/// Finishes the files of a writer; after an error it gives them up, so that no upload is left open in a bucket.
pub(super) async fn close_or_abort(mut writer: TableWriter, written: Result<()>) -> Result<()> {
    let closed = match written {
        Ok(()) => writer.close().await.map(drop),
        Err(e) => Err(e),
    };
    if closed.is_err() {
        writer.abort().await;
    }
    closed
}

impl Replayed {
    fn count(&mut self, letters: &Letters, i: usize, fate: &Fate) {
        let mut still = |code: &str| *self.still.entry(code.to_owned()).or_default() += 1;
        self.letters += 1;
        match fate {
            Fate::Rows => self.gone += 1,
            Fate::AsBefore => still(letters.reason(i)),
            Fate::Still(reason, _) => still(reason.code()),
            Fate::InPart(parts) => parts.iter().for_each(|part| still(part.reason.code())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_that_touch_or_overlap_are_one_stretch() {
        const H: Micros = MICROS_PER_HOUR;
        let replayed = Replayed { hours: BTreeSet::from([H, 2 * H, 4 * H, 9 * H]), ..Replayed::default() };
        assert_eq!(replayed.stretches(), [(H, 6 * H), (9 * H, 11 * H)]);
        assert!(Replayed::default().stretches().is_empty());
    }
}
