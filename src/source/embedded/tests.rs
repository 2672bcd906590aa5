//! The embedded Kinesis, the feeder and the consumer together.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::prune::Pruner;
use super::*;
use crate::clock::{ManualClock, SystemClock};
use crate::source::kinesis::{KinesisOptions, KinesisSource, Producer, PutRecord, ShardReader, StartPosition};
use crate::source::simulator::{DEFAULT_START, SimEvent, Simulator, SimulatorConfig, shard_index};
use crate::types::{MICROS_PER_SEC, Record, ShardPosition};

async fn embedded(options: EmbeddedOptions) -> (EmbeddedKinesis, KinesisSource) {
    let embedded = EmbeddedKinesis::start(options).await.unwrap();
    let options = KinesisOptions::loopback(embedded.stream_name(), embedded.endpoint_url());
    let source = KinesisSource::connect(options, Arc::new(SystemClock)).await.unwrap();
    (embedded, source)
}

/// Reads until `count` records have come. The test's own time-out ends a wait for records that never come.
async fn read(reader: &mut ShardReader, count: usize) -> Vec<Record> {
    let mut records = Vec::new();
    while records.len() < count {
        let batch = reader.next().await.unwrap().unwrap();
        assert_eq!(&batch.shard, reader.shard());
        assert!(batch.polled_at.is_some() && batch.millis_behind_latest.is_some());
        records.extend(batch.records);
    }
    records
}

fn record(i: usize, bytes: usize) -> PutRecord {
    PutRecord { partition_key: format!("key-{i}"), data: vec![b'x'; bytes] }
}

async fn put(producer: &mut Producer, records: impl IntoIterator<Item = PutRecord>) {
    producer.put(records.into_iter().collect()).await.unwrap();
}

#[tokio::test]
async fn all_that_is_fed_is_read_once_in_shard_order_and_a_resumed_reader_goes_on_exactly() {
    let (embedded, source) = embedded(EmbeddedOptions::default()).await;
    let clock = ManualClock::at(DEFAULT_START);
    let config = SimulatorConfig { events_per_sec: 1_000, ..SimulatorConfig::default() };
    let feeder = Feeder::new(config.clone(), source.producer(), Arc::new(clock.clone())).unwrap();
    let counters = feeder.counters();
    let stop = CancellationToken::new();
    let feeding = tokio::spawn(feeder.run(stop.clone()));

    let seconds = 3;
    let mut expected: HashMap<u32, Vec<Vec<u8>>> = HashMap::new();
    let due = |event: &SimEvent| event.arrival_time <= DEFAULT_START + seconds * MICROS_PER_SEC;
    for event in Simulator::new(config).unwrap().take_while(due) {
        expected.entry(shard_index(&event.partition_key, 4)).or_default().push(event.data);
    }
    let total: usize = expected.values().map(Vec::len).sum();
    for second in 1..=seconds {
        clock.set(DEFAULT_START + second * MICROS_PER_SEC);
        let before = counters.snapshot().put;
        while counters.snapshot().put == before {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    stop.cancel();
    let (counts, _) = feeding.await.unwrap().unwrap();
    assert_eq!(counts, FeedCounts { put: total as u64, ..FeedCounts::default() });

    let shards = source.list_shards().await.unwrap();
    assert_eq!(shards.len(), 4);
    assert!(shards.iter().all(|s| !s.closed && s.parents.is_empty()));
    for (i, shard) in shards.iter().enumerate() {
        let expected = &expected[&(i as u32)];
        let mut reader = source.shard_reader(shard.id.clone(), None);
        let records = read(&mut reader, expected.len()).await;
        assert_eq!(records.iter().map(|r| r.data.to_vec()).collect::<Vec<_>>(), *expected, "shard {i}");
        assert!(records.is_sorted_by(|a, b| a.sequence_number < b.sequence_number));
        assert!(records.iter().all(|r| r.arrival_time.is_some()));
        let after = |r: &Record| ShardPosition::After(r.sequence_number.clone());
        assert_eq!(reader.position(), records.last().map(after));

        let middle = records.len() / 2;
        let mut resumed = source.shard_reader(shard.id.clone(), Some(after(&records[middle])));
        let rest = read(&mut resumed, records.len() - middle - 1).await;
        assert_eq!(rest, records[middle + 1..]);
    }
    let counts = source.counters().snapshot();
    assert_eq!(counts.records_put, total as u64);
    assert_eq!((counts.throttled, counts.unavailable, counts.retries), (0, 0, 0));
    embedded.shutdown().await;
}

#[tokio::test]
async fn a_caught_up_reader_gets_empty_batches_and_then_what_is_put() {
    let (embedded, source) = embedded(EmbeddedOptions { shards: 1, ..EmbeddedOptions::default() }).await;
    let mut reader = source.shard_reader("shardId-000000000000".into(), None);
    let empty = reader.next().await.unwrap().unwrap();
    assert!(empty.caught_up_and_empty());
    put(&mut source.producer(), [record(0, 3), record(1, 0x10)]).await;
    assert_eq!(read(&mut reader, 2).await[0].data.as_ref(), b"xxx");
    assert_eq!(source.counters().snapshot().records_read, 2);
    embedded.shutdown().await;
}

#[tokio::test]
async fn latest_begins_with_what_is_put_afterwards() {
    let (embedded, source) = embedded(EmbeddedOptions { shards: 1, ..EmbeddedOptions::default() }).await;
    put(&mut source.producer(), [record(0, 1)]).await;
    let options = KinesisOptions {
        start: StartPosition::Latest,
        ..KinesisOptions::loopback(embedded.stream_name(), embedded.endpoint_url())
    };
    let latest = KinesisSource::connect(options, Arc::new(SystemClock)).await.unwrap();
    let shard = "shardId-000000000000";
    let mut reader = latest.shard_reader(shard.into(), None);
    assert!(reader.next().await.unwrap().unwrap().records.is_empty());
    assert!(matches!(reader.position(), Some(ShardPosition::At(_))), "what comes while nobody reads is not lost");
    let mut child = latest.shard_reader(shard.into(), Some(ShardPosition::Oldest));
    assert_eq!(read(&mut child, 1).await.len(), 1, "a child begins at its beginning");
    embedded.shutdown().await;
}

#[tokio::test]
async fn large_puts_are_cut_into_calls_that_the_service_takes() {
    let (embedded, source) = embedded(EmbeddedOptions::default()).await;
    let mut producer = source.producer();
    assert_eq!(producer.put((0..1_201).map(|i| record(i, 10)).collect()).await.unwrap(), 3);
    // 12 × 1,000,000 bytes: five to a call of 5 MiB.
    assert_eq!(producer.put((0..12).map(|i| record(i, 1_000_000)).collect()).await.unwrap(), 3);
    assert_eq!(producer.put(Vec::new()).await.unwrap(), 0);
    assert_eq!(embedded.retained().records, 1_213);
    let e = producer.put(vec![record(0, 11 * 1024 * 1024)]).await.unwrap_err();
    assert_eq!(e.exit_code(), 2);
    embedded.shutdown().await;
}

#[tokio::test]
async fn what_is_kept_stays_bounded_by_size_and_the_newest_stay() {
    let bound = 512 * 1024;
    let options = EmbeddedOptions { shards: 2, retain_bytes: 64 * 1024 * 1024, ..EmbeddedOptions::default() };
    let (embedded, source) = embedded(options).await;
    // A pruner of the test's own, so that passes come when the test says.
    let name = embedded.stream_name().to_owned();
    let mut pruner = Pruner::new(embedded.store(), name, Duration::from_secs(3_600), bound);
    let mut producer = source.producer();
    let mut highest = 0;
    for _ in 0..40 {
        put(&mut producer, (0..200).map(|i| record(i, 600))).await;
        pruner.pass().await;
        highest = highest.max(embedded.retained().bytes);
    }
    // 40 rounds of about 165 kB, 13 times the bound. What came since the last pass is kept in any case.
    assert!(highest <= bound + 2 * 200 * 900, "{highest}");
    assert!(embedded.retained().bytes > bound / 3, "and it is not emptied");
    let kept = embedded.retained().records;
    let mut read_back = 0;
    for shard in source.list_shards().await.unwrap() {
        let batch = source.shard_reader(shard.id, None).next().await.unwrap().unwrap();
        assert!(batch.records.len() > 200, "both shards keep their newest");
        read_back += batch.records.len() as u64;
    }
    assert_eq!(read_back, kept);
    embedded.shutdown().await;
}

#[tokio::test]
async fn what_is_kept_stays_bounded_by_time_and_readers_go_on_across_the_gap() {
    let (embedded, source) = embedded(EmbeddedOptions { shards: 1, ..EmbeddedOptions::default() }).await;
    let name = embedded.stream_name().to_owned();
    let mut pruner = Pruner::new(embedded.store(), name, Duration::ZERO, u64::MAX);
    let mut producer = source.producer();
    put(&mut producer, (0..1_700).map(|i| record(i, 10))).await;
    assert_eq!(pruner.pass().await, 0, "the first pass only looks");
    put(&mut producer, [record(1_700, 77)]).await;
    assert_eq!(pruner.pass().await, 1_700);
    assert_eq!(embedded.retained().records, 1);
    let mut reader = source.shard_reader("shardId-000000000000".into(), None);
    let first = read(&mut reader, 1).await;
    assert_eq!(first[0].data.len(), 77);
    assert_eq!(pruner.pass().await, 1);
    put(&mut producer, [record(1, 5)]).await;
    assert_eq!(read(&mut reader, 1).await[0].data.len(), 5);
    embedded.shutdown().await;
}

#[tokio::test]
async fn at_twice_its_size_the_server_refuses_until_the_pruner_has_been() {
    let options = EmbeddedOptions { shards: 1, retain_bytes: 100_000, ..EmbeddedOptions::default() };
    let (embedded, source) = embedded(options).await;
    let mut producer = source.producer();
    for _ in 0..8 {
        put(&mut producer, (0..100).map(|i| record(i, 600))).await;
        assert!(embedded.retained().bytes <= 200_000);
    }
    assert!(source.counters().snapshot().throttled > 0);
    embedded.shutdown().await;
}

#[tokio::test]
async fn a_feeder_that_cannot_keep_up_leaves_out_and_one_whose_clock_jumps_begins_anew() {
    let (embedded, source) = embedded(EmbeddedOptions::default()).await;
    let clock = ManualClock::at(DEFAULT_START);
    let config = SimulatorConfig { events_per_sec: 100, ..SimulatorConfig::default() };
    let feeder = Feeder::new(config, source.producer(), Arc::new(clock.clone())).unwrap();
    let counters = feeder.counters();
    let stop = CancellationToken::new();
    let feeding = tokio::spawn(feeder.run(stop.clone()));
    let until = async |reached: &dyn Fn(FeedCounts) -> bool| {
        while !reached(counters.snapshot()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    clock.set(DEFAULT_START + 10 * MICROS_PER_SEC);
    until(&|c| c.put > 0).await;
    let counts = counters.snapshot();
    assert!((600..1_000).contains(&counts.skipped) && (100..300).contains(&counts.put), "{counts:?}");
    clock.set(DEFAULT_START + 3_600 * MICROS_PER_SEC);
    until(&|c| c.restarts == 1).await;
    clock.set(DEFAULT_START + 3_601 * MICROS_PER_SEC);
    until(&|c| c.put > counts.put).await;
    clock.set(DEFAULT_START);
    until(&|c| c.restarts == 2).await;
    stop.cancel();
    assert_eq!(feeding.await.unwrap().unwrap().0.failed, 0);
    embedded.shutdown().await;
}

#[tokio::test]
async fn a_busy_port_is_the_users_error_and_names_the_port() {
    let (first, _) = embedded(EmbeddedOptions::default()).await;
    let port: u16 = first.endpoint_url().rsplit(':').next().unwrap().parse().unwrap();
    let e = EmbeddedKinesis::start(EmbeddedOptions { port, ..EmbeddedOptions::default() }).await.unwrap_err();
    assert_eq!(e.exit_code(), 2);
    assert!(e.message().contains(&port.to_string()), "{e}");
    first.shutdown().await;
    // The port is free again.
    let again = EmbeddedKinesis::start(EmbeddedOptions { port, ..EmbeddedOptions::default() }).await.unwrap();
    again.shutdown().await;
}

#[tokio::test]
async fn impossible_options_are_refused() {
    for options in [
        EmbeddedOptions { shards: 0, ..EmbeddedOptions::default() },
        EmbeddedOptions { stream_name: "a b".into(), ..EmbeddedOptions::default() },
    ] {
        let e = EmbeddedKinesis::start(options).await.unwrap_err();
        assert_eq!((e.exit_code(), e.remedy().is_some()), (2, true));
    }
}
