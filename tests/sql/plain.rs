//! What plain DataFusion says: the same query over all rows at once, in a table with window columns, by none of this project's operators.

use std::sync::{Arc, LazyLock};

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::Schema;
use datafusion::common::DataFusionError;
use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};
use headcount::operator::percentile::percentile;
use regex::{Captures, Regex};

use crate::harness;
use crate::reference::{Row, Val};

static TUMBLE: LazyLock<Regex> = LazyLock::new(|| {
    let call = r"TUMBLE\(\s*TABLE\s+(\w+),\s*DESCRIPTOR\(event_time\),\s*(INTERVAL\s+'\d+'\s+\w+)\)";
    Regex::new(&format!(r"(?i)TABLE\(\s*{call}\s*\)")).unwrap()
});

/// Whether rows are late: by the high time that they carry, as shards judge it, or never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Late {
    Judged,
    Never,
}

/// The query over a table of the stream's rows that has the columns of their windows; `None` where it means something else over all
/// windows at once than window by window, or has functions that are this project's alone.
pub(super) fn query(sql: &str, late: Late) -> Option<String> {
    let mut can_say = true;
    let plain = TUMBLE.replace_all(sql, |call: &Captures<'_>| {
        let (table, size) = (&call[1], &call[2]);
        // What a sub-query has left of the rows does not say when they came.
        can_say &= late == Late::Never || table.eq_ignore_ascii_case("user_events");
        let in_time = match late {
            Late::Judged => "shard_high_time IS NULL OR window_end > shard_high_time - INTERVAL '30' SECOND",
            Late::Never => "true",
        };
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
    can_say &= !upper.contains("LIMIT ") && TUMBLE.is_match(sql);
    can_say &= ["CONCURRENCY(", "HOP(", "SESSION(", "CUMULATE("].iter().all(|call| !upper.contains(call));
    can_say.then(|| plain.into_owned())
}

/// The rows that a plain query gives, in the form of a table with this schema; `None` if DataFusion does not implement it.
pub(super) async fn rows(sql: &str, table: &Schema, judged: &[RecordBatch]) -> Option<Vec<Row>> {
    let mut config = SessionConfig::new().with_target_partitions(1);
    config.options_mut().sql_parser.map_string_types_to_utf8view = false;
    let context = SessionContext::new_with_config(config);
    context.register_udaf(percentile().as_ref().clone());
    let events = MemTable::try_new(judged[0].schema(), vec![judged.to_vec()]).unwrap();
    context.register_table("user_events", Arc::new(events)).unwrap();
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
