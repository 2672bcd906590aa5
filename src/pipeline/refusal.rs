//! Planner errors as a person can use them: the line, the reason, the remedy.

use datafusion::common::DataFusionError;

use super::file::PipelineFile;
use crate::error::Error;

/// A user error at a line of the query (from 1).
pub(super) fn refuse_at(file: &PipelineFile, sql_line: usize, reason: &str) -> Error {
    Error::user(reason).at(file.at_line(sql_line))
}

/// A planner's or parser's error, at its line where it knows one.
pub(super) fn refuse(file: &PipelineFile, error: &DataFusionError) -> Error {
    let text = innermost(error);
    let (reason, line) = match text.split_once(" at Line: ") {
        Some((reason, at)) => (reason, at.split(',').next().and_then(|n| n.trim().parse().ok())),
        None => (text.as_str(), None),
    };
    let span_line =
        error.diagnostic().and_then(|d| d.span).and_then(|s| usize::try_from(s.start.line).ok()).filter(|l| *l > 0);
    let line = line.or(span_line).or_else(|| mentioned_line(file, reason)).unwrap_or(1);
    // The parser's "Expected: this, found: that" is one reason.
    if let Some(expected) = reason.strip_prefix("Expected: ") {
        return refuse_at(file, line, &format!("expected {}", expected.replacen("found: ", "found ", 1)));
    }
    // Our own refusals are worded "reason: remedy".
    match reason.split_once(": ") {
        Some((what, remedy)) if !remedy.is_empty() && !what.contains('\'') => refuse_at(file, line, what).hint(remedy),
        _ => refuse_at(file, line, reason),
    }
}

/// The message without the layers of "Error during planning: " around it.
fn innermost(error: &DataFusionError) -> String {
    let text = error.find_root().strip_backtrace();
    let mut text = text.as_str();
    for prefix in [
        "Error during planning: ",
        "SQL error: ",
        "Schema error: ",
        "This feature is not implemented: ",
        "Optimizer rule 'windowed_aggregates' failed: ",
    ] {
        text = text.strip_prefix(prefix).unwrap_or(text);
    }
    let text = text.strip_prefix("ParserError(\"").and_then(|t| t.strip_suffix("\")")).unwrap_or(text);
    text.lines().next().unwrap_or(text).trim_end_matches('.').to_owned()
}

/// Where no span is known: the first line that has one of the keywords the reason speaks of.
fn mentioned_line(file: &PipelineFile, reason: &str) -> Option<usize> {
    const KEYWORDS: [(&str, &str); 8] = [
        ("GROUP BY", "GROUP BY"),
        ("group by", "GROUP BY"),
        ("ORDER BY", "ORDER BY"),
        ("DISTINCT", "DISTINCT"),
        ("TUMBLE", "TUMBLE"),
        ("CONCURRENCY", "CONCURRENCY"),
        ("DESCRIPTOR", "DESCRIPTOR"),
        ("the stream", "FROM"),
    ];
    KEYWORDS
        .iter()
        .filter(|(in_reason, _)| reason.contains(in_reason))
        .find_map(|(_, in_sql)| file.sql.lines().position(|l| l.to_ascii_uppercase().contains(in_sql)))
        .map(|i| i + 1)
}
