//! `CAST` of a whole number to a wider one, which cannot fail: what a query does before it multiplies.
//!
//! DataFusion's looks at each row whether it is NULL and whether its number fits.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{AsArray, Int64Array};
use arrow::datatypes::{DataType, Int32Type, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::CastExpr;

/// A cast to `BIGINT`; quick if it is one of an `INTEGER`.
#[derive(Debug, Clone)]
struct Widening {
    number: Arc<dyn PhysicalExpr>,
    /// Of any type.
    cast: Arc<dyn PhysicalExpr>,
}

/// The same expression, with casts to `BIGINT` by [`Widening`].
pub(super) fn by_widening(expression: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
    let widening = |e: Arc<dyn PhysicalExpr>| {
        let cast = e.downcast_ref::<CastExpr>().filter(|cast| *cast.cast_type() == DataType::Int64);
        Ok(match cast.map(|cast| Arc::clone(cast.expr())) {
            Some(number) => Transformed::yes(Arc::new(Widening { number, cast: e }) as _),
            None => Transformed::no(e),
        })
    };
    expression.transform_up(widening).data()
}

impl PartialEq for Widening {
    fn eq(&self, other: &Self) -> bool {
        self.cast.eq(&other.cast)
    }
}

impl Eq for Widening {}

impl Hash for Widening {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.cast.hash(state);
    }
}

impl fmt::Display for Widening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cast.fmt(f)
    }
}

impl PhysicalExpr for Widening {
    fn data_type(&self, input: &Schema) -> Result<DataType> {
        self.cast.data_type(input)
    }

    fn nullable(&self, input: &Schema) -> Result<bool> {
        self.cast.nullable(input)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        if self.number.data_type(&batch.schema())? != DataType::Int32 {
            return self.cast.evaluate(batch);
        }
        let numbers = self.number.evaluate(batch)?.into_array(batch.num_rows())?;
        let wider: Int64Array = numbers.as_primitive::<Int32Type>().unary(i64::from);
        Ok(ColumnarValue::Array(Arc::new(wider)))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.number]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        let [number] = children.as_slice() else { return internal_err!("{self} is of one number") };
        let cast = Arc::clone(&self.cast).with_new_children(children.clone())?;
        Ok(Arc::new(Self { number: Arc::clone(number), cast }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cast.fmt_sql(f)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Float64Array, Int32Array};
    use datafusion::physical_expr::expressions::{binary, cast, col};

    use super::*;

    #[test]
    fn numbers_are_those_that_the_library_makes() {
        let numbers: ArrayRef = Arc::new(Int32Array::from(vec![Some(i32::MIN), None, Some(-1), Some(i32::MAX)]));
        let others: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.0), Some(2.0), None, Some(-3.0)]));
        let batch = RecordBatch::try_from_iter([("n", numbers), ("x", others)]).unwrap();
        let schema = batch.schema();
        let bigint = |name: &str| cast(col(name, &schema).unwrap(), &schema, DataType::Int64).unwrap();
        let product = binary(bigint("n"), datafusion::logical_expr::Operator::Multiply, bigint("x"), &schema).unwrap();
        for expression in [bigint("n"), bigint("x"), product] {
            let widened = by_widening(Arc::clone(&expression)).unwrap();
            assert_eq!(widened.to_string(), expression.to_string());
            assert_eq!(widened.data_type(&schema).unwrap(), expression.data_type(&schema).unwrap());
            let values = |e: &Arc<dyn PhysicalExpr>| e.evaluate(&batch).unwrap().into_array(4).unwrap();
            assert_eq!(&values(&widened), &values(&expression));
            let children = widened.children().into_iter().cloned().collect();
            let again = Arc::clone(&widened).with_new_children(children).unwrap();
            assert_eq!(&values(&again), &values(&expression));
        }
    }
}
