"""DuckDB: `duckdb_peer.py (windows|raw|everything) INPUT_GLOB OUT_FOLDER THREADS`"""

import sys
from pathlib import Path

import duckdb

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import contract

TYPES = {
    contract.TEXT: "VARCHAR",
    contract.INT32: "INTEGER",
    contract.INT64: "BIGINT",
    contract.BOOL: "BOOLEAN",
    contract.TIME: "TIMESTAMP",
    contract.JSON: "JSON",
}

# Who counts is the same in every peer and in ours.
WINDOWS = """
    SELECT date_trunc('minute', event_time) AS window_start, stream_id,
           count(DISTINCT session_id) AS sessions, count(*) AS events
    FROM {events}
    WHERE event_type IN ('view.started', 'view.heartbeat')
    GROUP BY ALL
"""

# Concurrent viewers from heartbeats alone: a session is present from a beat until 60 s after it. What it leaves out of Headcount's
# (ends, pauses, reconnects, ends of streams, the minimum, the average, unique viewers) only makes it cheaper.
PRESENCE = """
    WITH beats AS (
        SELECT stream_id, event_time AS beat,
               lag(event_time) OVER session AS beat_before, lead(event_time) OVER session AS beat_after
        FROM {events}
        WHERE event_type IN ('view.started', 'view.heartbeat')
        WINDOW session AS (PARTITION BY session_id ORDER BY event_time)
    ), changes AS (
        SELECT stream_id, beat AS instant, 1 AS change FROM beats
        WHERE beat_before IS NULL OR beat > beat_before + INTERVAL 60 SECOND
        UNION ALL
        SELECT stream_id, beat + INTERVAL 60 SECOND, -1 FROM beats
        WHERE beat_after IS NULL OR beat_after > beat + INTERVAL 60 SECOND
    ), counts AS (
        SELECT stream_id, instant, sum(change) OVER (PARTITION BY stream_id ORDER BY instant) AS viewers FROM changes
    )
    SELECT date_trunc('minute', instant) AS window_start, stream_id, max(viewers) AS viewers_max
    FROM counts
    GROUP BY ALL
"""


def read(pattern: str, columns: list[contract.Column]) -> str:
    types = ", ".join(f"{c.name}: '{TYPES[c.kind]}'" for c in columns)
    return f"read_json('{pattern}', format = 'newline_delimited', columns = {{{types}}})"


def main() -> None:
    task, pattern, out, threads = sys.argv[1:]
    db = duckdb.connect()
    db.execute(f"SET threads = {int(threads)}")
    db.execute("SET preserve_insertion_order = false")
    write = "(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)"
    if task == "windows":
        events = read(pattern, contract.chosen(*contract.WINDOWS_COLUMNS))
        db.execute(f"COPY ({WINDOWS.format(events=events)}) TO '{out}/windows.parquet' {write}")
        return
    db.execute(f"COPY (SELECT * FROM {read(pattern, contract.columns())}) TO '{out}/raw.parquet' {write}")
    if task == "everything":
        # From the Parquet file just written: quicker, and in a third of the memory, than a table that is kept beside it.
        events = f"read_parquet('{out}/raw.parquet')"
        db.execute(f"COPY ({WINDOWS.format(events=events)}) TO '{out}/windows.parquet' {write}")
        db.execute(f"COPY ({PRESENCE.format(events=events)}) TO '{out}/presence.parquet' {write}")


main()
