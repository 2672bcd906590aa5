//! Looking for changes of the lookup tables, and bringing them into use.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::history::LookupHistory;
use super::tables::{JoinedTable, Lookups};
use super::version::LookupVersion;
use crate::clock::Clock;
use crate::engine::board::{Board, LookupStatus};
use crate::error::{Error, Result};
use crate::source::lookup::FileStamps;

/// Looks at each table's files at its own pace, and puts what has changed into use. What goes wrong leaves the version in use in its
/// place, and is tried again.
pub struct Reloader {
    joined: Arc<JoinedTable>,
    /// All tables: what of them is in use is kept.
    lookups: Lookups,
    /// Where versions are kept; none if no checkpoint will name them.
    history: Option<LookupHistory>,
    board: Arc<Board>,
    clock: Arc<dyn Clock>,
    /// What was looked at last: none before the first look of a job that goes on with an older version.
    seen: Option<FileStamps>,
    status: LookupStatus,
}

impl Reloader {
    /// One for each table. `restored` says that the versions in use are those of a checkpoint.
    pub fn all(
        lookups: &Lookups,
        restored: bool,
        history: Option<&LookupHistory>,
        board: &Arc<Board>,
        clock: &Arc<dyn Clock>,
    ) -> Vec<Self> {
        let one = |joined: &Arc<JoinedTable>| {
            let version = joined.current();
            let status = LookupStatus {
                version: version.hash.clone(),
                rows: version.rows.num_rows(),
                loaded_at: clock.now(),
                reloads: 0,
                failures: 0,
                failing: None,
            };
            let reloader = Self {
                joined: Arc::clone(joined),
                lookups: lookups.clone(),
                history: history.cloned(),
                board: Arc::clone(board),
                clock: Arc::clone(clock),
                seen: (!restored).then(|| joined.stamps.clone()),
                status,
            };
            reloader.post();
            reloader
        };
        lookups.tables().iter().map(one).collect()
    }

    /// Runs them until the set is dropped.
    pub fn spawn(reloaders: Vec<Self>) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for reloader in reloaders {
            tasks.spawn(reloader.run());
        }
        tasks
    }

    async fn run(mut self) {
        if self.joined.table.refresh == 0 {
            // A table that is read at starts only is to be read at this one.
            if self.seen.is_none() {
                self.look().await;
            }
            return;
        }
        let every = Duration::from_micros(self.joined.table.refresh.unsigned_abs());
        let mut tick = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            self.look().await;
        }
    }

    /// One look: whether another version came into use.
    pub async fn look(&mut self) -> bool {
        let name = Arc::clone(&self.joined.table.name);
        let history = self.history.clone();
        let _alone = match &history {
            Some(history) => Some(history.enter().await),
            None => None,
        };
        let found = self.changed().await;
        let changed = match found {
            Ok(None) => {
                self.status.failing = None;
                false
            }
            Ok(Some(version)) => {
                let (rows, hash) = (version.rows.num_rows(), version.hash.clone());
                tracing::info!(table = %name, rows, version = hash, "the lookup table has changed: each shard joins the new rows from its next read on");
                self.joined.replace(version);
                let reloads = self.status.reloads + 1;
                let loaded_at = self.clock.now();
                self.status =
                    LookupStatus { version: hash, rows, loaded_at, reloads, failing: None, ..self.status.clone() };
                true
            }
            Err(e) => {
                tracing::warn!(table = %name, error = %e, "the lookup table could not be reloaded: the version before stays in use");
                self.status.failures += 1;
                self.status.failing = Some(e.to_string());
                false
            }
        };
        self.post();
        if let (true, Some(history)) = (changed, &history)
            && let Err(e) = history.tidy(&self.lookups).await
        {
            tracing::warn!(error = %e, "versions of lookup tables that nobody needs any more were not removed");
        }
        changed
    }

    /// The version to put into use, if it is another one.
    async fn changed(&mut self) -> Result<Option<LookupVersion>> {
        let stamps = self.joined.source.stamps().await?;
        if self.seen.as_ref() == Some(&stamps) && self.status.failing.is_none() {
            return Ok(None);
        }
        let content = self.joined.source.read(Some(Arc::clone(&self.joined.table.schema))).await?;
        let seen = content.stamps.clone();
        let joined = Arc::clone(&self.joined);
        // Indexing and hashing take a core for a while: not one that reads shards.
        let version =
            tokio::task::spawn_blocking(move || joined.version(content.rows.clone(), &|row| content.place(row)));
        let version =
            version.await.map_err(|e| Error::internal("the loading of a lookup table broke off").because(e))??;
        if version.hash == self.joined.current().hash {
            self.seen = Some(seen);
            return Ok(None);
        }
        if let Some(history) = &self.history {
            history.keep(&version).await?;
        }
        self.seen = Some(seen);
        Ok(Some(version))
    }

    fn post(&self) {
        self.board.lookup(&self.joined.table.name, self.status.clone());
    }
}
