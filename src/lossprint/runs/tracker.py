"""Where metrics and pictures go besides a run's folder: nowhere, or to an experiment tracker."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from PIL import Image

from lossprint.runs.record import RECORD_FILE, RunRecord

ARTIFACT_TYPE = "run"
"""Of the artifact that holds what an analysis needs of a training run."""
ARTIFACT_FILES = (RECORD_FILE, "config.yaml", "metrics.csv", "weights.safetensors")
"""Of a run's folder, in that artifact."""


class Points(NamedTuple):
    """Embeddings for a projector: floats [N, D], what is known of each, and its picture."""

    vectors: pd.DataFrame
    about: pd.DataFrame
    pictures: Sequence[Image.Image]


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

    def log_embeddings(self, key: str, points: Points) -> None:
        """Take points for a projector."""

    def log_files(self, name: str, kind: str, files: Mapping[str, Path]) -> None:
        """Take files by their names in an artifact.

        They are not copied: those of an offline run must stay where they are until it is synced.
        """

    def use(self, records: Sequence[RunRecord]) -> None:
        """Note which training runs an analysis stands on."""

    def summarize(self, metrics: Mapping[str, Any]) -> None:
        """Take final metrics under their stable keys, e.g. test/map_at_r."""


@dataclass(frozen=True)
class TrackedRun:
    """What a tracker calls a run.

    Attributes:
        folder: of the run's own files.
        name: of the run.
        group: that the run belongs to, e.g. its sweep.
        job_type: "train" or "analysis".
        tags: to filter runs by.
        config: resolved, in plain containers.
        path: of the tracked run that is continued; None begins a new one.
        shared: folder in which the runs of a group are kept side by side, where the tracker keeps
            any; who started the group says how to upload them. None: each in its own.
    """

    folder: Path
    name: str
    group: str
    job_type: str
    tags: Sequence[str]
    config: Mapping[str, Any]
    path: str | None = None
    shared: Path | None = None
