//! What a plan keeps between batches, and when it is dropped.

use datafusion::physical_expr::aggregate::AggregateFunctionExpr;

use super::explanation::JobTimes;
use super::tree::group_by;
use crate::operator::concurrency::ConcurrencyQuery;
use crate::operator::window::{WindowSpec, Windowing};
use crate::pipeline::lookup::LookupTable;
use crate::pipeline::plan::{ContinuousPlan, Node, StatefulNode};
use crate::types::{Micros, format_span};

/// Something that is kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// What, and where.
    pub what: String,
    /// How much of it there is.
    pub holds: String,
    /// When it is dropped.
    pub dropped: String,
}

/// What one group of a pane remembers for an aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Memory {
    Value,
    Sketch,
    DistinctValues,
    EveryValue,
    Varies,
}

impl Memory {
    fn of(call: &AggregateFunctionExpr) -> Self {
        let name = call.fun().name();
        let constant = ["count", "sum", "avg", "stddev", "var", "covar", "corr", "regr_", "bool_", "bit_"];
        match name {
            // The extremes of distinct values are those of all.
            "min" | "max" => Memory::Value,
            _ if name.starts_with("approx_") => Memory::Sketch,
            "percentile" | "percentile_cont" | "median" | "array_agg" | "string_agg" if !call.is_distinct() => {
                Memory::EveryValue
            }
            _ if call.is_distinct() => Memory::DistinctValues,
            _ if constant.iter().any(|known| name.starts_with(known)) => Memory::Value,
            _ => Memory::Varies,
        }
    }

    fn counted(self, n: usize) -> String {
        let plural = if n == 1 { "" } else { "s" };
        match self {
            Memory::Value => format!("{n} running value{plural}"),
            Memory::Sketch => format!("{n} sketch{}", if n == 1 { "" } else { "es" }),
            Memory::DistinctValues => format!("{n} set{plural} of distinct values"),
            Memory::EveryValue => format!("{n} list{plural} of every value"),
            Memory::Varies => format!("{n} state{plural} whose size depends on the function"),
        }
    }
}

/// Whether a group of the pane grows with its rows, beyond a fixed number of values.
pub(super) fn grows(spec: &WindowSpec) -> bool {
    spec.aggregates.iter().any(|call| !matches!(Memory::of(call), Memory::Value | Memory::Sketch))
}

/// About how many panes of `slide` are open in a shard at a time: those that end after the watermark and have begun.
pub(super) fn open_panes(slide: Micros, times: &JobTimes, allowed: Micros) -> Micros {
    let wait = times.watermark_delay.saturating_add(allowed);
    1 + wait / slide.max(1) + Micros::from(wait % slide.max(1) > 0)
}

/// How the windows lie that are of the stream's rows.
pub(super) fn of_stream(plan: &ContinuousPlan) -> Windowing {
    let of_stream = plan.nodes.iter().find(|n| !matches!(n.node, Node::Cascade(_)));
    of_stream.map_or_else(|| plan.windowing(), StatefulNode::windowing)
}

/// Everything that a plan keeps, from the shards up.
pub(super) fn of_plan(plan: &ContinuousPlan, times: &JobTimes) -> Vec<Kept> {
    let mut kept = Vec::new();
    let windowed = plan.nodes.iter().filter(|n| matches!(n.node, Node::Window(_))).count();
    let numbered = |which: usize, of: usize| if of > 1 { format!(" ({which} of {of})") } else { String::new() };
    let delay = delay(plan, times);
    let mut number = 0;
    for node in &plan.nodes {
        match &node.node {
            Node::Cascade(_) => {}
            Node::Window(window) => {
                number += 1;
                let which = numbered(number, windowed);
                match plan.windowing().session {
                    true => kept.extend(sessions(&which, window.spec(), &delay, times)),
                    false => kept.push(panes(&which, window.spec(), &delay, plan.allowed_lateness(), times)),
                }
            }
            Node::Concurrency(query) => {
                // Several questions to the shared state have most of it in common.
                for part in presence(query, &delay, times) {
                    if !kept.contains(&part) {
                        kept.push(part);
                    }
                }
            }
        }
    }
    if windowed > 0 && !plan.windowing().session {
        kept.push(partials(of_stream(plan), plan.allowed_lateness(), times));
    }
    if windowed > 0 && plan.reads_concurrency() {
        kept.push(presence_of_windows(plan.allowed_lateness()));
    }
    let cascades: Vec<_> = plan.cascades().map(|(_, cascade)| cascade.spec()).collect();
    for (spec, i) in cascades.iter().rev().zip(1..) {
        kept.push(over_windows(&numbered(i, cascades.len()), spec, plan.allowed_lateness()));
    }
    kept.extend(plan.lookups.iter().map(|table| lookup(table)));
    kept
}

fn lookup(table: &LookupTable) -> Kept {
    let dropped = match table.refresh {
        0 => "at the end of the job: it is read at the start only (refresh_secs)".to_owned(),
        every => format!("when another version is in use; looked for every {} (refresh_secs)", format_span(every)),
    };
    Kept {
        what: format!("lookup table {}, once for all shards", table.name),
        holds: format!("every row of {}, by key", table.place),
        dropped,
    }
}

/// What a group remembers for the aggregates, with a comma before it.
fn of_group(spec: &WindowSpec) -> String {
    let mut calls: Vec<Memory> = spec.aggregates.iter().map(|call| Memory::of(call)).collect();
    calls.sort();
    let parts: Vec<String> =
        calls.chunk_by(|a, b| a == b).filter_map(|same| Some(same.first()?.counted(same.len()))).collect();
    if parts.is_empty() { String::new() } else { format!(", of {}", parts.join(", ")) }
}

/// Where windows are of windows.
fn over_windows(which: &str, spec: &WindowSpec, allowed: Micros) -> Kept {
    let group = match spec.keys.is_empty() {
        true => "one group".to_owned(),
        false => format!("a group for each value of {}", group_by(spec).trim_start_matches(" by ")),
    };
    let Windowing { size, slide, .. } = spec.windowing;
    let each = match spec.windowing.overlap() {
        false => format!("one for each open window of {}", format_span(size)),
        true => format!("one for each slide of {}, shared by the windows of {}", format_span(slide), format_span(size)),
    };
    let again = match allowed {
        0 => String::new(),
        _ => format!(
            "; a second one of what late rows make of them, and what the windows of the last {} gave (allowed_lateness_secs)",
            format_span(allowed)
        ),
    };
    Kept {
        what: format!("panes over windows{which}, where shards meet"),
        holds: format!("{each}; in it {group}{}{again}", of_group(spec)),
        dropped: "when the windows that it is made of are complete, and those that have it are out".to_owned(),
    }
}

/// Where windows are sessions.
fn sessions(which: &str, spec: &WindowSpec, delay: &str, times: &JobTimes) -> [Kept; 2] {
    let by = group_by(spec);
    let groups = format!("a group for each session and value of {}{}", by.trim_start_matches(" by "), of_group(spec));
    let gap = format_span(spec.windowing.size);
    let idle = format_span(times.idle_timeout);
    [
        Kept {
            what: format!("panes{which}, in each shard"),
            holds: format!("the rows of the last {delay}, some seconds in one pane; in it {groups}"),
            dropped: format!(
                "when the shard's events are {} past its beginning, whether or not its sessions are over",
                format_span(times.watermark_delay)
            ),
        },
        Kept {
            what: format!("sessions{which}, where shards meet"),
            holds: format!("{groups}, however long it is; at most as much again has not been merged yet"),
            dropped: format!(
                "when the watermark of every shard has passed window_end, {gap} after the session's last row; a silent shard delays \
                 that by {idle} (time.idle_timeout_secs) more"
            ),
        },
    ]
}

fn panes(which: &str, spec: &WindowSpec, delay: &str, allowed: Micros, times: &JobTimes) -> Kept {
    let of_group = of_group(spec);
    let group = match spec.keys.is_empty() {
        true => "one group".to_owned(),
        false => format!("a group for each value of {}", group_by(spec).trim_start_matches(" by ")),
    };
    let Windowing { size, slide, .. } = spec.windowing;
    let open = open_panes(slide, times, allowed);
    let size = format_span(size);
    let (each, end, late) = match spec.windowing.overlap() {
        false => (format!("one for each open window of {size}"), "window_end", ""),
        true => (
            format!("one for each slide of {}, shared by the windows of {size} that have it", format_span(slide)),
            "its end",
            "; one more for rows that are late for the first of their windows, until the next of these ends",
        ),
    };
    let again = match allowed {
        0 => String::new(),
        _ => format!("; a second pane of what comes later for {} more (allowed_lateness_secs)", format_span(allowed)),
    };
    Kept {
        what: format!("panes{which}, in each shard"),
        holds: format!("{each}, about {open} at a time; in it {group}{of_group}"),
        dropped: format!("when the shard's events are {delay} past {end}{late}{again}"),
    }
}

fn partials(windowing: Windowing, allowed: Micros, times: &JobTimes) -> Kept {
    let again = match allowed {
        0 => String::new(),
        _ => {
            format!(", and, to tell what late rows change, {} after that (allowed_lateness_secs)", format_span(allowed))
        }
    };
    let idle = format_span(times.idle_timeout);
    let (holds, window_end) = match windowing.overlap() {
        false => ("closed panes that wait for slower shards".to_owned(), "window_end"),
        true => (
            format!(
                "closed panes that wait for slower shards, the {} panes of the last window, and what neighbours among them are \
                 merged to, so that a window is not merged of all of its panes",
                windowing.panes()
            ),
            "the end of the last window that has the pane",
        ),
    };
    Kept {
        what: "partials, where shards meet".to_owned(),
        holds,
        dropped: format!(
            "when the watermark of every shard has passed {window_end}{again}; a silent shard delays that by {idle} \
             (time.idle_timeout_secs) more"
        ),
    }
}

fn presence(query: &ConcurrencyQuery, delay: &str, times: &JobTimes) -> Vec<Kept> {
    let c = query.timeouts.over(&times.concurrency);
    // Who sets it.
    let key = |name: &str| match query.timeouts.sets(name) {
        true => name.to_ascii_uppercase(),
        false => format!("concurrency.{name}_secs"),
    };
    let bucket = format_span(times.finest_concurrency_window.unwrap_or(query.size));
    let retention = format_span(c.closed_retention);
    let kept = |what: &str, holds: String, dropped: String| Kept { what: what.to_owned(), holds, dropped };
    let groups = match query.partition_by.is_empty() {
        true => "one group".to_owned(),
        false => format!("a group for each value of {} with somebody present", query.partition_by.join(", ")),
    };
    vec![
        kept(
            "marks, in each shard",
            format!(
                "a line for each event of a stream, in buckets of {bucket}, the finest concurrency window of the job"
            ),
            format!("when the shard's events are {delay} past the end of the bucket"),
        ),
        kept(
            "sessions, where shards meet, shared by all concurrency tables of these timeouts",
            format!(
                "those that are present (for {} after a sign of life: {}) or not forgotten",
                format_span(c.session_timeout),
                key("session_timeout")
            ),
            format!("{retention} after the last mark or closure ({}), and not while present", key("closed_retention")),
        ),
        kept(
            "streams, where shards meet, shared by all concurrency tables of these timeouts",
            format!(
                "active or silent; one that nobody announced is active for {} after its last event ({})",
                format_span(c.stream_timeout),
                key("stream_timeout")
            ),
            format!("{} after the last event ({})", format_span(c.announced_timeout), key("announced_timeout")),
        ),
        kept(
            "the open window, where shards meet",
            format!("{groups}: lowest, highest and summed presence, and the viewers seen"),
            "when the watermark of every shard has passed window_end".to_owned(),
        ),
    ]
}

/// Where a query has presence and rows in one.
fn presence_of_windows(allowed: Micros) -> Kept {
    let again = match allowed {
        0 => String::new(),
        _ => format!(", and {} after that, when late rows may have changed it", format_span(allowed)),
    };
    Kept {
        what: "the presence of complete windows, where shards meet".to_owned(),
        holds: "its rows, for what the query makes of the window".to_owned(),
        dropped: format!("when the query has run over the window{again}"),
    }
}

/// How far a shard's watermark is behind its events.
fn delay(plan: &ContinuousPlan, times: &JobTimes) -> String {
    let key = if plan.header.watermark_delay_secs.is_some() { "" } else { "time." };
    format!("{} ({key}watermark_delay_secs)", format_span(times.watermark_delay))
}
