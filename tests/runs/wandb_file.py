"""What a W&B run holds on disk."""

import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from wandb.proto import wandb_internal_pb2


def records_in(path: Path) -> Iterator[Any]:
    """Parse a .wandb file: a header of 7 bytes, then LevelDB's log format around protobufs."""
    data, position, block, whole = path.read_bytes(), 7, 32768, b""
    assert data[:4] == b":W&B"
    while position + 7 <= len(data):
        if block - position % block < 7:  # too little room for a record's header: padding
            position += block - position % block
            continue
        _, length, kind = struct.unpack("<IHB", data[position : position + 7])
        chunk = data[position + 7 : position + 7 + length]
        position += 7 + length
        whole = chunk if kind in (1, 2) else whole + chunk  # 1 full, 2 first, 3 middle, 4 last
        if kind in (1, 4):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(whole)
            yield record


def items(entries: Any) -> dict[str, Any]:
    return {
        ".".join(entry.nested_key) or entry.key: json.loads(entry.value_json) for entry in entries
    }


def read_back(folder: Path, number: str = "*") -> SimpleNamespace:
    """Read what a run holds on disk, once W&B's own process has written all of it."""
    deadline = time.monotonic() + 30
    while (found := parse(folder, number)).exit_code is None and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def parse(folder: Path, number: str) -> SimpleNamespace:
    (path,) = folder.glob(f"wandb/*run-*/run-{number}.wandb")
    found = SimpleNamespace(
        config={}, history=[], summary={}, artifacts=[], run=None, exit_code=None
    )
    for record in records_in(path):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            found.run = record.run
            found.config |= items(record.run.config.update)
        elif kind == "history":
            found.history.append(items(record.history.item))
        elif kind == "summary":
            found.summary |= items(record.summary.update)
        elif kind == "artifact":
            found.artifacts.append(record.artifact)
        elif kind == "exit":
            found.exit_code = record.exit.exit_code
    return found
