//! What may be typed, and the help that teaches it.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use regex::Regex;

use super::examples::{
    ABOUT_EXAMPLES, BACKFILL_EXAMPLES, CHECK_EXAMPLES, CHECKPOINT_EXAMPLES, DEAD_LETTERS_EXAMPLES, EXPLAIN_EXAMPLES,
    KINESIS_EXAMPLES, QUERY_EXAMPLES, RUN_EXAMPLES, SIMULATE_EXAMPLES, VERIFY_EXAMPLES,
};
use super::values::{count, duration, letters_listed, mebibytes, memory, reason, regex, rows_shown, timestamp};
use crate::dead_letters::{Filter, LetterName};
use crate::decode::Reason;
use crate::error::{Error, Result};
use crate::limits::{QUERY_MEMORY_MIB, QUERY_SHOWN_ROWS, VERIFY_SHOWN_DIFFERENCES};
use crate::operator::window;
use crate::types::{Micros, format_micros};

/// Real-time analytics for live-streaming platforms: Kinesis in, SQL over windows, partitioned Parquet out.
#[derive(Debug, Parser)]
#[command(name = "headcount", version, about, arg_required_else_help = true, after_help = ABOUT_EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read a stream and keep its tables up to date, until stopped.
    Run(RunArgs),
    /// Compute the same tables from event files.
    Backfill(BackfillArgs),
    /// Say whether configuration, schemas and queries are right.
    Check(CheckArgs),
    /// Say how a pipeline runs: what in each shard, what where shards meet, what it keeps and for how long.
    Explain(ExplainArgs),
    /// Write a simulated platform's events to files.
    Simulate(SimulateArgs),
    /// Serve a Kinesis stream on this machine, for a consumer that is started, stopped and killed beside it.
    Kinesis(KinesisArgs),
    /// See or give up what runs left for the next one.
    Checkpoint(CheckpointArgs),
    /// See what could not be used, and take it in again once the schema is mended.
    DeadLetters(DeadLettersArgs),
    /// Ask the lake's tables by SQL.
    Query(QueryArgs),
    /// Compute every table again from the lake's raw events, and say where the lake differs.
    Verify(VerifyArgs),
}

/// `headcount run`
#[derive(Debug, Args)]
#[command(after_help = RUN_EXAMPLES)]
pub struct RunArgs {
    /// Configuration file; without it, a whole platform runs on this machine (config/local.toml).
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Stop after this long, as Ctrl-C would: `90s`, `10m`, `2h`.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub duration: Option<Duration>,
}

/// `headcount backfill`
#[derive(Debug, Args)]
#[command(after_help = BACKFILL_EXAMPLES)]
pub struct BackfillArgs {
    /// Event files: JSON (plain, .gz or .zst) or Parquet as Headcount writes it. JSON may be lines, an array, objects, or what
    /// `aws kinesis get-records` prints: each file says itself. A path, a folder, a quoted glob, file:// or s3://. May be given
    /// more than once.
    #[arg(long, value_name = "PATH|GLOB|URL", required = true, num_args = 1..)]
    pub input: Vec<String>,

    /// Lake to write to: a folder, file:// or s3://bucket/prefix. The configuration's `lake.url` if left out. Hours that hold events of
    /// the input are replaced in every table, all in one step.
    #[arg(long, value_name = "URL")]
    pub lake: Option<String>,

    /// First hour to write: a whole hour, RFC 3339. Earlier events are read all the same: their sessions reach in.
    #[arg(long, value_name = "TIME", value_parser = timestamp)]
    pub from: Option<Micros>,

    /// First hour not to write any more: a whole hour, RFC 3339. With --from, every hour in between is replaced.
    #[arg(long, value_name = "TIME", value_parser = timestamp)]
    pub to: Option<Micros>,

    /// What to do with rows that came too late for their window.
    #[arg(long, value_enum, default_value_t = Lateness::Ignore)]
    pub lateness: Lateness,

    /// Tell the shards of files without a `shard_id` apart by their names: what the first group matches, or the whole match, is the
    /// shard. Files of one shard are read in the order of their names. Without it, each such file is a shard.
    #[arg(long, value_name = "REGEX", value_parser = regex)]
    pub shard_from: Option<Regex>,

    /// Join the versions of lookup tables that this checkpoint of the lake names, by its number, instead of the tables as they are now.
    #[arg(long, value_name = "CHECKPOINT")]
    pub lookups_of: Option<u64>,

    /// Write the pipelines' tables only. Raw events, late rows and dead letters are counted and not written; those of the lake stay.
    #[arg(long)]
    pub windows_only: bool,

    /// Configuration file, for the pipelines, the schema and the time settings.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl BackfillArgs {
    /// Refuses what no single argument shows: a time range that holds nothing.
    ///
    /// # Errors
    /// A user error if `--from` is not before `--to`.
    pub fn check(&self) -> Result<()> {
        holds_time(self.from, self.to)
    }
}

/// What a backfill does with rows that came too late for their window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Lateness {
    /// Nothing is late: every row counts in its window.
    Ignore,
    /// Judge each row as a live run would have: late rows go to the late output, and the tables equal the live ones.
    Replay,
}

impl From<Lateness> for window::Lateness {
    fn from(lateness: Lateness) -> Self {
        match lateness {
            Lateness::Ignore => Self::Ignore,
            Lateness::Replay => Self::Judge,
        }
    }
}

/// `headcount check`
#[derive(Debug, Args)]
#[command(after_help = CHECK_EXAMPLES)]
pub struct CheckArgs {
    /// Configuration file to check, with the schema and the pipelines it leads to.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// `headcount explain`
#[derive(Debug, Args)]
#[command(after_help = EXPLAIN_EXAMPLES)]
pub struct ExplainArgs {
    /// A pipeline by its table's name, such as `concurrent_viewers`, or the path of a .sql file.
    #[arg(value_name = "PIPELINE")]
    pub pipeline: String,

    /// Configuration file, for the folder of pipelines, the schema and the times.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// `headcount simulate`
#[derive(Debug, Args)]
#[command(after_help = SIMULATE_EXAMPLES)]
pub struct SimulateArgs {
    /// Events to write, in all: `1000000` or `1_000_000`.
    #[arg(long, value_name = "N", value_parser = count)]
    pub events: NonZeroU64,

    /// Seed: the same seed gives the same files, byte for byte.
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,

    /// Shards, and so files.
    #[arg(long, value_name = "K", default_value = "4")]
    pub shards: NonZeroU32,

    /// Events a second of the simulated time: the audience is sized to it, some 17 viewers for each.
    #[arg(long, value_name = "R", default_value = "2000")]
    pub events_per_sec: NonZeroU32,

    /// Channels, all of them on air at the start; one for ten events a second, at most 2,000, if left out.
    #[arg(long, value_name = "C")]
    pub channels: Option<NonZeroU32>,

    /// Nothing goes wrong: no event is malformed, late, sent twice or from a wrong clock, no end is lost, and all times are RFC 3339.
    #[arg(long)]
    pub undisturbed: bool,

    /// Folder for the files; it is made if need be.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// `headcount kinesis`
#[derive(Debug, Args)]
#[command(after_help = KINESIS_EXAMPLES)]
pub struct KinesisArgs {
    /// Port on 127.0.0.1; 0 takes any free one, and says which.
    #[arg(long, value_name = "N", default_value_t = 4567)]
    pub port: u16,

    /// Name of the stream.
    #[arg(long, value_name = "NAME", default_value = "user-events")]
    pub stream: String,

    /// Shards of the stream.
    #[arg(long, value_name = "K", default_value = "4")]
    pub shards: NonZeroU32,

    /// Forget records that are older than this: `90s`, `10m`, `2h`.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "24h")]
    pub retain: Duration,

    /// Forget the oldest records beyond so many MiB. At twice that, puts are refused.
    #[arg(long, value_name = "MIB", default_value = "512", value_parser = mebibytes)]
    pub retain_mib: NonZeroU64,
}

/// `headcount checkpoint`
#[derive(Debug, Args)]
#[command(after_help = CHECKPOINT_EXAMPLES)]
pub struct CheckpointArgs {
    /// What to do with them.
    #[command(subcommand)]
    pub action: CheckpointAction,

    /// Configuration file: it names the lake and the application.
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
}

/// What to do with checkpoints.
#[derive(Debug, Subcommand)]
pub enum CheckpointAction {
    /// A line for each, the last one last: that is the one a start goes on from. Columns: number, when it was written, generation (how
    /// often a process took the application over), shards, bytes, files that it made visible, age, watermark, open windows.
    List,
    /// Everything that one says about itself.
    Show {
        /// Its number; the last one if left out.
        number: Option<u64>,
    },
    /// Give them up: the next start reads the stream from where the configuration says. What it read before, it reads again.
    Reset {
        /// Give up the windows that are open, and read on from where the last run stopped.
        #[arg(long)]
        keep_positions: bool,
    },
}

/// `headcount dead-letters`
#[derive(Debug, Args)]
#[command(after_help = DEAD_LETTERS_EXAMPLES)]
pub struct DeadLettersArgs {
    /// What to do with them.
    #[command(subcommand)]
    pub action: DeadLettersAction,

    /// The lake: a folder, file:// or s3://bucket/prefix. The configuration's `lake.url` if left out.
    #[arg(long, value_name = "URL", global = true)]
    pub lake: Option<String>,

    /// Configuration file: it names the lake, and for a replay the schema and the time settings.
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
}

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub enum DeadLettersAction {
    /// The newest, and how many there are for which reason.
    List {
        /// Which ones.
        #[command(flatten)]
        filter: LetterFilter,

        /// Print so many at most. 0 prints the counts alone.
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = letters_listed)]
        limit: usize,

        /// Print one JSON object a line, and no counts.
        #[arg(long)]
        json: bool,
    },
    /// One of them, whole.
    Show {
        /// The sequence number, and after a colon the place in the record if the record has several letters.
        #[arg(value_name = "SEQUENCE[:SUB]")]
        name: LetterName,

        /// Which one, if several are called so.
        #[command(flatten)]
        filter: LetterFilter,

        /// Write its bytes, and nothing else.
        #[arg(long)]
        raw: bool,
    },
    /// Decode them again. What can be read by now is added to the raw events; the rest stays, with the reason that it has now.
    Replay {
        /// Which ones.
        #[command(flatten)]
        filter: LetterFilter,

        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
}

/// Which dead letters are meant.
#[derive(Debug, Clone, Args)]
pub struct LetterFilter {
    /// Arrived at or after this time, RFC 3339.
    #[arg(long, value_name = "TIME", value_parser = timestamp)]
    pub from: Option<Micros>,

    /// Arrived before this time, RFC 3339.
    #[arg(long, value_name = "TIME", value_parser = timestamp)]
    pub to: Option<Micros>,

    /// For this reason: `missing_field`, `wrong_type` …
    #[arg(long, value_name = "CODE", value_parser = reason)]
    pub reason: Option<Reason>,

    /// Of this shard.
    #[arg(long, value_name = "ID")]
    pub shard: Option<String>,
}

impl From<&LetterFilter> for Filter {
    fn from(f: &LetterFilter) -> Self {
        Self { from: f.from, to: f.to, reason: f.reason, shard: f.shard.clone() }
    }
}

/// `headcount query`
#[derive(Debug, Args)]
#[command(after_help = QUERY_EXAMPLES)]
pub struct QueryArgs {
    /// One statement that reads: SELECT, WITH, SHOW TABLES, DESCRIBE, EXPLAIN. `-` reads it from standard input.
    #[arg(value_name = "SQL")]
    pub sql: String,

    /// The lake: a folder, file:// or s3://bucket/prefix. The configuration's `lake.url` if left out.
    #[arg(long, value_name = "URL")]
    pub lake: Option<String>,

    /// Print one JSON object a line, with every column; all rows.
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,

    /// Print CSV with a line of names: NULL is nothing, an empty text is \"\"; all rows.
    #[arg(long)]
    pub csv: bool,

    /// Show so many rows at most. A table that has more says so. 0 shows how many there are.
    #[arg(long, value_name = "N", default_value_t = QUERY_SHOWN_ROWS, value_parser = rows_shown, conflicts_with_all = ["json", "csv"])]
    pub rows: usize,

    /// Also give the rows that a later revision of their window has replaced.
    #[arg(long)]
    pub all_revisions: bool,

    /// Memory for sorting, grouping and joining, in MiB. Beyond it rows wait in the folder for temporary files (TMPDIR).
    #[arg(long, value_name = "MIB", default_value_t = QUERY_MEMORY_MIB, value_parser = memory)]
    pub memory: usize,

    /// Configuration file: it names the lake, and the tables that may not have rows yet.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// `headcount verify`
#[derive(Debug, Args)]
#[command(after_help = VERIFY_EXAMPLES)]
pub struct VerifyArgs {
    /// The lake: a folder, file:// or s3://bucket/prefix. The configuration's `lake.url` if left out. It is only read.
    #[arg(long, value_name = "URL")]
    pub lake: Option<String>,

    /// First hour to verify, by the start of windows: a whole hour, RFC 3339. Earlier events are read all the same.
    #[arg(long, value_name = "TIME", value_parser = timestamp)]
    pub from: Option<Micros>,

    /// First hour not to verify any more: a whole hour, RFC 3339.
    #[arg(long, value_name = "TIME", value_parser = timestamp)]
    pub to: Option<Micros>,

    /// How the lake's tables came to be: `replay` for a live run and for a backfill with --lateness replay, `ignore` for one without.
    #[arg(long, value_enum, default_value_t = Lateness::Replay)]
    pub lateness: Lateness,

    /// Show so many differences of each table.
    #[arg(long, value_name = "N", default_value_t = VERIFY_SHOWN_DIFFERENCES, value_parser = rows_shown)]
    pub differences: usize,

    /// Configuration file, for the pipelines, the schema and the time settings: those that the tables were computed with.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl VerifyArgs {
    /// As [`BackfillArgs::check`].
    ///
    /// # Errors
    /// A user error if `--from` is not before `--to`.
    pub fn check(&self) -> Result<()> {
        holds_time(self.from, self.to)
    }
}

/// Refuses a time range that holds nothing.
fn holds_time(from: Option<Micros>, to: Option<Micros>) -> Result<()> {
    match (from, to) {
        (Some(from), Some(to)) if from >= to => {
            let message = format!("the range from {} to {} holds no time", format_micros(from), format_micros(to));
            Err(Error::user(message).at("--from, --to").hint("give a --from that is before --to"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    fn parse(line: &[&str]) -> Command {
        Cli::try_parse_from(std::iter::once(&"headcount").chain(line)).unwrap().command
    }

    fn refused(line: &[&str]) -> clap::Error {
        Cli::try_parse_from(std::iter::once(&"headcount").chain(line)).unwrap_err()
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn run_needs_nothing() {
        let Command::Run(args) = parse(&["run"]) else { panic!("not run") };
        assert!(args.config.is_none() && args.duration.is_none());
        let Command::Run(args) = parse(&["run", "--for", "2m", "--config", "a.toml"]) else { panic!("not run") };
        assert_eq!(args.duration, Some(Duration::from_secs(120)));
        assert_eq!(args.config, Some(PathBuf::from("a.toml")));
    }

    #[test]
    fn backfill_takes_many_inputs() {
        let line = ["backfill", "--input", "a", "b", "--input", "c", "--lateness", "replay", "--lake", "out"];
        let Command::Backfill(args) = parse(&line) else { panic!("not backfill") };
        assert_eq!(args.input, ["a", "b", "c"]);
        assert_eq!(args.lateness, Lateness::Replay);
        assert_eq!(args.lake.as_deref(), Some("out"));
        args.check().unwrap();
        let Command::Backfill(args) = parse(&["backfill", "--input", "a"]) else { panic!("not backfill") };
        assert_eq!(args.lateness, Lateness::Ignore);
        assert_eq!(refused(&["backfill"]).kind(), ErrorKind::MissingRequiredArgument);
    }

    #[test]
    fn backfill_refuses_an_empty_range() {
        let line = ["backfill", "--input", "a", "--from", "2026-01-02T00:00:00Z", "--to", "2026-01-02T01:00:00+01:00"];
        let Command::Backfill(args) = parse(&line) else { panic!("not backfill") };
        let error = args.check().unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.message().contains("from 2026-01-02T00:00:00Z to 2026-01-02T00:00:00Z"), "{error}");
    }

    #[test]
    fn explain_takes_one_pipeline() {
        let Command::Explain(args) = parse(&["explain", "revenue", "--config", "a.toml"]) else {
            panic!("not explain")
        };
        assert_eq!((args.pipeline.as_str(), args.config), ("revenue", Some(PathBuf::from("a.toml"))));
        assert_eq!(refused(&["explain"]).kind(), ErrorKind::MissingRequiredArgument);
    }

    #[test]
    fn dead_letters_are_named_and_chosen() {
        let line = ["dead-letters", "show", "4967:1", "--shard", "a", "--raw", "--lake", "l"];
        let Command::DeadLetters(args) = parse(&line) else { panic!("not dead-letters") };
        assert_eq!(args.lake.as_deref(), Some("l"));
        let DeadLettersAction::Show { name, filter, raw } = args.action else { panic!("not show") };
        assert_eq!((name.sequence_number.as_str(), name.sub_sequence_number, raw), ("4967", Some(1), true));
        assert_eq!(filter.shard.as_deref(), Some("a"));
        let line = ["dead-letters", "--config", "c.toml", "list", "--reason", "too_old"];
        let Command::DeadLetters(args) = parse(&line) else { panic!("not dead-letters") };
        assert_eq!(args.config, Some(PathBuf::from("c.toml")));
        let DeadLettersAction::List { filter, limit, json } = args.action else { panic!("not list") };
        assert_eq!((filter.reason, limit, json), (Some(Reason::TooOld), 50, false));
    }

    #[test]
    fn simulate_counts_in_readable_numbers() {
        let Command::Simulate(args) = parse(&["simulate", "--events", "1_000_000", "--out", "o"]) else {
            panic!("not simulate")
        };
        assert_eq!((args.events.get(), args.seed, args.shards.get()), (1_000_000, 1, 4));
    }

    #[test]
    fn mistakes_exit_with_two_and_say_what_to_write() {
        for (line, said) in [
            (&["run", "--for", "soon"][..], "such as 90s"),
            (&["run", "--for", "0s"], "longer than nothing"),
            (&["backfill", "--input", "a", "--from", "2026-01-31"], "such as 2026-01-31T18:00:00Z"),
            (&["backfill", "--input", "a", "--shard-from", "("], "unclosed group"),
            (&["backfill", "--input", "a", "--lateness", "maybe"], "ignore, replay"),
            (&["simulate", "--events", "0", "--out", "o"], "1 or more"),
            (&["simulate", "--events", "1", "--out", "o", "--shards", "0"], "--shards"),
            (&["dead-letters", "list", "--reason", "odd"], "not_json, missing_field"),
            (&["dead-letters", "list", "--limit", "1000000000"], "from 0 to 100000"),
            (&["dead-letters", "show", ":1"], "such as 42"),
            (&["query"], "<SQL>"),
            (&["query", "select 1", "--json", "--csv"], "cannot be used with"),
            (&["query", "select 1", "--csv", "--rows", "5"], "cannot be used with"),
            (&["query", "select 1", "--rows", "all"], "from 0 to 100000"),
            (&["query", "select 1", "--memory", "1"], "from 64 to"),
            (&["kinesis", "--retain-mib", "0"], "from 1 to"),
            (&["kinesis", "--port", "70000"], "--port"),
            (&["simulat"], "'simulate'"),
        ] {
            let error = refused(line);
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(said), "{error}");
        }
    }

    #[test]
    fn every_command_teaches_by_example() {
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(examples.matches(&format!("headcount {name}")).count() >= 2, "{name}");
            // clap breaks longer lines where they hurt.
            assert!(examples.lines().all(|line| line.chars().count() < 100), "{name}");
        }
    }

    /// The words of a line, as a shell takes them.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut quote) = (vec![String::new()], None);
        for c in line.chars() {
            match quote {
                Some(open) if c == open => quote = None,
                None if matches!(c, '\'' | '"') => quote = Some(c),
                None if c == ' ' => words.push(String::new()),
                _ => words.last_mut().unwrap().push(c),
            }
        }
        words.retain(|word| !word.is_empty());
        words
    }

    #[test]
    fn the_examples_in_the_help_parse() {
        let texts = [
            RUN_EXAMPLES,
            BACKFILL_EXAMPLES,
            CHECK_EXAMPLES,
            EXPLAIN_EXAMPLES,
            SIMULATE_EXAMPLES,
            CHECKPOINT_EXAMPLES,
            KINESIS_EXAMPLES,
            DEAD_LETTERS_EXAMPLES,
            QUERY_EXAMPLES,
            VERIFY_EXAMPLES,
        ];
        let mut tried = 0;
        for text in texts {
            let joined = text.replace("\\\n", " ");
            for line in joined.lines().filter(|line| line.starts_with("  ") && !line.starts_with("      ")) {
                let line = [" && ", " | ", " < "].iter().fold(line, |line, end| line.split(end).next().unwrap());
                let words = words(line).into_iter().skip_while(|word| word != "headcount");
                Cli::try_parse_from(words).unwrap();
                tried += 1;
            }
        }
        assert!(tried >= 20, "{tried}");
    }
}
