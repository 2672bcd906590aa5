//! Two tables of the same windows, row by row.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef, TimestampMicrosecondType};

use super::sorted::{Encoder, Sorted};
use super::verdict::{Difference, TableVerdict};
use crate::backfill::Range;
use crate::error::{Error, Result};
use crate::pipeline::ContinuousPlan;
use crate::query::{LakeQuery, Statement};
use crate::schema::{REVISION, WINDOW_END, WINDOW_START};
use crate::types::{Micros, format_micros};

/// A table in both places.
pub(super) struct Comparison<'t> {
    /// Its name.
    table: &'t str,
    /// The key's columns, then the others; not the revision.
    schema: SchemaRef,
    key: usize,
    range: Range,
    /// How many differences are told.
    told_max: usize,
}

impl<'t> Comparison<'t> {
    pub(super) fn new(plan: &'t ContinuousPlan, range: Range, told_max: usize) -> Self {
        let is_window = |f: &&FieldRef| f.name() == WINDOW_START || f.name() == WINDOW_END;
        let is_key = |f: &&FieldRef| is_window(f) || plan.header.keys.contains(f.name());
        let fields = || plan.schema().fields().iter();
        // The window first, so that rows come in the order of time.
        let keys = fields().filter(is_window).chain(fields().filter(|f| is_key(f) && !is_window(f)));
        let key = keys.clone().count();
        let values = fields().filter(|f| !is_key(f) && f.name() != REVISION);
        let schema = Arc::new(Schema::new(keys.chain(values).cloned().collect::<Vec<_>>()));
        Self { table: &plan.name, schema, key, range, told_max }
    }

    /// What the lake has, beside what the raw events give.
    ///
    /// # Errors
    /// As [`LakeQuery::run`].
    pub(super) async fn run(&self, lake: &LakeQuery, recomputed: &LakeQuery) -> Result<TableVerdict> {
        let mut verdict = TableVerdict {
            table: self.table.to_owned(),
            last_window_end: self.last_window_end(lake).await?,
            ..TableVerdict::default()
        };
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
                    verdict.too_many += 1;
                    self.tell(&mut verdict, &have, || {
                        Ok("is in the lake, and the raw events do not give it".to_owned())
                    })?;
                    have.next().await?;
                }
                Ordering::Greater => {
                    if self.is_to_come(&want, verdict.last_window_end)? {
                        verdict.to_come += 1;
                    } else {
                        verdict.missing += 1;
                        let what = || Ok("is missing, and the raw events give it".to_owned());
                        self.tell(&mut verdict, &want, what)?;
                    }
                    want.next().await?;
                }
                Ordering::Equal => {
                    if have.row().map(|(_, values)| values) == want.row().map(|(_, values)| values) {
                        verdict.equal += 1;
                    } else {
                        verdict.different += 1;
                        self.tell(&mut verdict, &have, || self.differing(&have, &want))?;
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

    async fn last_window_end(&self, lake: &LakeQuery) -> Result<Option<Micros>> {
        let statement = Statement::parse(&format!("SELECT MAX({WINDOW_END}) FROM {}", quoted(self.table)))?;
        let mut rows = lake.run(&statement).await?;
        let mut last = None;
        while let Some(batch) = rows.next().await? {
            let ends = batch.column(0).as_primitive_opt::<TimestampMicrosecondType>();
            let ends = ends.ok_or_else(|| Error::external("window_end is no time in microseconds").at(self.table))?;
            last = (0..ends.len()).filter(|row| ends.is_valid(*row)).map(|row| ends.value(row)).max().max(last);
        }
        Ok(last)
    }

    fn is_to_come(&self, row: &Sorted<'_>, last_window_end: Option<Micros>) -> Result<bool> {
        let Some(last) = last_window_end else { return Ok(true) };
        let column = self.schema.index_of(WINDOW_END)?;
        let end = row.text(column)?.as_deref().and_then(crate::types::parse_rfc3339);
        Ok(end.is_some_and(|end| end > last))
    }

    /// Keeps a difference, if there are not enough of them.
    fn tell(&self, verdict: &mut TableVerdict, row: &Sorted<'_>, what: impl FnOnce() -> Result<String>) -> Result<()> {
        if verdict.differences.len() < self.told_max {
            let mut key = Vec::new();
            for (i, field) in self.schema.fields().iter().enumerate().take(self.key) {
                let value = row.text(i)?.unwrap_or_else(|| "NULL".to_owned());
                key.push(format!("{}={value}", field.name()));
            }
            verdict.differences.push(Difference { key: key.join(" "), what: what()? });
        }
        Ok(())
    }

    /// Which values differ between two rows of one key.
    fn differing(&self, have: &Sorted<'_>, want: &Sorted<'_>) -> Result<String> {
        let shown = |value: Option<String>, data_type: &DataType| match value {
            Some(text) if data_type == &DataType::Utf8 => format!("'{text}'"),
            Some(text) => text,
            None => "NULL".to_owned(),
        };
        let mut differing = Vec::new();
        for (i, field) in self.schema.fields().iter().enumerate().skip(self.key) {
            let (have, want) = (have.text(i)?, want.text(i)?);
            if have != want {
                let (have, want) = (shown(have, field.data_type()), shown(want, field.data_type()));
                differing.push(format!("{} is {have}, and the raw events give {want}", field.name()));
            }
        }
        Ok(differing.join("; "))
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
