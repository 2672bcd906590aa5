//! Every block of SQL in the documentation compiles, runs over the input, and gives rows.
//!
//! | a block that begins with | is |
//! |---|---|
//! | a comment | a whole pipeline file |
//! | `SELECT` or `WITH` | a query: a header is put before it |
//! | `TABLE` | what stands behind `FROM`: its rows are counted by window, of `SESSION` by `session_id` too |
//!
//! The block of CSV is the lookup table `creators` of the examples.

use std::collections::BTreeMap;

use headcount::aws::BucketOptions;
use headcount::config::Lookup;
use headcount::decode::Provenance;
use headcount::engine::lookups::LoadedLookup;
use headcount::pipeline::PipelineFile;

use super::input;
use crate::harness::{self, Cut};
use crate::reference::Options;

const PAGES: [&str; 2] = ["README.md", "docs/sql.md"];

/// A block, and where it begins.
struct Block {
    place: String,
    text: String,
}

/// The blocks of a page in a language.
fn blocks(page: &str, language: &str) -> Vec<Block> {
    let opening = format!("```{language}");
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let mut blocks: Vec<Block> = Vec::new();
    let mut inside = false;
    for (line, number) in std::fs::read_to_string(path).unwrap().lines().zip(1..) {
        match line.trim() {
            opens if opens == opening => {
                inside = true;
                blocks.push(Block { place: format!("{page}:{number}"), text: String::new() });
            }
            "```" => inside = false,
            _ if inside => blocks.last_mut().unwrap().text += &format!("{line}\n"),
            _ => {}
        }
    }
    blocks
}

/// The block as a pipeline file, by the convention above.
fn file(block: &Block) -> PipelineFile {
    let (header, text) = ("/*\ntitle = \"an example\"\n*/\n", block.text.trim_start());
    let whole = match text.split(|c: char| !c.is_ascii_alphabetic() && c != '/' && c != '*').next() {
        Some(start) if start.starts_with("/*") => text.to_owned(),
        Some("SELECT" | "WITH") => format!("{header}{text}"),
        Some("TABLE") => {
            // Sessions are by what they are of.
            let by = if text.contains("SESSION(") { ", session_id" } else { "" };
            format!(
                "{header}SELECT window_start, window_end, COUNT(*) AS n FROM {text} GROUP BY window_start, window_end{by}"
            )
        }
        _ => panic!("{} is neither a file, nor a query, nor what stands behind FROM", block.place),
    };
    PipelineFile::parse("pipelines/example.sql", &whole).unwrap_or_else(|e| panic!("{}: {}", block.place, e.report()))
}

/// The lookup table of the examples.
async fn creators() -> LoadedLookup {
    let [table] = blocks("docs/sql.md", "csv").try_into().ok().expect("one block of CSV");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("creators.csv");
    std::fs::write(&path, table.text).unwrap();
    let location = path.to_str().unwrap().to_owned();
    let columns = BTreeMap::new();
    let config = Lookup { name: "creators".to_owned(), location, format: None, refresh: 60_000_000, columns };
    LoadedLookup::load(&config, &BucketOptions::default()).await.unwrap()
}

#[tokio::test]
async fn every_example_of_the_documentation_runs() {
    let (records, lookups) = (input::records(), [creators().await]);
    for page in PAGES {
        let blocks = blocks(page, "sql");
        assert!(!blocks.is_empty(), "{page} has no block of SQL");
        for block in blocks {
            let pipelines = harness::pipelines_with(&[file(&block)], &lookups, &Options::default()).await;
            let run = async |records_a_read| {
                let cut = Cut { records: records_a_read, reversed: false };
                harness::run(&pipelines, &records, Provenance::Record, cut).await.tables
            };
            let tables = run(1_000).await;
            assert!(!tables["example"].is_empty(), "{} gives no rows", block.place);
            assert_eq!(run(7).await, tables, "{}", block.place);
        }
    }
}
