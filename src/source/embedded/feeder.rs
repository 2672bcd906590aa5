//! Plays the simulator into a stream at the pace of the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::error::{Result, Retry};
use crate::limits;
use crate::source::kinesis::{Producer, PutRecord};
use crate::source::simulator::{SimEvent, Simulator, SimulatorConfig};
use crate::types::{MICROS_PER_MINUTE, Micros};

/// Records are gathered for this long before they are put.
const BATCH_EVERY: Duration = Duration::from_millis(100);

/// A gap like this is no lag: the machine slept, or its clock was set. The platform starts anew.
const GAP: Micros = MICROS_PER_MINUTE;

const LAG_MAX: Micros = limits::FEEDER_LAG_MILLIS_MAX as Micros * 1_000;

/// What the feeder did so far.
#[derive(Debug, Default)]
pub struct FeedCounters {
    put: AtomicU64,
    skipped: AtomicU64,
    failed: AtomicU64,
    restarts: AtomicU64,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FeedCounts {
    /// Records put.
    pub put: u64,
    /// Records left out because the stream did not keep up with the clock.
    pub skipped: u64,
    /// Records of calls that failed in the end; the stream may have taken some of them.
    pub failed: u64,
    /// Times that the platform began anew after a gap of the clock.
    pub restarts: u64,
}

impl FeedCounters {
    /// All counts now.
    pub fn snapshot(&self) -> FeedCounts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        FeedCounts {
            put: of(&self.put),
            skipped: of(&self.skipped),
            failed: of(&self.failed),
            restarts: of(&self.restarts),
        }
    }
}

/// Puts the simulator's records when their time has come.
///
/// The simulation's virtual time is the clock's. When the stream does not take records fast enough, those more than
/// [`limits::FEEDER_LAG_MILLIS_MAX`] late are left out and counted: the pace drops, memory and lateness do not grow.
#[derive(Debug)]
pub struct Feeder {
    // Properties
    config: SimulatorConfig,
    clock: Arc<dyn Clock>,
    counters: Arc<FeedCounters>,
    // State
    producer: Producer,
    simulator: Simulator,
    next: Option<SimEvent>,
    /// Records that the simulator gave and that were put or left out.
    taken: u64,
    /// Records of the time between two feeders are put although they are late.
    catching_up: bool,
}

/// Where a simulated platform is: it is a function of its seed and start, so the number of its records says the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeederState {
    seed: u64,
    start: Micros,
    events_per_sec: u32,
    taken: u64,
}

impl Feeder {
    /// Builds the platform, warm, at the clock's present time; `config.start` is not used.
    ///
    /// # Errors
    /// A user's error for a configuration that cannot be simulated.
    pub fn new(config: SimulatorConfig, producer: Producer, clock: Arc<dyn Clock>) -> Result<Self> {
        let config = SimulatorConfig { start: clock.now(), ..config };
        let simulator = Simulator::new(config.clone())?;
        Ok(Self {
            config,
            clock,
            counters: Arc::default(),
            producer,
            simulator,
            next: None,
            taken: 0,
            catching_up: false,
        })
    }

    /// Goes on with the platform of an earlier feeder, as if it had lived on meanwhile: what happened in between is put at once, if it is
    /// not longer than a minute. A platform at another pace, or of too long ago to be played again, starts anew.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn resume(
        config: SimulatorConfig,
        state: FeederState,
        producer: Producer,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let mut feeder = Self::new(SimulatorConfig { seed: state.seed, ..config }, producer, clock)?;
        if state.events_per_sec != feeder.config.events_per_sec || state.taken > limits::FEEDER_REPLAY_EVENTS_MAX {
            feeder.restart(feeder.config.start)?;
            return Ok(feeder);
        }
        feeder.config.start = state.start;
        feeder.simulator = Simulator::new(feeder.config.clone())?;
        feeder.simulator.by_ref().take(usize::try_from(state.taken).unwrap_or(usize::MAX)).for_each(drop);
        feeder.taken = state.taken;
        feeder.catching_up = true;
        Ok(feeder)
    }

    /// Where the platform is.
    fn state(&self) -> FeederState {
        let SimulatorConfig { seed, start, events_per_sec, .. } = self.config;
        FeederState { seed, start, events_per_sec, taken: self.taken }
    }

    /// The counters, to look at while the feeder runs.
    pub fn counters(&self) -> Arc<FeedCounters> {
        Arc::clone(&self.counters)
    }

    /// Feeds until `stop`; a call under way then gets a second to end.
    ///
    /// # Errors
    /// What [`Producer::put`] says, unless it may pass: then the records are counted as failed and the feeder goes on.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(FeedCounts, FeederState)> {
        let mut ticks = tokio::time::interval(BATCH_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok((self.counters.snapshot(), self.state())),
                _ = ticks.tick() => {}
            }
            let batch = self.due(self.clock.now())?;
            let records = batch.len() as u64;
            if records == 0 {
                continue;
            }
            let patience = async {
                stop.cancelled().await;
                tokio::time::sleep(Duration::from_secs(1)).await;
            };
            let outcome = tokio::select! {
                outcome = self.producer.put(batch) => outcome.map(|_| ()),
                () = patience => {
                    add(&self.counters.failed, records);
                    return Ok((self.counters.snapshot(), self.state()));
                }
            };
            match outcome {
                Ok(()) => add(&self.counters.put, records),
                Err(e) if e.retry() == Retry::BackOff => {
                    add(&self.counters.failed, records);
                    tracing::warn!(error = %e, records, "the simulator's records were not taken");
                }
                Err(e) => return Err(e),
            }
        }
    }

    /// The records whose time has come, without those that are too late by now.
    fn due(&mut self, now: Micros) -> Result<Vec<PutRecord>> {
        let mut batch = Vec::new();
        loop {
            let Some(event) = self.next.take().or_else(|| self.simulator.next()) else { return Ok(batch) };
            if (event.arrival_time - now).abs() > GAP {
                self.restart(now)?;
                return Ok(batch);
            }
            if event.arrival_time > now {
                self.next = Some(event);
                return Ok(batch);
            }
            self.taken += 1;
            self.catching_up &= event.arrival_time < now - LAG_MAX;
            if event.arrival_time < now - LAG_MAX && !self.catching_up {
                add(&self.counters.skipped, 1);
                continue;
            }
            batch.push(PutRecord { partition_key: event.partition_key, data: event.data });
        }
    }

    /// A new platform, under another seed so that no id comes twice.
    fn restart(&mut self, now: Micros) -> Result<()> {
        add(&self.counters.restarts, 1);
        self.config.seed = self.config.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.config.start = now;
        self.simulator = Simulator::new(self.config.clone())?;
        self.next = None;
        self.taken = 0;
        self.catching_up = false;
        tracing::info!("the clock jumped: the simulated platform starts anew");
        Ok(())
    }
}

fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}
