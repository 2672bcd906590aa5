//! What `check` says about a lake that is there already: whether its files and those that would be written now are one table.

use std::collections::BTreeSet;
use std::time::Duration;

use arrow::datatypes::{DataType, Schema, TimeUnit};
use futures::StreamExt;

use super::setup;
use crate::config::Config;
use crate::engine::Pipelines;
use crate::engine::tables::{TableOf, table_schemas};
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
    /// Files whose footers were read.
    pub(super) files: usize,
}

/// Compares the columns that every table would get with those of its oldest and of its newest file. Changes nothing. Of a lake that does
/// not answer nothing can be told: that is a note.
pub(super) async fn compare(config: &Config, pipelines: &Pipelines) -> Findings {
    let limit = Duration::from_secs(CHECK_LAKE_SECS_MAX);
    let silent = |why: &str| Findings {
        notes: vec![format!("the lake at {} was not looked at: {why}", config.lake.url)],
        ..Findings::default()
    };
    match tokio::time::timeout(limit, look(config, pipelines)).await {
        Ok(Ok(findings)) => findings,
        // No lake can be there.
        Ok(Err(e)) if e.domain() == Domain::User => Findings { problems: vec![e], ..Findings::default() },
        Ok(Err(e)) => silent(&e.report()),
        Err(_) => silent(&format!("it did not answer within {CHECK_LAKE_SECS_MAX} s")),
    }
}

async fn look(config: &Config, pipelines: &Pipelines) -> Result<Findings> {
    let Some(lake) = Lake::existing(&config.lake.url, &setup::lake_options(config))? else {
        return Ok(Findings::default());
    };
    let tables = table_schemas(pipelines);
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
    let origins = Origins::of(config, pipelines)?;
    let mut findings = Findings::default();
    for ((table, of, written), files) in tables.iter().zip(found) {
        match files {
            Ok(files) => findings.add(table, written, &files, |column| origins.place(*of, column), remedy(*of)),
            Err(e) => findings.notes.push(format!("{table} was not compared with the lake: {}", e.report())),
        }
    }
    Ok(findings)
}

/// The texts that the columns come from.
struct Origins {
    schema_place: String,
    schema_text: String,
    files: Vec<Option<PipelineFile>>,
}

impl Origins {
    fn of(config: &Config, pipelines: &Pipelines) -> Result<Self> {
        let (schema_place, schema_text) = setup::schema_file(config)?;
        let loaded: Vec<PipelineFile> = setup::pipeline_files(config)?.1.into_iter().flatten().collect();
        let file = |name: &str| loaded.iter().find(|f| f.name == name).cloned();
        let files = pipelines.plans.iter().map(|plan| file(&plan.name)).collect();
        Ok(Self { schema_place, schema_text: schema_text.into_owned(), files })
    }

    fn place(&self, of: TableOf, column: &str) -> Option<String> {
        match of {
            TableOf::Contract => Some(place_of_field(&self.schema_text, &self.schema_place, column)),
            TableOf::Pipeline(i) => self.files.get(i)?.as_ref().map(|file| file.at_column(column)),
            TableOf::Product => None,
        }
    }
}

fn remedy(of: TableOf) -> &'static str {
    match of {
        TableOf::Contract => "leave the type and give the new field a name of its own, or write to a new lake",
        TableOf::Pipeline(_) => {
            "give the column a name of its own with AS, name the file otherwise so that it is another table, or write to a new lake"
        }
        TableOf::Product => "write to a new lake",
    }
}

impl Findings {
    /// Adds what the files of one table show. A column is spoken of once.
    fn add(
        &mut self,
        table: &str,
        written: &Schema,
        files: &[FileColumns],
        place: impl Fn(&str) -> Option<String>,
        remedy: &str,
    ) {
        let mut said = BTreeSet::new();
        self.files += files.len();
        for file in files {
            for old in file.schema.fields() {
                let column = old.name();
                match written.field_with_name(column) {
                    Ok(new) if alike(new.data_type(), old.data_type()) => {}
                    Ok(new) if said.insert(column.clone()) => {
                        let (new, old) = (new.data_type(), old.data_type());
                        let message =
                            format!("column {column} of {table} is {new} now, and {old} in the lake: {}", file.place);
                        let error = Error::user(message).hint(remedy);
                        self.problems.push(match place(column) {
                            Some(place) => error.at(place),
                            None => error,
                        });
                    }
                    Err(_) if said.insert(column.clone()) => self.notes.push(format!(
                        "column {column} of {table} is in the lake and not written any more; its files stay readable: {}",
                        file.place
                    )),
                    _ => {}
                }
            }
            for new in written.fields().iter().filter(|f| !f.is_nullable()) {
                let how = match file.schema.field_with_name(new.name()) {
                    Err(_) => "older files lack it: they cannot be the input of a backfill",
                    Ok(old) if old.is_nullable() => {
                        "older files may have rows without it: those with such rows cannot be the input of a backfill"
                    }
                    Ok(_) => continue,
                };
                if said.insert(new.name().clone()) {
                    self.notes.push(format!(
                        "column {} of {table} must be in every row now, and {how}: {}",
                        new.name(),
                        file.place
                    ));
                }
            }
        }
    }
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
        findings.add(
            "t",
            &schema(written),
            files,
            |column| (column != "b").then(|| format!("s.json:{column}")),
            "rename",
        );
        findings
    }

    #[test]
    fn changed_types_are_problems_told_once() {
        let files =
            [file("l/1", &[("a", DataType::Int32), ("b", DataType::Utf8)]), file("l/2", &[("a", DataType::Utf8)])];
        let findings = found(&[("a", DataType::Int64), ("b", DataType::Boolean)], &files);
        let reports: Vec<String> = findings.problems.iter().map(Error::report).collect();
        assert_eq!(
            reports,
            [
                "s.json:a: column a of t is Int64 now, and Int32 in the lake: l/1\n  remedy: rename",
                "column b of t is Boolean now, and Utf8 in the lake: l/1\n  remedy: rename",
            ]
        );
        assert_eq!((findings.notes.len(), findings.files), (0, 2));
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
        let [gone, id] = findings.notes.as_slice() else { panic!("{findings:?}") };
        assert!(gone.contains("column gone of t") && gone.contains("stay readable"), "{gone}");
        assert!(id.contains("column id of t") && id.contains("input of a backfill"), "{id}");
    }
}
