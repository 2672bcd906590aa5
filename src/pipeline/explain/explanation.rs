//! The whole text.

use std::fmt;

use super::prose::paragraph;
use super::state::{Kept, of_plan};
use super::tree::{Place, Tree};
use crate::operator::concurrency::ConcurrencyOptions;
use crate::pipeline::plan::ContinuousPlan;
use crate::types::{Micros, wrapped};

/// Width of paragraphs, in characters.
const WIDTH: usize = 110;

/// What a job decides beside the plan: the times of the configuration, in microseconds, and what its other queries ask.
#[derive(Debug, Clone, Copy)]
pub struct JobTimes {
    /// Watermark = high time of the shard − this.
    pub watermark_delay: Micros,
    /// How long a silent shard holds the others back.
    pub idle_timeout: Micros,
    /// Leases and activity.
    pub concurrency: ConcurrencyOptions,
    /// The finest concurrency window of all queries of the job; `None` if none asks for concurrency.
    pub finest_concurrency_window: Option<Micros>,
    /// The windows of this much event time share a file.
    pub gather: Micros,
}

/// A continuous plan as text, by [`Display`](fmt::Display): the operators as a tree with the place where each runs, the columns
/// that are read, what is kept and when it is dropped, and a paragraph in words.
#[derive(Debug)]
pub struct Explanation {
    heading: String,
    stream: String,
    tree: Tree,
    kept: Vec<Kept>,
    words: String,
}

impl Explanation {
    /// Explains `plan`, which reads `stream`, as a job with these times runs it.
    pub fn of(plan: &ContinuousPlan, stream: &str, times: &JobTimes) -> Self {
        let times = &JobTimes { watermark_delay: plan.watermark_delay(times.watermark_delay), ..*times };
        let tree = Tree::of(plan, stream, times);
        Self {
            heading: format!("{}: {}", plan.name, plan.header.title),
            stream: stream.to_owned(),
            kept: of_plan(plan, times),
            words: paragraph(plan, &tree, times),
            tree,
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.heading)?;
        for operator in &self.tree.operators {
            let indent = 2 * operator.depth;
            writeln!(f, "{:<8} {:indent$}{}", operator.place.label(), "", operator.text)?;
        }
        writeln!(f)?;
        for place in [Place::Sink, Place::CompleteWindow, Place::Combine, Place::ShardState, Place::ShardBatch] {
            if self.tree.operators.iter().any(|operator| operator.place == place) {
                writeln!(f, "{:<8} {}", place.label(), place.meaning())?;
            }
        }
        let (columns, stream) = (&self.tree.columns, &self.stream);
        writeln!(f, "\nReads {} columns of {stream}:", columns.len())?;
        write!(f, "{}", indented(&columns.join(", "), 2))?;
        writeln!(f, "\nKeeps:")?;
        for kept in &self.kept {
            writeln!(f, "  {}", kept.what)?;
            write!(f, "{}", indented(&format!("{}.", kept.holds), 4))?;
            write!(f, "{}", indented(&format!("Dropped {}.", kept.dropped), 4))?;
        }
        write!(f, "\nIn words:\n{}", indented(&self.words, 2))
    }
}

/// A paragraph in lines that begin with `by` spaces.
fn indented(text: &str, by: usize) -> String {
    wrapped(text, WIDTH - by).lines().map(|line| format!("{:by$}{line}\n", "")).collect()
}
