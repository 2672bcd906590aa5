//! What the state of a query depends on.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use datafusion::DATAFUSION_VERSION;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::physical_plan::ExecutionPlan;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::lookup::LookupTable;
use super::plan::{Node, StatefulNode};
use crate::error::Result;
use crate::operator::batch_scan::BatchScanExec;

/// A longer value is kept as its hash.
const VALUE_BYTES_MAX: usize = 32;
/// How a hash begins, which nobody is shown.
const HASH: char = '#';

/// What a state depends on, in parts that have names, so that whoever compares two can say which of them differ. States whose
/// fingerprints are equal fit each other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint(BTreeMap<String, String>);

impl Fingerprint {
    /// With one more part, or another value of it.
    #[must_use]
    pub fn with(mut self, part: &str, value: &str) -> Self {
        let kept = match value.len() {
            0..=VALUE_BYTES_MAX => value.to_owned(),
            _ => format!("{HASH}{:032x}", xxh3_128(value.as_bytes())),
        };
        self.0.insert(part.to_owned(), kept);
        self
    }

    /// The parts that are not the same `now`, in words; none if the states fit each other.
    pub fn changes(&self, now: &Self) -> Option<String> {
        let mut words = String::new();
        let parts: BTreeMap<_, _> = self.0.iter().chain(&now.0).collect();
        for part in parts.into_keys() {
            let (then, now) = (self.0.get(part), now.0.get(part));
            if then == now {
                continue;
            }
            let comma = if words.is_empty() { "" } else { ", " };
            let said = |value: Option<&String>| value.filter(|v| !v.starts_with(HASH)).cloned();
            // Writing to a text cannot fail.
            let _ = match (said(then), said(now)) {
                (Some(then), Some(now)) => write!(words, "{comma}{part} ({then} then, {now} now)"),
                _ => write!(words, "{comma}{part}"),
            };
        }
        (!words.is_empty()).then_some(words)
    }
}

/// The fingerprint of a query, `words` being what it says: its nodes, what they read, and how they keep it.
///
/// Nothing of a question to the shared concurrency state is kept but the question itself.
pub(super) fn fingerprint(
    words: &str,
    allowed_lateness_secs: u32,
    nodes: &[StatefulNode],
    lookups: &[Arc<LookupTable>],
) -> Result<Fingerprint> {
    let mut print = Fingerprint::default().with("the query", words);
    let (mut windows, mut columns, mut states) = (String::new(), String::new(), String::new());
    for node in nodes {
        match &node.node {
            Node::Concurrency(query) => windows.push_str(&format!("{query:?};")),
            Node::Window(window) => {
                windows.push_str(&format!("{:?};", window.spec().windowing));
                columns.push_str(&columns_read(window.input())?);
                states.push_str(&window.spec().state_layout()?);
            }
            Node::Cascade(cascade) => {
                let spec = cascade.spec();
                windows.push_str(&format!("{:?} over {:?};", spec.windowing, cascade.input().nodes));
                states.push_str(&spec.state_layout()?);
            }
        }
    }
    print = print.with("its windows", &windows);
    if nodes.iter().any(|n| n.node.window().is_some()) {
        print = print
            .with("allowed_lateness_secs", &allowed_lateness_secs.to_string())
            .with("the types of the columns that it reads", &columns)
            .with("what it keeps of its groups", &states)
            .with("the version of DataFusion", DATAFUSION_VERSION);
    }
    for lookup in lookups {
        // They may be keys of groups that are open.
        let columns = format!("{:?}", lookup.schema.fields());
        print = print.with(&format!("the columns of the lookup table {}", lookup.name), &columns);
    }
    Ok(print)
}

/// Names and types of the columns that a plan takes from its leaves. Whether one may be null does not matter to a state.
fn columns_read(plan: &Arc<dyn ExecutionPlan>) -> Result<String> {
    let mut read = BTreeMap::new();
    plan.apply(|node| {
        if let Some(scan) = node.downcast_ref::<BatchScanExec>() {
            read.extend(scan.schema().fields().iter().map(|f| (f.name().clone(), f.data_type().to_string())));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(read.into_iter().map(|(name, data_type)| format!("{name} {data_type};")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_said_and_short_values_are_shown() {
        let long = "SELECT window_start, window_end, COUNT(*) AS n FROM …";
        let print = Fingerprint::default().with("the query", long).with("secs", "30").with("version", "1.0");
        assert_eq!(print.changes(&print.clone()), None);
        let now = print.clone().with("secs", "45");
        assert_eq!(print.changes(&now).unwrap(), "secs (30 then, 45 now)");
        let now = now.with("the query", &format!("{long} ")).with("more", "x");
        assert_eq!(print.changes(&now).unwrap(), "more, secs (30 then, 45 now), the query");
    }
}
