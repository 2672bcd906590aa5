//! The metrics with dimensions that this process has published: each is billed by the month.

use std::collections::HashSet;

use super::datum::Dimensions;

/// Lets the first so many combinations of dimension values through, for the life of the process.
#[derive(Debug)]
pub(super) struct Series {
    max: usize,
    known: HashSet<(usize, usize, Dimensions)>,
    warned: bool,
}

impl Series {
    pub(super) fn new(max: usize) -> Self {
        Self { max, known: HashSet::new(), warned: false }
    }

    /// Whether metric `metric` of table `table` may be published with these dimensions. Without any it always may: there is one.
    pub(super) fn admit(&mut self, table: usize, metric: usize, dimensions: &Dimensions) -> bool {
        if dimensions.is_empty() {
            return true;
        }
        let series = (table, metric, dimensions.clone());
        if self.known.contains(&series) {
            return true;
        }
        if self.known.len() >= self.max {
            if !std::mem::replace(&mut self.warned, true) {
                tracing::warn!(
                    series_max = self.max,
                    "more combinations of dimension values than cloudwatch.series_max: further ones are not published"
                );
            }
            return false;
        }
        self.known.insert(series)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_so_many_stay() {
        let of = |value: &str| -> Dimensions { [("d".to_owned(), value.to_owned())].into() };
        let mut series = Series::new(2);
        assert!(series.admit(0, 0, &of("a")) && series.admit(0, 1, &of("a")));
        assert!(!series.admit(0, 0, &of("b")) && !series.admit(1, 0, &of("a")));
        assert!(series.admit(0, 0, &of("a")));
        assert!(series.admit(0, 0, &[].into()));
    }
}
