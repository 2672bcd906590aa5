//! The timeouts that the tables of `CONCURRENCY` count by: the configuration's, or a query's own.

use std::collections::BTreeSet;

use super::pipelines::Pipelines;
use crate::error::Error;
use crate::limits::CONCURRENCY_TIMEOUTS_MAX;
use crate::operator::concurrency::{ConcurrencyOptions, ConcurrencyQuery, OwnTimeouts};
use crate::pipeline::ContinuousPlan;
use crate::types::{Micros, format_span};

impl Pipelines {
    /// The timeouts by which a query counts.
    pub fn timeouts(&self, query: &ConcurrencyQuery) -> ConcurrencyOptions {
        query.timeouts.over(&self.options.concurrency)
    }

    /// The sets of timeouts by which a table counts, each once; none if it does not count sessions.
    pub fn timeouts_of(&self, plan: &ContinuousPlan) -> BTreeSet<ConcurrencyOptions> {
        plan.concurrency_queries().map(|query| self.timeouts(query)).collect()
    }

    /// The query whose ignored touches are those of a table: all that it reads are ignored by the same timeouts. None where what one
    /// part of the table's query ignores may count in another.
    pub(super) fn ignoring_query(&self, plan: &ContinuousPlan) -> Option<usize> {
        let first = plan.concurrency_queries().next()?;
        let alone = !plan.aggregates_stream() && self.timeouts_of(plan).len() == 1;
        self.queries.iter().position(|query| query == first).filter(|_| alone)
    }
}

/// What is wrong with the timeouts of `plans` in a job with these, each at the file that says so.
pub(super) fn problems(plans: &[ContinuousPlan], job: &ConcurrencyOptions) -> Vec<Error> {
    let mut problems = Vec::new();
    let mut sets = BTreeSet::new();
    for plan in plans {
        for query in plan.concurrency_queries() {
            let options = query.timeouts.over(job);
            problems.extend(contradiction(&query.timeouts, &options).map(|e| e.at(&plan.place)));
            if sets.insert(options) && sets.len() == CONCURRENCY_TIMEOUTS_MAX + 1 {
                let reason =
                    format!("the queries of CONCURRENCY have more than {CONCURRENCY_TIMEOUTS_MAX} sets of timeouts");
                let remedy = "give some of them the same timeouts: who is present is remembered once for each set";
                problems.push(Error::user(reason).at(&plan.place).hint(remedy));
            }
        }
    }
    problems
}

/// What the configuration refuses of its own timeouts too.
fn contradiction(own: &OwnTimeouts, options: &ConcurrencyOptions) -> Option<Error> {
    let [session, retention, stream, announced] = options.named();
    let pairs = [
        (retention, session, "sessions still present would survive the end of their stream"),
        (announced, stream, "an announced stream would be given up before an unannounced one"),
    ];
    // Two that are both the configuration's are its own matter.
    let asked = |low: &str, high: &str| own.sets(low) || own.sets(high);
    let (low, high, why) = pairs.into_iter().find(|(low, high, _)| asked(low.0, high.0) && low.1 < high.1)?;
    let said = |(name, time): (&str, Micros)| match own.sets(name) {
        true => format!("{} is {}", name.to_ascii_uppercase(), format_span(time)),
        false => format!("concurrency.{name}_secs is {}", format_span(time)),
    };
    let reason = format!("{}, and {}: {why}", said(low), said(high));
    let remedy = format!("set {} => INTERVAL '{}' SECOND or more", low.0.to_ascii_uppercase(), secs_of(high.1));
    Some(Error::user(reason).hint(remedy))
}

/// Whole seconds, rounded up.
fn secs_of(time: Micros) -> Micros {
    time.saturating_add(crate::types::MICROS_PER_SEC - 1) / crate::types::MICROS_PER_SEC
}
