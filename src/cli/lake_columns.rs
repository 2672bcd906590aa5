//! Whether the files of a lake that is there already and those that would be written now are one table: what `check` says about it, and
//! what the commands that write refuse.

use std::collections::BTreeSet;
use std::time::Duration;

use arrow::datatypes::{DataType, Schema, TimeUnit};
use futures::StreamExt;

use super::setup;
use crate::config::Config;
use crate::engine::Pipelines;
use crate::engine::tables::{TableColumns, TableOf, table_schemas};
use crate::error::{Domain, Error, Result};
use crate::limits::{CHECK_LAKE_SECS_MAX, CHECK_TABLES_MAX};
use crate::pipeline::PipelineFile;
use crate::schema::place_of_field;
use crate::sink::lake::{FileColumns, Lake};

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Types that contradict each other: files of both cannot be read as one table.
    pub(super) problems: Vec<Error>,
    /// What is worth a word.
    pub(super) notes: Vec<String>,
    /// Why a table could not be compared.
    pub(super) not_compared: Vec<String>,
    /// Files whose footers were read.
    pub(super) files: usize,
    /// Files that have other columns than new ones will have.
    pub(super) other_files: usize,
    /// Columns of the event contract that a note names: its tables have the same.
    noted: BTreeSet<String>,
}

/// Compares the columns that every table would get with those of its oldest and of its newest file. Changes nothing. Of a lake that does
/// not answer nothing can be told: that is a note.
pub(super) async fn compare(config: &Config, pipelines: &Pipelines) -> Findings {
    let looked = match Lake::existing(&config.lake.url, &setup::lake_options(config)) {
        Ok(None) => return Findings::default(),
        Ok(Some(lake)) => look(config, &lake, &table_schemas(pipelines)).await,
        Err(e) => Err(e),
    };
    match looked {
        Ok(findings) => findings,
        // No lake can be there.
        Err(e) if e.domain() == Domain::User => Findings { problems: vec![e], ..Findings::default() },
        Err(e) => Findings { not_compared: vec![not_looked_at(&config.lake.url, &e)], ..Findings::default() },
    }
}

/// Refuses to write `tables` into a lake with whose files they would not be one table any more.
///
/// # Errors
/// User, as [`compare`] finds them. What cannot be compared is logged, and no reason to lose events.
pub(super) async fn refuse_other_types(config: &Config, lake: &Lake, tables: &[TableColumns]) -> Result<()> {
    match look(config, lake, tables).await {
        Ok(findings) if findings.problems.is_empty() => {
            findings.not_compared.iter().for_each(|note| warn(note));
            Ok(())
        }
        Ok(findings) => Err(setup::first_of(findings.problems)),
        Err(e) if e.domain() == Domain::User => Err(e),
        Err(e) => {
            warn(&not_looked_at(lake.url(), &e));
            Ok(())
        }
    }
}

fn warn(cause: &str) {
    tracing::warn!(cause, "what is written was not compared with the columns of the lake's files");
}

fn not_looked_at(url: &str, why: &Error) -> String {
    format!("the lake at {url} was not looked at: {}", why.report())
}

async fn look(config: &Config, lake: &Lake, tables: &[TableColumns]) -> Result<Findings> {
    let limit = Duration::from_secs(CHECK_LAKE_SECS_MAX);
    let found = tokio::time::timeout(limit, columns_of(lake, tables)).await;
    let found =
        found.unwrap_or_else(|_| Err(Error::external(format!("it did not answer within {CHECK_LAKE_SECS_MAX} s"))))?;
    let origins = Origins::of(config, tables)?;
    let mut findings = Findings::default();
    for (table, files) in tables.iter().zip(found) {
        match files {
            Ok(files) => findings.add(table, &files, |column| origins.place(table, column)),
            Err(e) => findings.not_compared.push(format!("{} was not compared with the lake: {}", table.0, e.report())),
        }
    }
    Ok(findings)
}

async fn columns_of(lake: &Lake, tables: &[TableColumns]) -> Result<Vec<Result<Vec<FileColumns>>>> {
    let mut looked =
        futures::stream::iter(tables.iter().map(|(table, ..)| lake.columns(table))).buffered(CHECK_TABLES_MAX);
    let mut found: Vec<Result<Vec<FileColumns>>> = Vec::new();
    while let Some(files) = looked.next().await {
        // One table may be at fault; if two are, it is the lake.
        match (found.last(), files) {
            (Some(Err(_)), Err(e)) => return Err(e),
            (_, files) => found.push(files),
        }
    }
    Ok(found)
}

/// The texts that the columns come from.
struct Origins {
    schema_place: String,
    schema_text: String,
    files: Vec<PipelineFile>,
}

impl Origins {
    fn of(config: &Config, tables: &[TableColumns]) -> Result<Self> {
        let (schema_place, schema_text) = setup::schema_file(config)?;
        let files = match tables.iter().any(|(_, of, _)| *of == TableOf::Pipeline) {
            true => setup::pipeline_files(config)?.1.into_iter().flatten().collect(),
            false => Vec::new(),
        };
        Ok(Self { schema_place, schema_text: schema_text.into_owned(), files })
    }

    fn place(&self, (table, of, _): &TableColumns, column: &str) -> Option<String> {
        match of {
            TableOf::Contract => Some(place_of_field(&self.schema_text, &self.schema_place, column)),
            TableOf::Pipeline => self.files.iter().find(|file| file.name == *table).map(|file| file.at_column(column)),
            TableOf::Product => None,
        }
    }
}

fn remedy(of: TableOf) -> &'static str {
    match of {
        TableOf::Contract => "leave the type and give the new field a name of its own, or write to a new lake",
        TableOf::Pipeline => {
            "give the column a name of its own with AS, name the file otherwise so that it is another table, or write to a new lake"
        }
        TableOf::Product => "write to a new lake",
    }
}

impl Findings {
    /// Adds what the files of one table show. A column is spoken of once.
    fn add(
        &mut self,
        (table, of, written): &TableColumns,
        files: &[FileColumns],
        place: impl Fn(&str) -> Option<String>,
    ) {
        let mut said = BTreeSet::new();
        self.files += files.len();
        for file in files {
            let (new, gone) = (columns_without(written, &file.schema), columns_without(&file.schema, written));
            self.other_files += usize::from(!new.is_empty() || !gone.is_empty());
            for old in file.schema.fields() {
                let Ok(new) = written.field_with_name(old.name()) else { continue };
                if alike(new.data_type(), old.data_type()) || !said.insert(old.name().clone()) {
                    continue;
                }
                let (column, new, old) = (old.name(), new.data_type(), old.data_type());
                let message = format!("column {column} of {table} is {new} now, and {old} in the lake: {}", file.place);
                let error = Error::user(message).hint(remedy(*of));
                self.problems.push(match place(column) {
                    Some(place) => error.at(place),
                    None => error,
                });
            }
            for column in gone.into_iter().filter(|column| said.insert(column.clone())) {
                self.note(*of, &column, |column| {
                    format!(
                        "column {column} of {table} is in the lake and not written any more; its files stay readable: {}",
                        file.place
                    )
                });
            }
            for column in written.fields() {
                let in_file = file.schema.field_with_name(column.name()).ok();
                let what = match (column.is_nullable(), in_file) {
                    (true, None) => "is new: it is null in older files",
                    (false, None) => {
                        "must be in every row now, and older files lack it: they cannot be the input of a backfill"
                    }
                    (false, Some(old)) if old.is_nullable() => {
                        "must be in every row now, and older files may have rows without it: those with such rows cannot be the input of a backfill"
                    }
                    _ => continue,
                };
                if said.insert(column.name().clone()) {
                    self.note(*of, column.name(), |column| {
                        format!("column {column} of {table} {what}: {}", file.place)
                    });
                }
            }
        }
    }

    /// Late rows have the columns of raw events: one word is enough.
    fn note(&mut self, of: TableOf, column: &str, text: impl Fn(&str) -> String) {
        if of != TableOf::Contract || self.noted.insert(column.to_owned()) {
            self.notes.push(text(column));
        }
    }
}

/// The columns of a schema that another one has not.
fn columns_without(schema: &Schema, other: &Schema) -> Vec<String> {
    let names = schema.fields().iter().map(|field| field.name());
    names.filter(|name| other.field_with_name(name).is_err()).cloned().collect()
}

/// Whether readers take columns of both types for one.
fn alike(a: &DataType, b: &DataType) -> bool {
    let text = |t: &DataType| matches!(t, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let micros = |t: &DataType| matches!(t, DataType::Timestamp(TimeUnit::Microsecond, Some(_)));
    a == b || (text(a) && text(b)) || (micros(a) && micros(b))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::Field;

    use super::*;

    fn file(place: &str, columns: &[(&str, DataType)]) -> FileColumns {
        FileColumns { place: place.to_owned(), schema: Arc::new(schema(columns)) }
    }

    fn schema(columns: &[(&str, DataType)]) -> Schema {
        Schema::new(columns.iter().map(|(name, t)| Field::new(*name, t.clone(), *name != "id")).collect::<Vec<_>>())
    }

    fn found(written: &[(&str, DataType)], files: &[FileColumns]) -> Findings {
        let mut findings = Findings::default();
        let table = ("t".to_owned(), TableOf::Contract, Arc::new(schema(written)));
        findings.add(&table, files, |column| (column != "b").then(|| format!("s.json:{column}")));
        findings
    }

    #[test]
    fn changed_types_are_problems_told_once() {
        let files =
            [file("l/1", &[("a", DataType::Int32), ("b", DataType::Utf8)]), file("l/2", &[("a", DataType::Utf8)])];
        let findings = found(&[("a", DataType::Int64), ("b", DataType::Boolean)], &files);
        let remedy = remedy(TableOf::Contract);
        let reports: Vec<String> = findings.problems.iter().map(Error::report).collect();
        assert_eq!(
            reports,
            [
                format!("s.json:a: column a of t is Int64 now, and Int32 in the lake: l/1\n  remedy: {remedy}"),
                format!("column b of t is Boolean now, and Utf8 in the lake: l/1\n  remedy: {remedy}"),
            ]
        );
        assert_eq!((findings.notes.len(), findings.files, findings.other_files), (0, 2, 1), "l/2 lacks b");
    }

    #[test]
    fn a_type_that_changed_and_changed_back_is_a_problem_of_the_file_between() {
        let files = [file("l/1", &[("a", DataType::Int64)]), file("l/2", &[("a", DataType::Int32)])];
        let findings = found(&[("a", DataType::Int64)], &files);
        assert!(findings.problems[0].message().ends_with("l/2"), "{findings:?}");
    }

    #[test]
    fn more_columns_and_fewer_are_no_problems() {
        let time = |zone: &str| DataType::Timestamp(TimeUnit::Microsecond, Some(zone.into()));
        let files = [file("l/1", &[("gone", DataType::Utf8), ("t", time("+00:00")), ("u", DataType::LargeUtf8)])];
        let written = [("t", time("UTC")), ("u", DataType::Utf8), ("new", DataType::Int32), ("id", DataType::Utf8)];
        let findings = found(&written, &files);
        assert_eq!(findings.problems.len(), 0, "{findings:?}");
        let [gone, new, id] = findings.notes.as_slice() else { panic!("{findings:?}") };
        assert_eq!(new, "column new of t is new: it is null in older files: l/1");
        assert_eq!((findings.files, findings.other_files), (1, 1));
        assert!(gone.contains("column gone of t") && gone.contains("stay readable"), "{gone}");
        assert!(id.contains("column id of t") && id.contains("input of a backfill"), "{id}");
    }

    #[test]
    fn raw_and_late_rows_have_the_same_columns_and_one_note() {
        let mut findings = Findings::default();
        for table in ["t", "_late/p"] {
            let written = Arc::new(schema(&[("a", DataType::Int64)]));
            findings.add(&(table.to_owned(), TableOf::Contract, written), &[file("l/1", &[])], |_| None);
        }
        assert_eq!((findings.notes.len(), findings.other_files), (1, 2), "{findings:?}");
    }
}
