//! Starts that go wrong, or are killed: they cost the stream no event, and the run beside them nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use headcount::clock::SystemClock;
use headcount::source::kinesis::{KinesisOptions, KinesisSource, PutRecord};

use super::process::{PATIENCE, Process, Program};
use super::{STREAM, environment};
use crate::fixture::{open, table};

/// A stream of its own, and a program that reads it.
async fn stream(folder: &std::path::Path) -> (Program, Process, KinesisSource) {
    let mut program = Program::new(folder);
    let mut kinesis = program.start(&["kinesis", "--port", "0", "--stream", STREAM]);
    let url = super::url_of(&mut kinesis);
    program.env = environment(folder, &url);
    let source = KinesisSource::connect(KinesisOptions::loopback(STREAM, &url), Arc::new(SystemClock)).await.unwrap();
    (program, kinesis, source)
}

fn logins(name: &str) -> Vec<PutRecord> {
    let time = headcount::types::format_micros(headcount::clock::Clock::now(&SystemClock));
    let record = |n| PutRecord {
        partition_key: format!("{n}"),
        data: format!(
            r#"{{"schema_version":"1","event_id":"{name}-{n}","event_type":"user.logged_in","event_time":"{time}"}}"#
        )
        .into_bytes(),
    };
    (0..40).map(record).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_start_at_the_tip_that_is_killed_before_it_commits_loses_nothing_that_comes_after() {
    let folder = tempfile::tempdir().unwrap();
    let (mut program, _kinesis, source) = stream(folder.path()).await;
    program.env.push(("HEADCOUNT__SOURCE__START".to_owned(), "latest".to_owned()));
    let mut producer = source.producer();
    // Before anybody asks. What comes within the margin of the clocks may be read.
    producer.put(logins("before")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(7)).await;
    for name in ["first", "second"] {
        let mut killed = program.start(&["run"]);
        killed.wait_for("goes on with the application");
        killed.kill();
        producer.put(logins(name)).await.unwrap();
    }
    let mut running = program.start(&["run"]);
    let begun = Instant::now();
    while !program.run(&["checkpoint", "show"]).contains("events read   80") {
        assert!(begun.elapsed() < PATIENCE, "not everything is read:\n{}", running.said.join("\n"));
        running.hears(" committed ", Duration::from_secs(1));
    }
    running.terminate();
    assert!(running.end().success(), "{}", running.said.join("\n"));
    let rows = table(&open(&folder.path().join("lake")), "user_events").await;
    assert_eq!(rows.len(), 80, "what came while nobody read, each once, and nothing from before");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_cannot_work_does_not_shut_out_the_run_that_does() {
    let folder = tempfile::tempdir().unwrap();
    let (mut program, _kinesis, _source) = stream(folder.path()).await;
    let mut healthy = program.start(&["run"]);
    healthy.wait_for(" committed ");
    // Nobody answers there.
    program.env.push(("HEADCOUNT__SOURCE__ENDPOINT_URL".to_owned(), "http://127.0.0.1:1".to_owned()));
    let mut wrong = program.start(&["run"]);
    wrong.wait_for("a call failed");
    // It was not shut out before that, and is not by it.
    for _ in 0..3 {
        healthy.wait_for(" committed ");
    }
    let said = wrong.kill();
    assert!(!said.iter().any(|line| line.contains("goes on with the application")), "{}", said.join("\n"));
    healthy.terminate();
    assert!(healthy.end().success(), "{}", healthy.said.join("\n"));
}
