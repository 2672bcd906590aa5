//! Timeouts of a query's own: each table counts by its own, whatever the others of the job count by.

use crate::harness::Run;
use crate::reference::Options;

use super::scene::{Job, concurrency, concurrency_by, lines, scene};

const COLUMNS: &str = "window_start viewers_min viewers_max unique_viewers";

/// What the tables of a job say of one scene, and how many touches each of them ignored.
fn shows(run: &Run, table: &str, rows: &[&str], ignored: u64) {
    assert_eq!(lines(&run.tables[table], COLUMNS), rows, "{table}");
    assert_eq!(run.counters.pipelines[table].ignored_touches, ignored, "ignored touches of {table}");
}

#[test]
fn each_table_counts_by_its_own_timeouts() {
    let files = [
        concurrency("as_the_job", 60, &[]),
        concurrency_by("longer", 60, &[], &[("SESSION_TIMEOUT", 90)]),
        concurrency_by("longer_by_stream", 60, &["stream_id"], &[("session_timeout", 90)]),
        concurrency_by("forgets", 60, &[], &[("SESSION_TIMEOUT", 20), ("CLOSED_RETENTION", 30)]),
    ];
    // A is present from 10 and ends at 20; its heartbeat at 60 is too late to count, but where ends are forgotten after 30 s.
    let run = Job::new(&files, Options::default()).run(&scene("J10 L20 H60 B:J30 C200"));
    let empty = ["120 0 0 0", "180 0 0 0"];
    shows(&run, "as_the_job", &[&["0 0 1 2", "60 0 1 1"][..], &empty].concat(), 1);
    shows(&run, "longer", &[&["0 0 1 2", "60 1 1 1"][..], &empty].concat(), 1);
    shows(&run, "longer_by_stream", &["0 0 1 2", "60 1 1 1"], 1);
    shows(&run, "forgets", &[&["0 0 1 2", "60 0 1 1"][..], &empty].concat(), 0);
}

#[test]
fn streams_are_active_by_the_timeouts_of_the_query() {
    let active = |text: &str, timeouts: &[(&str, i64)]| {
        let files = [concurrency("as_the_job", 60, &[]), concurrency_by("own", 60, &[], timeouts)];
        let run = Job::new(&files, Options::default()).run(&scene(text));
        lines(&run.tables["own"], "window_start active_streams")
    };
    // One that nobody announced; the other stream's chat keeps windows going and makes no stream active.
    let touched = "J10 L20 C200";
    assert_eq!(active(touched, &[("STREAM_TIMEOUT", 30)]), ["0 0", "60 0", "120 0", "180 0"]);
    assert_eq!(active(touched, &[("STREAM_TIMEOUT", 100)]), ["0 1", "60 1", "120 0", "180 0"]);
    let announced = "S10 C200";
    assert_eq!(active(announced, &[]), ["0 1", "60 1", "120 1", "180 1"]);
    let short = [("STREAM_TIMEOUT", 60), ("ANNOUNCED_TIMEOUT", 60)];
    assert_eq!(active(announced, &short), ["0 1", "60 0", "120 0", "180 0"]);
}
