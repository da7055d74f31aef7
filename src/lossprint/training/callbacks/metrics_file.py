"""The metrics of every epoch in one csv, whole at any time and without an epoch twice."""

import logging
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from torch import Tensor
from torch.optim import Optimizer

from lossprint.runs.metrics_file import read_rows, write_rows

log = logging.getLogger(__name__)


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
