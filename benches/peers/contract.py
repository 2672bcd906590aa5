"""The columns of the events, from the contract that Headcount itself reads: so peers need not guess types, and cannot guess others."""

import json
from dataclasses import dataclass
from pathlib import Path

SCHEMA = Path(__file__).resolve().parents[2] / "schemas" / "user_event.v1.json"

TEXT, INT32, INT64, BOOL, TIME, JSON = "text", "int32", "int64", "bool", "time", "json"


@dataclass(frozen=True)
class Column:
    name: str
    kind: str
    required: bool


def columns() -> list[Column]:
    """Every field of the contract, and the arrival time that `headcount simulate` writes beside them."""
    document = json.loads(SCHEMA.read_text())
    fields = [Column(n, _kind(n, f), n in document["required"]) for n, f in document["properties"].items()]
    return [*fields, Column("ingest_time", TIME, False)]


def chosen(*names: str) -> list[Column]:
    """These columns, in the contract's order: what a query that needs no others reads."""
    return [column for column in columns() if column.name in names]


def _kind(name: str, field: dict) -> str:
    match field.get("type"), field.get("format"):
        case _, "date-time":
            return TIME
        case "string", _:
            return TEXT
        case "integer", ("int32" | "int64") as kind:
            return kind
        case "boolean", _:
            return BOOL
        case "object", _:
            return JSON
    raise ValueError(f"{SCHEMA}: no peer knows the type of {name}")


WINDOWS_COLUMNS = ("event_type", "event_time", "stream_id", "session_id")
