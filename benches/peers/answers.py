"""Whether two answers are equal, row by row. Needs pyarrow, so it runs in the peers' environment:

    answers.py windows OURS THEIRS               windows of a minute: start, stream, distinct sessions, events
    answers.py raw OURS THEIRS                   every field of every event
      --spoil                                    changes one value of THEIRS first: the proof that a difference is seen
      --except COLUMN                            leaves a column of the raw events out, and says so

OURS and THEIRS are a file or folder of Parquet, or of Flink's CSV. Exit code 0 if they are equal, 1 if not."""

import argparse
import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

import contract

SHOWN = 5
MINUTE = pa.timestamp("us", tz="UTC")
TYPES = {
    contract.TEXT: pa.large_string(),
    contract.INT32: pa.int32(),
    contract.INT64: pa.int64(),
    contract.BOOL: pa.bool_(),
    contract.TIME: MINUTE,
    contract.JSON: pa.large_string(),
}
WINDOWS = {"window_start": MINUTE, "stream_id": pa.large_string(), "sessions": pa.int64(), "events": pa.int64()}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["windows", "raw"])
    parser.add_argument("ours", type=Path)
    parser.add_argument("theirs", type=Path)
    parser.add_argument("--spoil", action="store_true")
    parser.add_argument("--except", dest="left_out")
    args = parser.parse_args()
    if args.what == "windows":
        return compare_windows(args.ours, args.theirs, args.spoil)
    return compare_raw(args.ours, args.theirs, args.spoil, args.left_out)


def compare_windows(ours: Path, theirs: Path, spoil: bool) -> int:
    a, b = rows_of_windows(ours), rows_of_windows(theirs)
    if spoil:
        (*key, events) = b[len(b) // 2]
        b[len(b) // 2] = (*key, events + 1)
    if not a:
        print("ours has no rows: that would be equal to nothing", file=sys.stderr)
        return 1
    only_ours, only_theirs = Counter(a) - Counter(b), Counter(b) - Counter(a)
    for whose, rows in (("ours", only_ours), ("theirs", only_theirs)):
        for row in sorted(rows.elements(), key=repr)[:SHOWN]:
            print(f"only {whose}: {dict(zip(WINDOWS, map(str, row)))}", file=sys.stderr)
    if only_ours or only_theirs:
        print(f"{only_ours.total()} of our {len(a)} rows and {only_theirs.total()} of their {len(b)} differ", file=sys.stderr)
        return 1
    print(f"{len(a)} rows are equal")
    return 0


def rows_of_windows(path: Path) -> list[tuple]:
    table = pa.concat_tables(read(file, list(WINDOWS)) for file in files(path))
    columns = [column_as(table[name], kind).to_pylist() for name, kind in WINDOWS.items()]
    # A table of ours may have rows of streams in which nobody watched: they chatted.
    return [row for row in zip(*columns) if row[-1] > 0]


def compare_raw(ours: Path, theirs: Path, spoil: bool, left_out: str | None) -> int:
    """Column by column, in the order of event ids, which are unique: whole tables would not fit into memory twice."""
    order_ours, order_theirs = order(ours), order(theirs)
    if len(order_ours) != len(order_theirs) or not len(order_ours):
        print(f"ours has {len(order_ours)} events, theirs {len(order_theirs)}", file=sys.stderr)
        return 1
    differ = 0
    columns = [column for column in contract.columns() if column.name != left_out]
    for column in columns:
        a, b = (sorted_column(*side, column) for side in ((ours, order_ours), (theirs, order_theirs)))
        if spoil and column is columns[-1]:
            b = pa.chunked_array([b.slice(0, len(b) - 1), pa.nulls(1, b.type)])
        if a.equals(b):
            continue
        same = pc.fill_null(pc.equal(a, b), False)
        same = pc.or_(same, pc.and_(pc.is_null(a), pc.is_null(b)))
        unequal = pc.indices_nonzero(pc.invert(same))
        differ += len(unequal)
        for i in unequal[:SHOWN].to_pylist():
            print(f"{column.name} of event {i} by id: ours {a[i].as_py()!r}, theirs {b[i].as_py()!r}", file=sys.stderr)
    if differ:
        print(f"{differ} values of {len(order_ours)} events differ", file=sys.stderr)
        return 1
    but = f", {left_out} left out" if left_out else ""
    print(f"{len(order_ours)} events of {len(columns)} columns are equal{but}")
    return 0


def order(path: Path) -> pa.Array:
    ids = column_of(path, "event_id", pa.large_string())
    by_id = pc.sort_indices(ids)
    if len(pc.unique(ids)) != len(ids):
        raise SystemExit(f"{path}: an event id comes twice, so events cannot be told apart")
    return by_id


def sorted_column(path: Path, by_id: pa.Array, column: contract.Column) -> pa.ChunkedArray:
    # In one piece: taking from many is slow.
    whole = column_of(path, column.name, TYPES[column.kind]).combine_chunks()
    taken = whole.take(by_id)
    return taken if isinstance(taken, pa.ChunkedArray) else pa.chunked_array([taken])


def column_of(path: Path, name: str, kind: pa.DataType) -> pa.ChunkedArray:
    pieces = [column_as(read(file, [name])[name], kind) for file in files(path)]
    return pa.chunked_array([chunk for piece in pieces for chunk in piece.chunks], kind)


def column_as(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if pa.types.is_timestamp(column.type) and column.type.tz is None:
        column = column.cast(pa.timestamp(column.type.unit, tz="UTC"))
    return column.cast(kind)


def read(file: Path, columns: list[str]) -> pa.Table:
    if file.suffix == ".parquet":
        # The file itself: folders such as `hour=18` are not to become columns.
        return pq.ParquetFile(file).read(columns)
    options = pa.csv.ReadOptions(column_names=list(WINDOWS))
    kinds = {name: kind for name, kind in WINDOWS.items() if name != "window_start"}
    convert = pa.csv.ConvertOptions(column_types={**kinds, "window_start": pa.timestamp("s")})
    return pa.csv.read_csv(file, options, convert_options=convert).select(columns)


def files(path: Path) -> list[Path]:
    found = [path] if path.is_file() else sorted(f for f in path.rglob("*") if f.is_file() and not _hidden(path, f))
    if not found:
        raise SystemExit(f"{path}: no file is there")
    return found


def _hidden(root: Path, file: Path) -> bool:
    return any(part.startswith((".", "_")) for part in file.relative_to(root).parts)


if __name__ == "__main__":
    sys.exit(main())
