"""Flink SQL as a batch job in a cluster of its own process: `flink_peer.py windows INPUT_GLOB OUT_FOLDER THREADS`

Its Python package has no Parquet, so the few rows of the answer are written as CSV."""

import sys

from pyflink.table import EnvironmentSettings, TableEnvironment

EVENTS = """
    CREATE TEMPORARY TABLE events (
        event_type STRING, event_time TIMESTAMP_LTZ(3), stream_id STRING, session_id STRING
    ) WITH (
        'connector' = 'filesystem', 'path' = '{folder}', 'format' = 'json', 'json.timestamp-format.standard' = 'ISO-8601'
    )
"""

ANSWER = """
    CREATE TEMPORARY TABLE answer (
        window_start STRING, stream_id STRING, sessions BIGINT, events BIGINT
    ) WITH ('connector' = 'filesystem', 'path' = '{out}/windows', 'format' = 'csv')
"""

WINDOWS = """
    INSERT INTO answer
    SELECT DATE_FORMAT(FLOOR(event_time TO MINUTE), 'yyyy-MM-dd HH:mm:ss'), stream_id,
           COUNT(DISTINCT session_id), COUNT(*)
    FROM events
    WHERE event_type IN ('view.started', 'view.heartbeat')
    GROUP BY FLOOR(event_time TO MINUTE), stream_id
"""


def main() -> None:
    _, pattern, out, threads = sys.argv[1:]
    table = TableEnvironment.create(EnvironmentSettings.in_batch_mode())
    config = table.get_config()
    config.set("parallelism.default", threads)
    config.set("table.local-time-zone", "UTC")
    config.set("taskmanager.memory.managed.size", "512m")
    table.execute_sql(EVENTS.format(folder=pattern.rsplit("/", 1)[0]))
    table.execute_sql(ANSWER.format(out=out))
    table.execute_sql(WINDOWS).wait()


main()
