//! What stands below the help of each command: examples that run.

pub(super) const ABOUT_EXAMPLES: &str = "\
Start here:
  headcount run               a live-streaming platform on this machine, its viewers counted
  headcount run --help        what to see while it runs, and how to read AWS instead
  headcount query --help      how to ask its tables by SQL

Settings are a TOML file (--config) and environment variables, such as
HEADCOUNT__LAKE__URL=s3://bucket/prefix.";

pub(super) const RUN_EXAMPLES: &str = "\
Examples:
  headcount run
      Starts a Kinesis in this process, plays 2,000 events/s into it and reads them back.
      Every 5 s a line says events/s, lag, watermark, concurrent viewers and active streams.
      The tables grow under ./data/lake; http://127.0.0.1:8080/api/status says how it goes.
      Ctrl-C ends within 10 s; the next start goes on where this one stopped.

  headcount run --for 120s
      The same for two minutes, then an orderly end.

  headcount run --config config/aws.toml
      Reads a real stream and writes to S3, with the AWS SDK's default credentials.

  HEADCOUNT__SERVE__LISTEN=127.0.0.1:9000 headcount run
      Any key of the configuration can be overridden so.";

pub(super) const BACKFILL_EXAMPLES: &str = "\
Examples:
  headcount backfill --input 'out/sim/*.ndjson' --lake out/lake
      Computes every table from the files of `headcount simulate`. Quote the pattern, so that
      Headcount and not the shell reads it. A bar shows events/s and the time left.

  headcount backfill --input data/lake/user_events --lake out/again --lateness replay
      Computes the tables anew from the raw events of a live run, with late rows judged as
      they were then: the same rows.

  headcount backfill --input data/lake/user_events --lake data/lake --windows-only
      After a change of a query: the tables of windows anew, the raw events where they are.

  headcount backfill --input 's3://bucket/events/*.gz' --shard-from '(shard-[0-9]+)' \\
      --from 2026-01-31T00:00:00Z --to 2026-02-01T00:00:00Z
      One day of compressed files; the shard of a file is in its name.

  headcount backfill --input shard-0.json --lake out/lake --lateness replay
      Records as a stream holds them, as `aws kinesis get-records … >> shard-0.json` saved them,
      with their sequence numbers and arrival times. Aggregated and compressed ones are opened.";

pub(super) const CHECK_EXAMPLES: &str = "\
Examples:
  headcount check
      Checks what `headcount run` would use: ./pipelines and ./schemas if they are there, else
      what is built in.

  headcount check --config config/aws.toml
      Each problem is one paragraph: file and line, what is wrong, what to write instead.
      Nothing is started and nothing is changed. Exit code 0 if all is well, 1 if not.

A lake that is there already is looked at, its oldest and its newest files: a column that would
be written with another type than before is a problem.

docs/configuration.md explains every key, with its unit, default and environment variable.";

pub(super) const EXPLAIN_EXAMPLES: &str = "\
Examples:
  headcount explain concurrent_viewers
      The plan as a tree, one operator a line. Its first column says where the operator runs:
      over each batch in the shard, over the shard's open windows, or where shards meet.
      Below are the columns that are read, what is kept and when it is dropped, and a
      summary in words.

  headcount explain my-pipelines/errors_by_device.sql
      A draft. Nothing is started; a query that cannot run for ever is refused as by `check`.

  HEADCOUNT__TIME__WATERMARK_DELAY_SECS=120 headcount explain revenue
      What a longer wait for late rows would keep.";

pub(super) const SIMULATE_EXAMPLES: &str = "\
Examples:
  headcount simulate --events 1000000 --seed 7 --shards 4 --out out/sim
      Four files of NDJSON, one a shard, in the order of arrival: streams that start and end,
      sessions with heartbeats, chat, tips, and the mess of real life: lost ends, duplicates,
      late and malformed events.

  headcount simulate --events 4_400_000 --channels 2000 --undisturbed --out out/calm
      Many streams on which nothing goes wrong, as for a comparison with another program.

  headcount simulate --events 1000 --out out/small && head -n 1 out/small/*.ndjson
      A look at the events.";

pub(super) const KINESIS_EXAMPLES: &str = "\
Examples:
  headcount kinesis --port 4567
      Serves the stream user-events on 127.0.0.1:4567 until Ctrl-C. Any AWS SDK or command line
      puts into it with --endpoint-url http://127.0.0.1:4567 and any credentials.

  headcount kinesis --port 4567 --shards 2 --retain 1h
      Then, beside it, a consumer that may be killed and started again:
          export AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x
          export HEADCOUNT__SOURCE__KIND=kinesis
          export HEADCOUNT__SOURCE__ENDPOINT_URL=http://127.0.0.1:4567
          headcount run";

pub(super) const CHECKPOINT_EXAMPLES: &str = "\
Examples:
  headcount checkpoint list
      The commits of the lake under ./data/lake that are kept. A run that reads a Kinesis stream
      writes one every run.commit_interval_secs, and each run writes one when it is stopped. A
      start takes over with one of its own, which goes on from the one before: from then on the
      process that wrote that can write no more.

  headcount checkpoint show --config config/aws.toml
      Positions of every shard, watermark, open windows of the last one.

  headcount checkpoint reset --keep-positions
      After a change of a query: nothing is read twice, but the windows that were open are lost.";

pub(super) const DEAD_LETTERS_EXAMPLES: &str = "\
Examples:
  headcount dead-letters list --reason missing_field --limit 5
      The five newest of them, what is wrong with each, and how many there are in all.

  headcount dead-letters show 4967:1 --shard shardId-000000000002 --lake data/lake
      The letter of the second event of a record, with its bytes. --raw writes only these.

  headcount dead-letters replay --from 2026-01-31T00:00:00Z --dry-run
      What the schema as it is now would make of them. Without --dry-run they become rows, in
      one step, each event once; a second time changes nothing. Windows are a backfill's
      matter: the last lines say the command.";

pub(super) const QUERY_EXAMPLES: &str = "\
Examples:
  headcount query \"show tables\"
  headcount query \"describe concurrent_viewers\" --lake out/lake
      What there is: a table for each pipeline; user_events, the raw events (or as the schema
      names its stream); _dead_letters; _late.TABLE, what came too late for a table.

  headcount query \"select stream_id, max(viewers_max) from concurrent_viewers group by 1\"
      The peak of each stream. A window that was revised counts once, as it was written last.

  headcount query --csv \"select * from platform_totals where year = 2026 and month = 1\"
      The folders of a table are columns: year, month, day, hour. What they exclude is not
      read, nor what a table's own time does: window_start >= '2026-01-31T18:00:00Z'.

  headcount query --json \"select reason, message from _dead_letters\" | head -n 3
      What could not be read, one object a line.

  headcount query - < peaks.sql
      A query of several lines.

Functions and syntax are DataFusion's, with PERCENTILE and TUMBLE as in pipelines. Nothing is
ever written. Exit code 2: the query is wrong; 1: it broke off.";

pub(super) const VERIFY_EXAMPLES: &str = "\
Examples:
  headcount verify --lake data/lake
      Reads the raw events of the lake, judges each as late or not as it was when it came,
      computes every window again and compares row by row. What a live run wrote, however
      it was stopped and started, should be equal. Exit code 1 if anything differs.

  headcount verify --lake out/lake --lateness ignore
      The same for a lake that `headcount backfill` wrote without --lateness replay.

  headcount verify --from 2026-01-31T18:00:00Z --to 2026-01-31T20:00:00Z --differences 50
      Two hours only, by the start of windows. Events before are read, as sessions reach in.

Nothing of the lake is changed. What is computed again waits in the folder for temporary
files (TMPDIR) and is gone at the end.";
