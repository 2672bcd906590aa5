//! Whether a column is one of some texts: what most conditions on events ask, of each row, several times, and in several tables.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, BooleanArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{DataType, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, InListExpr, Literal};

use super::text_codes::{CODES, TextCodes};

/// `column = 'a'`, `column IN ('a', 'b')`, and such joined by `OR`. NULL where the column is.
#[derive(Clone)]
struct IsText {
    /// A part like any other: whoever narrows a batch, as CASE does, has to see which columns are read.
    column: Arc<dyn PhysicalExpr>,
    texts: Vec<String>,
    /// By code, whether it is that of one of the texts.
    wanted: [bool; CODES],
    codes: Arc<TextCodes>,
}

/// As many texts as one condition may ask for by code: of a long list DataFusion's hash table is as quick, and other conditions want
/// codes as well.
const TEXTS_MAX: usize = 64;

/// The same expression, where it compares columns with texts by [`IsText`].
pub(super) fn by_texts(expression: &Arc<dyn PhysicalExpr>, codes: &Arc<TextCodes>) -> Result<Arc<dyn PhysicalExpr>> {
    let by_texts = Arc::clone(expression).transform_up(|e| {
        Ok(match IsText::of(&e, codes) {
            Some(is_text) => Transformed::yes(Arc::new(is_text) as _),
            None => Transformed::no(e),
        })
    });
    Ok(by_texts?.data)
}

impl IsText {
    fn of(expression: &Arc<dyn PhysicalExpr>, codes: &Arc<TextCodes>) -> Option<Self> {
        if let Some(list) = expression.downcast_ref::<InListExpr>() {
            let texts = list.list().iter().map(text).collect::<Option<_>>()?;
            return if list.negated() { None } else { Self::one_of(list.expr(), texts, codes) };
        }
        let binary = expression.downcast_ref::<BinaryExpr>()?;
        let (left, right) = (binary.left(), binary.right());
        match binary.op() {
            Operator::Eq => match text(right) {
                Some(text) => Self::one_of(left, vec![text], codes),
                None => Self::one_of(right, vec![text(left)?], codes),
            },
            Operator::Or => {
                let (mut left, right) = (left.downcast_ref::<Self>()?.clone(), right.downcast_ref::<Self>()?);
                if !left.column.eq(&right.column) || left.texts.len() + right.texts.len() > TEXTS_MAX {
                    return None;
                }
                left.texts.extend(right.texts.iter().cloned());
                left.wanted.iter_mut().zip(right.wanted).for_each(|(left, right)| *left |= right);
                Some(left)
            }
            _ => None,
        }
    }

    /// None if it is no column, or there are too many texts.
    fn one_of(column: &Arc<dyn PhysicalExpr>, texts: Vec<String>, codes: &Arc<TextCodes>) -> Option<Self> {
        if !column.is::<Column>() || texts.len() > TEXTS_MAX {
            return None;
        }
        let mut wanted = [false; CODES];
        for code in codes.codes(&texts)? {
            wanted[usize::from(code)] = true;
        }
        Some(Self { column: Arc::clone(column), texts, wanted, codes: Arc::clone(codes) })
    }
}

fn text(expression: &Arc<dyn PhysicalExpr>) -> Option<String> {
    match expression.downcast_ref::<Literal>()?.value() {
        ScalarValue::Utf8(text) => text.clone(),
        _ => None,
    }
}

impl PartialEq for IsText {
    fn eq(&self, other: &Self) -> bool {
        self.column.eq(&other.column) && self.texts == other.texts
    }
}

impl Eq for IsText {}

impl Hash for IsText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.column.hash(state);
        self.texts.hash(state);
    }
}

impl fmt::Debug for IsText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
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
        let codes = self.codes.of(&column)?;
        let is = BooleanBuffer::collect_bool(codes.len(), |row| self.wanted[usize::from(codes[row])]);
        Ok(ColumnarValue::Array(Arc::new(BooleanArray::new(is, column.logical_nulls()))))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.column]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        let [column] = children.as_slice() else { return internal_err!("{self} is of one column") };
        let mut other = Arc::unwrap_or_clone(self);
        other.column = Arc::clone(column);
        Ok(Arc::new(other))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, AsArray, DictionaryArray, StringArray};
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
            let rewritten = by_texts(&expression, &Arc::default()).unwrap();
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
            in_list(t(), (0..CODES).map(|n| lit(n.to_string())).collect(), &false, &schema).unwrap(),
            in_list(t(), vec![lit("a"), Arc::clone(&null)], &false, &schema).unwrap(),
            binary(t(), Operator::Eq, null, &schema).unwrap(),
            binary(t(), Operator::NotEq, lit("a"), &schema).unwrap(),
            binary(t(), Operator::Eq, t(), &schema).unwrap(),
        ];
        for expression in all {
            assert_eq!(by_texts(&expression, &Arc::default()).unwrap().to_string(), expression.to_string());
        }
    }

    #[test]
    fn a_dictionary_is_its_texts() {
        let dictionary: DictionaryArray<Int32Type> = vec!["a", "b", "a"].into_iter().collect();
        let batch = batch(Arc::new(dictionary));
        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new("t", 0));
        let is = IsText::one_of(&column, vec!["a".to_owned()], &Arc::default()).unwrap();
        let is: Arc<dyn PhysicalExpr> = Arc::new(is);
        assert_eq!(evaluated(&is, &batch).as_boolean(), &BooleanArray::from(vec![true, false, true]));
    }
}
