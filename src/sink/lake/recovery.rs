//! Tidying up after replacements that were interrupted: recorded ones are completed, others leave nothing behind.

use object_store::Error as StoreError;

use super::location::{Lake, failed};
use super::replacement::{INTENT_VERSION, Intent, LOCK, STAGING, intent_path};
use super::staging::Missing;
use crate::error::{Error, Result};
use crate::limits::LAKE_STAGING_HOURS_MAX;
use crate::types::{MICROS_PER_HOUR, Micros};

/// What a recovery did, by the names of the replacements.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Recorded replacements that were carried out to their end.
    pub completed: Vec<String>,
    /// Replacements without a record whose files were removed.
    pub removed: Vec<String>,
}

/// Whether a staging folder's owner is known to live.
enum Owner {
    Alive,
    Gone,
    Unknown,
}

impl Lake {
    /// Completes recorded replacements and removes abandoned ones. To be called before a lake is written to: it is also what tells
    /// early that a bucket cannot be reached.
    ///
    /// A folder belongs to nobody if its lock is free; where there are no locks (a bucket), if nothing was added to it for
    /// [`LAKE_STAGING_HOURS_MAX`] hours before `now`. A folder whose owner lives is left alone.
    ///
    /// # Errors
    /// External or transient if the store fails, or if a record cannot be read.
    pub async fn recover(&self, now: Micros) -> Result<Recovery> {
        let mut recovery = Recovery::default();
        for id in self.staged_ids().await? {
            let owner = self.owner(&id);
            if matches!(owner, Owner::Alive) {
                continue;
            }
            if let Some(intent) = self.recorded(&id).await? {
                self.carry_out(&intent, Missing::IsDone).await?;
                self.clear_staging(&id).await?;
                tracing::info!(lake = self.url(), id, "completed an interrupted replacement");
                recovery.completed.push(id);
            } else if matches!(owner, Owner::Gone) || self.is_old(&id, now).await? {
                self.clear_staging(&id).await?;
                tracing::info!(lake = self.url(), id, "removed an abandoned replacement");
                recovery.removed.push(id);
            }
        }
        Ok(recovery)
    }

    pub(super) async fn staged_ids(&self) -> Result<Vec<String>> {
        let root = self.object(STAGING);
        let listed = match self.store.list_with_delimiter(Some(&root)).await {
            Ok(listed) => listed,
            Err(StoreError::NotFound { .. }) => return Ok(Vec::new()),
            Err(e) => return Err(failed("cannot list the lake", self.place(STAGING), e)),
        };
        Ok(listed.common_prefixes.iter().filter_map(|p| p.filename().map(str::to_owned)).collect())
    }

    fn owner(&self, id: &str) -> Owner {
        let Some(folder) = self.staging_folder(id) else { return Owner::Unknown };
        let Ok(lock) = std::fs::File::open(folder.join(LOCK)) else { return Owner::Unknown };
        match lock.try_lock() {
            Ok(()) => Owner::Gone,
            Err(std::fs::TryLockError::WouldBlock) => Owner::Alive,
            Err(std::fs::TryLockError::Error(_)) => Owner::Unknown,
        }
    }

    pub(super) async fn recorded(&self, id: &str) -> Result<Option<Intent>> {
        let path = intent_path(id);
        let Some(text) = self.fetch(&path).await? else { return Ok(None) };
        let bad = |message: &str| {
            Error::external(message)
                .at(self.place(&path))
                .hint("complete it with the version that wrote it, or remove the folder")
        };
        let intent: Intent =
            serde_json::from_slice(&text).map_err(|e| bad("the record of a replacement cannot be read").because(e))?;
        match intent.version {
            INTENT_VERSION => Ok(Some(intent)),
            other => Err(bad(&format!("the record of a replacement has version {other}, not {INTENT_VERSION}"))),
        }
    }

    async fn is_old(&self, id: &str, now: Micros) -> Result<bool> {
        let newest = self.staged_objects(id).await?.map(|(_, changed)| changed).max();
        Ok(newest.is_none_or(|t| now.saturating_sub(t) >= LAKE_STAGING_HOURS_MAX * MICROS_PER_HOUR))
    }
}
