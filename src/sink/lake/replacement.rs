//! Replacing whole table-hours of a lake in one step, so that a backfill that fails half-way changes nothing.
//!
//! ```text
//!  begin    _staging/<id>/                     the folder is ours (on a disk: locked)
//!  write    _staging/<id>/files/<table>/year=…  new files, complete but not yet part of any table
//!  commit 1 _staging/<id>/replace.json          THE step: before it the old hours stand, after it the new ones
//!  commit 2 new files move to their places, old files of the replaced hours are deleted
//!  commit 3 the record goes, then the rest of the folder
//! ```
//!
//! A crash before the record leaves the old hours and some litter; a crash after it leaves a record that [`Lake::recover`] carries out. Every
//! action of a record may be repeated. Readers of a bucket or a folder can see steps of commit 2; a reader that cannot bear that runs
//! after the commit. One writer at a time per hour is assumed: what somebody else adds to a replaced hour before the commit is replaced too.
//!
//! Beside whole hours, a replacement may *add* files to a table ([`Replacement::add_to`]) and *take away* files by name
//! ([`Replacement::take_away`]). That touches nothing else of an hour, so it goes beside a run that writes it, and costs what is
//! changed and not what the hour holds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use object_store::{ObjectStoreExt, PutMode, PutOptions, PutPayload};
use serde::{Deserialize, Serialize};

use super::gather_writer::GatherWriter;
use super::listing::LakeFile;
use super::location::{Lake, failed};
use super::partition::hour_of;
use super::spec::{RollPolicy, TableSpec};
use super::staging::{Missing, Move, StagingToken};
use super::table_writer::{FileMaker, TableWriter};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::limits::{LAKE_MOVES_MAX, LAKE_STAGING_HOURS_MAX};
use crate::types::Micros;

/// The folder of all replacements under way, below the lake.
pub(super) const STAGING: &str = "_staging";

/// What a committed replacement changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReplaceSummary {
    /// Table-hours that were replaced.
    pub hours: u64,
    /// New files, and their bytes.
    pub files: u64,
    /// Bytes of the new files.
    pub bytes: u64,
    /// Old files that were deleted.
    pub files_removed: u64,
}

/// New contents for table-hours, staged until [`commit`](Self::commit).
#[derive(Debug)]
pub struct Replacement {
    // Properties.
    lake: Lake,
    id: String,
    staging: StagingToken,
    /// Held locked while the folder has a living owner. Only on disks.
    _lock: Option<File>,
    // State.
    hours: BTreeMap<String, BTreeSet<Micros>>,
    /// Tables whose staged files replace nothing.
    added_to: BTreeSet<String>,
    /// Files that go, beside those of replaced hours.
    taken_away: BTreeSet<LakeFile>,
}

impl Replacement {
    /// Starts a replacement. `id` names its staging folder: letters, digits, `-`, `_`, `.`; unique among all of this lake.
    ///
    /// # Errors
    /// Internal if the id is not usable; external if there is a replacement of that id, or the store fails.
    pub async fn begin(lake: &Lake, id: &str) -> Result<Self> {
        Self::start(lake, id, "use another name").await
    }

    /// As [`begin`](Self::begin), under an id that is always the same, so that a second one at the same time is refused: who reads
    /// rows of the lake and puts others in their place must be alone with them. In a bucket, which knows no locks, one that was killed
    /// bars the way until [`Lake::recover`] finds it abandoned.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub async fn begin_alone(lake: &Lake, id: &str) -> Result<Self> {
        let remedy =
            format!("wait for it to end; if it was killed, {LAKE_STAGING_HOURS_MAX} hours, or remove that folder");
        let begun = Self::start(lake, id, &remedy).await?;
        if lake.folder.is_none() {
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            let lock = format!("{STAGING}/{id}/{LOCK}");
            match lake.store.put_opts(&lake.object(&lock), PutPayload::new(), options).await {
                Ok(_) => {}
                Err(object_store::Error::AlreadyExists { .. }) => {
                    return Err(taken(&lake.place(&format!("{STAGING}/{id}")), &remedy));
                }
                Err(e) => return Err(failed("cannot lock a staging folder", lake.place(&lock), e)),
            }
        }
        Ok(begun)
    }

    async fn start(lake: &Lake, id: &str, remedy: &str) -> Result<Self> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if id.is_empty() || id.starts_with('.') || !id.chars().all(plain) {
            return Err(Error::internal(format!("{id:?} cannot name a staging folder")));
        }
        let lock = match lake.staging_folder(id) {
            Some(folder) => Some(take_folder(&folder, remedy)?),
            None => {
                if lake.staged_objects(id).await?.next().is_some() {
                    return Err(taken(&lake.place(&format!("{STAGING}/{id}")), remedy));
                }
                None
            }
        };
        let staging = StagingToken::new(format!("{STAGING}/{id}/files/"));
        Ok(Self {
            lake: lake.clone(),
            id: id.to_owned(),
            staging,
            _lock: lock,
            hours: BTreeMap::new(),
            added_to: BTreeSet::new(),
            taken_away: BTreeSet::new(),
        })
    }

    /// Has the staged files of a table added: their hours keep what they have.
    pub fn add_to(&mut self, table: &str) {
        self.added_to.insert(table.to_owned());
    }

    /// Has a file of the lake go in the same step. If somebody else removes it before, the commit is refused.
    pub fn take_away(&mut self, file: LakeFile) {
        self.taken_away.insert(file);
    }

    /// A replacement that fails is repeated as a whole: its files are not kept in memory.
    fn files(&self, spec: TableSpec, sorted: bool) -> FileMaker {
        FileMaker::new(self.lake.clone(), spec, sorted, Some(self.staging.clone())).giving_up()
    }

    /// A writer into the staging folder. Close it before the commit. The hours it writes to are replaced, unless the table is
    /// [added to](Self::add_to).
    pub fn table_writer(&self, spec: TableSpec, roll: RollPolicy, clock: Arc<dyn Clock>) -> TableWriter {
        TableWriter::over(self.files(spec, false), roll, clock)
    }

    /// A writer of finished windows into the staging folder. Close it before the commit. The hours it writes to are replaced.
    pub fn gather_writer(&self, spec: TableSpec, gather: Micros, clock: Arc<dyn Clock>) -> GatherWriter {
        GatherWriter::over(self.files(spec, true), gather, clock)
    }

    /// Has these hours of a table replaced even if no row is written to them: they end up empty. Any instant stands for its hour.
    pub fn replace_hours(&mut self, table: &str, hours: impl IntoIterator<Item = Micros>) {
        self.hours.entry(table.to_owned()).or_default().extend(hours.into_iter().map(hour_of));
    }

    /// Puts the staged files in the place of all files of the replaced hours.
    ///
    /// # Errors
    /// Internal if a writer is still open; external or transient if the store fails. After an error either nothing has changed, or the
    /// change is recorded and [`Lake::recover`] completes it.
    pub async fn commit(self) -> Result<ReplaceSummary> {
        let (intent, summary) = self.intent().await?;
        if !intent.is_empty() {
            self.lake.record(&self.id, &intent).await?;
            self.lake.carry_out(&intent, Missing::IsAnError).await?;
        }
        self.lake.clear_staging(&self.id).await?;
        Ok(summary)
    }

    /// Gives the replacement up: the lake stays as it is.
    ///
    /// # Errors
    /// External or transient if the staging folder cannot be removed.
    pub async fn abort(self) -> Result<()> {
        self.lake.clear_staging(&self.id).await
    }

    async fn intent(&self) -> Result<(Intent, ReplaceSummary)> {
        let staged = self.lake.list_staged(self.staging.root()).await?;
        self.staging.check(staged.len() as u64).map_err(|e| e.at(self.lake.place(self.staging.root())))?;
        let mut hours = self.hours.clone();
        for file in staged.iter().filter(|file| !self.added_to.contains(&file.table)) {
            hours.entry(file.table.clone()).or_default().insert(file.hour);
        }
        let publish: Vec<Move> = staged.iter().map(|f| self.move_of(f)).collect();
        let new: BTreeSet<&str> = publish.iter().map(|m| m.to.as_str()).collect();
        let mut remove = Vec::new();
        for (table, hours) in &hours {
            for hour in hours {
                remove.extend(self.lake.list_hour(table, *hour).await?.into_iter().map(|f| f.path));
            }
        }
        remove.extend(self.still_there().await?);
        // A file of the same name is overwritten by the move.
        remove.retain(|path| !new.contains(path.as_str()));
        let summary = ReplaceSummary {
            hours: hours.values().map(|h| h.len() as u64).sum(),
            files: publish.len() as u64,
            bytes: staged.iter().map(|f| f.bytes).sum(),
            files_removed: remove.len() as u64,
        };
        Ok((Intent { version: INTENT_VERSION, publish, remove }, summary))
    }

    /// The paths of the files that are taken away, which must all be there: rows that others have replaced must not come twice.
    async fn still_there(&self) -> Result<Vec<String>> {
        let mut paths = Vec::new();
        let mut of_hour: Option<((&str, Micros), BTreeSet<LakeFile>)> = None;
        for file in &self.taken_away {
            // They come by table and hour.
            let hour = (file.table.as_str(), file.hour);
            if of_hour.as_ref().is_none_or(|(listed, _)| *listed != hour) {
                of_hour = Some((hour, self.lake.list_hour(&file.table, file.hour).await?.into_iter().collect()));
            }
            if !of_hour.as_ref().is_some_and(|(_, files)| files.contains(file)) {
                return Err(Error::external("a file that was read is not there any more")
                    .at(self.lake.place(&file.path))
                    .hint("see what else works on this lake, then run again; the lake is unchanged"));
            }
            paths.push(file.path.clone());
        }
        Ok(paths)
    }

    fn move_of(&self, staged: &LakeFile) -> Move {
        let to = staged.path.strip_prefix(self.staging.root()).unwrap_or(&staged.path).to_owned();
        Move { from: staged.path.clone(), to }
    }
}

/// Makes the staging folder and locks it. The system lets go of the lock when the process ends, however it ends.
fn take_folder(folder: &PathBuf, remedy: &str) -> Result<File> {
    let place = folder.display().to_string();
    let unusable = |e: std::io::Error| {
        let error = Error::external("cannot make the staging folder").at(place.clone());
        error.hint("check the lake's owner, mode and free space").because(e)
    };
    if let Some(parent) = folder.parent() {
        std::fs::create_dir_all(parent).map_err(unusable)?;
    }
    match std::fs::create_dir(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => return Err(taken(&place, remedy)),
        made => made.map_err(unusable)?,
    }
    let lock = File::create(folder.join(LOCK)).map_err(unusable)?;
    // A file system without locks: the folder's age then tells whether it is abandoned.
    if let Err(e) = lock.try_lock() {
        tracing::warn!(folder = %place, error = %e, "cannot lock the staging folder");
    }
    Ok(lock)
}

fn taken(place: &str, remedy: &str) -> Error {
    Error::external("a replacement of this name is under way, or was left behind").at(place).hint(remedy)
}

/// Name of the file whose lock says that the folder has a living owner.
pub(super) const LOCK: &str = "owner.lock";

/// What a commit is about to do, as recorded in `replace.json`. Paths are relative to the lake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Intent {
    pub(super) version: u32,
    publish: Vec<Move>,
    remove: Vec<String>,
}

pub(super) const INTENT_VERSION: u32 = 1;

impl Intent {
    fn is_empty(&self) -> bool {
        self.publish.is_empty() && self.remove.is_empty()
    }

    /// Whether the file at a path of the lake goes.
    pub(super) fn removes(&self, path: &str) -> bool {
        self.remove.iter().any(|removed| removed == path)
    }

    /// Where a staged file comes to lie.
    pub(super) fn destination(&self, staged: &str) -> Option<&str> {
        self.publish.iter().find(|m| m.from == staged).map(|m| m.to.as_str())
    }
}

impl Lake {
    /// The local folder of a replacement, if the lake is a folder.
    pub(super) fn staging_folder(&self, id: &str) -> Option<PathBuf> {
        self.folder.as_ref().map(|f| f.join(STAGING).join(id))
    }

    async fn record(&self, id: &str, intent: &Intent) -> Result<()> {
        let path = intent_path(id);
        let text = serde_json::to_vec_pretty(intent)
            .map_err(|e| Error::internal("the record of a replacement cannot be written as JSON").because(e))?;
        let put = self.store.put(&self.object(&path), PutPayload::from(text)).await;
        put.map(drop).map_err(|e| failed("cannot record a replacement", self.place(&path), e))
    }

    /// Carries a recorded replacement out. It may be called again after any failure.
    pub(super) async fn carry_out(&self, intent: &Intent, missing: Missing) -> Result<()> {
        self.publish_all(&intent.publish, missing).await?;
        let removals = stream::iter(&intent.remove).map(|path| self.remove(path));
        removals.buffer_unordered(LAKE_MOVES_MAX).try_collect::<()>().await
    }

    pub(super) async fn remove(&self, relative: &str) -> Result<()> {
        match self.store.delete(&self.object(relative)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(failed("cannot delete a file of the lake", self.place(relative), e)),
        }
    }

    /// Removes a replacement's folder: the record first, so that it is not carried out again.
    pub(super) async fn clear_staging(&self, id: &str) -> Result<()> {
        self.remove(&intent_path(id)).await?;
        if let Some(folder) = self.staging_folder(id) {
            return match std::fs::remove_dir_all(&folder) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    let place = folder.display().to_string();
                    Err(Error::external("cannot remove a staging folder")
                        .at(place)
                        .hint("remove it by hand")
                        .because(e))
                }
                _ => Ok(()),
            };
        }
        for (path, _) in self.staged_objects(id).await? {
            self.remove(&path).await?;
        }
        Ok(())
    }

    /// The objects of a replacement's folder, and when each was last changed.
    pub(super) async fn staged_objects(&self, id: &str) -> Result<impl Iterator<Item = (String, Micros)>> {
        let root = format!("{STAGING}/{id}");
        let found: Vec<_> = self
            .store
            .list(Some(&self.object(&root)))
            .map_ok(|meta| (self.relative(&meta.location), meta.last_modified.timestamp_micros()))
            .try_collect()
            .await
            .map_err(|e| failed("cannot list the lake", self.place(&root), e))?;
        Ok(found.into_iter())
    }
}

/// Where a replacement's record lies, relative to the lake.
pub(super) fn intent_path(id: &str) -> String {
    format!("{STAGING}/{id}/replace.json")
}

#[cfg(test)]
#[path = "replacement_tests.rs"]
mod tests;
