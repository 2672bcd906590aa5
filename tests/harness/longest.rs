//! An aggregate of one's own.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

/// `LONGEST(text)`: how many bytes the longest text has.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Longest(Signature);

impl AggregateUDFImpl for Longest {
    fn name(&self) -> &str {
        "longest"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(LongestSoFar(0)))
    }

    fn state_fields(&self, _: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new("longest", DataType::Int64, true))])
    }
}

#[derive(Debug)]
struct LongestSoFar(i64);

impl Accumulator for LongestSoFar {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let longest = values[0].as_string::<i32>().iter().flatten().map(|t| t.len() as i64).max();
        self.0 = self.0.max(longest.unwrap_or(0));
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0 = self.0.max(states[0].as_primitive::<Int64Type>().iter().flatten().max().unwrap_or(0));
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Int64(Some(self.0)))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// The function, which says that of itself.
pub fn longest(volatility: Volatility) -> AggregateUDF {
    AggregateUDF::from(Longest(Signature::exact(vec![DataType::Utf8], volatility)))
}
