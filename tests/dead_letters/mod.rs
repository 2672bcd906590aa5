//! Dead letters of a lake: what is told of them, and what becomes of them once they can be read.

pub(crate) mod scene;

use std::collections::BTreeMap;
use std::sync::Arc;

use headcount::backfill::Range;
use headcount::dead_letters::{Filter, LetterName, Replayed, find, list};
use headcount::decode::{DeadLetter, Reason};
use headcount::sink::lake::{DEAD_LETTERS, Replacement};
use headcount::types::{MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SEC};

use crate::fixture::{How, TempLake, backfill, batches, table, window_tables, write};
use crate::reference::{Options, Row, Val};
use scene::{
    at, bury, event, gzip, hour, judge, letter, letters, paths, pipelines_of, replay, shipped, strict, try_replay, view,
};

fn counts(r: &Replayed) -> (u64, u64, u64, u64, u64) {
    (r.letters, r.rows, r.duplicates, r.gone, r.still.values().sum())
}

fn still(r: &Replayed) -> Vec<(&str, u64)> {
    r.still.iter().map(|(reason, n)| (reason.as_str(), *n)).collect()
}

/// Raw rows without what only the order of a shard can tell.
fn without_high_time(mut rows: Vec<Row>) -> Vec<Row> {
    rows.iter_mut().for_each(|row| drop(row.remove("shard_high_time")));
    rows.sort();
    rows
}

async fn raw(lake: &TempLake) -> BTreeMap<String, Row> {
    let rows = table(&lake.lake, "user_events").await.into_iter();
    let id = |row: &Row| match &row["event_id"] {
        Val::Str(id) => id.clone(),
        other => panic!("no id: {other:?}"),
    };
    rows.map(|row| (id(&row), row)).collect()
}

/// A producer sends televisions, which the schema does not allow. Two shards; a session that reaches into the next hour; lines with and
/// without an arrival time; one line that is broken for good.
fn televisions(folder: &std::path::Path) -> Vec<String> {
    let tv = r#","device_type":"tv""#;
    let arrived = |t| format!(r#"{tv},"ingest_time":"{}""#, headcount::types::format_micros(t + MICROS_PER_SEC));
    let red = [
        view("r1", "view.started", "a", at(10, 5, 0), &arrived(at(10, 5, 0))),
        view("r2", "view.heartbeat", "a", at(10, 5, 30), r#","device_type":"web""#),
        view("r3", "view.started", "b", at(10, 59, 50), tv),
        "broken".to_owned(),
        view("r4", "view.started", "c", at(11, 30, 0), ""),
    ];
    let blue = [
        view("b1", "view.started", "d", at(10, 5, 10), ""),
        // More than the skew of a clock ahead of all before it: without an arrival time nothing says that it is wrong.
        view("b2", "view.started", "e", at(12, 0, 0), tv),
        view("b3", "view.ended", "e", at(12, 0, 20), tv),
    ];
    // Nothing in it can be read, and nobody knows when it was.
    let green = [view("g1", "view.started", "f", at(10, 7, 0), tv)];
    let file = |name: &str, lines: &[String]| write(folder.join(name), lines.join("\n") + "\n");
    vec![file("red.ndjson", &red), file("blue.ndjson", &blue), file("green.ndjson", &green)]
}

#[tokio::test]
async fn once_the_schema_is_mended_the_lake_is_as_if_it_had_never_been_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = televisions(folder.path());
    let ignoring = Options::default().ignoring_lateness();
    let (wrong, right) = (pipelines_of(strict(), &ignoring).await, pipelines_of(shipped(), &ignoring).await);
    let expected = TempLake::new();
    backfill(&right, &inputs, &expected.lake, How::default()).await;

    let lake = TempLake::new();
    let done = backfill(&wrong, &inputs, &lake.lake, How::default()).await;
    assert_eq!((done.counters.kept, done.counters.dead_letters), (3, 6));
    let replayed = replay(&lake.lake, &shipped(), Filter::default()).await;
    assert_eq!(counts(&replayed), (6, 5, 0, 5, 1));
    assert_eq!(still(&replayed), [("not_json", 1)]);
    assert_eq!(replayed.hours.iter().copied().collect::<Vec<_>>(), [hour(10), hour(12)]);
    let rows = async |lake: &TempLake| without_high_time(table(&lake.lake, "user_events").await);
    assert_eq!(rows(&lake).await, rows(&expected).await);
    assert_eq!(letters(&lake.lake).await, letters(&expected.lake).await);

    assert_ne!(window_tables(&lake.lake, &right).await, window_tables(&expected.lake, &right).await);
    for (from, to) in replayed.stretches() {
        let range = Range::try_new(Some(from), Some(to)).unwrap();
        backfill(&right, &[lake.path("user_events")], &lake.lake, How { range, ..How::default() }).await;
    }
    assert_eq!(window_tables(&lake.lake, &right).await, window_tables(&expected.lake, &right).await);
    assert_eq!(rows(&lake).await, rows(&expected).await);
    assert_eq!(letters(&lake.lake).await, letters(&expected.lake).await);
}

#[tokio::test]
async fn a_second_time_changes_nothing_and_a_dry_run_never_does() {
    let folder = tempfile::tempdir().unwrap();
    let lake = TempLake::new();
    let wrong = pipelines_of(strict(), &Options::default()).await;
    backfill(&wrong, &televisions(folder.path()), &lake.lake, How::default()).await;
    let files = async || (paths(&lake.lake, "user_events").await, paths(&lake.lake, DEAD_LETTERS).await);

    let before = files().await;
    let dry = try_replay(&lake.lake, &shipped(), Filter::default(), judge(), true).await.unwrap();
    assert_eq!(files().await, before);
    let first = replay(&lake.lake, &shipped(), Filter::default()).await;
    assert_eq!((counts(&dry), &dry.hours, &dry.letter_hours), (counts(&first), &first.hours, &first.letter_hours));
    let after = files().await;
    assert!(before.0.iter().all(|path| after.0.contains(path)), "raw files stay as they are, others come beside them");
    assert_ne!(before, after);

    let second = replay(&lake.lake, &shipped(), Filter::default()).await;
    assert_eq!(counts(&second), (1, 0, 0, 0, 1));
    assert!(second.letter_hours.is_empty() && second.hours.is_empty());
    assert_eq!(files().await, after);
    assert!(!lake.folder.path().join("_staging/dead-letters").exists());
}

#[tokio::test]
async fn the_schema_as_it_is_now_says_why_a_letter_still_is_one() {
    let lake = TempLake::new();
    let tip = event("t", "tip.sent", at(10, 0, 0), r#","stream_id":"s","device_type":7"#);
    let old = letter("s1", 1, 0, at(10, 0, 1), &tip, Reason::MissingField);
    bury(&lake.lake, &[old.clone(), letter("s1", 2, 0, at(10, 0, 2), "x", Reason::NotJson)]).await;
    let replayed =
        replay(&lake.lake, &shipped(), Filter { reason: Some(Reason::MissingField), ..Filter::default() }).await;
    assert_eq!((counts(&replayed), still(&replayed)), ((1, 0, 0, 0, 1), vec![("wrong_type", 1)]));
    let now = letters(&lake.lake).await;
    assert_eq!((now.len(), now[0].reason), (2, Reason::WrongType));
    assert!(now[0].message.contains("`device_type` is 7"), "{}", now[0].message);
    assert_eq!(DeadLetter { reason: old.reason, message: old.message.clone(), ..now[0].clone() }, old);
    assert_eq!(now[1].message, "as it was", "it was not asked for");
    // The new message is not new any more.
    let again = replay(&lake.lake, &shipped(), Filter { reason: Some(Reason::WrongType), ..Filter::default() }).await;
    assert!(again.letter_hours.is_empty());
}

#[tokio::test]
async fn only_the_letters_that_were_asked_for_are_touched() {
    let lake = TempLake::new();
    let of = |shard: &str, n: i64, minute: i64| {
        let id = format!("{shard}{n}");
        letter(shard, n, 0, at(10, minute, 1), event(&id, "user.logged_in", at(10, minute, 0), ""), Reason::WrongType)
    };
    bury(&lake.lake, &[of("a", 1, 1), of("a", 2, 2), of("b", 1, 3), of("b", 2, 4)]).await;
    bury(&lake.lake, &[letter("a", 9, 0, at(13, 0, 0), "x", Reason::NotJson)]).await;
    let untouched = lake.lake.list_hour(DEAD_LETTERS, hour(13)).await.unwrap();
    let filter =
        Filter { from: Some(at(10, 2, 1)), to: Some(at(10, 4, 1)), shard: Some("b".to_owned()), ..Filter::default() };
    let replayed = replay(&lake.lake, &shipped(), filter).await;
    assert_eq!(counts(&replayed), (1, 1, 0, 1, 0));
    assert_eq!(raw(&lake).await.into_keys().collect::<Vec<_>>(), ["b1"]);
    let left: Vec<_> =
        letters(&lake.lake).await.into_iter().map(|l| format!("{}{}", l.shard, l.sequence_number)).collect();
    assert_eq!(left, ["a1", "a2", "a9", "b2"]);
    assert_eq!(lake.lake.list_hour(DEAD_LETTERS, hour(13)).await.unwrap(), untouched);
    let reason = Filter { reason: Some(Reason::TooOld), ..Filter::default() };
    assert_eq!(counts(&replay(&lake.lake, &shipped(), reason).await), (0, 0, 0, 0, 0));
}

#[tokio::test]
async fn each_id_becomes_one_row() {
    let lake = TempLake::new();
    let folder = tempfile::tempdir().unwrap();
    // The producer has sent it again, mended; once a little later, in the next hour.
    let mended =
        [event("retried", "user.logged_in", at(10, 30, 0), ""), event("across", "user.logged_in", at(11, 0, 1), "")];
    let input = write(folder.path().join("mended.ndjson"), mended.join("\n"));
    backfill(&pipelines_of(shipped(), &Options::default()).await, &[input], &lake.lake, How::default()).await;
    let line = |n: i64, id: &str, t| {
        letter("s", n, 0, t + MICROS_PER_SEC, event(id, "user.logged_in", t, ""), Reason::WrongType)
    };
    let far = at(13, 0, 0);
    bury(
        &lake.lake,
        &[
            line(1, "retried", at(10, 30, 0)),
            line(2, "across", at(10, 59, 59)),
            line(3, "twice", at(10, 31, 0)),
            line(4, "twice", at(10, 32, 0)),
            // An id of another day is another event's, as for a run.
            line(5, "retried", far + MICROS_PER_DAY),
        ],
    )
    .await;
    let replayed = replay(&lake.lake, &shipped(), Filter { to: Some(far), ..Filter::default() }).await;
    assert_eq!(counts(&replayed), (4, 1, 3, 4, 0));
    let rows = table(&lake.lake, "user_events").await;
    let mut ids: Vec<_> = rows.iter().map(|row| (row["event_id"].clone(), row["event_time"].clone())).collect();
    ids.sort();
    let row = |id: &str, t| (Val::Str(id.to_owned()), Val::Int(t));
    assert_eq!(ids, [row("across", at(11, 0, 1)), row("retried", at(10, 30, 0)), row("twice", at(10, 31, 0))]);
    let replayed = replay(&lake.lake, &shipped(), Filter::default()).await;
    assert_eq!(counts(&replayed), (1, 1, 0, 1, 0));
    assert!(letters(&lake.lake).await.is_empty());
}

#[tokio::test]
async fn a_whole_record_becomes_all_its_rows_and_no_number_comes_twice() {
    let lake = TempLake::new();
    let login = |id: &str| event(id, "user.logged_in", at(10, 0, 0), "");
    // An aggregate whose second and third records could not be opened together with what was read beside them.
    let packed = |ids: &[&str]| gzip(ids.iter().map(|id| login(id)).collect::<Vec<_>>().join("\n").as_bytes());
    let half = gzip(format!("[{},\n{{\"event_id\":\"bad\"}},\n{}]", login("d"), login("e")).as_bytes());
    let whole = |sub, data: Vec<u8>| letter("s", 7, sub, at(10, 0, 5), data, Reason::BadCompression);
    bury(
        &lake.lake,
        &[
            whole(1, packed(&["a", "b", "c"])),
            whole(2, half),
            letter("s", 7, 3, at(10, 0, 5), login("f"), Reason::WrongType),
            letter("s", 8, 0, at(10, 0, 5), " \n", Reason::BadAggregate),
        ],
    )
    .await;
    let replayed = replay(&lake.lake, &shipped(), Filter::default()).await;
    assert_eq!(counts(&replayed), (4, 6, 0, 2, 2));
    assert_eq!(still(&replayed), [("bad_aggregate", 1), ("missing_field", 1)]);
    let rows = raw(&lake).await;
    let number = |id: &str| match rows[id]["sub_sequence_number"] {
        Val::Int(n) => n,
        _ => panic!("{id} has no number"),
    };
    let range = 1_i64 << 32;
    assert_eq!(["a", "b", "c"].map(number), [1, 2 * range + 1, 2 * range + 2]);
    assert_eq!(["d", "e", "f"].map(number), [2, 3 * range + 2, 3]);
    assert!(
        rows.values().all(
            |row| row["sequence_number"] == Val::Str("7".to_owned()) && row["shard_id"] == Val::Str("s".to_owned())
        )
    );
    let left = letters(&lake.lake).await;
    assert_eq!((left[0].data.as_ref(), left[0].sub_sequence_number), (&br#"{"event_id":"bad"}"#[..], 3 * range + 1));
    assert_eq!(left[1].message, "as it was", "it holds no event: it is kept all the same");
    let again = replay(&lake.lake, &shipped(), Filter::default()).await;
    assert!(again.letter_hours.is_empty(), "{again:?}");
}

#[tokio::test]
async fn a_letter_that_yields_nothing_keeps_its_bytes_in_one_piece() {
    let lake = TempLake::new();
    let packed = gzip(b"{\"event_id\":\"1\"}\n{\"event_id\":\"2\"}\n");
    bury(&lake.lake, &[letter("s", 1, 0, at(10, 0, 0), packed.clone(), Reason::BadCompression)]).await;
    let replayed = replay(&lake.lake, &shipped(), Filter::default()).await;
    assert_eq!(still(&replayed), [("missing_field", 1)]);
    let left = letters(&lake.lake).await;
    assert_eq!((left.len(), &left[0].data[..]), (1, &packed[..]));
    assert!(left[0].message.ends_with("none of its 2 events can be used"), "{}", left[0].message);
    assert!(replay(&lake.lake, &shipped(), Filter::default()).await.letter_hours.is_empty());
}

#[tokio::test]
async fn a_row_is_judged_by_its_own_arrival() {
    let lake = TempLake::new();
    let arrival = at(10, 0, 0);
    let login = |n, id: &str, t, more: &str| {
        letter("s", n, 0, arrival, event(id, "user.logged_in", t, more), Reason::WrongType)
    };
    let forged = r#","shard_id":"other","sequence_number":"99","ingest_time":0,"shard_high_time":0"#;
    bury(
        &lake.lake,
        &[
            login(1, "ahead", arrival + MICROS_PER_HOUR, ""),
            login(2, "in-time", arrival - MICROS_PER_MINUTE, forged),
            login(3, "old", arrival - 8 * MICROS_PER_DAY, ""),
        ],
    )
    .await;
    let replayed = replay(&lake.lake, &shipped(), Filter::default()).await;
    assert_eq!((counts(&replayed), still(&replayed)), ((3, 2, 0, 2, 1), vec![("too_old", 1)]));
    let rows = raw(&lake).await;
    let of = |id: &str, column: &str| rows[id][column].clone();
    assert_eq!(
        (of("ahead", "event_time"), of("ahead", "event_time_original")),
        (Val::Int(arrival), Val::Int(arrival + MICROS_PER_HOUR))
    );
    assert_eq!((of("in-time", "event_time_original"), of("in-time", "ingest_time")), (Val::Null, Val::Int(arrival)));
    assert_eq!(
        (of("in-time", "shard_id"), of("in-time", "sequence_number")),
        (Val::Str("s".into()), Val::Str("2".into()))
    );
    for id in ["ahead", "in-time"] {
        assert_eq!(of(id, "shard_high_time"), Val::Int(arrival - 30 * MICROS_PER_SEC));
    }
    // With a limit that lets it in.
    let mut patient = judge();
    patient.skew.max_event_age = 30 * MICROS_PER_DAY;
    let replayed = try_replay(&lake.lake, &shipped(), Filter::default(), patient, false).await.unwrap();
    assert_eq!(counts(&replayed), (1, 1, 0, 1, 0));
    assert_eq!(raw(&lake).await["old"]["event_time"], Val::Int(arrival - 8 * MICROS_PER_DAY));
}

/// A later backfill that judges lateness takes the verdict from the row: late if it came a minute after its window.
#[tokio::test]
async fn lateness_is_replayed_by_what_the_row_carries() {
    let lake = TempLake::new();
    let tip = |n: i64, id: &str, t, arrival| {
        letter("s", n, 0, arrival, event(id, "tip.sent", t, r#","stream_id":"s","amount_minor":5"#), Reason::WrongType)
    };
    let (timely, late) = (tip(1, "timely", at(10, 0, 0), at(10, 1, 59)), tip(2, "late", at(10, 5, 0), at(10, 7, 1)));
    bury(&lake.lake, &[timely, late]).await;
    replay(&lake.lake, &shipped(), Filter::default()).await;
    let judging = pipelines_of(shipped(), &Options::default()).await;
    backfill(&judging, &[lake.path("user_events")], &lake.lake, How::default()).await;
    let of = async |name: &str, column: &str| -> Vec<Val> {
        table(&lake.lake, name).await.iter().map(|row| row[column].clone()).collect()
    };
    assert_eq!(of("revenue", "window_start").await, [Val::Int(at(10, 0, 0))]);
    assert_eq!(of("_late/revenue", "event_id").await, [Val::Str("late".into())]);
}

#[tokio::test]
async fn a_row_of_a_parquet_file_can_be_replayed_too() {
    let (lake, folder) = (TempLake::new(), tempfile::tempdir().unwrap());
    // Rows without a verdict, as another program writes them: one is too old, and carries JSON.
    let old = event("old", "user.logged_in", at(10, 0, 0) - 8 * MICROS_PER_DAY, r#","properties":{"a":[1]}"#);
    let line = old.replacen('{', &format!(r#"{{"ingest_time":{},"#, at(10, 0, 0) / 1_000), 1);
    let first = TempLake::new();
    let input = write(folder.path().join("a.ndjson"), line);
    let mut patient = pipelines_of(shipped(), &Options::default()).await;
    Arc::get_mut(&mut patient).unwrap().options.judge.skew.max_event_age = 30 * MICROS_PER_DAY;
    backfill(&patient, &[input], &first.lake, How::default()).await;
    let mut rows = batches(&first.lake, "user_events").await.remove(0);
    rows.remove_column(rows.schema().index_of("shard_high_time").unwrap());
    let mut file = parquet::arrow::ArrowWriter::try_new(Vec::new(), rows.schema(), None).unwrap();
    file.write(&rows).unwrap();
    let parquet = write(folder.path().join("a.parquet"), file.into_inner().unwrap());

    backfill(&pipelines_of(shipped(), &Options::default()).await, &[parquet], &lake.lake, How::default()).await;
    assert_eq!(letters(&lake.lake).await[0].reason, Reason::TooOld);
    let mut judge = judge();
    judge.skew.max_event_age = 30 * MICROS_PER_DAY;
    let replayed = try_replay(&lake.lake, &shipped(), Filter::default(), judge, false).await.unwrap();
    assert_eq!(counts(&replayed), (1, 1, 0, 1, 0));
    let rows = async |lake: &TempLake| without_high_time(table(&lake.lake, "user_events").await);
    assert_eq!(rows(&lake).await, rows(&first).await);
}

#[tokio::test]
async fn letters_that_come_meanwhile_stay_and_two_replays_do_not_meet() {
    let lake = TempLake::new();
    let login = |n: i64| {
        letter("s", n, 0, at(10, 0, n), event(&n.to_string(), "user.logged_in", at(10, 0, 0), ""), Reason::WrongType)
    };
    bury(&lake.lake, &[login(1)]).await;
    let other = Replacement::begin_alone(&lake.lake, "dead-letters").await.unwrap();
    let e = try_replay(&lake.lake, &shipped(), Filter::default(), judge(), false).await.unwrap_err();
    assert_eq!((e.exit_code(), e.message().contains("under way")), (1, true), "{e}");
    other.abort().await.unwrap();

    // Interrupted before it began: nothing has happened.
    let e = scene::interrupted(&lake.lake, &shipped()).await;
    assert!(e.message().contains("the lake is unchanged"), "{e}");
    assert_eq!((letters(&lake.lake).await.len(), raw(&lake).await.len()), (1, 0));
    bury(&lake.lake, &[login(2)]).await;
    let first = Filter { to: Some(at(10, 0, 2)), ..Filter::default() };
    assert_eq!(counts(&replay(&lake.lake, &shipped(), first).await), (1, 1, 0, 1, 0));
    assert_eq!(letters(&lake.lake).await, [login(2)]);
}

#[tokio::test]
async fn the_newest_are_listed_and_all_are_counted() {
    let lake = TempLake::new();
    assert_eq!(list(&lake.lake, &Filter::default(), 5).await.unwrap().letters(), 0);
    let of = |n: i64| {
        letter(
            "s",
            n,
            0,
            at(10, 0, n),
            "x".repeat(n as usize),
            if n % 3 == 0 { Reason::NotJson } else { Reason::TooOld },
        )
    };
    let all: Vec<DeadLetter> = (1..=100).map(of).collect();
    for part in all.chunks(40) {
        bury(&lake.lake, part).await;
    }
    bury(&lake.lake, &[letter("s", 0, 0, at(8, 0, 0), "", Reason::NotJson)]).await;
    let listing = list(&lake.lake, &Filter::default(), 3).await.unwrap();
    let newest: Vec<_> = listing.newest.iter().map(|h| (h.sequence_number.as_str(), h.bytes, h.arrival_time)).collect();
    assert_eq!(
        newest,
        [("100", 100, Some(at(10, 0, 100))), ("99", 99, Some(at(10, 0, 99))), ("98", 98, Some(at(10, 0, 98)))]
    );
    assert_eq!(listing.by_reason, BTreeMap::from([("not_json".to_owned(), 34), ("too_old".to_owned(), 67)]));
    let early = Filter { reason: Some(Reason::NotJson), to: Some(at(9, 0, 0)), ..Filter::default() };
    let listing = list(&lake.lake, &early, 9).await.unwrap();
    assert_eq!((listing.newest.len(), listing.newest[0].sequence_number.as_str(), listing.files), (1, "0", 1));
    assert_eq!(list(&lake.lake, &Filter::default(), 0).await.unwrap().newest, []);
}

#[tokio::test]
async fn a_letter_is_found_by_its_name() {
    let lake = TempLake::new();
    let of = |shard: &str, n: i64, sub: i64, data: &str| letter(shard, n, sub, at(10, 0, n), data, Reason::NotJson);
    bury(&lake.lake, &[of("a", 1, 0, "a1"), of("a", 1, 2, "a1:2"), of("b", 1, 0, "b1"), of("b", 2, 0, "b2")]).await;
    bury(&lake.lake, &[of("b", 2, 0, "b2")]).await;
    let find = async |name: &str, shard: Option<&str>| {
        let filter = Filter { shard: shard.map(str::to_owned), ..Filter::default() };
        let found = find(&lake.lake, &filter, &name.parse::<LetterName>().unwrap()).await;
        found.map(|all| all.into_iter().map(|w| String::from_utf8(w.data.to_vec()).unwrap()).collect::<Vec<_>>())
    };
    assert_eq!(find("1:2", None).await.unwrap(), ["a1:2"]);
    assert_eq!(find("1", Some("b")).await.unwrap(), ["b1"]);
    assert_eq!(find("2", None).await.unwrap(), ["b2", "b2"], "a record that was read again");
    let e = find("1:0", None).await.unwrap_err();
    assert!(e.message().ends_with("1:0 --shard a, 1:0 --shard b"), "{e}");
    assert!(find("1", Some("a")).await.unwrap_err().message().contains("1:2 --shard a"));
    for (name, shard) in [("3", None), ("1", Some("c")), ("1:1", None)] {
        assert_eq!(find(name, shard).await.unwrap_err().message(), "there is no such dead letter");
    }
}

#[tokio::test]
async fn what_is_no_table_of_letters_is_named() {
    let lake = TempLake::new();
    let place = lake.folder.path().join("_dead_letters/year=2026/month=02/day=03/hour=10/x.parquet");
    write(&place, "no Parquet");
    let e = list(&lake.lake, &Filter::default(), 5).await.unwrap_err();
    assert!(e.exit_code() == 1 && e.place().unwrap().ends_with("x.parquet"), "{e}");
    assert!(try_replay(&lake.lake, &shipped(), Filter::default(), judge(), false).await.is_err());
    assert!(!lake.folder.path().join("_staging/dead-letters").exists());
}
