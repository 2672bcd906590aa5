//! The worked cases of the definition, as a table.

use super::super::reference::{MINUTE, Options, SEC, Val, concurrency};
use super::*;

struct Case {
    number: u32,
    scene: &'static str,
    timeout: i64,
    presence: &'static [(&'static str, &'static [(i64, i64)])],
    /// Window start, min, avg in micros of presence per window, max, unique.
    windows: &'static [(i64, i64, i64, i64, i64)],
    duplicates: usize,
    ignored: usize,
}

const fn case(number: u32, scene: &'static str) -> Case {
    Case { number, scene, timeout: 60, presence: &[], windows: &[], duplicates: 0, ignored: 0 }
}

/// `C…` at the end only keeps the windows going.
const CASES: [Case; 17] = [
    Case { presence: &[("A", &[(10, 40)])], windows: &[(0, 0, 30, 1, 1)], ..case(1, "J10 H30 L40 C59") },
    Case {
        presence: &[("A", &[(10, 110)])],
        windows: &[(0, 0, 50, 1, 1), (60, 0, 50, 1, 1)],
        ..case(2, "J10 H30 H50 C119")
    },
    Case {
        timeout: 90,
        presence: &[("A", &[(0, 60)])],
        windows: &[(0, 1, 60, 1, 1), (60, 0, 0, 0, 0)],
        ..case(3, "J0 L60")
    },
    Case { presence: &[("A", &[])], windows: &[(0, 0, 0, 0, 0)], ..case(4, "J10 L10") },
    Case { presence: &[("A", &[(10, 40)])], windows: &[(0, 0, 30, 1, 1)], duplicates: 1, ..case(5, "J10 J10 L40") },
    Case { presence: &[("A", &[(10, 40)])], windows: &[(0, 0, 30, 1, 1)], ..case(6, "J10 L40 H30") },
    Case { presence: &[("A", &[(10, 40)])], windows: &[(0, 0, 30, 1, 1)], ignored: 1, ..case(7, "J10 L40 H50") },
    Case { presence: &[("A", &[(30, 55)])], windows: &[(0, 0, 25, 1, 1)], ..case(8, "H30 H50 L55") },
    Case { presence: &[("A", &[(0, 70)])], windows: &[(0, 1, 60, 1, 1), (60, 0, 10, 1, 1)], ..case(9, "J0 H60 L70") },
    Case {
        presence: &[("A", &[(0, 60), (80, 90)])],
        windows: &[(0, 1, 60, 1, 1), (60, 0, 10, 1, 1)],
        ..case(10, "J0 H80 L90")
    },
    Case {
        presence: &[("A", &[(0, 30)]), ("B", &[(30, 60)])],
        windows: &[(0, 1, 60, 1, 2), (60, 0, 0, 0, 0)],
        ..case(11, "J0 H20 B:J30<A B:L60")
    },
    // 12 is a matter of arrival: see below. This is what it comes to.
    Case { presence: &[("A", &[(10, 40)])], windows: &[(0, 0, 30, 1, 1)], ..case(12, "J10 L40") },
    Case { presence: &[("A", &[(10, 45)])], windows: &[(0, 0, 35, 1, 1)], ignored: 1, ..case(13, "J10 H30 H50 E45") },
    Case { presence: &[("A", &[(0, 20), (40, 50)])], windows: &[(0, 0, 30, 1, 1)], ..case(14, "J0 P20 R40 L50") },
    // One viewer with two sessions: the viewer is set below.
    Case {
        timeout: 90,
        presence: &[("S1", &[(0, 30)]), ("S2", &[(0, 60)])],
        windows: &[(0, 1, 90, 2, 1)],
        ..case(15, "S1:J0 S2:J0 S1:L30 S2:L60")
    },
    Case {
        presence: &[("A", &[(0, 30)]), ("B", &[(30, 60)])],
        windows: &[(0, 1, 60, 1, 2)],
        ..case(16, "J0 L30 B:J30 B:L60")
    },
    Case { presence: &[("A", &[(0, 20), (40, 50)])], windows: &[(0, 0, 30, 1, 1)], ..case(17, "J0 L20 J40 L50") },
];

#[test]
fn the_worked_cases() {
    for case in CASES {
        let options = Options { session_timeout: case.timeout * SEC, ..Options::default() };
        let mut judged = scene(case.scene);
        if case.number == 15 {
            for event in &mut judged.kept {
                event.fields.insert("viewer_id".to_owned(), json!("the only one"));
            }
        }
        let number = case.number;
        assert_eq!(judged.duplicates.len(), case.duplicates, "case {number}: duplicates");
        for (session, expected) in case.presence {
            assert_eq!(intervals(&judged, session, &options), *expected, "case {number}: presence of {session}");
        }
        assert_eq!(presence_of(&judged, &options).ignored.len(), case.ignored, "case {number}: ignored touches");
        let rows = concurrency(&judged.kept, &options, MINUTE, &[]);
        for (start, min, presence, max, unique) in case.windows {
            let row = window(&rows, *start);
            let expected = [
                ("viewers_min", Val::Int(*min)),
                ("viewers_avg", Val::Float((presence * SEC) as f64 / MINUTE as f64)),
                ("viewers_max", Val::Int(*max)),
                ("unique_viewers", Val::Int(*unique)),
                ("viewer_minutes", Val::Float((presence * SEC) as f64 / 60e6)),
            ];
            for (column, value) in expected {
                assert_eq!(row[column], value, "case {number}, window {start}: {column}");
            }
        }
    }
}

#[test]
fn averages_print_as_the_definition_has_them() {
    let averages = |number: usize| {
        let rows = concurrency(&scene(CASES[number - 1].scene).kept, &Options::default(), MINUTE, &[]);
        match window(&rows, 0)["viewers_avg"] {
            Val::Float(avg) => format!("{avg:.4}"),
            _ => panic!("an average is a float"),
        }
    };
    assert_eq!(averages(1), "0.5000");
    assert_eq!(averages(2), "0.8333");
    assert_eq!(averages(8), "0.4167");
    assert_eq!(averages(13), "0.5833");
}

#[test]
fn case_12_a_clock_far_ahead_is_set_to_the_arrival_and_moves_no_watermark() {
    let view = json!({"stream_id": "s", "session_id": "A"});
    let judged = judged(&[(10, event("view.started", 10_000, view.clone())), (40, event("view.ended", 40, view))]);
    assert_eq!(judged.kept[0].event_time, at(10));
    assert_eq!(judged.kept[0].event_time_original, Some(at(10_000)));
    assert_eq!(judged.kept[1].shard_high_time, Some(at(10)));
    assert_eq!(intervals(&judged, "A", &Options::default()), [(10, 40)]);
}

#[test]
fn split_over_shards_or_not_a_session_is_the_same() {
    for case in CASES {
        let whole = scene(case.scene);
        let mut split = whole.clone();
        split.kept.reverse();
        for (event, shard) in split.kept.iter_mut().zip(["0", "1", "2"].into_iter().cycle()) {
            event.place.shard = shard.to_owned();
        }
        let options = Options { session_timeout: case.timeout * SEC, ..Options::default() };
        assert_eq!(
            concurrency(&whole.kept, &options, MINUTE, &[]),
            concurrency(&split.kept, &options, MINUTE, &[]),
            "case {}",
            case.number
        );
    }
}
