"""While it trains: keeps the embedder at a few levels of validation."""

import math
from pathlib import Path

import pytorch_lightning as pl

from lossprint.models.checkpoints import weights_of
from lossprint.runs.levels import keep_level
from lossprint.runs.record import MONITOR
from lossprint.training.module import MetricLearning


class KeptLevels(pl.Callback):
    """After each validation keeps the embedder, and of all so kept those that lie apart.

    What is kept is read from the folder, so an interrupted training goes on where it was.

    Args:
        folder: of the states.
        at_most: of them, at least two.
    """

    def __init__(self, folder: Path, at_most: int) -> None:
        self.folder, self.at_most = folder, at_most

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        value = float(trainer.callback_metrics.get(MONITOR, math.nan))
        if not trainer.is_global_zero or not math.isfinite(value):
            return
        assert isinstance(pl_module, MetricLearning)
        keep_level(
            weights_of(pl_module.embedder),
            self.folder,
            epoch=trainer.current_epoch,
            value=value,
            at_most=self.at_most,
        )
