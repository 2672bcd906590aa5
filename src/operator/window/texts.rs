//! Whether a column is one of some texts: what most conditions on events ask, of each row and several times.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::buffer::BooleanBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, InListExpr, Literal};

/// `column = 'a'`, `column IN ('a', 'b')`, and such joined by `OR`. NULL where the column is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct IsText {
    column: Column,
    texts: Vec<String>,
}

/// Of more texts than this DataFusion's hash table finds a value sooner than one comparison after the other.
const TEXTS_MAX: usize = 8;

/// The same expression, where it compares columns with texts by [`IsText`].
pub(super) fn by_texts(expression: &Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
    let by_texts = Arc::clone(expression).transform_up(|e| {
        Ok(match IsText::of(&e) {
            Some(is_text) => Transformed::yes(Arc::new(is_text) as _),
            None => Transformed::no(e),
        })
    });
    Ok(by_texts?.data)
}

impl IsText {
    fn of(expression: &Arc<dyn PhysicalExpr>) -> Option<Self> {
        if let Some(list) = expression.downcast_ref::<InListExpr>() {
            if list.negated() || list.list().len() > TEXTS_MAX {
                return None;
            }
            let texts = list.list().iter().map(text).collect::<Option<_>>()?;
            return Some(Self { column: list.expr().downcast_ref::<Column>()?.clone(), texts });
        }
        let binary = expression.downcast_ref::<BinaryExpr>()?;
        let (left, right) = (binary.left(), binary.right());
        match binary.op() {
            Operator::Eq => {
                let (column, text) = match text(right) {
                    Some(text) => (left, text),
                    None => (right, text(left)?),
                };
                Some(Self { column: column.downcast_ref::<Column>()?.clone(), texts: vec![text] })
            }
            Operator::Or => {
                let (left, right) = (left.downcast_ref::<Self>()?, right.downcast_ref::<Self>()?);
                let texts: Vec<String> = left.texts.iter().chain(&right.texts).cloned().collect();
                let joins = left.column == right.column && texts.len() <= TEXTS_MAX;
                joins.then(|| Self { column: left.column.clone(), texts })
            }
            _ => None,
        }
    }
}

fn text(expression: &Arc<dyn PhysicalExpr>) -> Option<String> {
    match expression.downcast_ref::<Literal>()?.value() {
        ScalarValue::Utf8(text) => text.clone(),
        _ => None,
    }
}

impl fmt::Display for IsText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} IN ({})", self.column, self.texts.join(", "))
    }
}

impl PhysicalExpr for IsText {
    fn data_type(&self, _input: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, input: &Schema) -> Result<bool> {
        self.column.nullable(input)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let column = self.column.evaluate(batch)?.into_array(batch.num_rows())?;
        // Another form of texts, as a dictionary, counts as its texts.
        let column = cast(&column, &DataType::Utf8)?;
        let column = column.as_string::<i32>();
        let (offsets, bytes) = (column.value_offsets(), column.value_data());
        let is = |row: usize| {
            let value = &bytes[offsets[row] as usize..offsets[row + 1] as usize];
            self.texts.iter().any(|text| text.as_bytes() == value)
        };
        let is = BooleanBuffer::collect_bool(column.len(), is);
        Ok(ColumnarValue::Array(Arc::new(BooleanArray::new(is, column.nulls().cloned()))))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        if children.is_empty() { Ok(self) } else { internal_err!("{self} has no children") }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, DictionaryArray, StringArray};
    use arrow::datatypes::Int32Type;
    use datafusion::physical_expr::expressions::{binary, col, in_list, lit, not};

    use super::*;

    fn batch(column: ArrayRef) -> RecordBatch {
        RecordBatch::try_from_iter([("t", column)]).unwrap()
    }

    fn texts() -> RecordBatch {
        batch(Arc::new(StringArray::from(vec![Some("a"), Some("ab"), None, Some(""), Some("b"), Some("a")])))
    }

    fn evaluated(expression: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> ArrayRef {
        expression.evaluate(batch).unwrap().into_array(batch.num_rows()).unwrap()
    }

    #[test]
    fn it_says_what_the_expression_says() {
        let batch = texts();
        let schema = batch.schema();
        let t = || col("t", &schema).unwrap();
        let eq = |text: &str| binary(t(), Operator::Eq, lit(text), &schema).unwrap();
        let or = |a, b| binary(a, Operator::Or, b, &schema).unwrap();
        let and = |a, b| binary(a, Operator::And, b, &schema).unwrap();
        let all = [
            eq("a"),
            binary(lit("b"), Operator::Eq, t(), &schema).unwrap(),
            or(eq("a"), or(eq(""), eq("b"))),
            in_list(t(), vec![lit("ab"), lit("a")], &false, &schema).unwrap(),
            not(or(eq("a"), eq("b"))).unwrap(),
            and(eq("a"), or(eq("a"), eq("ab"))),
        ];
        for expression in all {
            let rewritten = by_texts(&expression).unwrap();
            assert!(rewritten.to_string().contains("IN ("), "{rewritten}");
            assert_eq!(&evaluated(&rewritten, &batch), &evaluated(&expression, &batch), "{expression}");
        }
    }

    #[test]
    fn what_does_not_compare_with_texts_stays() {
        let batch = texts();
        let schema = batch.schema();
        let t = || col("t", &schema).unwrap();
        let null = lit(ScalarValue::Utf8(None));
        let all = [
            in_list(t(), vec![lit("a")], &true, &schema).unwrap(),
            in_list(t(), (0..=TEXTS_MAX).map(|n| lit(n.to_string())).collect(), &false, &schema).unwrap(),
            in_list(t(), vec![lit("a"), Arc::clone(&null)], &false, &schema).unwrap(),
            binary(t(), Operator::Eq, null, &schema).unwrap(),
            binary(t(), Operator::NotEq, lit("a"), &schema).unwrap(),
            binary(t(), Operator::Eq, t(), &schema).unwrap(),
        ];
        for expression in all {
            assert_eq!(by_texts(&expression).unwrap().to_string(), expression.to_string());
        }
    }

    #[test]
    fn a_dictionary_is_its_texts() {
        let dictionary: DictionaryArray<Int32Type> = vec!["a", "b", "a"].into_iter().collect();
        let batch = batch(Arc::new(dictionary));
        let is = IsText { column: Column::new("t", 0), texts: vec!["a".to_owned()] };
        let is: Arc<dyn PhysicalExpr> = Arc::new(is);
        assert_eq!(evaluated(&is, &batch).as_boolean(), &BooleanArray::from(vec![true, false, true]));
    }
}
