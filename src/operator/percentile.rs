//! `PERCENTILE(x, p)`: the exact nearest-rank percentile.
//!
//! The value at rank ⌈p·n⌉ of the n non-null values in ascending order (the definition that SQL's `PERCENTILE_DISC` uses).
//! It is always one of the values, and does not depend on how the input was split, which an interpolated or approximate
//! percentile may. The price is memory: all values of an open group are kept.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, ListArray, PrimitiveArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{ArrowNativeTypeOp, DataType, Field, FieldRef, Float64Type, Int64Type};
use datafusion::common::{DataFusionError, Result, ScalarValue, exec_err, internal_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};
use datafusion::physical_expr::expressions::Literal;

use crate::error::Error;

/// Below this a product p·n counts as the whole number it is meant to be: 0.07 × 100 is 7.000000000000001 in binary.
const RANK_EPSILON: f64 = 1e-9;

/// The function as DataFusion registers it: integers give `Int64`, floats `Float64`, no values NULL.
pub fn percentile() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::from(Percentile { signature: Signature::user_defined(Volatility::Immutable) }))
}

fn refused(reason: &str) -> DataFusionError {
    let error = Error::user(reason).hint("write it as in PERCENTILE(startup_ms, 0.95)");
    DataFusionError::External(Box::new(error))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Percentile {
    signature: Signature,
}

impl AggregateUDFImpl for Percentile {
    fn name(&self) -> &str {
        "percentile"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        match arg_types {
            [x, p] if x.is_numeric() && p.is_numeric() => {
                let x = if x.is_integer() { DataType::Int64 } else { DataType::Float64 };
                Ok(vec![x, DataType::Float64])
            }
            _ => Err(refused("PERCENTILE takes a number column and a fraction")),
        }
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types.first().cloned().unwrap_or(DataType::Int64))
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let fraction = match args.exprs.get(1).and_then(|e| e.downcast_ref::<Literal>()).map(Literal::value) {
            Some(ScalarValue::Float64(Some(p))) if (0.0..=1.0).contains(p) => *p,
            _ => return Err(refused("the second argument of PERCENTILE must be a constant from 0 to 1")),
        };
        match args.return_field.data_type() {
            DataType::Int64 => Ok(Box::new(Values::<Int64Type> { fraction, values: vec![] })),
            DataType::Float64 => Ok(Box::new(Values::<Float64Type> { fraction, values: vec![] })),
            other => internal_err!("percentile over {other}"),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let item = Field::new_list_field(args.return_field.data_type().clone(), true);
        Ok(vec![Arc::new(Field::new_list(format_state_name(args.name, "values"), item, true))])
    }
}

#[derive(Debug)]
struct Values<T: ArrowPrimitiveType> {
    fraction: f64,
    values: Vec<T::Native>,
}

impl<T: ArrowPrimitiveType> Values<T> {
    fn extend(&mut self, array: &PrimitiveArray<T>) {
        if array.null_count() == 0 {
            self.values.extend_from_slice(array.values());
        } else {
            self.values.extend(array.iter().flatten());
        }
    }
}

impl<T: ArrowPrimitiveType + std::fmt::Debug> Accumulator for Values<T> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(array) = values.first() else { return exec_err!("percentile without an argument") };
        self.extend(array.as_primitive::<T>());
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let n = self.values.len();
        if n == 0 {
            return ScalarValue::try_new_null(&T::DATA_TYPE);
        }
        let rank = ((self.fraction * n as f64 - RANK_EPSILON).ceil().max(1.0) as usize).min(n);
        let (_, value, _) = self.values.select_nth_unstable_by(rank - 1, |a, b| a.compare(*b));
        ScalarValue::new_primitive::<T>(Some(*value), &T::DATA_TYPE)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.capacity() * size_of::<T::Native>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values: PrimitiveArray<T> = PrimitiveArray::from_iter_values(self.values.iter().copied());
        let offsets = OffsetBuffer::from_lengths([values.len()]);
        let list = ListArray::new(Arc::new(Field::new_list_field(T::DATA_TYPE, true)), offsets, Arc::new(values), None);
        Ok(vec![ScalarValue::List(Arc::new(list))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(array) = states.first() else { return exec_err!("percentile without a state") };
        for list in array.as_list::<i32>().iter().flatten() {
            self.extend(list.as_primitive::<T>());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Int64Array;

    fn of(values: &[i64], fraction: f64) -> ScalarValue {
        let mut all = Values::<Int64Type> { fraction, values: vec![] };
        let (left, right) = values.split_at(values.len() / 2);
        for part in [left, right] {
            let mut shard = Values::<Int64Type> { fraction, values: vec![] };
            shard.update_batch(&[Arc::new(Int64Array::from(part.to_vec()))]).unwrap();
            let state = shard.state().unwrap()[0].to_array().unwrap();
            all.merge_batch(&[state]).unwrap();
        }
        all.evaluate().unwrap()
    }

    #[test]
    fn nearest_rank_is_one_of_the_values() {
        let values: Vec<i64> = (1..=100).rev().collect();
        assert_eq!(of(&values, 0.07), ScalarValue::Int64(Some(7)));
        assert_eq!(of(&values, 0.95), ScalarValue::Int64(Some(95)));
        assert_eq!(of(&[15, 20, 35, 40, 50], 0.5), ScalarValue::Int64(Some(35)));
        assert_eq!(of(&[15, 20, 35, 40, 50], 0.3), ScalarValue::Int64(Some(20)));
        assert_eq!(of(&[3, 1, 2], 0.0), ScalarValue::Int64(Some(1)));
        assert_eq!(of(&[3, 1, 2], 1.0), ScalarValue::Int64(Some(3)));
        assert_eq!(of(&[], 0.5), ScalarValue::Int64(None));
    }
}
