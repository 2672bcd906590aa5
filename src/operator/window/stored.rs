//! Partials that serialise themselves.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::pane::Partial;
use super::windowing::PaneKey;
use crate::types::arrow_bytes::StoredBatch;

/// A [`Partial`] with its arrays in one batch: the keys, then the states of the aggregates, one after the other.
#[derive(Serialize, Deserialize)]
struct StoredPartial {
    pane: PaneKey,
    keys: usize,
    /// How many columns the state of each aggregate has.
    states: Vec<usize>,
    columns: StoredBatch,
}

impl TryFrom<&Partial> for StoredPartial {
    type Error = ArrowError;

    fn try_from(partial: &Partial) -> Result<Self, ArrowError> {
        let arrays: Vec<ArrayRef> = partial.keys.iter().chain(partial.states.iter().flatten()).cloned().collect();
        let field = |(i, a): (usize, &ArrayRef)| Field::new(i.to_string(), a.data_type().clone(), true);
        let schema = Schema::new(arrays.iter().enumerate().map(field).collect::<Vec<_>>());
        let rows = RecordBatchOptions::new().with_row_count(Some(partial.groups));
        Ok(Self {
            pane: partial.pane,
            keys: partial.keys.len(),
            states: partial.states.iter().map(Vec::len).collect(),
            columns: StoredBatch(RecordBatch::try_new_with_options(Arc::new(schema), arrays, &rows)?),
        })
    }
}

impl StoredPartial {
    /// None if there are fewer columns than were announced.
    fn into_partial(self) -> Option<Partial> {
        let StoredBatch(batch) = self.columns;
        let mut columns = batch.columns().iter().cloned();
        let mut next = |n: usize| (0..n).map(|_| columns.next()).collect::<Option<Vec<_>>>();
        let keys = next(self.keys)?;
        let states = self.states.into_iter().map(&mut next).collect::<Option<_>>()?;
        Some(Partial { pane: self.pane, groups: batch.num_rows(), keys, states })
    }
}

impl Serialize for Partial {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        StoredPartial::try_from(self).map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Partial {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = StoredPartial::deserialize(deserializer)?;
        stored.into_partial().ok_or_else(|| D::Error::custom("a partial with too few columns"))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringArray};

    use super::*;

    fn round_trip(partial: &Partial) {
        let bytes = postcard::to_stdvec(partial).unwrap();
        let back: Partial = postcard::from_bytes(&bytes).unwrap();
        assert_eq!((back.pane, back.groups), (partial.pane, partial.groups));
        assert_eq!((back.keys, back.states), (partial.keys.clone(), partial.states.clone()));
    }

    #[test]
    fn partials_come_back_with_and_without_keys_and_columns() {
        let text: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
        let n: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        let pane = PaneKey { end: -5, first_window: 5, first_on_time: 15 };
        let partial = |keys, states| Partial { pane, groups: 2, keys, states };
        round_trip(&partial(vec![text], vec![vec![n.clone(), n.clone()], vec![], vec![n.clone()]]));
        round_trip(&partial(vec![], vec![vec![n]]));
        round_trip(&partial(vec![], vec![]));
    }
}
