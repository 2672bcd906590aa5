"""DataFusion, by its Python package: `datafusion_peer.py windows INPUT_GLOB OUT_FOLDER THREADS`"""

import sys
from pathlib import Path

import pyarrow as pa
from datafusion import SessionConfig, SessionContext

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import contract

TYPES = {contract.TEXT: pa.string(), contract.TIME: pa.timestamp("us", tz="UTC")}

WINDOWS = """
    SELECT date_trunc('minute', event_time) AS window_start, stream_id,
           count(DISTINCT session_id) AS sessions, count(*) AS events
    FROM events
    WHERE event_type IN ('view.started', 'view.heartbeat')
    GROUP BY 1, 2
"""


def main() -> None:
    _, pattern, out, threads = sys.argv[1:]
    context = SessionContext(SessionConfig().with_target_partitions(int(threads)))
    schema = pa.schema([(c.name, TYPES[c.kind]) for c in contract.chosen(*contract.WINDOWS_COLUMNS)])
    folder, name = pattern.rsplit("/", 1)
    context.register_json("events", folder + "/", schema=schema, file_extension=name.removeprefix("*"))
    context.sql(WINDOWS).write_parquet(f"{out}/windows", compression="zstd", compression_level=1)


main()
