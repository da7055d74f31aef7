"""From a `logger` configuration to the tracker that it names."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from typing import Any

from lossprint.runs.record import RunRecord
from lossprint.runs.tracker import ARTIFACT_FILES, ARTIFACT_TYPE, TrackedRun, Tracker

LOGGERS = ("wandb", "tensorboard", "csv", "none")
MODES = ("auto", "online", "offline")


def check_logger(logger: Mapping[str, Any]) -> None:
    """Raise unless a `logger` configuration is valid.

    Raises:
        ValueError: naming the entry, its value and what would be valid.
    """
    name = logger.get("name")
    if name not in LOGGERS:
        raise ValueError(f"logger={name!r} is unknown; valid are {', '.join(LOGGERS)}")
    valid = ("name", "project", "entity", "mode", "dir") if name == "wandb" else ("name",)
    for key in logger:
        if key not in valid:
            raise ValueError(f"unknown logger.{key}; valid are {', '.join(valid)}")
    if name == "tensorboard" and find_spec("tensorboard") is None:
        raise ValueError(
            "logger=tensorboard needs a package that is not installed: pip install tensorboard"
        )
    if name != "wandb":
        return
    if logger.get("mode") not in MODES:
        mode = logger.get("mode")
        raise ValueError(f"logger.mode={mode!r} is unknown; valid are {', '.join(MODES)}")
    project = logger.get("project")
    if not isinstance(project, str) or not project:
        raise ValueError(f"logger.project={project!r} must be the name of a project")


@contextmanager
def open_tracker(logger: Mapping[str, Any], run: TrackedRun) -> Iterator[Tracker]:
    """Open what a `logger` configuration names, and close it whatever happens.

    Args:
        logger: `name`, one of `LOGGERS`; for W&B `project`, `entity`, `mode` and `dir` too.
        run: what is tracked.
    """
    check_logger(logger)
    # W&B and TensorBoard take a second to import: only who asks for one waits for it.
    if logger["name"] == "wandb":
        from lossprint.runs.wandb_tracker import wandb_tracker

        with wandb_tracker(logger, run) as tracker:
            yield tracker
    elif logger["name"] == "tensorboard":
        from lossprint.runs.tensorboard_tracker import tensorboard_tracker

        with tensorboard_tracker(run) as tracker:
            yield tracker
    else:
        yield Tracker()


def track_training(
    record: RunRecord, logger: Mapping[str, Any], config: Mapping[str, Any]
) -> AbstractContextManager[Tracker]:
    """Open a tracker for a training run: grouped by sweep, tagged with its family and loss."""
    run = TrackedRun(
        folder=record.folder,
        name=record.name,
        group=record.sweep,
        job_type="train",
        tags=(record.family, record.loss),
        config={**config, "data_fingerprint": record.data_fingerprint},
        path=record.wandb,
        shared=record.sweep_folder,
    )
    return open_tracker(logger, run)


def log_training_files(tracker: Tracker, record: RunRecord) -> None:
    """Hand over what an analysis needs of a training run: see `wandb_tracker.fetch_run`."""
    if tracker.path is None:
        return
    files = [record.folder / name for name in ARTIFACT_FILES]
    tracker.log_files(
        f"run-{tracker.path.rsplit('/', 1)[-1]}",
        ARTIFACT_TYPE,
        {file.name: file for file in files if file.is_file()},
    )
