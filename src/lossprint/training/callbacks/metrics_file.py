"""The metrics of every epoch in one csv, whole at any time and without an epoch twice."""

import csv
import logging
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from torch import Tensor
from torch.optim import Optimizer

from lossprint.files import whole_file

log = logging.getLogger(__name__)

FIRST_COLUMNS = ("epoch", "step")


def read_rows(path: Path | str) -> list[dict[str, float]]:
    """Read the rows of a metrics file; a metric that an epoch lacks is left out of its row.

    Returns:
        Rows in order of epochs; empty if there is no file.

    Raises:
        ValueError: naming the file and the line, if it holds anything but numbers.
    """
    path = Path(path)
    if not path.is_file():
        return []
    rows: list[dict[str, float]] = []
    line = 1
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if "epoch" not in (reader.fieldnames or ()):
                raise ValueError("there is no column `epoch`")
            for row in reader:
                line = reader.line_num
                rows.append({key: _number(value) for key, value in row.items() if value != ""})
                if "epoch" not in rows[-1]:
                    raise ValueError("there is no epoch")
    except (TypeError, ValueError, csv.Error) as error:
        raise ValueError(f"{path}, line {line}: {error}") from error
    return rows


def write_rows(path: Path | str, rows: list[dict[str, float]]) -> None:
    """Write a metrics file: epoch and step first, further metrics by name, missing ones empty."""
    further = sorted({key for row in rows for key in row} - set(FIRST_COLUMNS))
    with whole_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*FIRST_COLUMNS, *further], restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


class EpochMetrics(pl.Callback):
    """Writes what an epoch logged into a metrics file, and hands it on.

    A row holds the epoch, the number of optimizer steps so far, the learning rate of each
    optimizer group at the epoch's last step, and all that was logged for this epoch: a metric that
    is measured only every few epochs stands in those rows alone. A continued training repeats the
    epoch it was cut off in: that epoch's old row is replaced.

    Args:
        path: of the metrics file; made at once, so that a run without epochs has one too.
        on_epoch: called with the metrics and the epoch of each row, e.g. a tracker's `log`.
    """

    def __init__(
        self, path: Path | str, on_epoch: Callable[[Mapping[str, float], int], Any] | None = None
    ) -> None:
        self.path = Path(path)
        self.on_epoch = on_epoch
        self._last: dict[str, Tensor] = {}
        self._rates: dict[str, float] = {}

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if trainer.is_global_zero and not self.path.exists():
            write_rows(self.path, [])

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # What the sanity check logged belongs to no epoch.
        self._last = dict(trainer.callback_metrics)

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        for number, group in enumerate(optimizer.param_groups):
            self._rates[f"lr/{group.get('name', number)}"] = float(group["lr"])

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Lightning keeps the metrics of earlier epochs; those measured anew are new tensors.
        logged = dict(trainer.callback_metrics)
        fresh = {key: value for key, value in logged.items() if value is not self._last.get(key)}
        self._last = logged
        if not trainer.is_global_zero:
            return
        metrics: dict[str, float] = {"step": trainer.global_step, **self._rates}
        metrics |= {key: value.item() for key, value in sorted(fresh.items())}
        epoch = trainer.current_epoch
        kept = [row for row in self._before() if row["epoch"] < epoch]
        write_rows(self.path, [*kept, {"epoch": epoch, **metrics}])
        if self.on_epoch is not None:
            finite = {key: value for key, value in metrics.items() if math.isfinite(value)}
            self.on_epoch(finite, epoch)

    def _before(self) -> list[dict[str, float]]:
        try:
            return read_rows(self.path)
        except ValueError as error:
            log.warning("%s; metrics of the epochs before are lost", error)
            return []
