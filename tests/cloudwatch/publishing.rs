//! Calls, tries and drops: what happens to data between the sink and the service.

use std::collections::BTreeSet;
use std::time::Duration;

use headcount::sink::cloudwatch::{CloudWatchOptions, Dropped, StorageResolution};
use headcount::types::MICROS_PER_SEC;

use super::scene::{NOW, clock, connect, options, rows, table, until};
use crate::cloudwatch_double::{Double, Trouble};

fn values(double: &Double) -> Vec<i64> {
    double.data().iter().map(|d| d.sample.sum as i64).collect()
}

#[tokio::test]
async fn many_data_go_in_full_calls() {
    let double = Double::start(clock(NOW)).await;
    let options = CloudWatchOptions { series_max: 10_000, flush: Duration::from_secs(60), ..options(&double) };
    let mut sink = connect(&options, vec![table("m", true)]).await;
    sink.offer(0, NOW, &rows(&(0..2_500).collect::<Vec<_>>(), 8));
    let counts = sink.close().await;
    let puts = double.puts();
    assert_eq!(puts.iter().map(|p| p.data.len()).collect::<Vec<_>>(), [1_000, 1_000, 500]);
    assert!(puts.iter().all(|p| p.compressed && p.namespace == "Custom/Streaming"));
    assert_eq!(values(&double), (0..2_500).collect::<Vec<_>>());
    assert_eq!((counts.published, counts.puts, counts.dropped_total()), (2_500, 3, 0));
}

#[tokio::test]
async fn large_data_go_in_calls_of_under_a_megabyte() {
    let double = Double::start(clock(NOW)).await;
    let options = CloudWatchOptions { series_max: 10_000, flush: Duration::from_secs(60), ..options(&double) };
    let mut sink = connect(&options, vec![table("m", true)]).await;
    sink.offer(0, NOW, &rows(&(0..1_500).collect::<Vec<_>>(), 1_024));
    assert_eq!(sink.close().await.published, 1_500);
    let puts = double.puts();
    assert_eq!(puts.len(), 2 + usize::from(puts.len() > 2), "{:?}", puts.iter().map(|p| p.bytes).collect::<Vec<_>>());
    assert!(puts.iter().all(|p| p.data.len() < 1_000 && p.bytes <= 1_000_000));
    assert!(puts[0].bytes > 800_000, "calls are filled: {}", puts[0].bytes);
}

#[tokio::test]
async fn what_comes_together_shares_a_call() {
    let double = Double::start(clock(NOW)).await;
    let options = CloudWatchOptions { flush: Duration::from_millis(200), ..options(&double) };
    let mut sink = connect(&options, vec![table("a", false), table("b", false)]).await;
    sink.offer(0, NOW, &rows(&[1], 1));
    sink.offer(1, NOW, &rows(&[2], 1));
    // A table that nobody described, and rows of none.
    sink.offer(2, NOW, &rows(&[3], 1));
    sink.offer(0, NOW, &rows(&[], 1));
    until("it is published without an end", || double.data().len() == 2).await;
    assert_eq!(double.puts().len(), 1);
    sink.offer(0, NOW, &rows(&[4], 1));
    until("the next one too", || double.data().len() == 3).await;
}

#[tokio::test]
async fn calls_that_fail_are_made_again() {
    let double = Double::start(clock(NOW)).await;
    double.trouble(&[Trouble::Throttling, Trouble::InternalServiceFault, Trouble::Unavailable, Trouble::AccessDenied]);
    let mut sink = connect(&options(&double), vec![table("m", false)]).await;
    sink.offer(0, NOW, &rows(&[1, 2], 1));
    let counters = sink.counters();
    until("the fifth call is taken", || counters.snapshot().published == 2).await;
    assert_eq!((counters.snapshot().retries, counters.snapshot().puts, double.calls()), (4, 1, 5));
    // Afterwards a call is a first one again.
    sink.offer(0, NOW, &rows(&[3], 1));
    let counts = sink.close().await;
    assert_eq!((counts.published, counts.retries, counts.dropped_total()), (3, 4, 0));
    assert_eq!(values(&double), [1, 2, 3]);
}

#[tokio::test]
async fn with_seeded_failures_everything_is_published_at_least_once() {
    for seed in 0..5 {
        let double = Double::start(clock(NOW)).await;
        double.percent(seed, 60);
        let mut sink = connect(&options(&double), vec![table("m", false)]).await;
        let counters = sink.counters();
        for value in 0..12 {
            sink.offer(0, NOW, &rows(&[value], 1));
            until("it is published", || counters.snapshot().published > value as u64).await;
        }
        let counts = sink.close().await;
        assert_eq!((counts.published, counts.dropped_total()), (12, 0), "seed {seed}");
        assert!(counts.retries > 0, "seed {seed}: {counts:?}");
        assert_eq!(values(&double).into_iter().collect::<BTreeSet<_>>(), (0..12).collect(), "seed {seed}");
    }
}

#[tokio::test]
async fn beyond_the_retry_budget_the_oldest_go() {
    let double = Double::start(clock(NOW)).await;
    double.always(Some(Trouble::Unavailable));
    let options = CloudWatchOptions { retry: Duration::from_millis(300), ..options(&double) };
    let mut sink = connect(&options, vec![table("m", false)]).await;
    let counters = sink.counters();
    sink.offer(0, NOW, &rows(&[1, 2, 3], 1));
    until("it is given up", || counters.snapshot().dropped(Dropped::RetryBudget) == 3).await;
    assert!(counters.snapshot().retries > 0);
    double.always(None);
    sink.offer(0, NOW, &rows(&[4], 1));
    let counts = sink.close().await;
    assert_eq!((counts.published, counts.dropped_total()), (1, 3));
    assert_eq!(values(&double), [4]);
}

#[tokio::test]
async fn what_is_refused_is_not_tried_again() {
    let double = Double::start(clock(NOW)).await;
    let mut sink = connect(&options(&double), vec![table(":m", false), table("m", false)]).await;
    sink.offer(0, NOW, &rows(&[1], 1));
    let counters = sink.counters();
    until("it is refused", || counters.snapshot().dropped(Dropped::Refused) == 1).await;
    sink.offer(1, NOW, &rows(&[2], 1));
    let counts = sink.close().await;
    assert_eq!((counts.published, counts.retries, double.calls()), (1, 0, 2));
    assert_eq!(double.refusals()[0].0, "InvalidParameterValue");
}

#[tokio::test]
async fn windows_that_cloudwatch_would_refuse_for_their_time_are_left_out() {
    let double = Double::start(clock(NOW)).await;
    let mut sink = connect(&options(&double), vec![table("m", false)]).await;
    let (day, hour) = (86_400 * MICROS_PER_SEC, 3_600 * MICROS_PER_SEC);
    let ends = [-15 * day, -14 * day, -14 * day + hour, 0, 2 * hour - 300 * MICROS_PER_SEC, 2 * hour + 1_000, 3 * hour];
    for (value, end) in ends.into_iter().enumerate() {
        sink.offer(0, NOW + end, &rows(&[value as i64], 1));
    }
    let counts = sink.close().await;
    assert_eq!(values(&double), [2, 3, 4]);
    assert_eq!((counts.dropped(Dropped::TooOld), counts.dropped(Dropped::TooNew)), (2, 2));
    assert!(double.refusals().is_empty());
}

#[tokio::test]
async fn combinations_beyond_the_limit_are_left_out() {
    let double = Double::start(clock(NOW)).await;
    let options = CloudWatchOptions { series_max: 2, resolution: StorageResolution::Second, ..options(&double) };
    let mut sink = connect(&options, vec![table("m", true), table("total", false)]).await;
    sink.offer(0, NOW, &rows(&[1, 2, 3], 1));
    sink.offer(0, NOW, &rows(&[3, 2, 1], 1));
    sink.offer(1, NOW, &rows(&[9], 1));
    let counts = sink.close().await;
    assert_eq!((counts.published, counts.dropped(Dropped::SeriesLimit)), (5, 2));
    assert_eq!(values(&double), [1, 2, 2, 1, 9]);
    assert!(double.data().iter().all(|d| d.resolution == 1));
}

#[tokio::test]
async fn the_end_does_not_wait_for_a_service_that_does_not_answer() {
    let double = Double::start(clock(NOW)).await;
    double.always(Some(Trouble::Silence));
    let mut sink = connect(&options(&double), vec![table("m", false)]).await;
    sink.offer(0, NOW, &rows(&[1], 1));
    until("a call is under way", || double.calls() == 1).await;
    sink.offer(0, NOW, &rows(&[2, 3], 1));
    let close = tokio::time::timeout(Duration::from_secs(6), sink.close());
    let counts = close.await.expect("the end is bounded");
    assert_eq!((counts.published, counts.dropped(Dropped::Stopped)), (0, 3));
}

#[tokio::test]
async fn nobody_listening_is_no_reason_not_to_start() {
    let double = Double::start(clock(NOW)).await;
    let options = CloudWatchOptions { retry: Duration::from_millis(100), ..options(&double) };
    drop(double);
    let mut sink = connect(&options, vec![table("m", false)]).await;
    let counters = sink.counters();
    sink.offer(0, NOW, &rows(&[1], 1));
    until("it is given up", || counters.snapshot().dropped(Dropped::RetryBudget) == 1).await;
    assert!(sink.place().contains("`Custom/Streaming` in us-east-1 at http://127.0.0.1:"), "{}", sink.place());
}
