//! Files of a live job that no commit names yet: `_uncommitted/<application>/<run>/<table>/year=…`.
//!
//! ```text
//!  write      _uncommitted/<app>/<run>/<table>/year=…   complete files that nobody reads
//!  commit     _checkpoints/<app>/<number>.checkpoint    THE step: the record names the files, with the state that goes with them
//!  publish    each file moves to its place              may be repeated, by this process or by the next
//! ```
//!
//! A crash before the record leaves files that nobody names: the next start removes them, and reads again what is in them. A crash after it
//! leaves files that the record names: the next start moves them. A place is written to by one run only, and a file is moved there once
//! (in a bucket: copied, then removed), so repeating a move does no harm.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::TryStreamExt;

use super::checkpoints;
use super::gather_writer::GatherWriter;
use super::location::{Lake, failed};
use super::lookups;
use super::spec::{RollPolicy, TableSpec};
use super::staging::{Move, Moved, StagingToken};
use super::table_writer::{FileMaker, TableWriter};
use crate::clock::Clock;
use crate::error::Result;
use crate::telemetry::metrics as names;
use crate::types::Micros;

const FOLDER: &str = "_uncommitted";

/// Where one run of an application writes its files before they count.
#[derive(Debug, Clone)]
pub struct Uncommitted {
    lake: Lake,
    application: String,
    /// The folder of the run's files, with a slash at its end.
    root: String,
}

/// What runs have left, some of whom may be at work.
#[derive(Debug, Default)]
pub struct Leftovers {
    root: String,
    files: Vec<String>,
    /// On a disk: runs that have a folder.
    runs: Vec<String>,
}

impl Uncommitted {
    /// The files of a run. `application` and `run` are names without `/`; no two runs of an application have one.
    pub fn new(lake: &Lake, application: &str, run: &str) -> Self {
        ::metrics::counter!(names::RETRIES_TOTAL, "service" => "lake").increment(0);
        let root = format!("{FOLDER}/{application}/{run}/");
        Self { lake: lake.clone(), application: application.to_owned(), root }
    }

    /// Each writer hands over its own files: who asks it knows which rows they hold.
    fn files(&self, spec: TableSpec, sorted: bool) -> FileMaker {
        FileMaker::new(self.lake.clone(), spec, sorted, Some(StagingToken::new(self.root.clone())))
    }

    /// A writer of a table whose files wait to be committed.
    pub fn table_writer(&self, spec: TableSpec, roll: RollPolicy, clock: Arc<dyn Clock>) -> TableWriter {
        TableWriter::over(self.files(spec, false), roll, clock)
    }

    /// A writer of finished windows whose files wait to be committed.
    pub fn gather_writer(&self, spec: TableSpec, gather: Micros, clock: Arc<dyn Clock>) -> GatherWriter {
        GatherWriter::over(self.files(spec, true), gather, clock)
    }

    /// Moves files that a commit names to their places, as many as can be moved: one that cannot is in the way of no other. It may be
    /// called again, by this process or the next.
    pub async fn publish(&self, files: &[Move]) -> Moved {
        self.lake.publish_each(files).await
    }

    /// What all runs of the application have here, to be asked before this one takes over: what comes later is of a run that took over from
    /// it, and not its to remove.
    ///
    /// # Errors
    /// External or transient if the store fails.
    pub async fn leftovers(&self) -> Result<Leftovers> {
        let root = format!("{FOLDER}/{}", self.application);
        let listed = self.lake.store.list(Some(&self.lake.object(&root))).try_collect::<Vec<_>>().await;
        let listed = listed.map_err(|e| failed("cannot list the lake", self.lake.place(&root), e))?;
        let files = listed.iter().map(|meta| self.lake.relative(&meta.location)).collect();
        Ok(Leftovers { files, runs: self.folders(&root), root })
    }

    /// Removes leftovers, but for those of `alive`, which may be at work until it learns that it was shut out. The files that a commit names,
    /// `committed`, must have been moved, but for those that are `unmoved` yet. How many others there were. Of other objects of the
    /// application, what was cut short goes too.
    ///
    /// # Errors
    /// External or transient if the store fails; it may be called again.
    pub async fn remove_leftovers(
        &self,
        leftovers: &Leftovers,
        committed: &[Move],
        unmoved: &[Move],
        alive: &str,
    ) -> Result<usize> {
        let Leftovers { root, files, runs } = leftovers;
        let kept = format!("{root}/{alive}/");
        let moved: BTreeSet<&str> = committed.iter().map(|file| file.from.as_str()).collect();
        let mut removed = 0;
        for path in files.iter().filter(|path| !path.starts_with(&kept) && !moved.contains(path.as_str())) {
            self.lake.remove(path).await?;
            removed += 1;
        }
        for run in runs.iter().filter(|run| *run != alive) {
            let folder = format!("{root}/{run}");
            if !unmoved.iter().any(|file| file.from.strip_prefix(&folder).is_some_and(|rest| rest.starts_with('/'))) {
                self.remove_folder(&folder);
            }
        }
        for folder in [checkpoints::FOLDER, lookups::FOLDER] {
            self.lake.remove_cut_short(&format!("{folder}/{}", self.application));
        }
        Ok(removed)
    }

    /// Removes what is left of this run's files, when all that count have been moved, and of those of `predecessor`, which was shut out.
    ///
    /// # Errors
    /// External or transient if the store fails.
    pub async fn close(&self, predecessor: &str) -> Result<()> {
        let of_predecessor = format!("{FOLDER}/{}/{predecessor}", self.application);
        if !predecessor.is_empty() {
            let listed = self.lake.store.list(Some(&self.lake.object(&of_predecessor))).try_collect::<Vec<_>>().await;
            let listed = listed.map_err(|e| failed("cannot list the lake", self.lake.place(&of_predecessor), e))?;
            for meta in &listed {
                self.lake.remove(&self.lake.relative(&meta.location)).await?;
            }
            self.remove_folder(&of_predecessor);
        }
        self.remove_folder(self.root.trim_end_matches('/'));
        Ok(())
    }

    /// The runs that have a folder on a disk.
    fn folders(&self, root: &str) -> Vec<String> {
        let Some(lake) = &self.lake.folder else { return Vec::new() };
        // None: nothing was written yet.
        let entries = std::fs::read_dir(lake.join(root)).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }

    /// On a disk, folders and files that were cut short under a temporary name are left behind, which a listing does not show. They count
    /// nowhere: if they cannot be removed, because their run still writes, a later start does it.
    fn remove_folder(&self, relative: &str) {
        let Some(lake) = &self.lake.folder else { return };
        match std::fs::remove_dir_all(lake.join(relative)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(folder = %self.lake.place(relative), error = %e, "uncommitted files were not removed: a later start does it");
            }
            _ => {}
        }
    }
}

impl Lake {
    /// The files of an application that are not at their places, whether a commit names them or not: their paths below the lake.
    ///
    /// # Errors
    /// External or transient if the store cannot be listed.
    pub async fn uncommitted(&self, application: &str) -> Result<BTreeSet<String>> {
        let root = format!("{FOLDER}/{application}");
        let listed = self.store.list(Some(&self.object(&root))).try_collect::<Vec<_>>().await;
        let listed = listed.map_err(|e| failed("cannot list the lake", self.place(&root), e))?;
        Ok(listed.iter().map(|meta| self.relative(&meta.location)).collect())
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, RecordBatch, TimestampMicrosecondArray};

    use super::*;
    use crate::clock::ManualClock;

    fn rows() -> RecordBatch {
        let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![1, 2]).with_timezone("UTC"));
        RecordBatch::try_from_iter([("event_time", times)]).unwrap()
    }

    async fn written(run: &Uncommitted) -> Vec<Move> {
        let spec = TableSpec::new("events", "event_time", "run");
        let mut writer = run.table_writer(spec, RollPolicy::default(), Arc::new(ManualClock::at(0)));
        writer.write(&rows()).await.unwrap();
        assert!(writer.take_finished().is_empty(), "a file that is open waits for nothing");
        writer.close().await.unwrap();
        assert!(
            writer.last_file().unwrap().0.ends_with("/events/year=1970/month=01/day=01/hour=00/run-000000.parquet")
        );
        let finished = writer.take_finished();
        assert!(writer.take_finished().is_empty());
        finished
    }

    async fn publish(run: &Uncommitted, files: &[Move]) {
        let moved = run.publish(files).await;
        assert!(moved.left.is_empty() && moved.gone.is_empty(), "{moved:?}");
    }

    #[tokio::test]
    async fn files_count_when_they_are_published_and_that_may_be_repeated() {
        let (_dir, lake) = Lake::in_temp_folder();
        let run = Uncommitted::new(&lake, "app", "run-1");
        let files = written(&run).await;
        assert_eq!(files.len(), 1);
        assert_eq!(lake.uncommitted("app").await.unwrap(), BTreeSet::from([files[0].from.clone()]));
        assert!(lake.list("events").await.unwrap().is_empty());
        assert!(lake.tables().await.unwrap().is_empty());
        publish(&run, &files).await;
        assert!(lake.uncommitted("app").await.unwrap().is_empty());
        assert_eq!(lake.list("events").await.unwrap()[0].path, files[0].to);
        publish(&run, &files).await;
        assert_eq!(lake.list("events").await.unwrap().len(), 1);
        run.close("").await.unwrap();
        assert!(!lake.folder.as_ref().unwrap().join("_uncommitted/app/run-1").exists());
    }

    #[tokio::test]
    async fn files_of_nobody_are_removed_and_those_of_another_application_stay() {
        let (dir, lake) = Lake::in_temp_folder();
        let killed = Uncommitted::new(&lake, "app", "run-1");
        let files = written(&killed).await;
        std::fs::write(dir.path().join("_uncommitted/app/run-1/half.parquet#1"), "x").unwrap();
        let left = ["_checkpoints/app/000000000007.checkpoint#1", "_lookups/app/0123.arrow#2"];
        let stay = ["_checkpoints/app/000000000006.checkpoint", "_checkpoints/app2/000000000007.checkpoint#1"];
        for file in left.iter().chain(&stay).map(|file| dir.path().join(file)) {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "x").unwrap();
        }
        let other = Uncommitted::new(&lake, "app2", "run-1");
        let others = written(&other).await;
        let next = Uncommitted::new(&lake, "app", "run-2");
        let leftovers = next.leftovers().await.unwrap();
        assert_eq!(next.remove_leftovers(&leftovers, &[], &[], "run-1").await.unwrap(), 0, "it may be alive");
        assert!(dir.path().join(&files[0].from).exists());
        // Somebody takes over from this one while it still tidies up.
        let successors = written(&Uncommitted::new(&lake, "app", "run-3")).await;
        assert_eq!(next.remove_leftovers(&leftovers, &files, &files, "run-0").await.unwrap(), 0, "a commit names it");
        assert!(dir.path().join(&files[0].from).exists(), "it is moved later");
        assert_eq!(next.remove_leftovers(&leftovers, &[], &[], "run-0").await.unwrap(), 1);
        assert!(dir.path().join(&successors[0].from).exists(), "those are not its to remove");
        assert!(!dir.path().join(&files[0].from).exists() && dir.path().join(&others[0].from).exists());
        assert!(!dir.path().join("_uncommitted/app/run-1").exists());
        assert!(left.iter().all(|file| !dir.path().join(file).exists()), "objects that were cut short");
        assert!(stay.iter().all(|file| dir.path().join(file).exists()), "whole ones, and another application's");
        let leftovers = next.leftovers().await.unwrap();
        assert_eq!(next.remove_leftovers(&leftovers, &successors, &[], "run-0").await.unwrap(), 0);
        assert!(!dir.path().join("_uncommitted/app/run-3").exists());
        // What is neither here nor there was replaced by a backfill after it was moved, or lost.
        assert_eq!(next.publish(&files).await.gone, files);
        let shut_out = written(&Uncommitted::new(&lake, "app", "run-0")).await;
        next.close("run-0").await.unwrap();
        assert!(!dir.path().join(&shut_out[0].from).exists());
    }
}
