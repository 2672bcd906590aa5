//! Versions that checkpoints name, kept in the lake.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use super::tables::{JoinedTable, Lookups};
use super::version::LookupVersion;
use crate::engine::checkpoint::read_header;
use crate::error::{Error, Result};
use crate::sink::lake::{CheckpointStore, Lake, LookupStore};

/// The versions of one application. Clones share what they know of its checkpoints, which no other process writes.
#[derive(Debug, Clone)]
pub struct LookupHistory {
    store: LookupStore,
    checkpoints: CheckpointStore,
    /// The versions that checkpoints named when that was first asked.
    named: Arc<OnceCell<BTreeSet<String>>>,
    /// Held while a version is kept and put into use, and while others are removed.
    gate: Arc<Mutex<()>>,
}

impl LookupHistory {
    /// Those of `application` in a lake.
    pub fn new(lake: &Lake, application: &str) -> Self {
        Self {
            store: LookupStore::new(lake, application),
            checkpoints: CheckpointStore::new(lake, application),
            named: Arc::default(),
            gate: Arc::default(),
        }
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

    /// Removes what is neither in use nor named by a checkpoint that is kept; how many.
    pub(super) async fn tidy(&self, lookups: &Lookups) -> Result<usize> {
        let in_use: BTreeSet<String> = lookups.versions().into_values().collect();
        if self.store.list().await?.is_subset(&in_use) {
            return Ok(0);
        }
        let named = self.named.get_or_try_init(async || {
            let mut named = BTreeSet::new();
            for stored in self.checkpoints.list().await? {
                if let Some(bytes) = self.checkpoints.read(stored.number).await? {
                    named.extend(read_header(&bytes)?.lookups.into_values());
                }
            }
            Ok::<_, Error>(named)
        });
        self.store.keep_only(&named.await?.union(&in_use).cloned().collect()).await
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
