//! Versions that checkpoints name, kept in the lake.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use arrow::array::RecordBatch;
use tokio::sync::{Mutex, MutexGuard};

use super::tables::{JoinedTable, Lookups};
use super::version::LookupVersion;
use crate::engine::checkpoint::{read_header, read_header_of};
use crate::error::{Error, Result};
use crate::sink::lake::{CheckpointStore, Lake, LookupStore};

/// The versions of one application. Clones share which of them a commit is about to name.
///
/// A version is removed when it is not in use, no checkpoint that is kept names it, and no commit in progress does. Whoever was shut out
/// by another process removes nothing more; and should it have been about to, the other finds out before its next commit, which puts
/// what it names again.
#[derive(Debug, Clone)]
pub struct LookupHistory {
    store: LookupStore,
    checkpoints: CheckpointStore,
    /// Whose checkpoints come after which number; none if nobody writes any.
    writer: Option<(String, u64)>,
    /// Versions that a commit may name of which it is not known yet that it stands.
    naming: Arc<std::sync::Mutex<BTreeSet<String>>>,
    /// Held while a version is kept and put into use, and while others are removed.
    gate: Arc<Mutex<()>>,
}

impl LookupHistory {
    /// Those of `application` in a lake.
    pub fn new(lake: &Lake, application: &str) -> Self {
        Self {
            store: LookupStore::new(lake, application),
            checkpoints: CheckpointStore::new(lake, application),
            writer: None,
            naming: Arc::default(),
            gate: Arc::default(),
        }
    }

    /// Says that `run` writes the application's checkpoints after the one of number `last`: if others do, it was shut out.
    pub fn written_by(&mut self, run: &str, last: u64) {
        self.writer = Some((run.to_owned(), last));
    }

    /// Keeps a version, so that a checkpoint may name it.
    ///
    /// # Errors
    /// External or transient, if the lake fails.
    pub(super) async fn keep(&self, version: &LookupVersion) -> Result<()> {
        self.store.write(&version.rows).await.map(drop)
    }

    /// Puts the versions that a checkpoint names (by table: the hash) into use. A table that it does not name keeps the one it has.
    ///
    /// # Errors
    /// External, if a version is gone or damaged; user, if it does not have the table's columns any more.
    pub async fn put_back(&self, lookups: &Lookups, recorded: &BTreeMap<String, String>) -> Result<()> {
        for (name, hash) in recorded {
            let Some(joined) = lookups.table(name).filter(|t| t.current().hash != *hash) else { continue };
            let place = self.store.place(hash);
            let Some(rows) = self.store.read(hash).await? else {
                return Err(Error::external(format!("the version of the lookup table {name} that the saved state was made with is gone"))
                    .at(place)
                    .hint("restore the object from a copy, or give the state up with `headcount checkpoint reset --keep-positions`"));
            };
            let rows = fitted(joined, rows).map_err(|e| e.at(&place))?;
            joined.replace(joined.version(rows, &|row| format!("{place}: row {}", row + 1))?);
        }
        Ok(())
    }

    /// As [`Self::put_back`], of the checkpoint with a number.
    ///
    /// # Errors
    /// User, if there is no such checkpoint, or it does not name a version of every table.
    pub async fn put_back_of(&self, lookups: &Lookups, number: u64) -> Result<()> {
        let place = self.checkpoints.place(number);
        let Some(bytes) = self.checkpoints.read(number).await? else {
            return Err(Error::user("there is no such checkpoint")
                .at(place)
                .hint("`headcount checkpoint list` says which there are"));
        };
        let header = read_header(&bytes).map_err(|e| e.at(&place))?;
        let unnamed = lookups.tables().iter().find(|t| !header.lookups.contains_key(t.table.name.as_ref()));
        if let Some(unnamed) = unnamed {
            return Err(Error::user(format!("it names no version of the lookup table {}", unnamed.table.name))
                .at(place)
                .hint("give another checkpoint, or leave --lookups-of out: the tables are joined as they are now"));
        }
        self.put_back(lookups, &header.lookups).await
    }

    /// Whoever has it may keep a version and put it into use: none is removed meanwhile.
    pub(super) async fn enter(&self) -> MutexGuard<'_, ()> {
        self.gate.lock().await
    }

    /// Keeps the versions in use, so that a checkpoint may name them, and removes those that are neither in use nor named by a checkpoint
    /// that is kept; how many.
    ///
    /// # Errors
    /// External or transient, if the lake fails: nothing is removed unless every checkpoint could be read.
    pub async fn keep_current(&self, lookups: &Lookups) -> Result<usize> {
        let _alone = self.enter().await;
        for table in lookups.tables() {
            self.keep(&table.current()).await?;
        }
        self.tidy(lookups).await
    }

    /// Removes what is neither in use nor named by a checkpoint that is kept, or is being written; how many.
    pub(super) async fn tidy(&self, lookups: &Lookups) -> Result<usize> {
        // Before checkpoints are read: a commit that is done meanwhile is either still known here or found there.
        let mut needed = {
            let naming = self.naming.lock().unwrap_or_else(PoisonError::into_inner);
            naming.iter().cloned().chain(lookups.versions().into_values()).collect::<BTreeSet<String>>()
        };
        // Before it is looked who writes: what another process puts later is not among them.
        let there = self.store.list().await?;
        if there.is_subset(&needed) {
            return Ok(0);
        }
        for stored in self.checkpoints.list().await? {
            let Some(header) = read_header_of(&self.checkpoints, stored).await? else { continue };
            if self.writer.as_ref().is_some_and(|(run, last)| stored.number > *last && header.outline.run != *run) {
                return Ok(0);
            }
            needed.extend(header.lookups.into_values());
        }
        self.store.remove(there.difference(&needed)).await
    }

    /// The versions in use, by table, for a commit to name: none of them is removed until [`named`](Self::named) says that it stands, or a
    /// later one does. One that is not there any more is put again.
    ///
    /// # Errors
    /// External or transient, if the lake fails.
    pub(in crate::engine) async fn name(&self, lookups: &Lookups) -> Result<BTreeMap<String, String>> {
        if lookups.tables().is_empty() {
            return Ok(BTreeMap::new());
        }
        let versions: BTreeMap<String, Arc<LookupVersion>> = {
            let mut naming = self.naming.lock().unwrap_or_else(PoisonError::into_inner);
            let versions: BTreeMap<_, _> =
                lookups.tables().iter().map(|t| (t.table.name.to_string(), t.current())).collect();
            naming.extend(versions.values().map(|version| version.hash.clone()));
            versions
        };
        let there = self.store.list().await?;
        for (table, version) in versions.iter().filter(|(_, version)| !there.contains(&version.hash)) {
            tracing::warn!(
                table,
                version = version.hash,
                "the version in use of a lookup table is gone from the lake: it is put again"
            );
            self.keep(version).await?;
        }
        Ok(versions.into_iter().map(|(table, version)| (table, version.hash.clone())).collect())
    }

    /// A commit stands that names `versions`: what commits before it may have named is in checkpoints, or nowhere.
    pub(in crate::engine) fn named(&self, versions: &BTreeMap<String, String>) {
        *self.naming.lock().unwrap_or_else(PoisonError::into_inner) = versions.values().cloned().collect();
    }
}

/// `rows` with the columns that the table has now, if they have the same types.
fn fitted(joined: &JoinedTable, rows: RecordBatch) -> Result<RecordBatch> {
    let (name, schema) = (&joined.table.name, &joined.table.schema);
    let columns = schema.fields().iter().map(|field| {
        let column = rows.column_by_name(field.name()).filter(|c| c.data_type() == field.data_type());
        column.cloned().ok_or_else(|| {
            Error::user(format!(
                "the version of the lookup table {name} that the saved state was made with has no column {} of type {}",
                field.name(),
                field.data_type()
            ))
            .hint(format!(
                "declare in [lookup.{name}.columns] what it had; or `headcount checkpoint reset --keep-positions`"
            ))
        })
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(schema.clone(), columns)?)
}
