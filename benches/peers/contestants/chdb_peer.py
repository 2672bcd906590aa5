"""chDB, which is ClickHouse in a Python process: `chdb_peer.py (windows|raw) INPUT_GLOB OUT_FOLDER THREADS`"""

import sys
from pathlib import Path

import chdb

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import contract

TYPES = {
    contract.TEXT: "String",
    contract.INT32: "Int32",
    contract.INT64: "Int64",
    contract.BOOL: "Bool",
    contract.TIME: "DateTime64(6, 'UTC')",
    contract.JSON: "String",
}

WINDOWS = """
    SELECT toDateTime64(toStartOfMinute(event_time), 6, 'UTC') AS window_start, stream_id,
           uniqExact(session_id) AS sessions, count() AS events
    FROM {events}
    WHERE event_type IN ('view.started', 'view.heartbeat')
    GROUP BY window_start, stream_id
"""


def read(pattern: str, columns: list[contract.Column], nullable: bool) -> str:
    def column(c: contract.Column) -> str:
        kind = TYPES[c.kind]
        return f"{c.name} {f'Nullable({kind})' if nullable and not c.required else kind}"

    structure = ", ".join(map(column, columns)).replace("'", "\\'")
    return f"file('{pattern}', 'JSONEachRow', '{structure}')"


def main() -> None:
    task, pattern, out, threads = sys.argv[1:]
    if task == "windows":
        # None of these is missing in an event that counts, so its quicker types without nulls will do.
        query = WINDOWS.format(events=read(pattern, contract.chosen(*contract.WINDOWS_COLUMNS), nullable=False))
    else:
        query = f"SELECT * FROM {read(pattern, contract.columns(), nullable=True)}"
    settings = {
        "max_threads": int(threads),
        "max_parsing_threads": int(threads),
        "date_time_input_format": "'best_effort'",
        "output_format_parquet_compression_method": "'zstd'",
        "output_format_compression_level": 1,
        "output_format_parquet_string_as_string": 1,
        "engine_file_truncate_on_insert": 1,
    }
    listed = ", ".join(f"{name} = {value}" for name, value in settings.items())
    chdb.query(f"INSERT INTO FUNCTION file('{out}/{task}.parquet', 'Parquet') {query} SETTINGS {listed}")


main()
