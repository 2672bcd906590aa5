//! A lookup table's place, and what is read from there.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;

use super::columns::{declared, inferred};
use super::decode::Loaded;
use super::files::{FileStamps, Files, too_large};
use crate::aws::BucketOptions;
use crate::config::Lookup;
use crate::error::{Error, Result};
use crate::limits::LOOKUP_BYTES_MAX;

/// One table's place and form.
#[derive(Debug)]
pub struct LookupSource {
    /// What the configuration says.
    pub config: Lookup,
    files: Files,
}

/// What a table held when it was read.
#[derive(Debug, Clone)]
pub struct LookupContent {
    /// Its rows: one batch with the table's columns.
    pub rows: RecordBatch,
    /// The files in the order of their rows, each with the number of its first row.
    files: Vec<(String, usize)>,
    /// What it was read from.
    pub stamps: FileStamps,
}

impl LookupContent {
    /// Where a row stands, in words.
    pub fn place(&self, row: usize) -> String {
        let before = self.files.iter().rev().find(|(_, first)| *first <= row);
        before.map_or_else(String::new, |(file, first)| format!("{file}: row {}", row - first + 1))
    }
}

impl LookupSource {
    /// The table that `config` describes. Nothing is read yet.
    ///
    /// # Errors
    /// User, if its location cannot be one.
    pub fn open(config: &Lookup, buckets: &BucketOptions) -> Result<Self> {
        let files = Files::open(&config.location, config.format, buckets)?;
        Ok(Self { config: config.clone(), files })
    }

    /// The state of its files now.
    ///
    /// # Errors
    /// User, if there is none; external or transient, if it cannot be told.
    pub async fn stamps(&self) -> Result<FileStamps> {
        Ok(FileStamps::of(&self.files.find().await?))
    }

    /// Reads it whole: with the columns `table`, those of an earlier reading, if that is given; else with those that are declared, else
    /// with those that it has.
    ///
    /// # Errors
    /// User, if a file is not what it should be, or all are too large; external or transient, if one cannot be read, or was changed
    /// meanwhile.
    pub async fn read(&self, table: Option<SchemaRef>) -> Result<LookupContent> {
        let found = self.files.find().await?;
        let mut loaded = Vec::new();
        for file in &found {
            let bytes = self.files.fetch(file).await?;
            loaded.push((file.name.clone(), file.format, bytes));
        }
        let stamps = FileStamps::of(&found);
        let now = self.stamps().await?;
        if now != stamps {
            return Err(Error::transient("its files were changed while they were read").at(&self.config.location));
        }
        let table = table.or_else(|| declared(&self.config.columns));
        let (name, place) = (self.config.name.clone(), self.config.location.clone());
        let decoding = tokio::task::spawn_blocking(move || {
            let open = |(name, format, bytes)| Loaded::try_new(name, format, bytes);
            decode(&name, &place, loaded.into_iter().map(open).collect::<Result<_>>()?, table)
        });
        let (rows, files) = decoding.await.map_err(|e| Error::internal("a reader broke off").because(e))??;
        Ok(LookupContent { rows, files, stamps })
    }
}

type Decoded = (RecordBatch, Vec<(String, usize)>);

fn decode(name: &str, place: &str, files: Vec<Loaded>, table: Option<SchemaRef>) -> Result<Decoded> {
    let table = match table {
        Some(table) => table,
        None => {
            let schemas = files.iter().map(|f| Ok((f.name.clone(), f.schema()?))).collect::<Result<Vec<_>>>()?;
            inferred(name, &schemas)?
        }
    };
    let (mut batches, mut firsts) = (Vec::new(), Vec::new());
    let (mut rows, mut bytes) = (0, 0);
    for file in files {
        let batch = file.rows(&table)?;
        firsts.push((file.name, rows));
        rows += batch.num_rows();
        bytes += batch.get_array_memory_size();
        if bytes > LOOKUP_BYTES_MAX {
            return Err(too_large(place));
        }
        batches.push(batch);
    }
    // In as much memory as the rows need, and in the same bytes whatever files they were in.
    let joined = concat_batches(&table, &batches)?;
    Ok((RecordBatch::try_new(Arc::clone(&table), joined.columns().to_vec())?, firsts))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Write;

    use arrow::array::{AsArray, Int64Array, StringArray};
    use arrow::datatypes::{DataType, Int64Type};
    use parquet::arrow::ArrowWriter;

    use super::*;
    use crate::config::{ColumnType, LookupFormat};

    fn table(location: &str) -> Lookup {
        Lookup {
            name: "creators".to_owned(),
            location: location.to_owned(),
            format: None,
            refresh: 0,
            columns: BTreeMap::new(),
        }
    }

    async fn read(config: &Lookup) -> Result<LookupContent> {
        LookupSource::open(config, &BucketOptions::default())?.read(None).await
    }

    fn parquet(rows: &[(&str, i64)]) -> Vec<u8> {
        let ids = Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.0)));
        let ranks = Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.1)));
        let batch = RecordBatch::try_from_iter([("channel_id", ids as _), ("rank", ranks as _)]).unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.into_inner().unwrap()
    }

    fn ids(content: &LookupContent) -> Vec<Option<String>> {
        let column = content.rows.column_by_name("channel_id").unwrap();
        column.as_string::<i32>().iter().map(|v| v.map(str::to_owned)).collect()
    }

    #[tokio::test]
    async fn all_forms_give_the_same_rows() {
        let dir = tempfile::tempdir().unwrap();
        let csv = "channel_id,rank\na,1\n,2\n\"b,c\",\n";
        let json = "{\"rank\":1,\"channel_id\":\"a\"}\n{\"rank\":2}\n{\"channel_id\":\"b,c\"}\n";
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(csv.as_bytes()).unwrap();
        let zst = zstd::bulk::compress(json.as_bytes(), 1).unwrap();
        let files: [(&str, Vec<u8>); 4] = [
            ("a.csv", csv.into()),
            ("b.ndjson", json.into()),
            ("c.csv.gz", gz.finish().unwrap()),
            ("d.jsonl.zst", zst),
        ];
        for (name, bytes) in files {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            for location in [path.display().to_string(), url::Url::from_file_path(&path).unwrap().to_string()] {
                let content = read(&table(&location)).await.unwrap_or_else(|e| panic!("{}", e.report()));
                assert_eq!(ids(&content), [Some("a".to_owned()), None, Some("b,c".to_owned())], "{name}");
                let ranks: Vec<_> = content.rows["rank"].as_primitive::<Int64Type>().iter().collect();
                assert_eq!(ranks, [Some(1), Some(2), None], "{name}");
            }
        }
        std::fs::write(dir.path().join("e.parquet"), parquet(&[("a", 1)])).unwrap();
        let content = read(&table(dir.path().join("e.parquet").to_str().unwrap())).await.unwrap();
        assert_eq!(content.rows["rank"].as_primitive::<Int64Type>().value(0), 1);
    }

    #[tokio::test]
    async fn a_folder_is_one_table_and_rows_know_their_file() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write("2.csv", "channel_id,rank\nc,3\n");
        write("1.csv", "rank,channel_id\n1,a\n2,b\n");
        write("_old.csv", "nothing\n1\n");
        write("readme.txt", "not a table");
        let content = read(&table(dir.path().to_str().unwrap())).await.unwrap();
        assert_eq!(ids(&content).concat_all(), "abc");
        let places: Vec<_> = (0..3).map(|row| content.place(row)).collect();
        assert!(places[1].ends_with("/1.csv: row 2") && places[2].ends_with("/2.csv: row 1"), "{places:?}");
    }

    trait ConcatAll {
        fn concat_all(&self) -> String;
    }

    impl ConcatAll for Vec<Option<String>> {
        fn concat_all(&self) -> String {
            self.iter().flatten().map(String::as_str).collect()
        }
    }

    #[tokio::test]
    async fn declared_columns_are_read_alone_and_as_declared() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.csv");
        std::fs::write(&path, "channel_id,since,note\n007,2026-01-31T18:00:00Z,x\n").unwrap();
        let declared = [("channel_id", ColumnType::Text), ("since", ColumnType::Timestamp)];
        let columns = declared.map(|(name, t)| (name.to_owned(), t)).into();
        let config = Lookup { columns, ..table(path.to_str().unwrap()) };
        let content = read(&config).await.unwrap();
        assert_eq!((content.rows.num_columns(), ids(&content).concat_all()), (2, "007".to_owned()));
        let inferred = read(&table(path.to_str().unwrap())).await.unwrap();
        assert_eq!(inferred.rows["channel_id"].data_type(), &DataType::Int64);
        assert_eq!(inferred.rows["since"].data_type(), content.rows["since"].data_type());
        assert_eq!(inferred.rows["since"].as_ref(), content.rows["since"].as_ref());
    }

    #[tokio::test]
    async fn what_is_wrong_is_named_by_file() {
        let dir = tempfile::tempdir().unwrap();
        let said = async |name: &str, bytes: &[u8], config: fn(Lookup) -> Lookup| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let e = read(&config(table(path.to_str().unwrap()))).await.unwrap_err();
            assert!(e.place().unwrap().ends_with(name), "{}", e.report());
            assert_eq!(e.exit_code(), 2, "{}", e.report());
            assert!(e.remedy().is_some_and(|r| !r.is_empty()), "{}", e.report());
            e.message().to_owned()
        };
        let plain = |config: Lookup| config;
        let numbers = |config: Lookup| Lookup { columns: [("n".to_owned(), ColumnType::Integer)].into(), ..config };
        assert_eq!(said("a.txt", b"x", plain).await, "its name does not tell what it holds");
        assert!(said("a.parquet", b"PAR1 nonsense", plain).await.contains("cannot be read as Parquet"));
        assert!(said("a.ndjson", b"{\"a\": [1]}\n", plain).await.contains("not plain values"));
        assert!(said("b.ndjson", b"{\"a\": \n", plain).await.contains("cannot be read as NDJSON"));
        assert!(said("a.csv", b"a,b\n1\n", plain).await.contains("cannot be read as CSV"));
        assert_eq!(said("b.csv", b"a,b\n1,2\n", numbers).await, "the column n is not in it");
        let parse = said("c.csv", b"n,b\nten,2\n", numbers).await;
        assert!(parse.contains("'ten'") && parse.contains("line 1"), "{parse}");
        assert!(said("d.csv", b"", plain).await.contains("no columns"));
        let forced = |config: Lookup| Lookup { format: Some(LookupFormat::Parquet), ..config };
        assert!(said("e.csv", b"a\n1\n", forced).await.contains("cannot be read as Parquet"));
        let gone = read(&table(dir.path().join("gone.csv").to_str().unwrap())).await.unwrap_err();
        assert_eq!((gone.exit_code(), gone.message()), (2, "there is no file of a lookup table"));
    }

    #[tokio::test]
    async fn a_change_shows_in_the_stamps() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.csv");
        std::fs::write(&path, "channel_id\na\n").unwrap();
        let source = LookupSource::open(&table(path.to_str().unwrap()), &BucketOptions::default()).unwrap();
        let before = source.read(None).await.unwrap().stamps;
        assert_eq!(source.stamps().await.unwrap(), before);
        std::fs::write(&path, "channel_id\na\nb\n").unwrap();
        assert_ne!(source.stamps().await.unwrap(), before);
    }
}
