"""Which runs a comparison takes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lossprint.apps import build
from lossprint.runs.cache import content_key
from lossprint.runs.record import RunRecord
from lossprint.runs.registry import find_runs, newest_sweep

WANDB = "wandb:"
FILTERS = ("loss", "family", "fold", "seed")
"""Entries of `only`."""


def select_runs(config: Mapping[str, Any]) -> list[RunRecord]:
    """Find the runs that a configuration asks for, finished or not.

    Args:
        config: `runs`, `models`, `only` and `output_root`.

    Raises:
        FileNotFoundError: there are none.
        ValueError: the filters leave none.
    """
    wanted = config["only"]
    patterns = config["runs"]
    if config.get("models") is not None:
        imported = build.imported_models(config["models"], config["output_root"])
        patterns = [str(record.folder.resolve()) for record in imported]
    if patterns is None:
        patterns = str(newest_sweep(config["output_root"]).resolve())
    patterns = [patterns] if isinstance(patterns, str) else list(patterns)
    records = [
        record
        for pattern in patterns
        for record in _found(str(pattern), config["output_root"], wanted)
    ]
    if not records:
        filters = ", ".join(
            f"only.{key}={value}" for key, value in wanted.items() if value is not None
        )
        reason = f"is left by {filters}" if filters else "has a record that can be read"
        raise ValueError(f"no run of {', '.join(map(str, patterns))} {reason}")
    unique = {record.folder.resolve(): record for record in records}
    return list(unique.values())


def _found(pattern: str, output_root: str, wanted: Mapping[str, Any]) -> list[RunRecord]:
    if pattern.startswith(WANDB):
        from lossprint.runs.wandb_tracker import fetch_run  # importing W&B takes a second

        pattern = str(fetch_run(pattern.removeprefix(WANDB), output_root).folder.resolve())
    return find_runs(output_root, pattern, status=None, **wanted)


def comparison_name(records: Sequence[RunRecord], probe_folder: str | None = None) -> str:
    """The sweep's name; of runs of several sweeps, a name of their own; and the folder's, if the
    comparison has another probe set than the runs."""
    sweeps = sorted({record.sweep for record in records})
    name = sweeps[0]
    if len(sweeps) > 1:
        name = f"mixed-{content_key(sorted(str(record.folder) for record in records))[:8]}"
    return f"{name}-{Path(probe_folder).resolve().name}" if probe_folder else name
