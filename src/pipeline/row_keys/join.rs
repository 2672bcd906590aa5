//! Rows of two sides: they are told apart if those of either side are.

use std::collections::BTreeSet;

use datafusion::common::NullEquality;
use datafusion::logical_expr::logical_plan::Join;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, JoinType, LogicalPlan};

use super::constant::{Constant, constant, never_null};
use super::known::{Known, column_of, equality, has_subquery};
use super::rows;

/// What a join compares.
#[derive(Debug, Default)]
struct Compared {
    /// Columns of the left side and of the right one that are equal, and whether NULL equals NULL.
    pairs: Vec<(usize, usize, bool)>,
    /// Columns of either side that follow from a row of the other.
    of_left: BTreeSet<usize>,
    of_right: BTreeSet<usize>,
    /// Whether it compares anything else.
    more: bool,
}

impl Compared {
    /// By its own conditions, and by `conditions` on its rows.
    fn by(join: &Join, conditions: &[&Expr]) -> Self {
        let mut compared = Self::default();
        let null_safe = join.null_equality == NullEquality::NullEqualsNull;
        join.on.iter().for_each(|(l, r)| compared.add(join, l, r, null_safe));
        let own = join.filter.iter().flat_map(split_conjunction);
        for condition in own.chain(conditions.iter().copied()) {
            match equality(condition) {
                Some((a, b, null_safe)) => compared.add(join, a, b, null_safe),
                None => compared.more = true,
            }
        }
        compared
    }

    fn add(&mut self, join: &Join, a: &Expr, b: &Expr, null_safe: bool) {
        let of_side = |e: &Expr, side: &LogicalPlan| {
            !has_subquery(e) && e.column_refs().into_iter().all(|c| side.schema().maybe_index_of_column(c).is_some())
        };
        for (l, r) in [(a, b), (b, a)] {
            if !of_side(l, &join.left) || !of_side(r, &join.right) {
                continue;
            }
            let (left, right) = (column_of(l, &join.left), column_of(r, &join.right));
            self.of_left.extend(left);
            self.of_right.extend(right);
            if let (Some(left), Some(right)) = (left, right) {
                self.pairs.push((left, right, null_safe));
                return;
            }
        }
        self.more = true;
    }
}

/// Whether no two rows of a join over one window, of which `conditions` hold, have the same values in what is known of them.
pub(super) fn tells_apart(join: &Join, conditions: &[&Expr], known: &Known) -> bool {
    let left = join.left.schema().fields().len();
    let of_left: BTreeSet<usize> = known.columns.range(..left).copied().collect();
    let of_right: BTreeSet<usize> = known.columns.range(left..).map(|i| i - left).collect();
    let compared = Compared::by(join, conditions);
    match join.join_type {
        JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => {
            rows::tells_apart(&join.left, &known.within(left))
        }
        JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => {
            rows::tells_apart(&join.right, &known.within(join.right.schema().fields().len()))
        }
        JoinType::Inner => {
            let (mut of_left, mut of_right) = (of_left, of_right);
            for (l, r, _) in &compared.pairs {
                if of_left.contains(l) {
                    of_right.insert(*r);
                } else if of_right.contains(r) {
                    of_left.insert(*l);
                }
            }
            one_of_left(join, &compared, &of_left, &of_right) || one_of_right(join, &compared, &of_left, &of_right)
        }
        JoinType::Left => one_of_left(join, &compared, &of_left, &of_right),
        JoinType::Right => one_of_right(join, &compared, &of_left, &of_right),
        JoinType::Full => of_both(join, &compared, known, (of_left, of_right)),
    }
}

/// Whether a row of the left side is known, and with it the one of the right side that it may have found.
fn one_of_left(join: &Join, compared: &Compared, left: &BTreeSet<usize>, right: &BTreeSet<usize>) -> bool {
    let found = Known::of(right.union(&compared.of_right).copied());
    rows::tells_apart(&join.left, &Known::of(left.iter().copied())) && rows::tells_apart(&join.right, &found)
}

fn one_of_right(join: &Join, compared: &Compared, left: &BTreeSet<usize>, right: &BTreeSet<usize>) -> bool {
    let found = Known::of(left.union(&compared.of_left).copied());
    rows::tells_apart(&join.right, &Known::of(right.iter().copied())) && rows::tells_apart(&join.left, &found)
}

/// Rows that found each other, and those of either side that found none.
fn of_both(join: &Join, compared: &Compared, known: &Known, (left, right): (BTreeSet<usize>, BTreeSet<usize>)) -> bool {
    let columns = join.left.schema().fields().len();
    let is_merged = |(l, r, _): &&(usize, usize, bool)| known.merged.contains(&(*l, *r + columns));
    let merged: Vec<_> = compared.pairs.iter().filter(is_merged).collect();
    let of_left = Known::of(left.iter().copied().chain(merged.iter().map(|(l, ..)| *l)));
    let of_right = Known::of(right.iter().copied().chain(merged.iter().map(|(_, r, _)| *r)));
    if !rows::tells_apart(&join.left, &of_left) || !rows::tells_apart(&join.right, &of_right) {
        return false;
    }
    // A row of either side that found none: they are told apart by a column of one, which the other has not, …
    let has_own = left.iter().any(|l| never_null(&join.left, *l)) || right.iter().any(|r| never_null(&join.right, *r));
    // … or are equal in all that is compared, and would have found each other.
    let same_bound = |l: usize, r: usize| match (constant(&join.left, l), constant(&join.right, r)) {
        (Some(Constant::Bound(l)), Some(Constant::Bound(r))) => l == r,
        _ => false,
    };
    let would_be_found = |pair: &(usize, usize, bool)| {
        let (l, r, null_safe) = *pair;
        let has_value = || null_safe || never_null(&join.left, l) || never_null(&join.right, r);
        same_bound(l, r) || (merged.contains(&pair) && has_value())
    };
    has_own || (!compared.more && compared.pairs.iter().all(would_be_found))
}
