//! The client against a scripted service: what it asks, and what it makes of the answers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::*;
use crate::clock::ManualClock;
use crate::error::{Domain, Retry};
use crate::limits;
use crate::types::ShardPosition;

/// What the service was asked: the operation and its request.
type Asked = (String, Value);

/// Gives the scripted answers, one by one, and keeps the requests.
#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<(u16, Value)>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Script {
    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    fn operations(&self) -> Vec<String> {
        self.asked().into_iter().map(|(operation, _)| operation).collect()
    }
}

async fn answer(State(script): State<Script>, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    let target = headers.get("x-amz-target").unwrap().to_str().unwrap();
    let operation = target.rsplit('.').next().unwrap().to_owned();
    script.asked.lock().unwrap().push((operation, serde_json::from_slice(&body).unwrap()));
    let next = script.answers.lock().unwrap().pop_front();
    let (status, reply) = next.unwrap_or_else(|| error(400, "ScriptIsOverException"));
    let status = StatusCode::from_u16(status).unwrap();
    (status, [(header::CONTENT_TYPE, "application/x-amz-json-1.1")], reply.to_string())
}

fn error(status: u16, code: &str) -> (u16, Value) {
    (status, json!({"__type": code, "message": "as scripted"}))
}

fn iterator(name: &str) -> (u16, Value) {
    (200, json!({ "ShardIterator": name }))
}

/// A GetRecords reply with records of these sequence numbers; the data is `hi` in base64.
fn records(sequence_numbers: &[&str], behind: i64, next: Option<&str>) -> (u16, Value) {
    let records: Vec<Value> = sequence_numbers
        .iter()
        .map(|n| json!({"SequenceNumber": n, "PartitionKey": "k", "Data": "aGk=", "ApproximateArrivalTimestamp": 1.25}))
        .collect();
    let mut reply = json!({"Records": records, "MillisBehindLatest": behind});
    if let Some(next) = next {
        reply["NextShardIterator"] = json!(next);
    }
    (200, reply)
}

async fn scripted(answers: Vec<(u16, Value)>, options: impl FnOnce(&mut KinesisOptions)) -> (Script, KinesisSource) {
    let script = Script { answers: Arc::new(Mutex::new(answers.into())), ..Script::default() };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer).with_state(script.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let mut kinesis_options = KinesisOptions::loopback("s", endpoint);
    options(&mut kinesis_options);
    (script, KinesisSource::connect(kinesis_options, Arc::new(ManualClock::at(7_000_000))).await.unwrap())
}

fn reader(source: &KinesisSource, after: Option<&str>) -> ShardReader {
    source.shard_reader("shardId-000000000000".into(), after.map(|n| ShardPosition::After(n.into())))
}

#[tokio::test]
async fn all_pages_of_shards_are_listed_with_parents_and_ends() {
    let shard = |id: &str, end: Option<&str>, parents: [Option<&str>; 2]| {
        json!({
            "ShardId": id, "ParentShardId": parents[0], "AdjacentParentShardId": parents[1],
            "HashKeyRange": {"StartingHashKey": "0", "EndingHashKey": "340282366920938463463374607431768211455"},
            "SequenceNumberRange": {"StartingSequenceNumber": "1", "EndingSequenceNumber": end},
        })
    };
    let first = json!({"Shards": [shard("a", Some("9"), [None, None])], "NextToken": "t"});
    let second = json!({"Shards": [shard("c", None, [Some("a"), Some("b")])]});
    let (script, source) =
        scripted(vec![(200, first), error(400, "LimitExceededException"), (200, second)], |_| {}).await;
    let shards = source.list_shards().await.unwrap();
    let info = |id: &str, parents: &[&str], closed| ShardInfo {
        id: id.into(),
        parents: parents.iter().map(|p| Arc::from(*p)).collect(),
        closed,
        hash_range: (0, u128::MAX),
    };
    assert_eq!(shards, [info("a", &[], true), info("c", &["a", "b"], false)]);
    let requests: Vec<Value> = script.asked().into_iter().map(|(_, request)| request).collect();
    assert_eq!(requests, [json!({"StreamName": "s"}), json!({"NextToken": "t"}), json!({"NextToken": "t"})]);
    assert_eq!(source.counters().snapshot().throttled, 1);
}

#[tokio::test]
async fn a_reader_goes_on_after_the_last_record_when_its_iterator_expires_and_ends_with_its_shard() {
    let (script, source) = scripted(
        vec![
            iterator("i1"),
            records(&["49", "50"], 10, Some("i2")),
            error(400, "ExpiredIteratorException"),
            iterator("i3"),
            records(&[], 5, Some("i4")),
            records(&["51"], 0, None),
        ],
        |_| {},
    )
    .await;
    let mut reader = reader(&source, Some("48"));
    let batch = reader.next().await.unwrap().unwrap();
    assert_eq!(batch.records[0].data.as_ref(), b"hi");
    assert_eq!(batch.records[0].arrival_time, Some(1_250_000));
    assert_eq!((batch.millis_behind_latest, batch.polled_at), (Some(10), Some(7_000_000)));
    assert_eq!(reader.position(), Some(ShardPosition::After("50".into())));
    let empty = reader.next().await.unwrap().unwrap();
    assert!(empty.records.is_empty() && !empty.caught_up_and_empty(), "there is data ahead");
    assert_eq!(reader.next().await.unwrap().unwrap().records.len(), 1);
    assert!(reader.next().await.unwrap().is_none());
    assert!(reader.next().await.unwrap().is_none(), "and it stays at the end");

    let asked = script.asked();
    assert_eq!(
        script.operations(),
        ["GetShardIterator", "GetRecords", "GetRecords", "GetShardIterator", "GetRecords", "GetRecords"]
    );
    assert_eq!(asked[0].1["ShardIteratorType"], "AFTER_SEQUENCE_NUMBER");
    assert_eq!(asked[0].1["StartingSequenceNumber"], "48");
    assert_eq!(asked[3].1["StartingSequenceNumber"], "50");
    assert_eq!(asked[4].1, json!({"ShardIterator": "i3", "Limit": 10_000}));
    assert_eq!(source.counters().snapshot().expired_iterators, 1);
}

#[tokio::test]
async fn a_closed_shard_with_nothing_in_it_ends_at_once() {
    let (_, source) = scripted(vec![iterator("i"), records(&[], 0, None)], |_| {}).await;
    assert!(reader(&source, None).next().await.unwrap().is_none());
}

#[tokio::test]
async fn start_positions_are_asked_for_by_name_and_latest_survives_an_expired_iterator() {
    let answers =
        || vec![iterator("i"), error(400, "ExpiredIteratorException"), iterator("j"), records(&["1"], 0, Some("k"))];
    let types = |script: &Script| -> Vec<Value> {
        let asked = script.asked().into_iter().filter(|(operation, _)| operation == "GetShardIterator");
        asked.map(|(_, request)| json!([request["ShardIteratorType"], request["Timestamp"]])).collect()
    };
    for (start, first, second) in [
        (StartPosition::TrimHorizon, json!(["TRIM_HORIZON", null]), json!(["TRIM_HORIZON", null])),
        (StartPosition::Latest, json!(["LATEST", null]), json!(["AT_TIMESTAMP", 7 - limits::LATEST_MARGIN_SECS])),
        (StartPosition::AtTimestamp(1_500_000), json!(["AT_TIMESTAMP", 1.5]), json!(["AT_TIMESTAMP", 1.5])),
    ] {
        let (script, source) = scripted(answers(), |options| options.start = start).await;
        assert_eq!(reader(&source, None).next().await.unwrap().unwrap().records.len(), 1);
        let asked = types(&script);
        assert_eq!(asked.len(), 2);
        assert_eq!(asked[0], first);
        assert_eq!((&asked[1][0], asked[1][1].as_f64()), (&second[0], second[1].as_f64()));
    }
}

#[tokio::test]
async fn a_reader_that_was_opened_at_the_tip_has_a_position_and_asks_no_second_time() {
    let answers = vec![iterator("i"), records(&["1"], 0, Some("j"))];
    let (script, source) = scripted(answers, |options| options.start = StartPosition::Latest).await;
    let mut reader = reader(&source, None);
    assert_eq!(reader.position(), None);
    reader.open().await.unwrap();
    reader.open().await.unwrap();
    let since = 7_000_000 - limits::LATEST_MARGIN_SECS * 1_000_000;
    assert_eq!(
        reader.position(),
        Some(ShardPosition::At(since)),
        "whatever its clock, nothing that comes now is before it"
    );
    assert_eq!(reader.next().await.unwrap().unwrap().records.len(), 1);
    assert_eq!(script.operations(), ["GetShardIterator", "GetRecords"]);
}

#[tokio::test]
async fn throttling_and_failures_of_the_service_are_waited_out_and_counted() {
    let (_, source) = scripted(
        vec![
            error(500, "InternalFailure"),
            iterator("i"),
            error(400, "ProvisionedThroughputExceededException"),
            error(503, "ServiceUnavailable"),
            records(&["1"], 0, Some("j")),
        ],
        |_| {},
    )
    .await;
    assert_eq!(reader(&source, None).next().await.unwrap().unwrap().records.len(), 1);
    let counts = source.counters().snapshot();
    assert_eq!((counts.throttled, counts.unavailable, counts.retries, counts.reads), (1, 2, 3, 1));
    let trouble = source.trouble().get().unwrap();
    assert_eq!(trouble.at, 7_000_000);
    assert!(trouble.message.contains("GetRecords gets no answer from the service"), "{trouble:?}");
}

#[tokio::test]
async fn polls_of_one_shard_stay_under_five_a_second_even_through_retries() {
    let mut answers = vec![iterator("i")];
    for i in 0..3 {
        answers.push(records(&[], 100, Some("i")));
        answers
            .push(error(400, if i == 1 { "ProvisionedThroughputExceededException" } else { "LimitExceededException" }));
    }
    answers.push(records(&["1"], 100, Some("i")));
    let (script, source) = scripted(answers, |options| options.poll_interval = Duration::ZERO).await;
    let mut reader = reader(&source, None);
    let began = tokio::time::Instant::now();
    while reader.next().await.unwrap().unwrap().records.is_empty() {}
    let calls = script.operations().iter().filter(|o| *o == "GetRecords").count() as u32;
    assert_eq!(calls, 7);
    let gap = Duration::from_millis(limits::GET_RECORDS_GAP_MILLIS_MIN - 5);
    assert!(began.elapsed() >= gap * (calls - 1), "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_does_not_pass_is_told_at_once_with_place_and_remedy() {
    for (code, status) in
        [("AccessDeniedException", 400), ("UnrecognizedClientException", 400), ("ResourceNotFoundException", 400)]
    {
        let (script, source) = scripted(vec![error(status, code)], |_| {}).await;
        let e = reader(&source, None).next().await.unwrap_err();
        assert_eq!((e.domain(), e.retry()), (Domain::User, Retry::Never), "{code}");
        let place = e.place().unwrap();
        assert!(place.contains("`s`") && place.contains("us-east-1") && place.contains("http://127.0.0.1"), "{place}");
        assert!(e.remedy().is_some());
        assert!(!e.report().contains("loopback"), "no credential in {}", e.report());
        assert_eq!(script.operations().len(), 1);
    }
}

#[tokio::test]
async fn a_position_of_another_stream_is_told_as_such() {
    let (_, source) = scripted(vec![error(400, "InvalidArgumentException")], |_| {}).await;
    let e = reader(&source, Some("123")).next().await.unwrap_err();
    assert!(e.message().contains("123") && e.exit_code() == 2, "{e}");
}

#[tokio::test]
async fn only_refused_records_are_put_again() {
    let ok = || json!({"SequenceNumber": "1", "ShardId": "a"});
    let refused = |code: &str| json!({"ErrorCode": code, "ErrorMessage": "as scripted"});
    let reply = |failed: u32, results: Vec<Value>| (200, json!({"FailedRecordCount": failed, "Records": results}));
    let (script, source) = scripted(
        vec![
            reply(2, vec![ok(), refused("ProvisionedThroughputExceededException"), ok(), refused("InternalFailure")]),
            reply(1, vec![ok(), refused("ProvisionedThroughputExceededException")]),
            reply(0, vec![ok()]),
        ],
        |_| {},
    )
    .await;
    let record = |key: &str| PutRecord { partition_key: key.to_owned(), data: b"hi".to_vec() };
    assert_eq!(source.producer().put(["a", "b", "c", "d"].map(record).into()).await.unwrap(), 3);
    let keys: Vec<Vec<Value>> = script
        .asked()
        .into_iter()
        .map(|(_, r)| r["Records"].as_array().unwrap().iter().map(|r| r["PartitionKey"].clone()).collect())
        .collect();
    assert_eq!(keys, [vec!["a", "b", "c", "d"], vec!["b", "d"], vec!["d"]]);
    let counts = source.counters().snapshot();
    assert_eq!((counts.records_put, counts.records_put_again, counts.puts), (4, 3, 3));
}

#[tokio::test]
async fn tries_are_bounded_and_the_reader_can_go_on_afterwards() {
    let mut answers = vec![error(503, "ServiceUnavailable"); 3];
    answers.extend([iterator("i"), records(&["1"], 0, Some("j"))]);
    let (script, source) = scripted(answers, |options| options.tries = 3).await;
    let mut reader = reader(&source, None);
    let e = reader.next().await.unwrap_err();
    assert_eq!(e.retry(), Retry::BackOff);
    assert_eq!(script.operations().len(), 3);
    assert_eq!(reader.next().await.unwrap().unwrap().records.len(), 1);
}

#[tokio::test]
async fn nobody_listening_is_a_failure_that_may_pass() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let options = KinesisOptions { tries: 2, ..KinesisOptions::loopback("s", endpoint) };
    let source = KinesisSource::connect(options, Arc::new(ManualClock::at(0))).await.unwrap();
    let e = source.list_shards().await.unwrap_err();
    assert_eq!((e.retry(), e.exit_code()), (Retry::BackOff, 1));
    assert_eq!(source.counters().snapshot().unavailable, 2);
}
