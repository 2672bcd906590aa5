//! The plan in words, for somebody who runs it: what costs memory, what is waited for, when rows appear.

use std::collections::BTreeSet;

use super::explanation::JobTimes;
use super::state::{grows, of_stream, open_panes};
use super::tree::{Place, Tree, group_by};
use crate::operator::concurrency::{ConcurrencyQuery, OwnTimeouts};
use crate::operator::window::{WindowSpec, Windowing};
use crate::pipeline::plan::{ContinuousPlan, Node};
use crate::types::format_span;

/// One paragraph.
pub(super) fn paragraph(plan: &ContinuousPlan, tree: &Tree, times: &JobTimes) -> String {
    let of_stream = plan.nodes.iter().filter(|n| matches!(n.node, Node::Window(_)));
    let windows: Vec<&WindowSpec> = of_stream.filter_map(|n| n.node.window().map(|spec| spec.as_ref())).collect();
    let mut sentences = Vec::new();
    if !windows.is_empty() {
        sentences.push(aggregates(&windows, plan, tree, times));
    }
    let mut queries = plan.concurrency_queries();
    if let Some(first) = queries.next() {
        let begins = match windows.is_empty() {
            true => format!("Each shard reads {} columns of every batch and keeps", tree.columns.len()),
            false => "It also keeps".to_owned(),
        };
        sentences.push(concurrency(first, &begins, times));
        let others: BTreeSet<_> = queries.map(|query| query.timeouts).filter(|own| *own != first.timeouts).collect();
        sentences.extend(others.iter().map(|own| counted_again(own, times)));
    }
    sentences.extend(cascades(plan));
    sentences.push(complete(plan, tree, times));
    if !plan.lookups.is_empty() {
        sentences.push(lookups(plan));
    }
    sentences.join(" ")
}

fn aggregates(windows: &[&WindowSpec], plan: &ContinuousPlan, tree: &Tree, times: &JobTimes) -> String {
    let filtered = tree.operators.iter().any(|o| o.place == Place::ShardBatch && o.text.starts_with("Filter"));
    let filter = if filtered { ", filters the rows" } else { "" };
    let windowing = of_stream(plan);
    let panes = match windows.len() {
        1 if windowing.session => "adds them to what it has of their sessions".to_owned(),
        1 if windowing.overlap() => "adds them to the pane of their slide of time".to_owned(),
        1 => "adds them to the pane of their window".to_owned(),
        n => format!("adds them to the panes of {n} windowed aggregates"),
    };
    let mut groups: Vec<String> = windows.iter().map(|spec| group_by(spec)).filter(|by| !by.is_empty()).collect();
    groups.dedup();
    let values = windows.iter().any(|spec| grows(spec));
    let memory = match (groups.is_empty(), values) {
        (true, false) => "each is one group of a fixed size".to_owned(),
        (true, true) => "each is one group, and memory grows with the values that it keeps".to_owned(),
        (false, _) => format!(
            "memory grows with the groups{}{}, never with the time that the job has run",
            groups.join(" and"),
            if values { " and the values that they keep" } else { "" }
        ),
    };
    let Windowing { size, slide, session } = windowing;
    let open = open_panes(slide, times, plan.allowed_lateness());
    let open = match windowing.overlap() {
        _ if session => format!(
            "What a shard has of a session it hands over when its events are {} past it; where shards meet the parts are joined, and a \
             session is kept there until nothing came for {}",
            format_span(times.watermark_delay),
            format_span(size),
        ),
        false => format!("About {open} windows of {} are open in a shard at a time", format_span(size)),
        true => format!(
            "About {open} panes of {} are open in a shard at a time; where shards meet, those of {} are merged to a window, most \
             of them by what the window before has merged already",
            format_span(slide),
            format_span(size),
        ),
    };
    format!(
        "Each shard reads {} columns of every batch{filter} and {panes}; it asks no other shard. {open}; {memory}.",
        tree.columns.len(),
    )
}

/// `begins` says who keeps the marks.
fn concurrency(query: &ConcurrencyQuery, begins: &str, times: &JobTimes) -> String {
    let timeouts = query.timeouts.over(&times.concurrency);
    let dimensions: Vec<&str> =
        query.partition_by.iter().map(String::as_str).filter(|name| *name != "stream_id").collect();
    let (last_known, for_good) = match dimensions.is_empty() {
        true => (String::new(), ""),
        false => {
            let last_known = format!(" A session counts under the last known value of {}.", dimensions.join(", "));
            (last_known, "; what was once seen as a combination of dimensions is remembered for good")
        }
    };
    format!(
        "{begins} a short mark of each event of a stream; it decides nothing, since \
         the end of a stream comes through another shard than the heartbeats of its viewers. Where shards meet, the marks are \
         played in the order of time: a sign of life holds a session present for {}, an end cuts that short.{last_known} Memory \
         grows with the sessions that are present or have been seen in the last {} and the streams of the last {}; it is shared \
         by all concurrency tables of these timeouts, and depends neither on the size of the windows nor on the time that the \
         job has run{for_good}.",
        format_span(timeouts.session_timeout),
        format_span(timeouts.closed_retention),
        format_span(timeouts.announced_timeout),
    )
}

/// Of a query that counts by several sets of timeouts.
fn counted_again(own: &OwnTimeouts, times: &JobTimes) -> String {
    let timeouts = own.over(&times.concurrency);
    format!(
        "By other timeouts the marks are played once more: a session is present for {} after a sign of life, and remembered for {}.",
        format_span(timeouts.session_timeout),
        format_span(timeouts.closed_retention),
    )
}

/// What is made of complete windows before the table's.
fn cascades(plan: &ContinuousPlan) -> Option<String> {
    let mut steps: Vec<String> = Vec::new();
    let all: Vec<_> = plan.cascades().map(|(_, cascade)| cascade).collect();
    for cascade in all.into_iter().rev() {
        let of = format_span(plan.windowing_of(cascade.input()).size);
        let Windowing { size, slide, .. } = cascade.spec().windowing;
        let every = if slide < size { format!(" every {}", format_span(slide)) } else { String::new() };
        let step = format!("those of {of} into windows of {}{every}", format_span(size));
        if !steps.contains(&step) {
            steps.push(step);
        }
    }
    (!steps.is_empty()).then(|| {
        let steps = steps.join(", ");
        format!("The rows of each window that is complete are added, where shards meet, to longer ones: {steps}.")
    })
}

/// What else rows depend on than the events.
fn lookups(plan: &ContinuousPlan) -> String {
    let names: Vec<&str> = plan.lookups.iter().map(|table| table.name.as_ref()).collect();
    format!(
        "Rows are joined with {} as the table is when they are read; a shard takes another version up between two reads, and what \
         was computed by then stays.",
        names.join(", ")
    )
}

/// From the complete window to the table.
fn complete(plan: &ContinuousPlan, tree: &Tree, times: &JobTimes) -> String {
    let mut above = tree.operators.iter().take_while(|o| o.place != Place::Combine);
    let rest = above.any(|o| o.place == Place::CompleteWindow && !o.text.starts_with("Projection"));
    let rest = match rest {
        true if plan.windowing().session && plan.goes_row_by_row() => {
            "the rest of the query looks at each of its rows, and what it lets through is written"
        }
        true => "the rest of the query runs over the complete rows of that window alone, and its rows are written",
        false => "its rows are finished and written",
    };
    let delay = format_span(times.watermark_delay);
    let concurrent = !plan.aggregates_stream();
    let presence = match plan.reads_concurrency() && !concurrent {
        true => format!(
            " Presence goes by the buckets of {}: a row whose bucket its shard is {delay} past changes nothing of it.",
            format_span(times.finest_concurrency_window.unwrap_or(of_stream(plan).size))
        ),
        false => String::new(),
    };
    let end = match plan.allowed_lateness() {
        0 if concurrent => format!(
            ", and the window is forgotten. Lateness is judged by the buckets of {}: a row whose bucket its shard is {delay} past \
             changes nothing, and goes",
            format_span(times.finest_concurrency_window.unwrap_or(of_stream(plan).size))
        ),
        0 => ", and the window is forgotten. A row that comes later goes".to_owned(),
        allowed => format!(
            ". For {} more a later row changes the window; then the groups that were changed are written once more, as revision 1, \
             and the window is forgotten. A row that comes after that goes",
            format_span(allowed)
        ),
    };
    format!(
        "A window is complete when the slowest shard is {delay} of event time past its end: then {rest} as revision 0{end} to \
         _late/{}.{presence} A file appears when {} of windows are gathered.",
        plan.name,
        format_span(times.gather),
    )
}
