//! What of a saved state does not fit the job that is to go on from it, and what becomes of that.
//!
//! Pipelines are told by the names of their tables, and their states by fingerprints: what one does not depend on cannot make it unfit.
//! The tables of `CONCURRENCY` share one state, which has a fingerprint of its own.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::checkpoint::{Checkpoint, Header};
use super::job_state::JobState;
use super::pipelines::Pipelines;
use crate::config::OnChangedPipeline;
use crate::error::{Error, Result};
use crate::operator::concurrency::{Concurrency, ConcurrencyOptions};
use crate::pipeline::{ContinuousPlan, Fingerprint};
use crate::types::{MICROS_PER_SEC, Micros, format_micros};

/// The job's delay decides which windows of `CONCURRENCY` are out.
const WATERMARK_DELAY: &str = "time.watermark_delay_secs";

/// What the state depends on that all tables of `CONCURRENCY` share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedState {
    /// The delay of the watermark, and the size of the buckets in which it is resolved.
    pub fingerprint: Fingerprint,
    /// The columns that some table counts by, besides the stream. One that nobody asks for any more does no harm.
    pub dimensions: Vec<String>,
    /// The sets of timeouts by which tables count. Each has sessions and streams of its own.
    pub timeouts: BTreeSet<ConcurrencyOptions>,
}

impl SharedState {
    /// That of a job; none if no table counts sessions.
    pub(super) fn of(pipelines: &Pipelines) -> Option<Self> {
        let finest = pipelines.queries.iter().map(|q| q.size).min()?;
        let times = [
            (WATERMARK_DELAY, pipelines.options.watermark_delay),
            ("the shortest window of any table of CONCURRENCY, in seconds", finest),
        ];
        let fingerprint =
            times.iter().fold(Fingerprint::default(), |print, (part, time)| print.with(part, &secs(*time)));
        Some(Self {
            fingerprint,
            dimensions: Concurrency::dimension_names(&pipelines.queries),
            timeouts: pipelines.plans.iter().flat_map(|plan| pipelines.timeouts_of(plan)).collect(),
        })
    }

    /// Why a state that depended on this does not fit a job that depends on `now`; none if it does.
    fn changes(&self, now: &Self) -> Option<String> {
        let new: Vec<&str> =
            now.dimensions.iter().filter(|d| !self.dimensions.contains(d)).map(String::as_str).collect();
        let new = (!new.is_empty()).then(|| format!("sessions are counted by {} too", new.join(", ")));
        let changes: Vec<String> = self.fingerprint.changes(&now.fingerprint).into_iter().chain(new).collect();
        (!changes.is_empty()).then(|| changes.join(", "))
    }
}

fn secs(time: Micros) -> String {
    (time as f64 / MICROS_PER_SEC as f64).to_string()
}

/// By table: what the state of its pipeline depends on. Of a question to the shared state those are its timeouts.
pub(super) fn fingerprints(pipelines: &Pipelines) -> BTreeMap<String, Fingerprint> {
    let of = |plan: &ContinuousPlan| match plan.reads_concurrency() {
        true => with_timeouts(plan.fingerprint.clone(), &pipelines.timeouts_of(plan)),
        false => with_delay(plan, pipelines),
    };
    pipelines.plans.iter().map(|plan| (plan.name.clone(), of(plan))).collect()
}

/// The delay, whoever sets it: it decides which windows of the table are out.
fn with_delay(plan: &ContinuousPlan, pipelines: &Pipelines) -> Fingerprint {
    plan.fingerprint.clone().with("watermark_delay_secs", &secs(pipelines.watermark_delay(plan)))
}

/// The timeouts by the keys that set them where the query does not; of a query that counts by several sets, all.
fn with_timeouts(print: Fingerprint, sets: &BTreeSet<ConcurrencyOptions>) -> Fingerprint {
    let mut values: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, time) in sets.iter().flat_map(ConcurrencyOptions::named) {
        values.entry(name).or_default().push(secs(time));
    }
    let part = |print: Fingerprint, (name, values): (&str, Vec<String>)| {
        print.with(&format!("concurrency.{name}_secs"), &values.join(" and "))
    };
    values.into_iter().fold(print, part)
}

/// How the pipelines of a job differ from those that a state is of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// By table: what has changed of its pipeline.
    pub changed: BTreeMap<String, String>,
    /// Tables that the state does not know.
    pub new: Vec<String>,
    /// Tables that are there no more.
    pub gone: Vec<String>,
    /// The sets of timeouts by which who is present is counted anew.
    pub presence_anew: BTreeSet<ConcurrencyOptions>,
}

/// Makes a checkpoint one of this job: pipelines that have not changed go on, new ones begin without state, and that of those which are
/// gone is dropped. If some have changed, they begin anew or are refused, as `on_changed` says. What begins writes no window of which
/// rows were read before.
///
/// # Errors
/// A user error that names what has changed, with the remedies.
pub fn fit(
    checkpoint: &mut Checkpoint,
    pipelines: &Pipelines,
    stream: &str,
    on_changed: OnChangedPipeline,
) -> Result<Changes> {
    checkpoint.header.check_positions(pipelines, stream)?;
    let positions_only = checkpoint.state.combine.is_none();
    let changes = refuse(&checkpoint.header, positions_only, pipelines, on_changed)?;
    changes.apply(&mut checkpoint.state, pipelines);
    // Versions of lookup tables that only those join which begin anew need not be those of before.
    let goes_on = |table: &str| !changes.changed.contains_key(table) && !changes.new.iter().any(|t| t == table);
    let joined = |lookup: &str| {
        let joins = |plan: &&ContinuousPlan| plan.lookups.iter().any(|l| l.name.as_ref() == lookup);
        pipelines.plans.iter().filter(joins).any(|plan| goes_on(&plan.name))
    };
    checkpoint.header.lookups.retain(|lookup, _| joined(lookup));
    Ok(changes)
}

/// What of a checkpoint with this header does not fit, if it may be so.
///
/// # Errors
/// As [`fit`], but for positions.
pub(super) fn refuse(
    header: &Header,
    positions_only: bool,
    pipelines: &Pipelines,
    on_changed: OnChangedPipeline,
) -> Result<Changes> {
    let changes = match positions_only {
        false => Changes::between(header, pipelines),
        // Windows and presence were given up, or there were none yet.
        true => Changes {
            presence_anew: SharedState::of(pipelines).map(|now| now.timeouts).unwrap_or_default(),
            ..Changes::default()
        },
    };
    if on_changed == OnChangedPipeline::Refuse {
        changes.refuse()?;
    }
    Ok(changes)
}

impl Changes {
    /// How those of `pipelines` differ from those that the header's state is of.
    pub fn between(header: &Header, pipelines: &Pipelines) -> Self {
        let shared = SharedState::of(pipelines);
        let shared_changes = match (&header.shared, &shared) {
            (Some(then), Some(now)) => then.changes(now),
            _ => None,
        };
        let mut presence_anew = shared.map(|now| now.timeouts).unwrap_or_default();
        if let (Some(then), None) = (&header.shared, &shared_changes) {
            presence_anew.retain(|set| !then.timeouts.contains(set));
        }
        let mut changes = Self {
            presence_anew,
            gone: header.pipelines.keys().filter(|table| pipelines.plan(table).is_none()).cloned().collect(),
            ..Self::default()
        };
        for (table, now) in fingerprints(pipelines) {
            let Some(then) = header.pipelines.get(&table) else {
                changes.new.push(table);
                continue;
            };
            let shares = pipelines.plan(&table).is_some_and(|plan| plan.reads_concurrency());
            let of_shared = shared_changes.as_ref().filter(|_| shares);
            let of_shared = of_shared.map(|what| format!("of what tables of CONCURRENCY share: {what}"));
            let what: Vec<String> = then.changes(&now).into_iter().chain(of_shared).collect();
            if !what.is_empty() {
                changes.changed.insert(table, what.join("; "));
            }
        }
        changes
    }

    fn refuse(&self) -> Result<()> {
        if self.changed.is_empty() {
            return Ok(());
        }
        let each = self.changed.iter().map(|(table, what)| format!("the pipeline {table} has changed since ({what})"));
        let all = each.collect::<Vec<_>>().join("; ");
        Err(Error::user(format!("the saved state does not fit: {all}")).hint(
            "run it as it was; or set run.on_changed_pipeline = \"fresh\": what has changed gives up its windows that are open and begins \
             anew, and the rest goes on; or `headcount checkpoint reset --keep-positions` gives up all windows that are open and reads \
             on from where it stopped; or give the new job its own run.application or lake",
        ))
    }

    fn apply(&self, state: &mut JobState, pipelines: &Pipelines) {
        let reached = state.reached();
        let sets: BTreeSet<_> = pipelines.plans.iter().flat_map(|plan| pipelines.timeouts_of(plan)).collect();
        if self.presence_anew == sets {
            state.forget_presence();
        }
        state.floors.presence.retain(|set, _| sets.contains(set));
        if let Some(reached) = reached {
            // Whoever is present has been heard of by then.
            let floors = self.presence_anew.iter().map(|set| (*set, reached.saturating_add(set.session_timeout)));
            state.floors.presence.extend(floors);
        }
        self.gone.iter().for_each(|table| state.forget(table));
        for table in self.changed.keys().chain(&self.new) {
            state.forget(table);
            if let Some(reached) = reached {
                state.floors.tables.insert(table.clone(), reached);
            }
        }
    }

    /// Says in the log what begins, from which window on, and what is gone.
    pub fn log(&self, state: &JobState, pipelines: &Pipelines) {
        let from = |table: &str| {
            let floor = pipelines.plan(table).and_then(|plan| state.floors.of(plan, pipelines));
            floor.map_or_else(|| "the first event".to_owned(), format_micros)
        };
        for (table, why) in &self.changed {
            let from = from(table);
            tracing::warn!(
                table,
                from,
                why,
                "the pipeline has changed: the windows that were open are given up, its table begins anew"
            );
        }
        for table in &self.new {
            let from = from(table);
            tracing::info!(
                table,
                from,
                "the pipeline is new: its table begins with the first window that is read whole"
            );
        }
        for table in &self.gone {
            tracing::warn!(table, "the pipeline is gone: the windows that were open are given up");
        }
    }
}
