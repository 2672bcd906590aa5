//! Rows by time: reading a time column, splitting a batch, and the path of an hour.

use std::collections::HashMap;

use arrow::array::{Array, AsArray, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::TimestampMicrosecondType;
use chrono::{DateTime, Datelike, NaiveDate, Timelike};

use crate::error::{Error, Result};
use crate::types::{MICROS_PER_HOUR, Micros, floor_to};

/// The values of a batch's column `column`, which must be Timestamp(Microsecond). Nulls become `if_null`.
///
/// # Errors
/// Internal if the column is missing, of another type, or has nulls without an `if_null`.
pub fn time_values(batch: &RecordBatch, column: &str, if_null: Option<Micros>) -> Result<Vec<Micros>> {
    let Some(array) = batch.column_by_name(column) else {
        return Err(Error::internal(format!("a batch has no time column {column}")));
    };
    let Some(times) = array.as_primitive_opt::<TimestampMicrosecondType>() else {
        return Err(Error::internal(format!(
            "time column {column} is {}, not a timestamp in microseconds",
            array.data_type()
        )));
    };
    if times.null_count() == 0 {
        return Ok(times.values().to_vec());
    }
    match if_null {
        Some(instead) => Ok(times.iter().map(|t| t.unwrap_or(instead)).collect()),
        None => Err(Error::internal(format!("time column {column} has nulls"))),
    }
}

/// Splits a batch whose row `i` belongs to the `i`th of `times` by `floor_to(time, size)`: parts in time order, rows in their old order,
/// those without a time left out. A batch that falls into one part is handed on as it is; otherwise the parts are copies, so that each
/// can be freed alone.
///
/// # Errors
/// Internal if there are fewer rows than times.
pub fn split_by_time(
    batch: RecordBatch,
    times: impl Iterator<Item = Option<Micros>> + Clone,
    size: Micros,
) -> Result<Vec<(Micros, RecordBatch)>> {
    let Some(first) = times.clone().flatten().next() else { return Ok(Vec::new()) };
    let start = floor_to(first, size);
    let in_first = |t: Micros| t >= start && t.wrapping_sub(start) < size && t.wrapping_sub(start) >= 0;
    if times.clone().all(|t| t.is_some_and(in_first)) {
        return Ok(vec![(start, batch)]);
    }
    let mut parts = Vec::new();
    for (start, rows) in rows_by_start(times, size) {
        parts.push((start, take_record_batch(&batch, &UInt32Array::from(rows))?));
    }
    Ok(parts)
}

fn rows_by_start(times: impl Iterator<Item = Option<Micros>>, size: Micros) -> Vec<(Micros, Vec<u32>)> {
    let mut groups: Vec<(Micros, Vec<u32>)> = Vec::new();
    let mut index: HashMap<Micros, usize> = HashMap::new();
    // Neighbours mostly share a part: look up only when the part changes.
    let mut last: Option<(Micros, usize)> = None;
    for (row, time) in (0u32..).zip(times) {
        let Some(time) = time else { continue };
        let start = floor_to(time, size);
        let group = match last {
            Some((s, group)) if s == start => group,
            _ => *index.entry(start).or_insert_with(|| {
                groups.push((start, Vec::new()));
                groups.len() - 1
            }),
        };
        last = Some((start, group));
        groups[group].1.push(row);
    }
    groups.sort_unstable_by_key(|(start, _)| *start);
    groups
}

/// The names of the folders between a table and its files, outermost first.
pub(super) const PARTITION_KEYS: [&str; 4] = ["year", "month", "day", "hour"];

/// `year=2026/month=01/day=31/hour=18` of the hour that holds `time`. Times outside the calendar (year 0 to 9999) go to its nearest end.
pub(super) fn hour_path(time: Micros) -> String {
    let first = NaiveDate::MIN.and_hms_opt(0, 0, 0).map(|t| t.and_utc());
    let t = DateTime::from_timestamp_micros(time).or(first).unwrap_or_default();
    let year = t.year().clamp(0, 9999);
    format!("year={year:04}/month={:02}/day={:02}/hour={:02}", t.month(), t.day(), t.hour())
}

/// Splits `user_events/year=2026/month=01/day=31/hour=18/x.parquet` into the table and the start of its hour. Only as [`hour_path`] writes
/// it: files of an hour are looked for by that path.
pub(super) fn parse_path(path: &str) -> Option<(&str, Micros)> {
    let (table, rest) = path.split_once("/year=")?;
    let mut parts = rest.split('/');
    let year = parts.next()?.parse().ok()?;
    let month = parts.next()?.strip_prefix("month=")?.parse().ok()?;
    let day = parts.next()?.strip_prefix("day=")?.parse().ok()?;
    let hour: u32 = parts.next()?.strip_prefix("hour=")?.parse().ok()?;
    let start = NaiveDate::from_ymd_opt(year, month, day)?.and_hms_opt(hour, 0, 0)?.and_utc().timestamp_micros();
    let below = path.get(table.len() + 1..)?.strip_prefix(&*hour_path(start))?;
    below.starts_with('/').then_some((table, start))
}

/// The start of the hour that holds `time`.
pub(super) fn hour_of(time: Micros) -> Micros {
    floor_to(time, MICROS_PER_HOUR)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, TimestampMicrosecondArray};
    use arrow::datatypes::Int64Type;
    use proptest::prelude::*;

    use super::*;
    use crate::types::parse_rfc3339;

    proptest! {
        #[test]
        fn what_is_taken_for_an_hour_is_its_path(
            text in "(_late/)?[a-z]{0,2}(/year=[0-9+-]{0,5}(/month=[0-9]{1,2}(/day=[0-3]?[0-9](/hour=[0-2]?[0-9](/[a-z./=]{0,4})?)?)?)?)?",
        ) {
            if let Some((table, hour)) = parse_path(&text) {
                let below = text.strip_prefix(&format!("{table}/{}/", hour_path(hour)));
                prop_assert!(below.is_some() && hour == hour_of(hour), "{text}");
            }
        }

        #[test]
        fn every_hour_of_the_calendar_has_its_path(hour in -17_259_888_i64..70_389_528) {
            let start = hour * MICROS_PER_HOUR;
            let path = format!("t/{}/x", hour_path(start));
            prop_assert_eq!(parse_path(&path), Some(("t", start)));
        }
    }

    #[test]
    fn an_hour_round_trips_through_its_path() {
        for text in ["2026-01-31T18:59:59.999999Z", "1969-12-31T23:00:00Z", "0001-01-01T00:00:00Z"] {
            let t = parse_rfc3339(text).unwrap();
            let path = format!("_late/revenue/{}/a-000001.parquet", hour_path(t));
            assert_eq!(parse_path(&path), Some(("_late/revenue", hour_of(t))), "{path}");
        }
        assert_eq!(hour_path(parse_rfc3339("2026-01-31T18:00:00Z").unwrap()), "year=2026/month=01/day=31/hour=18");
    }

    #[test]
    fn other_paths_are_no_table_files() {
        for path in [
            "",
            "t/x.parquet",
            "t/year=2026/x.parquet",
            "t/year=2026/month=13/day=01/hour=00/x",
            "t/year=2026/month=01/day=01/hour=00",
            "t/year=2026/month=1/day=01/hour=00/x",
            "t/year=2026/month=01/day=01/hour=+1/x",
            "t/year=-001/month=01/day=01/hour=00/x",
            "t/year=12026/month=01/day=01/hour=00/x",
            "t/year=2026/month=02/day=30/hour=00/x",
            "t/year=2026/month=01/day=01/hour=24/x",
        ] {
            assert_eq!(parse_path(path), None, "{path}");
        }
    }

    #[test]
    fn absurd_times_still_have_a_path() {
        for t in [i64::MIN, i64::MAX] {
            assert!(hour_path(t).starts_with("year="), "{}", hour_path(t));
        }
    }

    fn numbers(n: i64) -> RecordBatch {
        RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from_iter_values(0..n)) as ArrayRef)]).unwrap()
    }

    #[test]
    fn a_split_keeps_the_order_of_rows_and_sorts_parts() {
        let parts = split_by_time(numbers(6), [11, 3, 12, -1, 4, 19].map(Some).into_iter(), 10).unwrap();
        let got: Vec<_> =
            parts.iter().map(|(s, b)| (*s, b.column(0).as_primitive::<Int64Type>().values().to_vec())).collect();
        assert_eq!(got, vec![(-10, vec![3]), (0, vec![1, 4]), (10, vec![0, 2, 5])]);
    }

    #[test]
    fn a_batch_within_one_part_is_not_copied() {
        let batch = numbers(3);
        let parts = split_by_time(batch.clone(), [10, 19, 15].map(Some).into_iter(), 10).unwrap();
        assert_eq!(parts.len(), 1);
        assert!(Arc::ptr_eq(parts[0].1.column(0), batch.column(0)));
    }

    #[test]
    fn the_ends_of_time_do_not_overflow() {
        let parts = split_by_time(numbers(3), [i64::MAX, i64::MIN, 0].map(Some).into_iter(), 10).unwrap();
        assert_eq!(parts.iter().map(|(_, b)| b.num_rows()).sum::<usize>(), 3);
    }

    #[test]
    fn null_times_need_a_stand_in() {
        let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![Some(1), None]));
        let batch = RecordBatch::try_from_iter([("t", times)]).unwrap();
        assert!(time_values(&batch, "t", None).is_err());
        assert_eq!(time_values(&batch, "t", Some(9)).unwrap(), vec![1, 9]);
        assert!(time_values(&batch, "u", Some(9)).is_err());
    }
}
