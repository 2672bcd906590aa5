//! What tells sessions apart, and the columns of partials that say what their groups claim.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, UInt64Type};
use arrow::row::{RowConverter, Rows, SortField};
use datafusion::common::{Result, internal_err};

use super::claim::Claim;
use crate::operator::window::pane::Partial;
use crate::operator::window::spec::WindowSpec;
use crate::types::Micros;

/// How many columns of a partial's keys say what its groups claim.
const CLAIM_COLUMNS: usize = 3;

/// The keys by which sessions are told apart, as bytes. NULL is a key of its own.
#[derive(Debug)]
pub(in crate::operator::window) struct SessionKeys {
    converter: RowConverter,
    /// Positions among the keys of a group.
    positions: Vec<usize>,
}

/// The session keys of some rows.
pub(super) enum KeyBytes {
    /// Of one text.
    Texts(StringArray),
    /// Of several columns, or of what is no text.
    Rows(Rows),
}

/// Stands for NULL among texts: no text has such a byte.
const NULL_TEXT: &[u8] = &[0xff];

impl KeyBytes {
    /// The bytes of each row's key, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let (texts, rows) = match self {
            Self::Texts(texts) => (Some(texts), None),
            Self::Rows(rows) => (None, Some(rows)),
        };
        let texts = texts.into_iter().flatten().map(|text| text.map_or(NULL_TEXT, str::as_bytes));
        texts.chain(rows.into_iter().flatten().map(|row| row.data()))
    }
}

impl SessionKeys {
    /// The session keys of `spec`.
    ///
    /// # Errors
    /// If one has a type that cannot be compared.
    pub(in crate::operator::window) fn try_new(spec: &WindowSpec) -> Result<Self> {
        let positions = spec.session_keys.clone();
        let fields = positions.iter().map(|i| SortField::new(spec.key_schema.field(*i).data_type().clone())).collect();
        Ok(Self { converter: RowConverter::new(fields)?, positions })
    }

    /// The session key of each row, given the keys of groups.
    pub(super) fn of(&self, keys: &[ArrayRef]) -> Result<KeyBytes> {
        let columns: Vec<ArrayRef> = self.positions.iter().filter_map(|i| keys.get(*i).cloned()).collect();
        if let [text] = columns.as_slice()
            && let Some(texts) = text.as_string_opt::<i32>()
        {
            return Ok(KeyBytes::Texts(texts.clone()));
        }
        Ok(KeyBytes::Rows(self.converter.convert_columns(&columns)?))
    }
}

/// The keys of groups that are numbered by what they are a part of: the number, then those of `spec`.
pub(super) fn numbered_keys(spec: &WindowSpec) -> SchemaRef {
    let number = Arc::new(Field::new("number", DataType::UInt64, false));
    Arc::new(Schema::new([number].into_iter().chain(spec.key_schema.fields().iter().cloned()).collect::<Vec<_>>()))
}

/// Splits numbered keys into the numbers and the rest.
pub(super) fn split_numbers(keys: &[ArrayRef]) -> Result<(Vec<usize>, &[ArrayRef])> {
    let Some((numbers, keys)) = keys.split_first() else { return internal_err!("groups of sessions without a number") };
    Ok((numbers.as_primitive::<UInt64Type>().values().iter().map(|n| *n as usize).collect(), keys))
}

/// `numbers`, then `keys`.
pub(super) fn with_numbers(numbers: Vec<u64>, keys: &[ArrayRef]) -> Vec<ArrayRef> {
    let numbers: ArrayRef = Arc::new(UInt64Array::from(numbers));
    [numbers].into_iter().chain(keys.iter().cloned()).collect()
}

/// Puts into the place of the numbers what the groups claim, `claims` by number.
pub(super) fn with_claims(partial: Partial, claims: &[Claim]) -> Result<Partial> {
    let (numbers, keys) = split_numbers(&partial.keys)?;
    let column = |of: fn(&Claim) -> Micros| -> ArrayRef {
        Arc::new(numbers.iter().map(|n| claims.get(*n).map(of)).collect::<Int64Array>())
    };
    let columns: [ArrayRef; CLAIM_COLUMNS] = [column(|c| c.from), column(|c| c.first), column(|c| c.last)];
    let keys = columns.into_iter().chain(keys.iter().cloned()).collect();
    Ok(Partial { keys, ..partial })
}

/// What each group of a partial claims, and its keys.
pub(super) fn split_claims(partial: &Partial) -> Result<(Vec<Claim>, &[ArrayRef])> {
    let (Some([from, first, last]), Some(keys)) = (partial.keys.first_chunk(), partial.keys.get(CLAIM_COLUMNS..))
    else {
        return internal_err!("a partial of sessions that does not say what they claim");
    };
    let times = |column: &ArrayRef| column.as_primitive::<Int64Type>().values().clone();
    let (from, first, last) = (times(from), times(first), times(last));
    let claims = from.iter().zip(first.iter()).zip(last.iter());
    Ok((claims.map(|((from, first), last)| Claim { from: *from, first: *first, last: *last }).collect(), keys))
}
