//! The refusal of keys that do not tell the rows of a window apart.

use std::collections::BTreeSet;

use datafusion::logical_expr::LogicalPlan;

use super::aggregated::is_aggregated;
use super::known::Known;
use super::rows::tells_apart;
use crate::error::{Error, Result};
use crate::pipeline::PipelineFile;
use crate::schema::{WINDOW_END, WINDOW_START};

/// Refuses a table that is revised, with a header whose keys do not tell the rows of a window apart. `plan` is the query, analyzed.
pub(in crate::pipeline) fn check(plan: &LogicalPlan, file: &PipelineFile) -> Result<()> {
    let columns: Vec<&str> = plan.schema().fields().iter().map(|field| field.name().as_str()).collect();
    let is_key = |i: &usize| file.header.keys.iter().any(|key| *key == columns[*i]);
    let keys: BTreeSet<usize> = (0..columns.len()).filter(is_key).collect();
    let tell = |columns: &BTreeSet<usize>| tells_apart(plan, &Known::of(columns.iter().copied()));
    if tell(&keys) {
        return Ok(());
    }
    let at = file.at_key("allowed_lateness_secs");
    let with = "with allowed_lateness_secs a revision finds the rows that it replaces by";
    // What late rows change is no key.
    let is_more =
        |i: &usize| !is_key(i) && ![WINDOW_START, WINDOW_END].contains(&columns[*i]) && !is_aggregated(plan, *i);
    let more: Vec<usize> = (0..columns.len()).filter(is_more).collect();
    let mut enough: BTreeSet<usize> = keys.iter().chain(&more).copied().collect();
    if !tell(&enough) {
        let but = if tell(&(0..columns.len()).collect()) { ", but for what is aggregated" } else { "" };
        let reason = format!(
            "{with} keys, and no columns that the query selects are known to tell the rows of a window apart{but}"
        );
        let remedy = "select all that it groups by; give each side of a UNION ALL a constant of its own and make it a key; compare keys in a \
                      FULL JOIN by IS NOT DISTINCT FROM; or GROUP BY window_start, window_end and the keys above all of it";
        return Err(Error::user(reason).at(at).hint(remedy));
    }
    // What comes first is a key rather than what comes behind it.
    for column in more.into_iter().rev() {
        enough.remove(&column);
        if !tell(&enough) {
            enough.insert(column);
        }
    }
    let missing: Vec<&str> = enough.difference(&keys).map(|i| columns[*i]).collect();
    let all = file.header.keys.iter().map(String::as_str).chain(missing.iter().copied());
    let all: Vec<String> = all.map(|key| format!("\"{key}\"")).collect();
    let is = if missing.len() == 1 { "it is not among" } else { "they are not among" };
    let reason = format!("rows of one window differ in {}, and {is} the keys: {with} these", missing.join(", "));
    Err(Error::user(reason).at(at).hint(format!("write keys = [{}]", all.join(", "))))
}

#[cfg(test)]
mod tests {
    use crate::pipeline::{Compiler, PipelineFile};
    use crate::schema::Contract;

    /// What tells the rows of one of these tables apart, if it is revised.
    const QUERIES: [(&[&str], &str); 25] = [
        (&[], "SELECT window_start, window_end, COUNT(*) AS n FROM {minutes} GROUP BY window_start, window_end"),
        (&["k"], "SELECT window_start, window_end, country AS k, n FROM counts"),
        (&["k", "l"], "SELECT window_start, window_end, country AS k, l, n FROM counts CROSS JOIN (VALUES (1), (2)) AS v (l)"),
        (&[], "SELECT window_start, window_end, SUM(n) AS n FROM counts GROUP BY window_start, window_end"),
        (&["k"], "SELECT window_start, window_end, country AS k, UPPER(country) AS u, COUNT(*) AS n FROM {minutes}
            GROUP BY window_start, window_end, country, UPPER(country), date_trunc('day', window_end), 'x'"),
        (&["k"], "SELECT window_start, window_end, CAST(bitrate_kbps AS BIGINT) AS k, COUNT(*) AS n FROM {minutes}
            GROUP BY window_start, window_end, bitrate_kbps"),
        (&["place"], "SELECT * FROM (SELECT window_start, window_end, n,
            ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY n DESC) AS place FROM counts) WHERE place < 3"),
        (&["k", "place"], "SELECT window_start, window_end, LENGTH(country) AS k, n,
            ROW_NUMBER() OVER (PARTITION BY window_start, LENGTH(country)) AS place FROM counts"),
        (&[], "SELECT window_start, window_end, n FROM (SELECT *,
            ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY n DESC) AS place FROM counts) WHERE place = 1"),
        (&[], "SELECT window_start, window_end, country, n FROM counts WHERE country = 'DE'"),
        (&[], "SELECT window_start, window_end, n FROM counts ORDER BY n LIMIT 1"),
        (&["n"], "SELECT DISTINCT window_start, window_end, n FROM counts"),
        (&["n"], "SELECT DISTINCT ON (n) window_start, window_end, n FROM counts"),
        (&["side"], "SELECT window_start, window_end, 'all' AS side, SUM(n) AS n FROM counts GROUP BY window_start, window_end
            UNION ALL SELECT window_start, window_end, 'DE', n FROM counts WHERE country = 'DE'"),
        (&["k"], "SELECT a.window_start, a.window_end, a.country AS k, a.n, b.n AS m
            FROM counts a JOIN counts b ON a.window_start = b.window_start AND a.country = b.country"),
        (&["k"], "SELECT a.window_start, a.window_end, b.country AS k, a.n FROM counts a, counts b WHERE a.country = b.country"),
        (&["k"], "SELECT a.window_start, a.window_end, a.country AS k, a.n, b.n AS m
            FROM counts a LEFT JOIN counts b ON a.window_start = b.window_start AND a.country = b.country"),
        (&["k"], "SELECT b.window_start, b.window_end, b.country AS k, a.n, b.n AS m
            FROM counts a RIGHT JOIN counts b ON a.window_start = b.window_start AND a.country = b.country"),
        (&["k", "l"], "SELECT a.window_start, a.window_end, a.country AS k, b.country AS l, a.n FROM counts a CROSS JOIN counts b"),
        (&["k"], "SELECT a.window_start, a.window_end, a.country AS k, a.n
            FROM counts a WHERE a.country IN (SELECT country FROM counts)"),
        (&["k"], "SELECT COALESCE(a.window_start, b.window_start) AS window_start, COALESCE(a.window_end, b.window_end) AS window_end,
              COALESCE(a.country, b.country) AS k, a.n, b.n AS m
            FROM counts a FULL JOIN counts b ON a.window_end = b.window_end AND a.country IS NOT DISTINCT FROM b.country"),
        (&["k"], "SELECT COALESCE(a.window_start, b.window_start) AS window_start, COALESCE(a.window_end, b.window_end) AS window_end,
              COALESCE(a.country, b.country) AS k, a.n, b.n AS m
            FROM counts a FULL JOIN (SELECT * FROM counts WHERE country <> '') b ON a.window_end = b.window_end AND a.country = b.country"),
        (&["k", "l"], "SELECT COALESCE(a.window_start, b.window_start) AS window_start, COALESCE(a.window_end, b.window_end) AS window_end,
              a.country AS k, b.country AS l, a.n, b.n AS m
            FROM counts a FULL JOIN (SELECT * FROM counts WHERE country IS NOT NULL) b ON a.window_end = b.window_end AND a.n = b.n"),
        (&["place"], "SELECT window_start, window_end, m, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY m) AS place
            FROM (SELECT COALESCE(a.window_start, b.window_start) AS window_start, COALESCE(a.window_end, b.window_end) AS window_end,
              b.n AS m FROM counts a FULL JOIN counts b ON a.window_end = b.window_end AND a.n = b.n)"),
        (&["began"], "SELECT window_start, window_end, began, SUM(n) AS n
            FROM TABLE(TUMBLE(TABLE (SELECT window_time, window_start AS began, SUM(n) AS n FROM times GROUP BY window_start, window_end, window_time),
              DESCRIPTOR(window_time), INTERVAL '1' HOUR))
            GROUP BY window_start, window_end, began"),
    ];

    const WITH: &str = "WITH counts AS (
        SELECT window_start, window_end, country, COUNT(*) AS n FROM {minutes} GROUP BY window_start, window_end, country
      ), times AS (
        SELECT window_start, window_end, window_time, COUNT(*) AS n FROM {minutes} GROUP BY window_start, window_end, window_time
      )\n";

    async fn compiled(keys: &[&str], sql: &str) -> Result<(), String> {
        let sql = format!("{WITH}{sql}")
            .replace("{minutes}", "TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))");
        let text = format!("/*\ntitle = \"t\"\nkeys = {keys:?}\nallowed_lateness_secs = 60\n*/\n{sql}");
        let file = PipelineFile::parse("pipelines/t.sql", &text).unwrap();
        let compiler = Compiler::new(&Contract::shipped().unwrap()).unwrap();
        compiler.compile(&file).await.map(drop).map_err(|e| e.report())
    }

    #[tokio::test]
    async fn keys_that_tell_rows_apart_are_taken_and_no_fewer() {
        let mut wrong = Vec::new();
        for (keys, sql) in QUERIES {
            if let Err(report) = compiled(keys, sql).await {
                wrong.push(format!("{sql}\nby {keys:?}: {report}"));
            }
            for without in 0..keys.len() {
                let fewer: Vec<&str> =
                    keys.iter().enumerate().filter(|(i, _)| *i != without).map(|(_, k)| *k).collect();
                match compiled(&fewer, sql).await {
                    Ok(()) => wrong.push(format!("{sql}\nby {fewer:?} is accepted")),
                    Err(report) if report.contains(&format!("write keys = {keys:?}")) || keys.len() > 1 => {}
                    Err(report) if report.contains(", but for what is aggregated") && keys == ["n"] => {}
                    Err(report) => wrong.push(format!("{sql}\nby {fewer:?}: {report}")),
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    }

    #[tokio::test]
    async fn rows_that_may_be_alike_have_no_keys() {
        let alike = [
            "SELECT window_start, window_end, n FROM counts",
            "SELECT window_start, window_end, country, n FROM counts UNION ALL SELECT window_start, window_end, country, n FROM counts",
            "SELECT COALESCE(a.window_start, b.window_start) AS window_start, COALESCE(a.window_end, b.window_end) AS window_end,
               COALESCE(a.country, b.country) AS country, a.n, b.n AS m
             FROM counts a FULL JOIN counts b ON a.window_end = b.window_end AND a.country = b.country",
            "SELECT a.window_start, a.window_end, b.country, b.n FROM counts a LEFT JOIN counts b ON a.window_start = b.window_start AND a.n = b.n",
        ];
        for sql in alike {
            let report = compiled(&[], sql).await.unwrap_err();
            assert!(report.contains("no columns that the query selects are known to tell"), "{sql}\n{report}");
        }
    }
}
