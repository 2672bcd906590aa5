//! What `headcount explain` says of pipelines, word for word: some shipped ones, and the `.sql` files here, each with its `.txt`.
//!
//! `HEADCOUNT_REGOLD=1` writes the texts anew; read them before you commit them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use headcount::operator::concurrency::ConcurrencyOptions;
use headcount::operator::memory::StateMemory;
use headcount::pipeline::{Compiler, Explanation, JobTimes, LookupTable, PipelineFile};
use headcount::schema::Contract;
use headcount::types::{MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SEC};

const SHIPPED: [&str; 3] = ["concurrent_viewers", "platform_totals", "stream_engagement"];
const PLACES: [&str; 5] = ["sink", "window", "combine", "shard", "batch"];

/// The times of a file that leaves everything out, in a job of the shipped pipelines.
const TIMES: JobTimes = JobTimes {
    watermark_delay: 30 * MICROS_PER_SEC,
    idle_timeout: 30 * MICROS_PER_SEC,
    concurrency: ConcurrencyOptions {
        session_timeout: MICROS_PER_MINUTE,
        closed_retention: 10 * MICROS_PER_MINUTE,
        stream_timeout: 2 * MICROS_PER_MINUTE,
        announced_timeout: 48 * MICROS_PER_HOUR,
    },
    finest_concurrency_window: Some(10 * MICROS_PER_SEC),
    gather: 5 * MICROS_PER_MINUTE,
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/explain")
}

fn shipped() -> Vec<PipelineFile> {
    PipelineFile::shipped().into_iter().map(Result::unwrap).collect()
}

/// The pipelines that have a text here.
fn cases() -> Vec<PipelineFile> {
    let mut cases: Vec<PipelineFile> = shipped().into_iter().filter(|f| SHIPPED.contains(&f.name.as_str())).collect();
    cases.extend(PipelineFile::load_dir(&folder()).unwrap().into_iter().map(Result::unwrap));
    assert!(cases.len() >= SHIPPED.len() + 3, "the cases were not found");
    cases
}

/// A lookup table that the queries here may join.
fn creators() -> Arc<LookupTable> {
    let columns = ["channel_id", "tier", "country"].map(|name| Field::new(name, DataType::Utf8, true));
    Arc::new(LookupTable {
        name: "creators".into(),
        schema: Arc::new(Schema::new(columns.to_vec())),
        place: "s3://example-data/creators/".to_owned(),
        refresh: MICROS_PER_MINUTE,
    })
}

async fn explain(file: &PipelineFile, times: &JobTimes) -> String {
    let contract = Contract::shipped().unwrap();
    let plan = Compiler::with_lookups(&contract, &[creators()], StateMemory::new(usize::MAX))
        .unwrap()
        .compile(file)
        .await
        .unwrap_or_else(|e| panic!("{}", e.report()));
    Explanation::of(&plan, contract.stream_name(), times).to_string()
}

/// The tree's lines: where the operator runs, how deep it stands, what it is.
fn operators(text: &str) -> Vec<(&str, usize, &str)> {
    let tree = text.split("\n\n").nth(1).unwrap();
    let cut = tree.lines().map(|line| line.split_at(9));
    cut.map(|(place, rest)| (place.trim_end(), rest.len() - rest.trim_start().len(), rest.trim_start())).collect()
}

#[tokio::test]
async fn explanations_are_worded_as_written_down() {
    let mut wrong = Vec::new();
    for file in cases() {
        let text = explain(&file, &TIMES).await;
        let golden = folder().join(format!("{}.txt", file.name));
        if std::env::var_os("HEADCOUNT_REGOLD").is_some() {
            std::fs::write(&golden, &text).unwrap();
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        if text != expected {
            wrong.push(format!("{} is explained as\n{text}instead of\n{expected}", file.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn every_operator_says_where_it_runs() {
    for file in shipped().into_iter().chain(cases()) {
        let text = explain(&file, &TIMES).await;
        let operators = operators(&text);
        let name = &file.name;
        assert!(operators.iter().all(|(place, ..)| PLACES.contains(place)), "{name}: {operators:?}");
        for place in ["sink", "combine", "shard", "batch"] {
            assert!(operators.iter().any(|(at, ..)| *at == place), "{name} has nothing in {place}");
        }
        // An operator is read by one that runs at the same place or further from the shards' batches, or its window's rows are added to
        // a longer window.
        let rank = |place: &str| PLACES.iter().position(|p| *p == place).unwrap();
        for (i, (place, depth, text)) in operators.iter().enumerate().skip(1) {
            let (above, _, reader) = operators[..i].iter().rev().find(|(_, shallower, _)| shallower < depth).unwrap();
            let over_windows = *place == "window" && reader.starts_with("WindowAggregate over windows");
            assert!(over_windows || rank(above) <= rank(place), "{name}: {place} {text} is read by {above}");
        }
        for inner in ["@", "user_events.", "Utf8(", "Int64(", "Exec", "_row", "Cooperative", "__common"] {
            assert!(!text.contains(inner), "{name} shows DataFusion's {inner}: {text}");
        }
    }
}

#[tokio::test]
async fn the_times_are_those_of_the_job() {
    let times = JobTimes {
        watermark_delay: 150 * MICROS_PER_SEC,
        concurrency: ConcurrencyOptions { closed_retention: 17 * MICROS_PER_MINUTE, ..TIMES.concurrency },
        finest_concurrency_window: Some(5 * MICROS_PER_SEC),
        ..TIMES
    };
    let said = |text: String, words: &[&str]| {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for words in words {
            assert!(text.contains(words), "{words:?} is not said: {text}");
        }
    };
    for file in shipped() {
        let text = explain(&file, &times).await;
        match file.name.as_str() {
            "concurrent_viewers" => said(text, &["buckets of 5 s", "17 min after the last mark", "are 150 s (time.wa"]),
            "revenue" => said(text, &["about 4 at a time", "are 150 s (time.watermark_delay_secs) past window_end"]),
            _ => {}
        }
    }
}

#[tokio::test]
async fn the_example_in_the_documentation_is_what_is_said() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/sql.md")).unwrap();
    let file = shipped().into_iter().find(|file| file.name == "stream_quality_changes").unwrap();
    let text = explain(&file, &TIMES).await;
    let tree = text.split("\n\n").nth(1).unwrap();
    assert!(page.contains(&format!("```text\n{tree}\n```")), "docs/sql.md does not show\n{tree}");
}
