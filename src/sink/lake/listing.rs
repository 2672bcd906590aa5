//! Reading a lake back: which files a table has, and their rows.

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::location::{Lake, failed};
use super::partition::{hour_path, parse_path};
use super::staging::Move;
use crate::error::{Error, Result};
use crate::types::Micros;

/// A finished file of a table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LakeFile {
    /// Its table: `user_events`, `_late/revenue`.
    pub table: String,
    /// Start of the hour whose rows it holds.
    pub hour: Micros,
    /// Its path below the lake.
    pub path: String,
    /// Its size.
    pub bytes: u64,
}

impl Lake {
    /// The files of a table, sorted by hour, then path. An unknown table has none.
    ///
    /// # Errors
    /// External or transient if the store cannot be listed.
    pub async fn list(&self, table: &str) -> Result<Vec<LakeFile>> {
        self.list_below(table).await
    }

    /// The files of one hour of a table, sorted by path.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub async fn list_hour(&self, table: &str, hour: Micros) -> Result<Vec<LakeFile>> {
        self.list_below(&format!("{table}/{}", hour_path(hour))).await
    }

    /// The files of tables below a path of the lake; others are passed over.
    async fn list_below(&self, relative: &str) -> Result<Vec<LakeFile>> {
        let prefix = self.object(relative);
        let mut files: Vec<LakeFile> = self
            .store
            .list(Some(&prefix))
            .try_filter_map(|meta| async move {
                let path = self.relative(&meta.location);
                let found = parse_path(&path).filter(|_| path.ends_with(".parquet"));
                Ok(found.map(|(table, hour)| (table.to_owned(), hour)).map(|(table, hour)| LakeFile {
                    table,
                    hour,
                    path,
                    bytes: meta.size,
                }))
            })
            .try_collect()
            .await
            .map_err(|e| failed("cannot list the lake", self.place(relative), e))?;
        files.sort_unstable();
        Ok(files)
    }

    /// The files of a table that wait to be moved to their places: table and hour as they will be, the path as it is. Those that are not
    /// there are passed over.
    ///
    /// # Errors
    /// External or transient if the store fails.
    pub async fn waiting(&self, table: &str, files: &[Move]) -> Result<Vec<LakeFile>> {
        let mut waiting = Vec::new();
        for Move { from, to } in files {
            let Some((_, hour)) = parse_path(to).filter(|(of, _)| *of == table) else { continue };
            match self.store.head(&self.object(from)).await {
                Ok(meta) => {
                    waiting.push(LakeFile { table: table.to_owned(), hour, path: from.clone(), bytes: meta.size })
                }
                Err(object_store::Error::NotFound { .. }) => {}
                Err(e) => return Err(failed("cannot read from the lake", self.place(from), e)),
            }
        }
        Ok(waiting)
    }

    /// The files that a replacement has staged: tables and hours as they will be, paths as they are.
    pub(super) async fn list_staged(&self, root: &str) -> Result<Vec<LakeFile>> {
        let mut files = self.list_below(root).await?;
        for file in &mut files {
            file.table = file.table.strip_prefix(root).unwrap_or(&file.table).to_owned();
        }
        Ok(files)
    }

    /// All rows of a table, or some of its columns (in the file's order), file by file in the order of [`list`](Self::list). Files are read
    /// whole, so this is for tables that fit into memory: tests, small commands.
    ///
    /// # Errors
    /// External or transient if a file cannot be read; user if a column is not in it.
    pub async fn read_table(&self, table: &str, columns: Option<&[&str]>) -> Result<Vec<RecordBatch>> {
        let mut rows = Vec::new();
        for file in self.list(table).await? {
            let place = self.place(&file.path);
            let Some(bytes) = self.fetch(&file.path).await? else { continue };
            let unreadable = |e| Error::external("not a readable Parquet file").at(place.clone()).because(e);
            let mut builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(unreadable)?;
            if let Some(names) = columns {
                let has = |name: &&str| builder.schema().field_with_name(name).is_ok();
                if let Some(missing) = names.iter().find(|n| !has(n)) {
                    return Err(Error::user(format!("no column {missing}")).at(place));
                }
                let mask = ProjectionMask::columns(builder.parquet_schema(), names.iter().copied());
                builder = builder.with_projection(mask);
            }
            for batch in builder.build().map_err(unreadable)? {
                rows.push(batch.map_err(|e| Error::external("a Parquet file broke off").at(place.clone()).because(e))?);
            }
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn other_files_are_passed_over_and_bad_ones_are_named() {
        let (dir, lake) = Lake::in_temp_folder();
        assert!(lake.list("t").await.unwrap().is_empty());
        let hour = dir.path().join("t/year=2026/month=01/day=31/hour=18");
        std::fs::create_dir_all(&hour).unwrap();
        for name in ["a.parquet#1", "notes.txt", "../stray.parquet", "b.parquet"] {
            std::fs::write(hour.join(name), "x").unwrap();
        }
        let files = lake.list("t").await.unwrap();
        assert_eq!(
            files.iter().map(|f| f.path.as_str()).collect::<Vec<_>>(),
            vec!["t/year=2026/month=01/day=31/hour=18/b.parquet"]
        );
        assert_eq!(lake.list_hour("t", files[0].hour).await.unwrap(), files);
        assert!(lake.list_hour("t", 0).await.unwrap().is_empty());
        let e = lake.read_table("t", None).await.unwrap_err();
        assert!(e.place().unwrap().ends_with("b.parquet"), "{e}");
    }
}
