"""Where metrics and pictures go besides a run's folder: nowhere, or to an experiment tracker."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from lossprint.runs.record import RECORD_FILE, RunRecord

LOGGERS = ("wandb", "csv", "none")
MODES = ("auto", "online", "offline")
ARTIFACT_TYPE = "run"
"""Of the artifact that holds what an analysis needs of a training run."""


class Tracker:
    """Takes what a run has to say, and keeps none of it: its folder holds everything anyway.

    Attributes:
        path: of the tracked run, to be kept in its record; None where nothing is tracked.
    """

    path: str | None = None

    def log(self, metrics: Mapping[str, float], epoch: int) -> None:
        """Take the metrics of an epoch."""

    def log_images(self, images: Mapping[str, Image.Image], *, epoch: int | None = None) -> None:
        """Take pictures by key, e.g. gallery/neighbors."""

    def log_table(self, key: str, table: pd.DataFrame) -> None:
        """Take a table."""

    def log_files(self, name: str, kind: str, files: Mapping[str, Path]) -> None:
        """Take files by their names in an artifact.

        They are not copied: those of an offline run must stay where they are until it is synced.
        """

    def use(self, records: Sequence[RunRecord]) -> None:
        """Note which training runs an analysis stands on."""

    def summarize(self, metrics: Mapping[str, Any]) -> None:
        """Take final metrics under their stable keys, e.g. test/map_at_r."""


def check_logger(logger: Mapping[str, Any]) -> None:
    """Raise unless a `logger` configuration is valid.

    Raises:
        ValueError: naming the entry, its value and what would be valid.
    """
    name = logger.get("name")
    if name not in LOGGERS:
        raise ValueError(f"logger={name!r} is unknown; valid are {', '.join(LOGGERS)}")
    valid = ("name", "project", "entity", "mode") if name == "wandb" else ("name",)
    for key in logger:
        if key not in valid:
            raise ValueError(f"unknown logger.{key}; valid are {', '.join(valid)}")
    if name != "wandb":
        return
    if logger.get("mode") not in MODES:
        mode = logger.get("mode")
        raise ValueError(f"logger.mode={mode!r} is unknown; valid are {', '.join(MODES)}")
    project = logger.get("project")
    if not isinstance(project, str) or not project:
        raise ValueError(f"logger.project={project!r} must be the name of a project")


@dataclass(frozen=True)
class TrackedRun:
    """What a tracker calls a run.

    Attributes:
        folder: where an offline run is kept.
        name: of the run.
        group: that the run belongs to, e.g. its sweep.
        job_type: "train" or "analysis".
        tags: to filter runs by.
        config: resolved, in plain containers.
        path: of the tracked run that is continued; None begins a new one.
    """

    folder: Path
    name: str
    group: str
    job_type: str
    tags: Sequence[str]
    config: Mapping[str, Any]
    path: str | None = None


@contextmanager
def open_tracker(logger: Mapping[str, Any], run: TrackedRun) -> Iterator[Tracker]:
    """Open what a `logger` configuration names, and close it whatever happens.

    Args:
        logger: `name` "wandb", "csv" or "none"; for W&B `project`, `entity` and `mode` too.
        run: what is tracked.
    """
    check_logger(logger)
    if logger["name"] != "wandb":
        yield Tracker()
        return
    from lossprint.runs.wandb_tracker import wandb_tracker  # importing W&B takes a second

    with wandb_tracker(logger, run) as tracker:
        yield tracker


@contextmanager
def track_training(
    record: RunRecord, logger: Mapping[str, Any], config: Mapping[str, Any]
) -> Iterator[Tracker]:
    """Open a tracker for a training run: grouped by sweep, tagged with its family and loss."""
    run = TrackedRun(
        folder=record.folder,
        name=record.name,
        group=record.sweep,
        job_type="train",
        tags=(record.family, record.loss),
        config={**config, "data_fingerprint": record.data_fingerprint},
        path=record.wandb,
    )
    with open_tracker(logger, run) as tracker:
        yield tracker


def log_training_files(tracker: Tracker, record: RunRecord) -> None:
    """Hand over what an analysis needs of a training run: see `wandb_tracker.fetch_run`."""
    if tracker.path is None:
        return
    files = (
        record.folder / RECORD_FILE,
        record.config_file,
        record.metrics_file,
        record.weights_file,
    )
    tracker.log_files(
        f"run-{tracker.path.rsplit('/', 1)[-1]}",
        ARTIFACT_TYPE,
        {file.name: file for file in files if file.is_file()},
    )
