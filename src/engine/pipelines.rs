//! The compiled queries of a job, and what they share.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::lookups::{LoadedLookup, Lookups};
use super::{memory, timeouts, watermarks};
use crate::config::Config;
use crate::engine::judge::{JudgeOptions, SkewLimits};
use crate::error::{Error, Result};
use crate::operator::concurrency::{Concurrency, ConcurrencyOptions, ConcurrencyQuery, ShardMarks};
use crate::operator::memory::StateMemory;
use crate::operator::window::{Lateness, LatenessRule};
use crate::pipeline::{Compiler, ContinuousPlan, Node, PipelineFile, StatefulNode};
use crate::schema::{Contract, SHARD_HIGH_TIME};
use crate::types::Micros;

/// The times that a job answers to, in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct EngineOptions {
    /// Skew, idleness, duplicates.
    pub judge: JudgeOptions,
    /// Watermark = high time − this.
    pub watermark_delay: Micros,
    /// Leases and activity.
    pub concurrency: ConcurrencyOptions,
    /// Whether lateness is judged.
    pub lateness: Lateness,
    /// What the state may take, in bytes.
    pub memory_bytes_max: usize,
}

impl EngineOptions {
    /// The times that a configuration sets.
    pub fn of(config: &Config, lateness: Lateness) -> Self {
        Self {
            judge: JudgeOptions {
                skew: SkewLimits {
                    max_future_skew: config.time.max_future_skew,
                    sent_at_skew: config.time.sent_at_skew,
                    max_event_age: config.time.max_event_age,
                },
                idle_timeout: config.time.idle_timeout,
                dedupe_horizon: config.time.dedupe_horizon,
            },
            watermark_delay: config.time.watermark_delay,
            concurrency: ConcurrencyOptions {
                session_timeout: config.concurrency.session_timeout,
                closed_retention: config.concurrency.closed_retention,
                stream_timeout: config.concurrency.stream_timeout,
                announced_timeout: config.concurrency.announced_timeout,
            },
            lateness,
            memory_bytes_max: config.run.memory_bytes_max.unwrap_or_else(memory::default_bytes_max),
        }
    }

    /// What of the times that queries set themselves contradicts these or each other, at the files that they are of.
    pub fn problems(&self, plans: &[ContinuousPlan], files: &[PipelineFile]) -> Vec<Error> {
        let mut problems = timeouts::problems(plans, &self.concurrency);
        problems.extend(watermarks::problems(plans, files, self.judge.skew.max_event_age));
        problems
    }
}

/// All queries of a job.
#[derive(Debug)]
pub struct Pipelines {
    /// The event contract.
    pub contract: Arc<Contract>,
    /// The queries.
    pub plans: Vec<ContinuousPlan>,
    /// The questions to the shared concurrency state, each once.
    pub queries: Vec<ConcurrencyQuery>,
    /// The lookup tables that queries join.
    pub lookups: Lookups,
    /// The times.
    pub options: EngineOptions,
    /// What the state of all shards takes together.
    pub memory: StateMemory,
}

impl Pipelines {
    /// Compiles `files`, which join no lookup tables. Collects every problem instead of stopping at the first.
    pub async fn compile(
        contract: Arc<Contract>,
        files: &[PipelineFile],
        options: EngineOptions,
    ) -> Result<Self, Vec<Error>> {
        Self::with_lookups(contract, files, &[], options).await
    }

    /// Compiles `files`, which may join `lookups`. Collects every problem instead of stopping at the first.
    pub async fn with_lookups(
        contract: Arc<Contract>,
        files: &[PipelineFile],
        lookups: &[LoadedLookup],
        options: EngineOptions,
    ) -> Result<Self, Vec<Error>> {
        let tables: Vec<_> = lookups.iter().map(|l| Arc::clone(&l.table)).collect();
        let memory = StateMemory::new(options.memory_bytes_max);
        let compiler = Compiler::with_lookups(&contract, &tables, memory).map_err(|e| vec![e])?;
        Self::compile_by(&compiler, contract, files, lookups, options).await
    }

    /// As [`Self::with_lookups`], by a compiler of the same contract and tables that may know functions of one's own.
    pub async fn compile_by(
        compiler: &Compiler,
        contract: Arc<Contract>,
        files: &[PipelineFile],
        lookups: &[LoadedLookup],
        options: EngineOptions,
    ) -> Result<Self, Vec<Error>> {
        let mut plans = Vec::new();
        let mut problems = Vec::new();
        for file in files {
            match compiler.compile(file).await {
                Ok(plan) => plans.push(plan),
                Err(e) => problems.push(e),
            }
            if file.name == contract.stream_name() {
                problems
                    .push(Error::user("the table of raw events has this name").at(&file.place).hint("rename the file"));
            }
        }
        let mut queries: Vec<ConcurrencyQuery> =
            plans.iter().flat_map(ContinuousPlan::concurrency_queries).cloned().collect();
        queries.sort();
        queries.dedup();
        if let Err(e) = check_sizes(&queries, &plans) {
            problems.push(e);
        }
        problems.extend(options.problems(&plans, files));
        let marks = ShardMarks::try_new(
            &contract.events_schema(),
            1,
            LatenessRule::never_late(),
            &Concurrency::dimension_names(&queries),
        );
        if let (false, Err(e)) = (queries.is_empty(), marks) {
            problems.push(match plans.iter().find(|p| p.reads_concurrency()) {
                Some(plan) => e.at(&plan.place),
                None => e,
            });
        }
        problems.extend(metrics_named_twice(&plans, files));
        let lookups = Lookups::of(lookups, &plans, compiler.memory()).unwrap_or_else(|more| {
            problems.extend(more);
            Lookups::default()
        });
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self { contract, plans, queries, lookups, options, memory: compiler.memory().clone() })
    }

    /// When a row is late for a window of `plan`.
    pub fn rule(&self, plan: &ContinuousPlan) -> LatenessRule {
        LatenessRule {
            lateness: self.options.lateness,
            watermark_delay: self.watermark_delay(plan),
            allowed_lateness: plan.allowed_lateness(),
        }
    }

    /// The rule by which marks are judged: the job's delay, and no allowed lateness.
    pub fn base_rule(&self) -> LatenessRule {
        LatenessRule {
            lateness: self.options.lateness,
            watermark_delay: self.options.watermark_delay,
            allowed_lateness: 0,
        }
    }

    /// A fresh shared concurrency state, if any query needs it.
    pub fn concurrency(&self) -> Result<Option<Concurrency>> {
        if self.queries.is_empty() {
            return Ok(None);
        }
        Concurrency::try_new(&self.queries, self.options.concurrency).map(Some)
    }

    /// Indices of the plans that read the shared concurrency state.
    pub fn concurrency_plans(&self) -> impl Iterator<Item = usize> + '_ {
        self.plans.iter().enumerate().filter(|(_, p)| p.reads_concurrency()).map(|(i, _)| i)
    }

    /// Names of the events' columns that any query reads, and those by which rows are judged and put in order.
    pub fn event_columns(&self) -> Result<BTreeSet<String>> {
        let mut read = BTreeSet::from([self.contract.time_field().to_owned(), SHARD_HIGH_TIME.to_owned()]);
        for plan in &self.plans {
            read.extend(plan.stream_columns()?);
        }
        if !self.queries.is_empty() {
            read.extend(ShardMarks::columns(&Concurrency::dimension_names(&self.queries)));
        }
        Ok(read)
    }

    /// The plan of a table.
    pub fn plan(&self, table: &str) -> Option<&ContinuousPlan> {
        self.plans.iter().find(|p| p.name == table)
    }
}

/// Metrics that two tables would both publish.
fn metrics_named_twice(plans: &[ContinuousPlan], files: &[PipelineFile]) -> Vec<Error> {
    let mut owners = HashMap::new();
    let mut problems = Vec::new();
    for plan in plans {
        for (n, metric) in plan.metrics.iter().enumerate() {
            let owner: &String = owners.entry(metric.identity()).or_insert(&plan.name);
            if let (false, Some(file)) = (*owner == plan.name, files.iter().find(|f| f.name == plan.name)) {
                let reason = format!("the table {owner} publishes the metric {} already", metric.metric);
                let error = Error::user(reason).at(file.at_metric(n, "metric"));
                problems
                    .push(error.hint("rename one, or give it another dimension: CloudWatch would mix their values"));
            }
        }
    }
    problems
}

/// Whether the concurrency windows fit together; if not, at one that does not.
fn check_sizes(queries: &[ConcurrencyQuery], plans: &[ContinuousPlan]) -> Result<()> {
    let Some(finest) = queries.iter().map(|q| q.size).min() else { return Ok(()) };
    Concurrency::finest_window(queries).map(drop).map_err(|e| {
        let odd = |n: &StatefulNode| matches!(&n.node, Node::Concurrency(q) if q.size % finest != 0);
        match plans.iter().find(|p| p.nodes.iter().any(odd)) {
            Some(plan) => e.at(&plan.place),
            None => e,
        }
    })
}
