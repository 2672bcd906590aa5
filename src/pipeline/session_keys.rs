//! The columns by which sessions are told apart: `PARTITION BY` of `SESSION`.
//!
//! As with the bounds of windows, the fields' metadata say so: they travel through projections and sub-queries, whatever a column is
//! called by then. Each key column has its number, and the bounds have the names of all.

use std::collections::BTreeMap;

use datafusion::common::metadata::FieldMetadata;
use datafusion::common::{Column, DFSchema, ExprSchema, Result};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::logical_plan::Aggregate;

use super::refusal::{at_span, refusal, span_of};

/// Of a key column: its number, and its type, which a cast would change.
pub(super) const KEY: &str = "headcount.session_key";
/// Of the bounds: the names of the key columns.
const NAMES: &str = "headcount.session_keys";

/// The key columns of one call; none if it is of other windows.
pub(super) struct SessionKeys {
    /// With their names as written.
    columns: Vec<(Column, String)>,
    schema: DFSchema,
}

impl SessionKeys {
    /// The columns `names` of `input`.
    ///
    /// # Errors
    /// If there is no such column.
    pub(super) fn try_new(names: Vec<String>, input: &DFSchema) -> Result<Self> {
        let mut columns: Vec<(Column, String)> = Vec::new();
        for name in names {
            let column = Column::from(input.qualified_field_with_unqualified_name(&name)?);
            if !columns.iter().any(|(known, _)| *known == column) {
                columns.push((column, name));
            }
        }
        Ok(Self { columns, schema: input.clone() })
    }

    /// A column of the input, marked if it is a key.
    pub(super) fn mark(&self, column: Column) -> Expr {
        let Some(number) = self.columns.iter().position(|(key, _)| *key == column) else { return Expr::Column(column) };
        let Ok(field) = self.schema.field_from_column(&column) else { return Expr::Column(column) };
        let metadata = marked(KEY, format!("{number} {}", field.data_type()));
        let (relation, name) = (column.relation.clone(), column.name.clone());
        Expr::Column(column).alias_qualified_with_metadata(relation, name, Some(metadata))
    }

    /// A bound of the windows, marked with the names of the keys.
    pub(super) fn mark_bound(&self, bound: Expr) -> Expr {
        if self.columns.is_empty() {
            return bound;
        }
        let names: Vec<&str> = self.columns.iter().map(|(_, name)| name.as_str()).collect();
        let column = bound.schema_name().to_string();
        bound.alias_with_metadata(column, Some(marked(NAMES, names.join(","))))
    }
}

fn marked(key: &str, value: String) -> FieldMetadata {
    FieldMetadata::new(BTreeMap::from([(key.to_owned(), value)]))
}

/// Positions of the session keys in the `GROUP BY` of an aggregate over sessions.
///
/// # Errors
/// If one is missing: sessions of several keys would be taken for one that happen to have the same bounds.
pub(super) fn grouped_keys(aggregate: &Aggregate) -> Result<Vec<usize>> {
    let schema = aggregate.input.schema();
    let mut names = Vec::new();
    let mut places = BTreeMap::new();
    for (place, expr) in aggregate.group_expr.iter().enumerate() {
        let Expr::Column(column) = expr.clone().unalias() else { continue };
        let field = schema.field_from_column(&column)?;
        if let Some(all) = field.metadata().get(NAMES) {
            names = all.split(',').map(str::to_owned).collect();
        }
        if let Some((number, data_type)) = field.metadata().get(KEY).and_then(|key| key.split_once(' '))
            && let (Ok(number), true) = (number.parse::<usize>(), data_type == field.data_type().to_string())
        {
            places.entry(number).or_insert(place);
        }
    }
    let missing: Vec<String> =
        names.iter().enumerate().filter(|(i, _)| !places.contains_key(i)).map(|(_, name)| name.clone()).collect();
    if missing.is_empty() && !places.is_empty() {
        return Ok(places.into_values().collect());
    }
    let missing = if missing.is_empty() { "the columns of PARTITION BY".to_owned() } else { missing.join(", ") };
    let reason = format!("GROUP BY without {missing} would mix sessions that have nothing in common but their bounds");
    let remedy = format!("add {missing} to GROUP BY, as PARTITION BY has it");
    Err(at_span(refusal(reason, remedy), span_of(&aggregate.group_expr)))
}
