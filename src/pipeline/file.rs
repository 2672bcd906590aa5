//! A pipeline file: a TOML header in the first comment, then one SQL query. The file's name is the table's name.

use std::path::Path;

use serde::Deserialize;

use super::metric::MetricHeader;
use super::refusal::SqlText;
use crate::error::{Error, Result};
use crate::limits::PIPELINE_FILE_BYTES_MAX;

/// The pipelines that ship with Headcount, by file name; used where no folder of pipelines is configured.
const SHIPPED: [(&str, &str); 7] = [
    ("concurrent_viewers.sql", include_str!("../../pipelines/concurrent_viewers.sql")),
    ("platform_totals.sql", include_str!("../../pipelines/platform_totals.sql")),
    ("playback_quality.sql", include_str!("../../pipelines/playback_quality.sql")),
    ("revenue.sql", include_str!("../../pipelines/revenue.sql")),
    ("stream_engagement.sql", include_str!("../../pipelines/stream_engagement.sql")),
    ("stream_quality_changes.sql", include_str!("../../pipelines/stream_quality_changes.sql")),
    ("user_activity.sql", include_str!("../../pipelines/user_activity.sql")),
];

/// What the header says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// One line for people.
    pub title: String,
    /// The columns that, with the window, tell the rows of one window apart. Output files are sorted by them.
    #[serde(default)]
    pub keys: Vec<String>,
    /// Where the rows go.
    #[serde(default = "default_sinks")]
    pub sinks: Vec<SinkName>,
    /// How long after its end a window still takes rows, in seconds; they are emitted as revision 1.
    #[serde(default)]
    pub allowed_lateness_secs: u32,
    /// How far the table's watermark is behind the high time of a shard, in seconds, if not as far as the job's.
    #[serde(default)]
    pub watermark_delay_secs: Option<u32>,
    /// The metrics that the sink `cloudwatch` makes of the rows.
    #[serde(default)]
    pub cloudwatch: Vec<MetricHeader>,
}

/// A sink that a pipeline can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SinkName {
    /// Partitioned Parquet.
    Lake,
    /// Metrics of Amazon CloudWatch, as the header's `[[cloudwatch]]` say. Revision 0 only, and never of a backfill.
    #[serde(rename = "cloudwatch")]
    CloudWatch,
}

fn default_sinks() -> Vec<SinkName> {
    vec![SinkName::Lake]
}

/// One pipeline, as written.
#[derive(Debug, Clone)]
pub struct PipelineFile {
    /// The table's name.
    pub name: String,
    /// The file, for messages.
    pub place: String,
    /// The header.
    pub header: Header,
    /// The query.
    pub sql: String,
    /// The line of the file on which `sql` begins, from 1.
    pub first_line: usize,
    /// What stands before the query.
    head: String,
}

impl PipelineFile {
    /// The pipelines that ship with Headcount.
    pub fn shipped() -> Vec<Result<Self>> {
        SHIPPED.iter().map(|(name, text)| Self::parse(&format!("pipelines/{name}"), text)).collect()
    }

    /// Every `.sql` file of a folder, by name.
    ///
    /// # Errors
    /// The folder cannot be read or has no `.sql` file. Problems of single files are in the list.
    pub fn load_dir(dir: &Path) -> Result<Vec<Result<Self>>> {
        let place = dir.display().to_string();
        let entries = std::fs::read_dir(dir).map_err(|e| {
            Error::user("the folder of pipelines cannot be read")
                .at(&place)
                .hint("set pipelines.dir to a folder of .sql files")
                .because(e)
        })?;
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|e| e == "sql") {
                paths.push(path);
            }
        }
        if paths.is_empty() {
            return Err(Error::user("there is no .sql file in the folder of pipelines").at(place));
        }
        paths.sort();
        Ok(paths.iter().map(|p| Self::load(p)).collect())
    }

    /// One file.
    pub fn load(path: &Path) -> Result<Self> {
        let place = path.display().to_string();
        let read = || -> std::io::Result<Option<String>> {
            if std::fs::metadata(path)?.len() > PIPELINE_FILE_BYTES_MAX {
                return Ok(None);
            }
            std::fs::read_to_string(path).map(Some)
        };
        match read() {
            Ok(Some(text)) => Self::parse(&place, &text),
            Ok(None) => Err(Error::user("the file is too large for a query").at(place)),
            Err(e) => Err(Error::user("the pipeline file cannot be read").at(place).because(e)),
        }
    }

    /// Parses the text of a file. `place` is its path; the table is named after its stem.
    pub fn parse(place: &str, text: &str) -> Result<Self> {
        let stem = Path::new(place).file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        if !is_table_name(stem) {
            return Err(Error::user(format!("{stem:?} cannot be the name of a table"))
                .at(place)
                .hint("name the file with lower-case letters, digits and underscores, beginning with a letter"));
        }
        let form = "begin the file with a comment like /* title = \"…\", keys = [\"…\"] */, one key to a line";
        let leading = text.len() - text.trim_start().len();
        let Some(after) = text[leading..].strip_prefix("/*") else {
            return Err(Error::user("the header is missing").at(format!("{place}:1")).hint(form));
        };
        let Some(end) = after.find("*/") else {
            return Err(Error::user("the header comment does not end").at(format!("{place}:1")).hint(form));
        };
        let header: Header = toml::from_str(&after[..end]).map_err(|e| {
            let line = e.span().map_or(0, |s| after[..s.start.min(end)].matches('\n').count());
            Error::user(format!("the header is wrong: {}", e.message()))
                .at(format!("{place}:{}", 1 + text[..leading].matches('\n').count() + line))
                .hint("known keys: title, keys, sinks, allowed_lateness_secs, watermark_delay_secs, and [[cloudwatch]] with its own")
        })?;
        let sql_start = leading + 2 + end + 2;
        let body = &text[sql_start..];
        let blank = body.len() - body.trim_start().len();
        let first_line = 1 + text[..sql_start + blank].matches('\n').count();
        let sql = body.trim_start().trim_end_matches(|c: char| c == ';' || c.is_whitespace()).to_owned();
        if sql.is_empty() {
            return Err(Error::user("there is no query after the header").at(format!("{place}:{first_line}")));
        }
        Ok(Self {
            name: stem.to_owned(),
            place: place.to_owned(),
            header,
            sql,
            first_line,
            head: text[..sql_start].to_owned(),
        })
    }

    /// `file:line` of a line of the query, counted from 1.
    pub fn at_line(&self, sql_line: usize) -> String {
        SqlText::from(self).at_line(sql_line)
    }

    /// `file:line` of what the query selects as `column`: the first line that says `AS column`, else the first that names it.
    pub fn at_column(&self, column: &str) -> String {
        SqlText::from(self).at_column(column)
    }

    /// `file:line` of a key of the header; the header's first line if the key is not there.
    pub fn at_key(&self, key: &str) -> String {
        let line = self.head.lines().position(|l| is_key(l, key)).map_or(1, |i| i + 1);
        format!("{}:{line}", self.place)
    }

    /// `file:line` of a key of the header's `n`th `[[cloudwatch]]`, counted from 0; the line of that itself if the key is not in it,
    /// or of what stands for it.
    pub fn at_metric(&self, n: usize, key: &str) -> String {
        const SECTION: &str = "[[cloudwatch]]";
        let is_section = |l: &str| l.trim_start().starts_with(SECTION);
        let mut sections = self.head.lines().enumerate().filter(|(_, l)| is_section(l)).map(|(i, _)| i);
        let Some(start) = sections.nth(n) else { return self.at_key("cloudwatch") };
        let end = sections.next().unwrap_or(usize::MAX);
        let mut within = self.head.lines().enumerate().skip(start).take_while(|(i, _)| *i < end);
        let line = within.find(|(_, l)| is_key(l, key)).map_or(start, |(i, _)| i);
        format!("{}:{}", self.place, line + 1)
    }
}

/// Whether a line of TOML gives this key its value.
fn is_key(line: &str, key: &str) -> bool {
    line.trim_start().strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='))
}

fn is_table_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_files_parse() {
        for file in PipelineFile::shipped() {
            file.unwrap();
        }
    }

    #[test]
    fn header_and_lines() {
        let f = PipelineFile::parse("p/a_b.sql", "/*\ntitle = \"t\"\nkeys = [\"k\"]\n*/\n\nSELECT 1;\n").unwrap();
        assert_eq!((f.name.as_str(), f.first_line, f.sql.as_str()), ("a_b", 6, "SELECT 1"));
        assert_eq!(f.at_line(1), "p/a_b.sql:6");
        let ends = PipelineFile::parse("p/a.sql", "/*\ntitle = \"t\"\n*/SELECT 1 ;\n; ;").unwrap();
        assert_eq!(ends.sql, "SELECT 1");
    }

    #[test]
    fn columns_have_their_lines() {
        let sql = "SELECT\n  window_start,\n  n + tips,\n  SUM(n) as tips,\n  country\nFROM t";
        let f = PipelineFile::parse("p/a.sql", &format!("/*\ntitle = \"t\"\n*/\n{sql}")).unwrap();
        let places = ["tips", "country", "window_start", "revision"].map(|column| f.at_column(column));
        assert_eq!(places, ["p/a.sql:7", "p/a.sql:8", "p/a.sql:5", "p/a.sql:4"]);
    }

    #[test]
    fn keys_of_metrics_have_their_lines() {
        let text = "/*\ntitle = \"t\"\n[[cloudwatch]]\nmetric = \"a\"\nvalue = \"x\"\n\n[[cloudwatch]]\nmetric = \"b\"\n*/\nSELECT 1";
        let f = PipelineFile::parse("p/a.sql", text).unwrap();
        assert_eq!(f.header.cloudwatch[1].metric, "b");
        let places =
            [(0, "value"), (0, "unit"), (1, "metric"), (1, "value"), (2, "value")].map(|(n, k)| f.at_metric(n, k));
        assert_eq!(places, ["p/a.sql:5", "p/a.sql:3", "p/a.sql:8", "p/a.sql:7", "p/a.sql:1"]);
    }

    #[test]
    fn problems_name_the_line() {
        let place = |text| PipelineFile::parse("p/x.sql", text).unwrap_err().place().unwrap().to_owned();
        assert_eq!(place("SELECT 1"), "p/x.sql:1");
        assert_eq!(place("/*\ntitle = \"t\"\nkey = []\n*/\nSELECT 1"), "p/x.sql:3");
        assert_eq!(place("/*\ntitle = \"t\"\n*/\n"), "p/x.sql:4");
        let bad_name = PipelineFile::parse("p/My-Table.sql", "").unwrap_err();
        assert!(bad_name.message().contains("My-Table"));
    }
}
