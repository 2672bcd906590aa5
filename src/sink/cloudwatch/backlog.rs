//! Data that wait for CloudWatch: bounded, and the oldest give way.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::datum::Datum;
use crate::limits::{CLOUDWATCH_BACKLOG_MAX, CLOUDWATCH_DATA_PER_PUT_MAX, CLOUDWATCH_PUT_BYTES_MAX};

/// A datum and since when it waits.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub(super) datum: Datum,
    pub(super) since: Instant,
}

/// A queue whose writer never waits. One task reads.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    queue: Mutex<VecDeque<Waiting>>,
    more: Notify,
}

impl Backlog {
    fn queue(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        // A push or pop that broke off leaves a queue all the same.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds data at the end; how many of the oldest had to go.
    pub(super) fn push(&self, data: impl IntoIterator<Item = Datum>) -> usize {
        let mut queue = self.queue();
        let since = Instant::now();
        queue.extend(data.into_iter().map(|datum| Waiting { datum, since }));
        let gone = trim(&mut queue);
        drop(queue);
        self.more.notify_one();
        gone
    }

    /// Puts back what was taken, in front; how many of the oldest had to go.
    pub(super) fn restore(&self, batch: Vec<Waiting>) -> usize {
        let mut queue = self.queue();
        batch.into_iter().rev().for_each(|w| queue.push_front(w));
        trim(&mut queue)
    }

    /// The oldest data that fit into one call.
    pub(super) fn take(&self) -> Vec<Waiting> {
        let mut queue = self.queue();
        let mut bytes = 0;
        let mut batch = Vec::new();
        while let Some(next) = queue.front()
            && batch.len() < CLOUDWATCH_DATA_PER_PUT_MAX
        {
            bytes += next.datum.bytes_max();
            if bytes > CLOUDWATCH_PUT_BYTES_MAX && !batch.is_empty() {
                break;
            }
            batch.extend(queue.pop_front());
        }
        batch
    }

    /// Drops what at `now` has waited for longer than `budget`; how many.
    pub(super) fn expire(&self, now: Instant, budget: Duration) -> usize {
        let mut queue = self.queue();
        let mut gone = 0;
        while queue.front().is_some_and(|w| now.duration_since(w.since) > budget) {
            queue.pop_front();
            gone += 1;
        }
        gone
    }

    /// Drops everything; how many.
    pub(super) fn clear(&self) -> usize {
        let mut queue = self.queue();
        let gone = queue.len();
        queue.clear();
        gone
    }

    pub(super) fn len(&self) -> usize {
        self.queue().len()
    }

    /// Waits until there are at least so many.
    pub(super) async fn holds(&self, data: usize) {
        while self.len() < data {
            self.more.notified().await;
        }
    }
}

fn trim(queue: &mut VecDeque<Waiting>) -> usize {
    let gone = queue.len().saturating_sub(CLOUDWATCH_BACKLOG_MAX);
    queue.drain(..gone);
    gone
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::datum::Sample;
    use super::*;

    fn datum(n: usize, dimensions: usize) -> Datum {
        let dimension = |i| (format!("{i:0255}"), "v".repeat(1_024));
        Datum {
            metric: Arc::from("m"),
            unit: "None",
            dimensions: (0..dimensions).map(dimension).collect(),
            time: n as i64,
            sample: Sample::Value(0.0),
        }
    }

    #[tokio::test]
    async fn the_oldest_give_way() {
        let backlog = Backlog::default();
        assert_eq!(backlog.push((0..CLOUDWATCH_BACKLOG_MAX).map(|n| datum(n, 0))), 0);
        assert_eq!(backlog.push([datum(7_000_000, 0)]), 1);
        let batch = backlog.take();
        assert_eq!((batch.len(), batch[0].datum.time), (CLOUDWATCH_DATA_PER_PUT_MAX, 1));
        assert_eq!(backlog.push((0..3).map(|n| datum(n, 0))), 0);
        assert_eq!(backlog.restore(batch), 3);
        assert_eq!(backlog.take()[0].datum.time, 4);
    }

    #[tokio::test]
    async fn a_call_is_full_by_bytes_too() {
        let backlog = Backlog::default();
        backlog.push((0..100).map(|n| datum(n, 30)));
        let mut sizes = Vec::new();
        while backlog.len() > 0 {
            let batch = backlog.take();
            assert!(batch.iter().map(|w| w.datum.bytes_max()).sum::<usize>() <= CLOUDWATCH_PUT_BYTES_MAX);
            sizes.push(batch.len());
        }
        assert_eq!(sizes, [25, 25, 25, 25]);
    }

    #[tokio::test]
    async fn the_budget_is_a_time() {
        let backlog = Backlog::default();
        let since = Instant::now();
        let waiting = |n: usize, secs| Waiting { datum: datum(n, 0), since: since + Duration::from_secs(secs) };
        backlog.restore(vec![waiting(0, 0), waiting(1, 2)]);
        let expire = |secs| backlog.expire(since + Duration::from_secs(secs), Duration::from_secs(2));
        assert_eq!((expire(2), expire(3), expire(4)), (0, 1, 0));
        assert_eq!((backlog.len(), backlog.clear(), backlog.len()), (1, 1, 0));
    }
}
