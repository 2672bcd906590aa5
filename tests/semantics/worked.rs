//! The worked cases of the definition, as a table: in order, in reverse, and over several shards.

use crate::harness::Run;
use crate::reference::{Lateness, Options, SEC};

use super::scene::{Event, Job, concurrency, lines, scene, spread};

struct Case {
    number: u32,
    scene: &'static str,
    timeout: i64,
    /// Window start, then min, avg and max of the viewers, and unique viewers.
    windows: &'static [&'static str],
    duplicates: u64,
    ignored: u64,
    clamped: u64,
}

const fn case(number: u32, scene: &'static str, windows: &'static [&'static str]) -> Case {
    Case { number, scene, timeout: 60, windows, duplicates: 0, ignored: 0, clamped: 0 }
}

/// `C…` at the end is of another stream: it opens a window that would not be emitted otherwise.
const CASES: [Case; 17] = [
    case(1, "J10 H30 L40", &["0 0 0.5000 1 1"]),
    case(2, "J10 H30 H50 C119", &["0 0 0.8333 1 1", "60 0 0.8333 1 1"]),
    Case { timeout: 90, ..case(3, "J0 L60 C119", &["0 1 1.0000 1 1", "60 0 0.0000 0 0"]) },
    case(4, "J10 L10", &["0 0 0.0000 0 0"]),
    Case { duplicates: 1, ..case(5, "J10 J10 L40", &["0 0 0.5000 1 1"]) },
    case(6, "J10 L40 H30", &["0 0 0.5000 1 1"]),
    Case { ignored: 1, ..case(7, "J10 L40 H50", &["0 0 0.5000 1 1"]) },
    case(8, "H30 H50 L55", &["0 0 0.4167 1 1"]),
    case(9, "J0 H60 L70 C119", &["0 1 1.0000 1 1", "60 0 0.1667 1 1"]),
    case(10, "J0 H80 L90 C119", &["0 1 1.0000 1 1", "60 0 0.1667 1 1"]),
    case(11, "J0 H20 B:J30<A B:L60 C119", &["0 1 1.0000 1 2", "60 0 0.0000 0 0"]),
    Case { clamped: 1, ..case(12, "J10000@10 L40", &["0 0 0.5000 1 1"]) },
    Case { ignored: 1, ..case(13, "J10 H30 H50 E45", &["0 0 0.5833 1 1"]) },
    case(14, "J0 P20 R40 L50", &["0 0 0.5000 1 1"]),
    Case { timeout: 90, ..case(15, "S1:J0=v S2:J0=v S1:L30=v S2:L60=v C119", &["0 1 1.5000 2 1", "60 0 0.0000 0 0"]) },
    case(16, "J0 L30 B:J30 B:L60 C119", &["0 1 1.0000 1 2", "60 0 0.0000 0 0"]),
    case(17, "J0 L20 J40 L50", &["0 0 0.5000 1 1"]),
];

/// Whether rows may come in any order: only with a delay that makes nothing late.
#[derive(Clone, Copy, PartialEq)]
enum Delay {
    AsShipped,
    Long,
}

fn check(delay: Delay, arranged: impl Fn(Vec<Event>) -> Vec<Event>) {
    let job = |timeout: i64| {
        let lateness = match delay {
            Delay::AsShipped => Options::default().lateness,
            Delay::Long => Lateness::Replay { delay: 120 * SEC, allowed: 0 },
        };
        let options = Options { lateness, session_timeout: timeout * SEC, ..Options::default() };
        Job::new(&[concurrency("of_stream", 60, &["stream_id"]), concurrency("total", 60, &[])], options)
    };
    let jobs = [(60, job(60)), (90, job(90))];
    for case in CASES {
        let (_, job) = jobs.iter().find(|(timeout, _)| *timeout == case.timeout).unwrap();
        verify(&case, &job.run(&arranged(scene(case.scene))));
    }
}

fn verify(case: &Case, run: &Run) {
    const COLUMNS: &str = "window_start viewers_min viewers_avg viewers_max unique_viewers";
    let number = case.number;
    assert_eq!(lines(&run.tables["total"], COLUMNS), case.windows, "case {number}");
    // A stream has a row where somebody was present.
    let of_stream: Vec<&str> = case.windows.iter().copied().filter(|w| !w.ends_with(" 0 0")).collect();
    assert_eq!(lines(&run.tables["of_stream"], COLUMNS), of_stream, "case {number}, by stream");
    assert_eq!(run.counters.duplicates, case.duplicates, "case {number}: duplicates");
    assert_eq!(run.counters.clamped, case.clamped, "case {number}: clamped");
    let counts = run.counters.pipelines["of_stream"];
    assert_eq!(counts.ignored_touches, case.ignored, "case {number}: ignored touches");
    assert_eq!(counts.late, 0, "case {number}: late");
}

#[test]
fn the_worked_cases() {
    check(Delay::AsShipped, |events| events);
}

#[test]
fn the_worked_cases_read_in_reverse() {
    check(Delay::Long, |events| events.into_iter().rev().collect());
}

#[test]
fn the_worked_cases_over_two_shards() {
    check(Delay::AsShipped, |events| spread(&events, 2));
}

#[test]
fn the_worked_cases_over_three_shards_in_reverse() {
    check(Delay::Long, |events| spread(&events, 3).into_iter().rev().collect());
}
