//! `headcount run`

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::args::RunArgs;
use super::backfill::print_tables;
use super::lake_columns::refuse_other_types;
use super::out::say;
use super::resume::{Saved, say_committed};
use super::setup;
use super::signals::Signals;
use super::source::Feeding;
use super::status::StatusLine;
use crate::clock::Clock;
use crate::config::{Config, LogFormat};
use crate::engine::Pipelines;
use crate::engine::board::Board;
use crate::engine::commits::{CommitOf, Committer};
use crate::engine::job_state::JobState;
use crate::engine::live::{self, Ended, Ending, Tables};
use crate::engine::lookups::Reloader;
use crate::engine::tables::{TableSummary, Target, file_prefix, open_tables, table_schemas};
use crate::error::{Error, Result};
use crate::limits::DRAIN_SECS_MAX;
use crate::operator::window::Lateness;
use crate::serve::{Exhibits, Server};
use crate::source::kinesis::ShardReader;
use crate::telemetry::{install_prometheus, start_logging};
use crate::types::{MICROS_PER_SEC, ShardId};

/// Runs until it is stopped or `--for` has passed.
pub fn run(args: &RunArgs) -> Result<()> {
    let config = setup::load_config(args.config.as_deref())?;
    start_logging(&config.log, std::env::var("RUST_LOG").ok().as_deref())?;
    let runtime = setup::runtime(&config)?;
    let done = runtime.block_on(serve_and_run(args, &config));
    // What hangs in a system call must not hold the end up.
    runtime.shutdown_timeout(Duration::from_millis(500));
    done
}

async fn serve_and_run(args: &RunArgs, config: &Config) -> Result<()> {
    // Before anything else: a signal that comes while the job is being set up ends it in good order too.
    let mut signals = Signals::new()?;
    let metrics = install_prometheus()?;
    let clock = setup::clock();
    let board = Arc::new(Board::new(clock.now()));
    let stop_serving = CancellationToken::new();
    let mut serving = None;
    if config.serve.enabled {
        let server = Server::bind(config.serve.listen).await?;
        say!("metrics at http://{0}/metrics, status at http://{0}/api/status", server.address());
        let exhibits = Exhibits { metrics, board: Arc::clone(&board), clock: Arc::clone(&clock) };
        serving = Some(tokio::spawn(server.run(exhibits, stop_serving.clone())));
    }
    let done = consume(args, config, &board, clock, &mut signals).await;
    // People read the report that the command ends with; a log for machines would lack it.
    if let (Err(e), LogFormat::Json) = (&done, config.log.format) {
        tracing::error!(error = %e, exit_code = e.exit_code(), "the run failed");
    }
    stop_serving.cancel();
    if let Some(serving) = serving {
        serving.await.map_err(|e| Error::internal("the HTTP server broke off").because(e))??;
    }
    done
}

/// A job that is set up and has read nothing.
struct Ready {
    pipelines: Arc<Pipelines>,
    /// Who commits the job at its end; while it runs, its tables have them.
    committer: Option<Committer>,
    from: Option<JobState>,
    feeding: Feeding,
    shards: Vec<ShardReader>,
    tables: Tables,
    reloaders: Vec<Reloader>,
}

async fn set_up(config: &Config, board: &Arc<Board>, clock: &Arc<dyn Clock>) -> Result<Ready> {
    let pipelines = setup::compile(config, Lateness::Judge).await.map_err(setup::first_of)?;
    let lake = setup::open_lake(config, None, clock.as_ref()).await?;
    board.lake_reached();
    say!("lake at {}", lake.url());
    refuse_other_types(config, &lake, &table_schemas(&pipelines)).await?;
    let prefix = file_prefix(clock.as_ref());
    let mut saved = Saved::new(config, &lake, &prefix, clock);
    // Whatever can be found wrong is found before a run that is at work is shut out.
    let looked = saved.look(&pipelines).await?;
    let looked_at = looked.checkpoint.as_ref().map(|(number, _)| *number);
    let (state, source) = looked.checkpoint.as_ref().map(|(_, c)| (&c.state, c.source.as_slice())).unzip();
    let feeding = Feeding::start(config, source.unwrap_or_default(), clock).await?;
    board.watch(feeding.trouble());
    let shards = feeding.list().await?;
    // Positions of another run's own stream are none of this one's.
    let mut readers = feeding.readers(&shards, state.filter(|_| !feeding.is_new()));
    feeding.open(&mut readers).await?;
    let target = saved.files.as_ref().map_or(Target::Lake(&lake), Target::Uncommitted);
    let mut tables = Tables::from(open_tables(&pipelines, target, setup::table_options(config), &prefix, clock));
    if let Some(place) = setup::publish(config, &pipelines, &mut tables.windows, clock).await? {
        say!("publishing to {place}");
    }
    if let Some(counters) = tables.windows.published() {
        board.publishing(counters);
    }
    let begin = JobState::beginning(readers.iter().map(|r| (ShardId::clone(r.shard()), r.position())));
    let last = saved.take_over(&pipelines, looked, &begin).await?;
    let history = saved.keep_lookups(&pipelines).await?;
    let reloaders = Reloader::all(&pipelines.lookups, last.is_some(), history.as_ref(), board, clock);
    let (number, mut from) = last.map(|(number, checkpoint)| (number, checkpoint.state)).unzip();
    from.iter_mut().for_each(|state| feeding.settle(state, &shards));
    if number != looked_at || feeding.is_new() {
        // The run that was shut out, or another one, has committed since.
        readers = feeding.readers(&shards, from.as_ref());
    }
    say!("reading {} shards of {}", readers.len(), feeding.place());
    log_start(config, &pipelines, feeding.place(), readers.len());
    let mut committer = saved.committer(&pipelines);
    if saved.files.is_some() {
        let interval = Duration::from_micros(config.run.commit_interval.unsigned_abs());
        tables.commits = committer.take().map(|committer| (committer, interval));
    }
    Ok(Ready { pipelines, committer, from, feeding, shards: readers, tables, reloaders })
}

async fn consume(
    args: &RunArgs,
    config: &Config,
    board: &Arc<Board>,
    clock: Arc<dyn Clock>,
    signals: &mut Signals,
) -> Result<()> {
    let ready = tokio::select! {
        ready = set_up(config, board, &clock) => ready?,
        () = signals.next() => {
            say!("stopped by a signal before anything was read");
            return Ok(());
        }
    };
    let Ready { pipelines, committer, from, mut feeding, shards, tables, reloaders } = ready;
    let mut reloading = Reloader::spawn(reloaders);
    let ending = Ending::default();
    let mut job = tokio::spawn(live::run(
        Arc::clone(&pipelines),
        shards,
        from,
        tables,
        Arc::clone(board),
        ending.clone(),
        Arc::clone(&clock),
    ));
    let status = StatusLine::new(board, &clock);
    let (ended, source) = match watch(args.duration, config, status, &mut job, signals).await? {
        Until::Ended(done) => ((*done)?, Vec::new()),
        Until::Asked(why) => {
            // From now on a load balancer is told to send nobody here; the drain takes seconds.
            board.stopping();
            tracing::info!(why, "stopping");
            say!("stopping: writing what is open");
            end(&mut feeding, config.run.checkpoints, &ending, &mut job, signals).await?
        }
    };
    // The versions that the checkpoint names are those of its windows.
    reloading.shutdown().await;
    let status = board.status();
    if let Some(mut committer) = ended.committer.or(committer) {
        say_committed(&committer.finish(CommitOf::new(ended.state, source, &status)).await?);
    }
    // A client that keeps its connection must not hold the end up.
    let _ = tokio::time::timeout(Duration::from_millis(300), feeding.shutdown()).await;
    farewell(board, &ended.tables)
}

/// What a run is made of, as one log line: no secrets, since none are configured.
fn log_start(config: &Config, pipelines: &Pipelines, source: &str, shards: usize) {
    let names: Vec<&str> = pipelines.plans.iter().map(|p| p.name.as_str()).collect();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        source,
        shards,
        lake = config.lake.url,
        pipelines = names.join(","),
        watermark_delay_secs = config.time.watermark_delay / MICROS_PER_SEC,
        idle_timeout_secs = config.time.idle_timeout / MICROS_PER_SEC,
        session_timeout_secs = config.concurrency.session_timeout / MICROS_PER_SEC,
        worker_threads = config.run.worker_threads,
        "started"
    );
}

type Job = tokio::task::JoinHandle<Result<Ended>>;

/// Why the watching ended.
enum Until {
    /// The job has ended by itself.
    Ended(Box<Result<Ended>>),
    /// It is to end, for this reason.
    Asked(&'static str),
}

/// Prints the status until it is time to stop, or the job has ended by itself.
async fn watch(
    duration: Option<Duration>,
    config: &Config,
    mut status: StatusLine,
    job: &mut Job,
    signals: &mut Signals,
) -> Result<Until> {
    let interval = Duration::from_micros(config.run.status_interval.unsigned_abs());
    let mut tick = tokio::time::interval_at(tokio::time::Instant::now() + interval, interval);
    let until = async {
        match duration {
            Some(d) => tokio::time::sleep(d).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(until);
    loop {
        tokio::select! {
            _ = tick.tick() => say!("{}", status.next()),
            () = &mut until => return Ok(Until::Asked("the time given by --for has passed")),
            () = signals.next() => return Ok(Until::Asked("a signal came")),
            done = &mut *job => return Ok(Until::Ended(Box::new(done.map_err(broke_off)?))),
        }
    }
}

/// Brings the job to its end in time; what it and its source leave. A second signal gives up.
async fn end(
    feeding: &mut Feeding,
    goes_on: bool,
    ending: &Ending,
    job: &mut Job,
    signals: &mut Signals,
) -> Result<(Ended, Vec<u8>)> {
    let orderly = async {
        let source = match feeding.stop_feeding().await? {
            Some(source) => {
                // A stream of our own has ended with the simulator: without another run, its windows are complete.
                if goes_on {
                    ending.catch_up.cancel()
                } else {
                    ending.drain.cancel()
                }
                source
            }
            None => {
                ending.stop.cancel();
                Vec::new()
            }
        };
        Ok((job.await.map_err(broke_off)??, source))
    };
    tokio::select! {
        done = orderly => done,
        () = tokio::time::sleep(Duration::from_secs(DRAIN_SECS_MAX)) => {
            Err(Error::external(format!("the job did not end within {DRAIN_SECS_MAX} s: {CUT_SHORT}")))
        }
        () = second_signal(signals) => Err(Error::external(format!("stopped by a second signal: {CUT_SHORT}"))),
    }
}

const CUT_SHORT: &str = "no checkpoint was written, the next start goes on from the one before, and reads and writes again what this run has";

/// One more signal than the one that stopped the run: a shell and what runs under it often send one each.
async fn second_signal(signals: &mut Signals) {
    tokio::time::sleep(Duration::from_secs(1)).await;
    signals.forget();
    signals.next().await;
}

fn broke_off(e: tokio::task::JoinError) -> Error {
    Error::internal("the job broke off").because(e)
}

fn farewell(board: &Board, tables: &[TableSummary]) -> Result<()> {
    let counters = board.status().counters();
    tracing::info!(
        read = counters.read,
        kept = counters.kept,
        duplicates = counters.duplicates,
        dead_letters = counters.dead_letters,
        rows = tables.iter().map(|(_, w)| w.rows).sum::<u64>(),
        files = tables.iter().map(|(_, w)| w.files).sum::<u64>(),
        bytes = tables.iter().map(|(_, w)| w.bytes).sum::<u64>(),
        "stopped"
    );
    say!(
        "read {}: kept {}, duplicates {}, dead letters {}",
        counters.read,
        counters.kept,
        counters.duplicates,
        counters.dead_letters
    );
    print_tables(tables);
    match counters.contradictions().as_slice() {
        [] => Ok(()),
        wrong => Err(Error::internal(format!("the counters do not add up: {}", wrong.join("; ")))),
    }
}
