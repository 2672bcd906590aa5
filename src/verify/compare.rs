//! Two tables of the same windows, row by row: each revision of a window's rows by itself.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};

use super::sorted::{Encoder, Sorted};
use super::verdict::{Difference, TableVerdict};
use crate::backfill::Range;
use crate::error::Result;
use crate::pipeline::ContinuousPlan;
use crate::query::{LakeQuery, Statement};
use crate::schema::{REVISION, WINDOW_END, WINDOW_START};
use crate::types::{Micros, format_micros};

/// A table in both places.
pub(super) struct Comparison<'t> {
    /// Its name.
    table: &'t str,
    /// The key's columns, the revision as the last of them, then the others.
    schema: SchemaRef,
    key: usize,
    range: Range,
    /// Up to where the lake's windows are complete; none if nothing says so.
    complete: Option<Micros>,
    /// Windows that end after it may lack raw rows; none if no window does.
    raw_until: Option<Micros>,
    /// How long after its end a window may be revised.
    allowed_lateness: Micros,
    /// How many differences are told.
    told_max: usize,
}

impl<'t> Comparison<'t> {
    /// Of the table of `plan`, whose windows in the lake are complete up to `complete`, and the raw rows of its windows up to `raw_until`.
    pub(super) fn new(
        plan: &'t ContinuousPlan,
        range: Range,
        (complete, raw_until): (Option<Micros>, Option<Micros>),
        told_max: usize,
    ) -> Self {
        let is_window = |f: &&FieldRef| f.name() == WINDOW_START || f.name() == WINDOW_END;
        let is_key = |f: &&FieldRef| is_window(f) || plan.header.keys.contains(f.name());
        let is_revision = |f: &&FieldRef| f.name() == REVISION;
        let fields = || plan.schema().fields().iter();
        // The window first, so that rows come in the order of time.
        let keys = fields().filter(is_window).chain(fields().filter(|f| is_key(f) && !is_window(f)));
        let keys = keys.chain(fields().filter(is_revision));
        let key = keys.clone().count();
        let values = fields().filter(|f| !is_key(f) && !is_revision(f));
        let schema = Arc::new(Schema::new(keys.chain(values).cloned().collect::<Vec<_>>()));
        let allowed_lateness = plan.allowed_lateness();
        Self { table: &plan.name, schema, key, range, complete, raw_until, allowed_lateness, told_max }
    }

    /// What the lake has, beside what the raw events give.
    ///
    /// # Errors
    /// As [`LakeQuery::run`].
    pub(super) async fn run(&self, lake: &LakeQuery, recomputed: &LakeQuery) -> Result<TableVerdict> {
        let mut verdict =
            TableVerdict { table: self.table.to_owned(), complete: self.complete, ..TableVerdict::default() };
        let statement = Statement::parse(&self.sql())?;
        let encoder = Arc::new(Encoder::new(Arc::clone(&self.schema), self.key)?);
        let mut have = Sorted::begin(Arc::clone(&encoder), lake.run(&statement).await?).await?;
        let mut want = Sorted::begin(encoder, recomputed.run(&statement).await?).await?;
        loop {
            let order = match (have.row(), want.row()) {
                (None, None) => return Ok(verdict),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((key, _)), Some((wanted, _))) => key.cmp(&wanted),
            };
            match order {
                Ordering::Less => {
                    if self.lacks_raw_rows(&have)? {
                        verdict.too_new += 1;
                    } else {
                        verdict.too_many += 1;
                        let what = || Ok("is in the lake, and the raw events do not give it".to_owned());
                        self.tell(&mut verdict, &have, what)?;
                    }
                    have.next().await?;
                }
                Ordering::Greater => {
                    if self.is_to_come(&want)? {
                        verdict.to_come += 1;
                    } else {
                        verdict.missing += 1;
                        let what = || Ok("is missing, and the raw events give it".to_owned());
                        self.tell(&mut verdict, &want, what)?;
                    }
                    want.next().await?;
                }
                Ordering::Equal => {
                    let same = have.row().map(|(_, values)| values) == want.row().map(|(_, values)| values);
                    let differing = if same { Vec::new() } else { self.differing(&have, &want)? };
                    if differing.is_empty() {
                        verdict.equal += 1;
                    } else if self.lacks_raw_rows(&have)? {
                        verdict.too_new += 1;
                    } else {
                        verdict.different += 1;
                        self.tell(&mut verdict, &have, || self.told(&have, &want, &differing))?;
                    }
                    have.next().await?;
                    want.next().await?;
                }
            }
        }
    }

    /// All rows of the range, in order.
    fn sql(&self) -> String {
        let names: Vec<String> = self.schema.fields().iter().map(|f| quoted(f.name())).collect();
        let order: Vec<String> = names.iter().map(|name| format!("{name} ASC NULLS FIRST")).collect();
        let bound = |t: Micros, is: &str| format!("{WINDOW_START} {is} TIMESTAMP '{}'", format_micros(t));
        let bounds: Vec<String> = [self.range.from.map(|t| bound(t, ">=")), self.range.to.map(|t| bound(t, "<"))]
            .into_iter()
            .flatten()
            .collect();
        let within = if bounds.is_empty() { String::new() } else { format!(" WHERE {}", bounds.join(" AND ")) };
        format!("SELECT {} FROM {}{within} ORDER BY {}", names.join(", "), quoted(self.table), order.join(", "))
    }

    /// Whether the lake need not have a row yet.
    fn is_to_come(&self, row: &Sorted<'_>) -> Result<bool> {
        self.complete.map_or(Ok(true), |complete| self.is_final_after(row, complete))
    }

    /// Whether raw rows of it may be in no file yet.
    fn lacks_raw_rows(&self, row: &Sorted<'_>) -> Result<bool> {
        self.raw_until.map_or(Ok(false), |raw_until| self.is_final_after(row, raw_until))
    }

    /// Whether the watermark at which a row is written is beyond `until`: a revision is when the window's allowed lateness is over.
    fn is_final_after(&self, row: &Sorted<'_>, until: Micros) -> Result<bool> {
        let (end, revision) = (row.integer(self.schema.index_of(WINDOW_END)?)?, row.integer(self.key - 1)?);
        let later = if revision.unwrap_or(0) > 0 { self.allowed_lateness } else { 0 };
        Ok(end.is_some_and(|end| end.saturating_add(later) > until))
    }

    /// Keeps a difference, if there are not enough of them.
    fn tell(&self, verdict: &mut TableVerdict, row: &Sorted<'_>, what: impl FnOnce() -> Result<String>) -> Result<()> {
        if verdict.differences.len() < self.told_max {
            let mut key = Vec::new();
            for (i, field) in self.schema.fields().iter().enumerate().take(self.key) {
                let value = row.text(i)?.unwrap_or_else(|| "NULL".to_owned());
                // Most tables have no other.
                if field.name() != REVISION || value != "0" {
                    key.push(format!("{}={value}", field.name()));
                }
            }
            verdict.differences.push(Difference { key: key.join(" "), what: what()? });
        }
        Ok(())
    }

    /// The columns whose values differ between two rows of one key.
    fn differing(&self, have: &Sorted<'_>, want: &Sorted<'_>) -> Result<Vec<usize>> {
        let mut differing = Vec::new();
        for column in self.key..self.schema.fields().len() {
            if !have.has_same(want, column)? {
                differing.push(column);
            }
        }
        Ok(differing)
    }

    /// What the two rows have in these columns.
    fn told(&self, have: &Sorted<'_>, want: &Sorted<'_>, columns: &[usize]) -> Result<String> {
        let shown = |value: Option<String>, data_type: &DataType| match value {
            Some(text) if data_type == &DataType::Utf8 => format!("'{text}'"),
            Some(text) => text,
            None => "NULL".to_owned(),
        };
        let mut told = Vec::new();
        for column in columns {
            let field = self.schema.field(*column);
            let have = shown(have.text(*column)?, field.data_type());
            let want = shown(want.text(*column)?, field.data_type());
            told.push(format!("{} is {have}, and the raw events give {want}", field.name()));
        }
        Ok(told.join("; "))
    }
}

pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
