//! Which columns a table's files have, told by footers: of one file of its oldest hour and one of its newest, for a table may have a
//! hundred thousand.

use arrow::datatypes::SchemaRef;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaDataReader;

use super::location::{Lake, failed};
use super::partition::PARTITION_KEYS;
use crate::error::{Error, Result};

/// What is read of a file's end at first: most footers fit.
const FOOTER_BYTES: u64 = 64 * 1024;

/// A file and its columns.
#[derive(Debug, Clone)]
pub struct FileColumns {
    /// The file as the user sees it: `<lake>/<path>`.
    pub place: String,
    /// Its columns, without those that its path spells out.
    pub schema: SchemaRef,
}

/// An end of a table's hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Oldest,
    Newest,
}

impl Lake {
    /// The columns of a file of a table's oldest hour, and of one of its newest if that is another. A table that is not there has none.
    ///
    /// # Errors
    /// External or transient, if the store cannot be listed or a file's footer cannot be read.
    pub async fn columns(&self, table: &str) -> Result<Vec<FileColumns>> {
        let mut found = Vec::new();
        let Some(oldest) = self.file_at(table, Side::Oldest).await? else { return Ok(found) };
        let newest = self.file_at(table, Side::Newest).await?.filter(|newest| newest.location != oldest.location);
        for file in std::iter::once(oldest).chain(newest) {
            found.push(self.footer(file).await?);
        }
        Ok(found)
    }

    /// The first file of the first hour, or the last of the last: folder by folder, so that only those on the way are listed. Hours
    /// without files, as replacements leave them on a disk, are passed over.
    async fn file_at(&self, table: &str, side: Side) -> Result<Option<ObjectMeta>> {
        let root = self.object(table);
        let mut open: Vec<Path> = vec![root.clone()];
        while let Some(folder) = open.pop() {
            let listed = self.store.list_with_delimiter(Some(&folder)).await;
            let listed = listed.map_err(|e| failed("cannot list the lake", self.place(&self.relative(&folder)), e))?;
            let depth = folder.parts_count() - root.parts_count();
            let Some(key) = PARTITION_KEYS.get(depth) else {
                let files = listed.objects.into_iter().filter(|f| f.location.as_ref().ends_with(".parquet"));
                let chosen = match side {
                    Side::Oldest => files.min_by(|a, b| a.location.cmp(&b.location)),
                    Side::Newest => files.max_by(|a, b| a.location.cmp(&b.location)),
                };
                if chosen.is_some() {
                    return Ok(chosen);
                }
                continue;
            };
            let of_key = |path: &Path| {
                path.filename().and_then(|name| name.strip_prefix(key)).is_some_and(|v| v.starts_with('='))
            };
            let mut folders: Vec<Path> = listed.common_prefixes.into_iter().filter(of_key).collect();
            // The one to look into first is taken from the end.
            folders.sort();
            if side == Side::Oldest {
                folders.reverse();
            }
            open.extend(folders);
        }
        Ok(None)
    }

    async fn footer(&self, file: ObjectMeta) -> Result<FileColumns> {
        let place = self.place(&self.relative(&file.location));
        let unreadable = |e| Error::external("not a readable Parquet file").at(&place).because(e);
        let mut bytes = file.size.min(FOOTER_BYTES);
        loop {
            let tail = self.store.get_range(&file.location, file.size - bytes..file.size).await;
            let tail = tail.map_err(|e| failed("cannot read from the lake", place.clone(), e))?;
            let mut reader = ParquetMetaDataReader::new();
            match reader.try_parse_sized(&tail, file.size) {
                Ok(()) => {
                    let metadata = reader.finish().map_err(unreadable)?;
                    let columns = metadata.file_metadata();
                    let schema = parquet_to_arrow_schema(columns.schema_descr(), columns.key_value_metadata());
                    return Ok(FileColumns { schema: schema.map_err(unreadable)?.into(), place });
                }
                Err(ParquetError::NeedMoreData(needed)) if needed as u64 > bytes && needed as u64 <= file.size => {
                    bytes = needed as u64;
                }
                Err(e) => return Err(unreadable(e)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use parquet::arrow::ArrowWriter;

    use super::*;
    use crate::sink::lake::LakeOptions;

    /// A file whose one column tells which it is.
    fn write(dir: &tempfile::TempDir, path: &str, column: &str) {
        let batch = RecordBatch::try_from_iter([(column, Arc::new(Int64Array::from(vec![1])) as ArrayRef)]).unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, writer.into_inner().unwrap()).unwrap();
    }

    async fn columns(dir: &tempfile::TempDir, table: &str) -> Vec<(String, String)> {
        let lake = Lake::existing(dir.path().to_str().unwrap(), &LakeOptions::default()).unwrap().unwrap();
        let name = |place: &str| place.rsplit('/').next().unwrap().to_owned();
        let found = lake.columns(table).await.unwrap();
        found.iter().map(|c| (name(&c.place), c.schema.field(0).name().clone())).collect()
    }

    #[tokio::test]
    async fn one_file_at_each_end_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(columns(&dir, "t").await, []);
        write(&dir, "t/year=2026/month=02/day=03/hour=10/b.parquet", "b");
        assert_eq!(columns(&dir, "t").await, [("b.parquet".to_owned(), "b".to_owned())]);
        write(&dir, "t/year=2026/month=02/day=03/hour=10/c.parquet", "c");
        write(&dir, "t/year=2025/month=12/day=31/hour=23/d.parquet", "d");
        write(&dir, "t/year=2026/month=01/day=31/hour=23/e.parquet", "e");
        // In between, and so never looked at; nor what is no file of the table.
        std::fs::write(dir.path().join("t/year=2026/month=01/day=31/hour=23/f.parquet"), "x").unwrap();
        write(&dir, "t/year=2027/x.parquet", "x");
        write(&dir, "t/other=1/month=01/day=31/hour=23/x.parquet", "x");
        std::fs::write(dir.path().join("t/year=2026/month=02/day=03/hour=10/z.txt"), "x").unwrap();
        // An hour that a replacement has emptied.
        std::fs::create_dir_all(dir.path().join("t/year=2026/month=12/day=01/hour=00")).unwrap();
        std::fs::create_dir_all(dir.path().join("t/year=2024/month=12/day=01/hour=00")).unwrap();
        let expected = [("d.parquet", "d"), ("c.parquet", "c")].map(|(f, c)| (f.to_owned(), c.to_owned()));
        assert_eq!(columns(&dir, "t").await, expected);
        write(&dir, "_late/t/year=2026/month=02/day=03/hour=10/l.parquet", "l");
        assert_eq!(columns(&dir, "_late/t").await, [("l.parquet".to_owned(), "l".to_owned())]);
    }

    #[tokio::test]
    async fn a_damaged_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let hour = dir.path().join("t/year=2026/month=02/day=03/hour=10");
        std::fs::create_dir_all(&hour).unwrap();
        std::fs::write(hour.join("a.parquet"), "PAR1").unwrap();
        let lake = Lake::existing(dir.path().to_str().unwrap(), &LakeOptions::default()).unwrap().unwrap();
        let e = lake.columns("t").await.unwrap_err();
        assert!(e.place().unwrap().ends_with("hour=10/a.parquet"), "{e}");
    }

    #[test]
    fn a_lake_that_is_not_there_is_not_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("none");
        assert!(Lake::existing(path.to_str().unwrap(), &LakeOptions::default()).unwrap().is_none());
        assert!(!path.exists());
        let file = tempfile::NamedTempFile::new().unwrap();
        let e = Lake::existing(file.path().to_str().unwrap(), &LakeOptions::default()).unwrap_err();
        assert_eq!(e.message(), "the lake is a file, not a folder");
    }
}
