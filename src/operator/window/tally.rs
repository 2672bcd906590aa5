//! `COUNT` and `SUM` of numbers, what most queries are made of: a number for each group, to which rows are added where they are.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowNativeTypeOp, AsArray, BooleanBufferBuilder, Int64Array, PrimitiveArray};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Float64Type, Int64Type, UInt64Type};
use datafusion::common::{Result, internal_datafusion_err, internal_err};
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::AggregateUDF;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;

use super::accumulators::RowsAccumulator;
use super::inputs::RowGroups;

/// A tally of `aggregate`, if it is one.
pub(super) fn of(aggregate: &AggregateFunctionExpr) -> Option<Box<dyn RowsAccumulator>> {
    if aggregate.is_distinct() || aggregate.expressions().len() != 1 {
        return None;
    }
    // By what it is: a function of somebody's own may have any name.
    let (is_count, is_sum) = (is_count(aggregate.fun()), *aggregate.fun() == *sum_udaf());
    match (is_count, is_sum, aggregate.field().data_type()) {
        (true, _, DataType::Int64) => Some(Box::new(Count::default())),
        (_, true, DataType::Int64) => Some(Box::new(Sum::<Int64Type>::default())),
        (_, true, DataType::UInt64) => Some(Box::new(Sum::<UInt64Type>::default())),
        (_, true, DataType::Float64) => Some(Box::new(Sum::<Float64Type>::default())),
        _ => None,
    }
}

/// Whether a function is DataFusion's `COUNT`.
pub(super) fn is_count(function: &AggregateUDF) -> bool {
    *function == *count_udaf()
}

/// Rows that are not NULL. State: the count (Int64).
#[derive(Debug, Default)]
struct Count(Vec<i64>);

impl RowsAccumulator for Count {
    fn update(&mut self, columns: &[ArrayRef], rows: &RowGroups, groups_total: usize) -> Result<()> {
        self.0.resize(groups_total, 0);
        match columns.first().and_then(|values| values.logical_nulls()).filter(|nulls| nulls.null_count() > 0) {
            None => rows.groups.iter().for_each(|group| self.0[*group] += 1),
            Some(nulls) => rows.iter().for_each(|(row, group)| self.0[group] += i64::from(nulls.is_valid(row))),
        }
        Ok(())
    }

    fn merge(&mut self, states: &[ArrayRef], groups: &[usize], groups_total: usize) -> Result<()> {
        let [counts] = states else { return internal_err!("COUNT has {} state columns", states.len()) };
        self.0.resize(groups_total, 0);
        let counts = numbers::<Int64Type>(counts)?;
        groups.iter().zip(counts.values()).for_each(|(group, count)| self.0[*group] += count);
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ArrayRef> {
        Ok(Arc::new(Int64Array::from(std::mem::take(&mut self.0))))
    }

    fn state(&mut self) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate()?])
    }

    fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<i64>()
    }
}

/// The sum of the values that are not NULL; NULL if there is none. It wraps around, as DataFusion's does. State: the sum.
#[derive(Debug)]
struct Sum<T: ArrowPrimitiveType> {
    /// By group, with whether it has a value.
    sums: Vec<(T::Native, bool)>,
}

impl<T: ArrowPrimitiveType> Default for Sum<T> {
    fn default() -> Self {
        Self { sums: Vec::new() }
    }
}

impl<T: ArrowPrimitiveType> Sum<T> {
    fn announce(&mut self, groups_total: usize) {
        self.sums.resize(groups_total, (T::Native::default(), false));
    }

    fn add(&mut self, values: &PrimitiveArray<T>, rows: impl Iterator<Item = (usize, usize)>) {
        let numbers = values.values();
        let mut add = |(row, group): (usize, usize)| {
            let (sum, seen) = &mut self.sums[group];
            (*sum, *seen) = (sum.add_wrapping(numbers[row]), true);
        };
        match values.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => rows.for_each(add),
            Some(nulls) => rows.for_each(|(row, group)| {
                if nulls.is_valid(row) {
                    add((row, group));
                }
            }),
        }
    }
}

impl<T: ArrowPrimitiveType> RowsAccumulator for Sum<T> {
    fn update(&mut self, columns: &[ArrayRef], rows: &RowGroups, groups_total: usize) -> Result<()> {
        let Some(values) = columns.first() else { return internal_err!("SUM of nothing") };
        self.announce(groups_total);
        self.add(numbers::<T>(values)?, rows.iter());
        Ok(())
    }

    fn merge(&mut self, states: &[ArrayRef], groups: &[usize], groups_total: usize) -> Result<()> {
        let [sums] = states else { return internal_err!("SUM has {} state columns", states.len()) };
        self.announce(groups_total);
        self.add(numbers::<T>(sums)?, groups.iter().copied().enumerate());
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ArrayRef> {
        let (sums, seen): (Vec<_>, Vec<_>) = std::mem::take(&mut self.sums).into_iter().unzip();
        let mut valid = BooleanBufferBuilder::new(seen.len());
        valid.append_slice(&seen);
        let nulls = Some(NullBuffer::new(valid.finish())).filter(|nulls| nulls.null_count() > 0);
        Ok(Arc::new(PrimitiveArray::<T>::try_new(ScalarBuffer::from(sums), nulls)?))
    }

    fn state(&mut self) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate()?])
    }

    fn bytes(&self) -> usize {
        self.sums.capacity() * size_of::<(T::Native, bool)>()
    }
}

fn numbers<T: ArrowPrimitiveType>(column: &ArrayRef) -> Result<&PrimitiveArray<T>> {
    column
        .as_primitive_opt::<T>()
        .ok_or_else(|| internal_datafusion_err!("a tally of {} was given {}", T::DATA_TYPE, column.data_type()))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, StringArray};
    use arrow::datatypes::{Field, Schema};
    use datafusion::logical_expr::function::AccumulatorArgs;
    use datafusion::logical_expr::{Volatility, create_udaf};
    use datafusion::physical_expr::aggregate::AggregateExprBuilder;
    use datafusion::physical_expr::expressions::col;

    use super::*;

    fn rows(rows: &[(u32, usize)]) -> RowGroups {
        RowGroups { rows: rows.iter().map(|(row, _)| *row).collect(), groups: rows.iter().map(|(_, g)| *g).collect() }
    }

    #[test]
    fn a_function_of_ones_own_is_not_taken_for_another_by_its_name() {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
        let tallied = |function: Arc<AggregateUDF>, distinct: bool| {
            let call = AggregateExprBuilder::new(function, vec![col("n", &schema).unwrap()]);
            let call = call.schema(Arc::clone(&schema)).alias("x").with_distinct(distinct).build().unwrap();
            of(&call).is_some()
        };
        let own = |name: &str| {
            let (number, state) = (DataType::Int64, Arc::new(vec![DataType::Int64]));
            let accumulator = Arc::new(|_: AccumulatorArgs<'_>| internal_err!("not called"));
            create_udaf(name, vec![number.clone()], Arc::new(number), Volatility::Immutable, accumulator, state)
        };
        for (name, there) in [("count", count_udaf()), ("sum", sum_udaf())] {
            assert!(tallied(Arc::clone(&there), false) && !tallied(there, true), "{name}");
            assert!(!tallied(Arc::new(own(name)), false), "{name}");
            assert!(!is_count(&own(name)));
        }
    }

    #[test]
    fn null_is_not_counted_and_a_group_without_a_row_has_none() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("b"), Some("c")]));
        let mut count = Count::default();
        count.update(&[texts], &rows(&[(0, 0), (1, 0), (1, 1), (3, 0)]), 3).unwrap();
        let state = count.state().unwrap();
        assert_eq!(state[0].as_primitive::<Int64Type>().values(), &[2, 0, 0]);
        count.merge(&state, &[1, 1, 0], 2).unwrap();
        assert_eq!(count.evaluate().unwrap().as_primitive::<Int64Type>().values(), &[0, 2]);
    }

    #[test]
    fn a_sum_of_no_value_is_null_through_a_merge_too() {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(5), None, Some(i64::MAX), Some(-7)]));
        let mut sum = Sum::<Int64Type>::default();
        sum.update(&[numbers], &rows(&[(0, 0), (1, 1), (2, 0), (3, 2)]), 3).unwrap();
        let state = sum.state().unwrap();
        let expected: ArrayRef = Arc::new(Int64Array::from(vec![Some(i64::MIN + 4), None, Some(-7)]));
        assert_eq!(&state[0], &expected);
        sum.merge(&state, &[0, 1, 1], 3).unwrap();
        let expected: ArrayRef = Arc::new(Int64Array::from(vec![Some(i64::MIN + 4), Some(-7), None]));
        assert_eq!(&sum.evaluate().unwrap(), &expected);
    }

    #[test]
    fn numbers_of_another_type_are_refused() {
        let numbers: ArrayRef = Arc::new(Float64Array::from(vec![1.5, 2.0]));
        let mut sum = Sum::<Int64Type>::default();
        assert!(sum.update(&[Arc::clone(&numbers)], &rows(&[(0, 0)]), 1).is_err());
        let mut sum = Sum::<Float64Type>::default();
        sum.update(&[numbers], &rows(&[(0, 0), (1, 0)]), 1).unwrap();
        assert_eq!(sum.evaluate().unwrap().as_primitive::<Float64Type>().values(), &[3.5]);
    }
}
