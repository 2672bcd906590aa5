"""Polars: `polars_peer.py (windows|raw) INPUT_GLOB OUT_FOLDER THREADS`"""

import os
import sys
from pathlib import Path

os.environ["POLARS_MAX_THREADS"] = sys.argv[4]  # read when it is imported
import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import contract

TYPES = {
    contract.TEXT: pl.String,
    contract.INT32: pl.Int32,
    contract.INT64: pl.Int64,
    contract.BOOL: pl.Boolean,
    contract.TIME: pl.String,  # its reader of JSON takes no times
    contract.JSON: pl.String,
}


def time(name: str) -> pl.Expr:
    return pl.col(name).str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us", time_zone="UTC")


def main() -> None:
    task, pattern, out, _ = sys.argv[1:]
    columns = contract.chosen(*contract.WINDOWS_COLUMNS) if task == "windows" else contract.columns()
    events = pl.scan_ndjson(pattern, schema={c.name: TYPES[c.kind] for c in columns})
    if task == "windows":
        rows = (
            events.filter(pl.col("event_type").is_in(["view.started", "view.heartbeat"]))
            .group_by(time("event_time").dt.truncate("1m").alias("window_start"), "stream_id")
            .agg(pl.col("session_id").n_unique().alias("sessions"), pl.len().cast(pl.Int64).alias("events"))
            .with_columns(pl.col("sessions").cast(pl.Int64))
        )
    else:
        rows = events.with_columns(time(c.name) for c in columns if c.kind == contract.TIME)
    rows.sink_parquet(f"{out}/{task}.parquet", compression="zstd", compression_level=1, engine="streaming", maintain_order=False)


main()
