//! What plain DataFusion says: the same query over all rows at once, in a table with window columns, by none of this project's operators.
//! Presence it does not know: that is a table of what the brute-force reference says.

use std::sync::{Arc, LazyLock};

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::Schema;
use datafusion::common::DataFusionError;
use datafusion::datasource::MemTable;
use datafusion::logical_expr::Volatility;
use datafusion::prelude::{SessionConfig, SessionContext};
use headcount::operator::concurrency::ConcurrencyQuery;
use headcount::operator::percentile::percentile;
use regex::{Captures, Regex};

use super::presence;
use crate::harness::{self, longest::longest};
use crate::reference::{Kept, Options, Row, Val};

static TUMBLE: LazyLock<Regex> = LazyLock::new(|| {
    let call = r"TUMBLE\(\s*TABLE\s+(\w+),\s*DESCRIPTOR\(event_time\),\s*(INTERVAL\s+'\d+'\s+\w+)\)";
    Regex::new(&format!(r"(?i)TABLE\(\s*{call}\s*\)")).unwrap()
});

static HOP: LazyLock<Regex> = LazyLock::new(|| {
    let call =
        r"HOP\(\s*TABLE\s+(\w+),\s*DESCRIPTOR\(event_time\),\s*(INTERVAL\s+'\d+'\s+\w+),\s*(INTERVAL\s+'\d+'\s+\w+)\)";
    Regex::new(&format!(r"(?i)TABLE\(\s*{call}\s*\)")).unwrap()
});

/// A call over windows. What it reads must not select their bounds under the names of its own; of `CONCURRENCY` it has to be a query.
static CASCADE: LazyLock<Regex> = LazyLock::new(|| {
    let call = r"(TUMBLE|HOP)\(\s*TABLE\s+(\w+),\s*DESCRIPTOR\(rowtime\),\s*(?:(INTERVAL\s+'\d+'\s+\w+),\s*)?(INTERVAL\s+'\d+'\s+\w+)\)";
    Regex::new(&format!(r"(?i)TABLE\(\s*{call}\s*\)")).unwrap()
});

/// How many slides a window of windows may have, at most.
pub(super) const SLIDES_MAX: usize = 8;

/// Windows made of windows: each row is in those of the next slides whose end it is before.
fn cascades(sql: &str) -> String {
    let plain = CASCADE.replace_all(sql, |call: &Captures<'_>| {
        let (table, size) = (&call[2], &call[4]);
        let slide = call.get(3).map_or(size, |slide| slide.as_str());
        let before = multiples(slide);
        format!(
            "(SELECT *, window_start + {size} AS window_end, window_start + {size} - INTERVAL '1' MILLISECOND AS window_time
              FROM (SELECT {table}.*, date_bin({slide}, rowtime) - hops.before AS window_start
                    FROM {table} CROSS JOIN (VALUES {}) AS hops (before))
              WHERE window_start + {size} > rowtime)",
            before.join(", ")
        )
    });
    plain.into_owned()
}

/// An interval times 0, 1, 2, …
fn multiples(interval: &str) -> Vec<String> {
    let [_, number, unit] = interval.split('\'').collect::<Vec<_>>().try_into().unwrap();
    let number: usize = number.parse().unwrap();
    (0..SLIDES_MAX).map(|i| format!("(INTERVAL '{}' {unit})", i * number)).collect()
}

/// Whether rows are late: by the high time that they carry, as shards judge it, or never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Late {
    Judged,
    Never,
}

/// A query of plain DataFusion, and the tables of presence that it reads.
pub(super) struct Plain {
    pub sql: String,
    presence: Vec<(String, ConcurrencyQuery)>,
}

impl Plain {
    /// What the reference says of these tables.
    pub(super) fn presence(&self, kept: &[Kept], late: Late) -> Vec<(String, RecordBatch)> {
        let job = if late == Late::Judged { Options::default() } else { Options::default().ignoring_lateness() };
        let finest = self.presence.iter().map(|(_, query)| query.size).min().unwrap_or(0);
        let rows = |(name, query): &(String, _)| (name.clone(), presence::rows(query, kept, &job, finest));
        self.presence.iter().map(rows).collect()
    }
}

/// The query over a table of the stream's rows that has the columns of their windows; `None` where it means something else over all
/// windows at once than window by window, or has functions that are this project's alone. Rows are late by a watermark that is `delay`
/// seconds behind.
pub(super) fn query(sql: &str, late: Late, delay: u32) -> Option<Plain> {
    let mut can_say = true;
    let (sql, presence) = presence::calls(sql);
    let in_time = match late {
        Late::Judged => format!("shard_high_time IS NULL OR window_end > shard_high_time - INTERVAL '{delay}' SECOND"),
        Late::Never => "true".to_owned(),
    };
    // What a sub-query has left of the rows does not say when they came.
    let knows = |table: &str| late == Late::Never || table.eq_ignore_ascii_case("user_events");
    can_say &= TUMBLE.captures_iter(&sql).chain(HOP.captures_iter(&sql)).all(|call| knows(&call[1]));
    // A row is in each window of its own, and late for some of them.
    let plain = HOP.replace_all(&sql, |call: &Captures<'_>| {
        let (table, slide, size) = (&call[1], &call[2], &call[3]);
        format!(
            "(SELECT * FROM (SELECT *, window_start + {size} AS window_end,
                window_start + {size} - INTERVAL '1' MILLISECOND AS window_time
              FROM (SELECT {table}.*, date_bin({slide}, event_time) - hops.before AS window_start
                FROM {table} CROSS JOIN (VALUES {}) AS hops (before)))
              WHERE window_end > event_time AND ({in_time}))",
            multiples(slide).join(", ")
        )
    });
    let plain = TUMBLE.replace_all(&plain, |call: &Captures<'_>| {
        let (table, size) = (&call[1], &call[2]);
        format!(
            "(SELECT * FROM (SELECT *, date_bin({size}, event_time) AS window_start,
                date_bin({size}, event_time) + {size} AS window_end,
                date_bin({size}, event_time) + {size} - INTERVAL '1' MILLISECOND AS window_time FROM {table})
              WHERE {in_time})"
        )
    });
    let upper = sql.to_uppercase();
    let over = |of: &str| upper.split_whitespace().collect::<String>().matches(of).count();
    can_say &= over("OVER(") == over("OVER(PARTITIONBYWINDOW_START,WINDOW_END");
    can_say &= !upper.contains("LIMIT ") && (TUMBLE.is_match(&sql) || HOP.is_match(&sql) || !presence.is_empty());
    let over_windows = HOP.replace_all(&CASCADE.replace_all(&upper, ""), "").into_owned();
    can_say &= ["HOP(", "SESSION(", "CUMULATE("].iter().all(|call| !over_windows.contains(call));
    let plain = cascades(&plain);
    can_say &= !plain.to_uppercase().contains("DESCRIPTOR(");
    can_say.then_some(Plain { sql: plain, presence })
}

/// A query over the rows of windows in a table, which have their time as `rowtime`.
pub(super) fn query_of_windows(sql: &str) -> String {
    cascades(sql)
}

/// The rows that a plain query gives, in the form of a table with this schema; `None` if DataFusion does not implement it. `tables` are
/// those that stand for its calls of `CONCURRENCY`, and lookup tables.
pub(super) async fn rows(
    sql: &str,
    table: &Schema,
    judged: &[RecordBatch],
    tables: Vec<(String, RecordBatch)>,
) -> Option<Vec<Row>> {
    let stream = ("user_events".to_owned(), judged.to_vec());
    let tables = tables.into_iter().map(|(name, rows)| (name, vec![rows]));
    rows_of(std::iter::once(stream).chain(tables), sql, table).await
}

/// As [`rows`], over other tables.
pub(super) async fn rows_of(
    tables: impl IntoIterator<Item = (String, Vec<RecordBatch>)>,
    sql: &str,
    table: &Schema,
) -> Option<Vec<Row>> {
    let mut config = SessionConfig::new().with_target_partitions(1);
    config.options_mut().sql_parser.map_string_types_to_utf8view = false;
    let context = SessionContext::new_with_config(config);
    context.register_udaf(percentile().as_ref().clone());
    context.register_udaf(longest(Volatility::Immutable));
    for (name, batches) in tables {
        let rows = MemTable::try_new(batches[0].schema(), vec![batches]).unwrap();
        context.register_table(name, Arc::new(rows)).unwrap();
    }
    match context.sql(sql).await.unwrap().collect().await {
        Ok(batches) => Some(batches.iter().flat_map(|batch| in_form_of(table, batch)).collect()),
        Err(DataFusionError::NotImplemented(_)) => None,
        Err(e) => panic!("{e}"),
    }
}

fn in_form_of(table: &Schema, batch: &RecordBatch) -> Vec<Row> {
    let fields = table.fields().iter().filter(|f| f.name() != "revision");
    let columns = fields.map(|f| {
        let column =
            batch.column_by_name(f.name()).unwrap_or_else(|| panic!("no {} in {:?}", f.name(), batch.schema()));
        (f.name(), cast(column, f.data_type()).unwrap())
    });
    let mut rows = harness::rows(&RecordBatch::try_from_iter(columns).unwrap());
    rows.iter_mut().for_each(|row| drop(row.insert("revision".to_owned(), Val::Int(0))));
    rows
}
