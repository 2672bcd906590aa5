//! A backfill into hours that have dead letters: those of its own input are replaced, all others stay.

use headcount::decode::{DeadLetter, Reason};
use headcount::sink::lake::{RollPolicy, TableSpec, TableWriter};
use headcount::types::{MICROS_PER_MINUTE, Micros};

use super::{event, event_arriving, hour, pipelines};
use crate::fixture::{How, TempLake, backfill, dead_letters, write};
use crate::reference::Options;

/// A file of one event at 10:20 and then these lines.
fn file(folder: &tempfile::TempDir, name: &str, lines: &[&str]) -> String {
    let start = event(&format!("start-{name}"), "view.started", hour(10) + 20 * MICROS_PER_MINUTE, "");
    let lines: Vec<&str> = std::iter::once(start.as_str()).chain(lines.iter().copied()).collect();
    write(folder.path().join(name), lines.join("\n"))
}

/// Where the letters of 10:00 are from and what they are, in their order by content.
async fn letters(lake: &TempLake) -> Vec<String> {
    dead_letters(&lake.lake).await.iter().map(|l| format!("{}:{} {}", l.shard, l.sequence_number, l.data)).collect()
}

/// Writes letters that a live run has left of a shard, one a record, in one file.
async fn live_letters(lake: &TempLake, letters: &[(&str, Micros, &str)]) {
    let policy = RollPolicy { bytes_max: 1 << 20, age_max: MICROS_PER_MINUTE };
    let clock = std::sync::Arc::new(headcount::clock::SystemClock);
    let mut writer = TableWriter::new(lake.lake.clone(), TableSpec::dead_letters("live"), policy, clock);
    let letter = |&(number, arrival, data): &(&str, Micros, &str)| DeadLetter {
        data: data.to_owned().into(),
        shard: "red".into(),
        sequence_number: number.into(),
        sub_sequence_number: 0,
        arrival_time: Some(arrival),
        reason: Reason::NotJson,
        message: "not JSON".to_owned(),
    };
    let letters: Vec<DeadLetter> = letters.iter().map(letter).collect();
    writer.write(&DeadLetter::to_batch(&letters).unwrap()).await.unwrap();
    writer.close().await.unwrap();
}

#[tokio::test]
async fn letters_of_other_inputs_stay_and_those_of_the_same_are_replaced() {
    let pipelines = pipelines(Options::default()).await;
    let (lake, folder) = (TempLake::new(), tempfile::tempdir().unwrap());
    let red = file(&folder, "a/red.ndjson", &["r one", "r two"]);
    let blue = file(&folder, "a/blue.ndjson", &["b one"]);
    // Both shards' letters are in one file of the lake.
    backfill(&pipelines, &[red.clone(), blue.clone()], &lake.lake, How::default()).await;
    assert_eq!(letters(&lake).await, ["blue:2 b one", "red:2 r one", "red:3 r two"]);

    // One line of the file is mended, so that the numbers are others.
    let mended = file(&folder, "b/red.ndjson", &["r two"]);
    backfill(&pipelines, std::slice::from_ref(&mended), &lake.lake, How::default()).await;
    assert_eq!(letters(&lake).await, ["blue:2 b one", "red:2 r two"]);
    let kept = lake.lake.list_hour("_dead_letters", hour(10)).await.unwrap();
    let again = backfill(&pipelines, &[mended], &lake.lake, How::default()).await;
    assert_eq!(letters(&lake).await, ["blue:2 b one", "red:2 r two"], "the same again changes nothing");
    let now = lake.lake.list_hour("_dead_letters", hour(10)).await.unwrap();
    assert_eq!(now.iter().filter(|file| kept.contains(file)).count(), 1, "a file that loses no letter is left alone");
    assert_eq!(again.counters.dead_letters, 1);

    let green = file(&folder, "c/green.ndjson", &["g one"]);
    backfill(&pipelines, &[green], &lake.lake, How::default()).await;
    assert_eq!(letters(&lake).await, ["blue:2 b one", "green:2 g one", "red:2 r two"]);
    // Without a letter of its own it touches none.
    let silent = file(&folder, "d/red.ndjson", &[]);
    backfill(&pipelines, &[silent], &lake.lake, How::default()).await;
    assert_eq!(letters(&lake).await.len(), 3);
}

#[tokio::test]
async fn letters_of_a_stream_stay_beside_files_that_name_its_shard_until_they_are_read_again() {
    let pipelines = pipelines(Options::default()).await;
    let (lake, folder) = (TempLake::new(), tempfile::tempdir().unwrap());
    let at = hour(10) + 30 * MICROS_PER_MINUTE;
    live_letters(&lake, &[("7", at, "seven"), ("8", at, "eight")]).await;
    let red = file(&folder, "red.ndjson", &["r one"]);
    backfill(&pipelines, &[red], &lake.lake, How::default()).await;
    assert_eq!(letters(&lake).await, ["red:8 eight", "red:2 r one", "red:7 seven"]);

    // Rows that the stream gave, of which one is too old by now: what is known of it is replaced, and nothing else.
    let old = event_arriving("old", "view.started", at - 9 * 24 * 60 * MICROS_PER_MINUTE, at, "");
    let old = old.replace("{\"schema", "{\"shard_id\":\"red\",\"sequence_number\":\"7\",\"schema");
    let rows = file(&folder, "rows.ndjson", &[&old]);
    for _ in 0..2 {
        backfill(&pipelines, std::slice::from_ref(&rows), &lake.lake, How::default()).await;
        let found = letters(&lake).await;
        assert_eq!(found.len(), 3, "{found:#?}");
        assert!(found.contains(&format!("red:7 {old}")) && found.contains(&"red:8 eight".to_owned()), "{found:#?}");
    }
}

#[tokio::test]
async fn a_file_that_holds_no_letters_is_an_error_and_the_lake_stays() {
    let pipelines = pipelines(Options::default()).await;
    let (lake, folder) = (TempLake::new(), tempfile::tempdir().unwrap());
    let red = file(&folder, "red.ndjson", &["r one"]);
    backfill(&pipelines, std::slice::from_ref(&red), &lake.lake, How::default()).await;
    let letters = lake.lake.list_hour("_dead_letters", hour(10)).await.unwrap().remove(0);
    let events = lake.lake.list_hour("user_events", hour(10)).await.unwrap().remove(0);
    std::fs::copy(lake.path(&events.path), lake.path(&letters.path)).unwrap();
    let e = crate::fixture::try_backfill(&pipelines, &[red], &lake.lake, How::default()).await.unwrap_err();
    assert!(e.place().unwrap().ends_with(&letters.path), "{e}");
    assert_eq!(lake.lake.list_hour("user_events", hour(10)).await.unwrap(), [events]);
    assert_eq!(std::fs::read_dir(lake.path("_staging")).map_or(0, Iterator::count), 0);
}
