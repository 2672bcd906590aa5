//! Whether a job is fit for work, and if not, why.
//!
//! | fitness | when | what it means to a load balancer |
//! |---|---|---|
//! | not ready | starting: the lake or a shard has not answered yet; stopping; failed | send nobody here |
//! | degraded | reading, but behind, or waiting for a service | leave it: another process would be no better off |
//! | ready | none of these | |
//!
//! Lag is not unreadiness on purpose. A supervisor such as ECS replaces a task that its target group calls unhealthy, and a
//! consumer that is behind is further behind after a restart.

use std::collections::BTreeSet;

use super::status::{Phase, ShardStatus, Status};
use crate::limits::{DEGRADED_LAG_SECS, DEGRADED_SILENCE_SECS, DEGRADED_WRITE_SECS};
use crate::types::{MICROS_PER_SEC, Micros, ShardId};

/// How many shards a message names.
const NAMED_MAX: usize = 5;

/// The verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fitness {
    /// All is well.
    Ready,
    /// It works, but not as it should.
    Degraded,
    /// It does not work yet, or no more.
    NotReady,
}

/// Why a job is not simply ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// For machines; one of a fixed list.
    pub code: &'static str,
    /// For people.
    pub message: String,
}

/// The verdict and its reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// The verdict.
    pub fitness: Fitness,
    /// What speaks against [`Fitness::Ready`].
    pub reasons: Vec<Reason>,
}

impl Readiness {
    /// The verdict on a job at `now`.
    pub fn of(status: &Status, now: Micros) -> Self {
        let unready = unready(status);
        if !unready.is_empty() {
            return Self { fitness: Fitness::NotReady, reasons: unready };
        }
        let reasons: Vec<Reason> =
            [lagging(status), silent(status, now), stalled(status, now), uncommitted(status, now), stale(status)]
                .into_iter()
                .flatten()
                .collect();
        let fitness = if reasons.is_empty() { Fitness::Ready } else { Fitness::Degraded };
        Self { fitness, reasons }
    }
}

fn reason(code: &'static str, message: impl Into<String>) -> Reason {
    Reason { code, message: message.into() }
}

fn unready(status: &Status) -> Vec<Reason> {
    match status.phase {
        Phase::Stopping => return vec![reason("stopping", "the job is being stopped: what is open is written")],
        Phase::Failed => {
            let why = status.trouble.as_ref().map_or("a task failed", |t| t.message.as_str());
            return vec![reason("failed", why)];
        }
        Phase::Starting | Phase::Running => {}
    }
    let mut reasons = Vec::new();
    if !status.lake_reached {
        reasons.push(reason("lake_not_reached", "the lake has not answered yet"));
    }
    match &status.expected {
        None => reasons.push(reason("stream_not_reached", "the stream has not told its shards yet")),
        Some(expected) => {
            let unread: BTreeSet<&ShardId> =
                expected.iter().filter(|s| !status.shards.get(*s).is_some_and(read_once)).collect();
            if !unread.is_empty() {
                let (n, of) = (unread.len(), expected.len());
                reasons.push(reason("shards_not_read", format!("{n} of {of} shards not read yet: {}", named(unread))));
            }
        }
    }
    reasons
}

fn read_once(shard: &ShardStatus) -> bool {
    shard.last_read.is_some() || shard.drained
}

fn open(status: &Status) -> impl Iterator<Item = (&ShardId, &ShardStatus)> {
    status.shards.iter().filter(|(_, s)| !s.drained)
}

fn lagging(status: &Status) -> Option<Reason> {
    let behind = |s: &ShardStatus| s.lag_millis.is_some_and(|ms| ms > DEGRADED_LAG_SECS * 1_000);
    let late: BTreeSet<&ShardId> = open(status).filter(|(_, s)| behind(s)).map(|(name, _)| name).collect();
    let most = status.lag_millis().unwrap_or(0) / 1_000;
    (!late.is_empty()).then(|| {
        let message = format!("more than {DEGRADED_LAG_SECS} s behind the stream, at most {most} s: {}", named(late));
        reason("lagging", message)
    })
}

fn silent(status: &Status, now: Micros) -> Option<Reason> {
    let bound = DEGRADED_SILENCE_SECS * MICROS_PER_SEC;
    let quiet = |s: &ShardStatus| s.last_read.is_some_and(|at| now.saturating_sub(at) > bound);
    let silent: BTreeSet<&ShardId> = open(status).filter(|(_, s)| quiet(s)).map(|(name, _)| name).collect();
    (!silent.is_empty()).then(|| {
        reason("shards_silent", format!("no read was answered for {DEGRADED_SILENCE_SECS} s: {}", named(silent)))
    })
}

fn stalled(status: &Status, now: Micros) -> Option<Reason> {
    let (writer, since) = status.writing_since.iter().min_by_key(|(_, since)| **since)?;
    let secs = now.saturating_sub(*since) / MICROS_PER_SEC;
    (secs > DEGRADED_WRITE_SECS)
        .then(|| reason("lake_stalled", format!("the lake has been taking one write of {writer} for {secs} s")))
}

fn uncommitted(status: &Status, now: Micros) -> Option<Reason> {
    let commits = status.commits.as_ref()?;
    let since = commits.overdue(now)?;
    let why = commits.failing.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    let message = format!(
        "no commit for {} s, where one is made every {} s{why}",
        since / MICROS_PER_SEC,
        commits.interval / MICROS_PER_SEC
    );
    Some(reason("commits_overdue", message))
}

fn stale(status: &Status) -> Option<Reason> {
    let (table, why) = status.lookups.iter().find_map(|(name, lookup)| Some((name, lookup.failing.as_ref()?)))?;
    let message = format!("the lookup table {table} could not be reloaded, the version before stays in use: {why}");
    Some(reason("lookup_stale", message))
}

fn named(shards: BTreeSet<&ShardId>) -> String {
    let more = shards.len().saturating_sub(NAMED_MAX);
    let names: Vec<&str> = shards.into_iter().take(NAMED_MAX).map(AsRef::as_ref).collect();
    let and_more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{and_more}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::board::{CommitStatus, LookupStatus};
    use crate::telemetry::Trouble;

    const SEC: Micros = MICROS_PER_SEC;

    fn codes(status: &Status, now: Micros) -> (Fitness, Vec<&'static str>) {
        let readiness = Readiness::of(status, now);
        (readiness.fitness, readiness.reasons.iter().map(|r| r.code).collect())
    }

    fn running(shards: &[&str]) -> Status {
        let expected = Some(shards.iter().map(|s| ShardId::from(*s)).collect());
        Status { phase: Phase::Running, lake_reached: true, expected, ..Status::default() }
    }

    fn read(status: &mut Status, shard: &str, at: Micros, lag_millis: i64) {
        let news = ShardStatus { last_read: Some(at), lag_millis: Some(lag_millis), ..ShardStatus::default() };
        status.shards.insert(shard.into(), news);
    }

    #[test]
    fn ready_is_when_the_lake_and_every_shard_has_answered() {
        let mut status = Status::default();
        assert_eq!(codes(&status, 0), (Fitness::NotReady, vec!["lake_not_reached", "stream_not_reached"]));
        status = running(&["a", "b", "c"]);
        read(&mut status, "b", 0, 0);
        let readiness = Readiness::of(&status, 0);
        assert_eq!(readiness.fitness, Fitness::NotReady);
        assert_eq!(readiness.reasons[0].message, "2 of 3 shards not read yet: a, c");
        read(&mut status, "a", 0, 0);
        read(&mut status, "c", 0, 0);
        assert_eq!(codes(&status, 0), (Fitness::Ready, vec![]));
    }

    #[test]
    fn many_shards_are_not_all_named() {
        let names: Vec<String> = (0..9).map(|i| format!("s{i}")).collect();
        let status = running(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let message = &Readiness::of(&status, 0).reasons[0].message;
        assert_eq!(message, "9 of 9 shards not read yet: s0, s1, s2, s3, s4 and 4 more");
    }

    #[test]
    fn what_a_restart_would_not_mend_degrades() {
        let mut status = running(&["a"]);
        read(&mut status, "a", 0, DEGRADED_LAG_SECS * 1_000);
        assert_eq!(codes(&status, 0), (Fitness::Ready, vec![]));
        read(&mut status, "a", 0, DEGRADED_LAG_SECS * 1_000 + 1);
        assert_eq!(codes(&status, 0), (Fitness::Degraded, vec!["lagging"]));
        let late = (DEGRADED_SILENCE_SECS + 1) * SEC;
        assert_eq!(codes(&status, late), (Fitness::Degraded, vec!["lagging", "shards_silent"]));
        status.writing_since.insert("windows", late - DEGRADED_WRITE_SECS * SEC);
        assert_eq!(codes(&status, late).1, vec!["lagging", "shards_silent"]);
        assert_eq!(codes(&status, late + SEC).1, vec!["lagging", "shards_silent", "lake_stalled"]);
        status.shards.values_mut().for_each(|s| s.drained = true);
        status.writing_since.clear();
        assert_eq!(codes(&status, late), (Fitness::Ready, vec![]), "nothing more is wanted of a drained shard");
    }

    #[test]
    fn commits_that_fail_degrade_after_three_missed_intervals() {
        let mut status = running(&["a"]);
        read(&mut status, "a", 100 * SEC, 0);
        let failing = Some("_checkpoints/app: the disk is full".to_owned());
        let mut commits = CommitStatus { interval: 10 * SEC, last: 70 * SEC, failing, ..CommitStatus::default() };
        status.commits = Some(commits.clone());
        assert_eq!(codes(&status, 100 * SEC), (Fitness::Ready, vec![]));
        assert_eq!(codes(&status, 101 * SEC), (Fitness::Degraded, vec!["commits_overdue"]));
        let message = &Readiness::of(&status, 101 * SEC).reasons[0].message;
        assert_eq!(message, "no commit for 31 s, where one is made every 10 s: _checkpoints/app: the disk is full");
        commits.last = 101 * SEC;
        status.commits = Some(commits);
        assert_eq!(codes(&status, 101 * SEC), (Fitness::Ready, vec![]));
    }

    #[test]
    fn a_lookup_table_that_cannot_be_reloaded_degrades_until_it_can() {
        let mut status = running(&["a"]);
        read(&mut status, "a", 0, 0);
        let failing = Some("creators.csv: gone".to_owned());
        status.lookups.insert("creators".into(), LookupStatus { failing, ..LookupStatus::default() });
        assert_eq!(codes(&status, 0), (Fitness::Degraded, vec!["lookup_stale"]));
        assert!(Readiness::of(&status, 0).reasons[0].message.contains("creators.csv: gone"));
        status.lookups.insert("creators".into(), LookupStatus::default());
        assert_eq!(codes(&status, 0), (Fitness::Ready, vec![]));
    }

    #[test]
    fn a_job_that_ends_is_not_ready() {
        let mut status = running(&["a"]);
        read(&mut status, "a", 0, 0);
        status.phase = Phase::Stopping;
        assert_eq!(codes(&status, 0), (Fitness::NotReady, vec!["stopping"]));
        status.phase = Phase::Failed;
        status.trouble = Some(Trouble { at: 0, message: "the disk is full".into() });
        let readiness = Readiness::of(&status, 0);
        assert_eq!((readiness.fitness, readiness.reasons[0].message.as_str()), (Fitness::NotReady, "the disk is full"));
    }
}
