//! The functions of a query besides DataFusion's own, and those that a user of the crate adds.

use datafusion::common::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;
use datafusion::functions::core::expr_fn::r#struct;
use datafusion::logical_expr::{AggregateUDF, Expr, ScalarUDF, when};

use super::json_path;
use crate::error;
use crate::operator::percentile::percentile;

/// A function of one's own, for [`super::Compiler::register`].
///
/// It must give the same result when the events are read again: one whose volatility is not `Immutable` is refused where a query calls
/// it. An aggregate's state is stored in checkpoints and merged over shards, so that `merge_batch` must not depend on the order of the
/// states.
#[derive(Debug, Clone)]
pub enum Function {
    /// A value for each row.
    Scalar(ScalarUDF),
    /// A value for each group of a window, or of the rows above the windows.
    Aggregate(AggregateUDF),
}

impl Function {
    fn name(&self) -> &str {
        match self {
            Function::Scalar(f) => f.name(),
            Function::Aggregate(f) => f.name(),
        }
    }
}

impl From<ScalarUDF> for Function {
    fn from(function: ScalarUDF) -> Self {
        Function::Scalar(function)
    }
}

impl From<AggregateUDF> for Function {
    fn from(function: AggregateUDF) -> Self {
        Function::Aggregate(function)
    }
}

/// Registers the product's own functions.
pub(crate) fn register_own(state: &mut SessionState) -> Result<()> {
    state.register_udaf(percentile())?;
    for function in json_path::functions() {
        state.register_udf(function)?;
    }
    Ok(())
}

/// Registers a user's function.
///
/// # Errors
/// A user error if there is a function of its name: a query that is known elsewhere must not mean something else here.
pub(super) fn register(state: &mut SessionState, function: Function) -> error::Result<()> {
    let name = function.name();
    if state.udf(name).is_ok() || state.udaf(name).is_ok() || state.udwf(name).is_ok() {
        let error = error::Error::user(format!("there is a function {name} already"));
        return Err(error.hint("give yours another name"));
    }
    match function {
        Function::Scalar(f) => state.register_udf(f.into()).map(drop)?,
        Function::Aggregate(f) => state.register_udaf(f.into()).map(drop)?,
    }
    Ok(())
}

/// `COUNT(DISTINCT a, b)` above the windows, where DataFusion counts single columns only, as a count of pairs. A row with any NULL does
/// not count.
pub(super) fn distinct_of_several(expr: Expr) -> Expr {
    let name = expr.schema_name().to_string();
    let mut call = match expr {
        Expr::AggregateFunction(call)
            if call.params.distinct && call.func.name() == "count" && call.params.args.len() > 1 =>
        {
            call
        }
        other => return other,
    };
    let columns = std::mem::take(&mut call.params.args);
    let there = columns.iter().cloned().map(Expr::is_not_null).reduce(Expr::and);
    let row = r#struct(columns);
    // A CASE of one branch has nothing to disagree about.
    let counted = there.and_then(|there| when(there, row.clone()).end().ok()).unwrap_or(row);
    call.params.args = vec![counted];
    Expr::AggregateFunction(call).alias(name)
}
