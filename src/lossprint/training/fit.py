"""One training from initial weights to the final test, continued where it was cut off."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from safetensors.torch import save_file

from lossprint.files import whole_file
from lossprint.models.checkpoints import weights_of
from lossprint.training.module import MetricLearning

MONITOR = "val/map_at_r"


@dataclass(frozen=True)
class Checkpoints:
    """Where a run's checkpoints lie."""

    folder: Path

    @property
    def best(self) -> Path:
        """Of the epoch with the highest validation MAP@R."""
        return self.folder / "best.ckpt"

    @property
    def last(self) -> Path:
        """Of the last whole epoch; an interrupted run continues from it."""
        return self.folder / "last.ckpt"

    def remove(self) -> None:
        """Remove the folder: a finished run needs none of them."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def callbacks(self) -> list[pl.Callback]:
        """Two callbacks, because one that keeps the best writes its `last` only beside a best."""
        best = ModelCheckpoint(
            self.folder,
            filename="best",
            monitor=MONITOR,
            mode="max",
            save_top_k=1,
            enable_version_counter=False,
        )
        last = ModelCheckpoint(
            self.folder,
            filename="last",
            monitor=None,
            save_top_k=1,
            every_n_epochs=1,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )
        return [best, last]


class Interrupted(Exception):
    """The user stopped a training; what it reached is in its last checkpoint."""


def fit_and_test(
    trainer: pl.Trainer,
    module: MetricLearning,
    data: pl.LightningDataModule,
    checkpoints: Checkpoints,
    weights_file: Path,
) -> dict[str, float]:
    """Test the initial weights, train, and test the epoch that validated best.

    The module ends with the weights of that epoch, and with the test's embeddings. A loss without
    criterion (the control) is not trained: its second test is of the initial weights too.

    Args:
        trainer: with `checkpoints.callbacks()` among its callbacks.
        module, data: what to train and on what.
        checkpoints: where they are written; if there is a last one, training continues from it.
        weights_file: gets the embedder of the best epoch before the final test, as safetensors.

    Returns:
        `test/<metric>` and what callbacks logged in the test, as `untrained/<metric>` of the first
        test, and of a training `val/<metric>` at its best epoch, `epochs` run and `best_epoch`.

    Raises:
        Interrupted: by Ctrl-C.
        NonFiniteLossError: the loss became NaN or infinite.
    """
    tested = _metrics(trainer.test(module, data, verbose=False))
    metrics = {f"untrained/{name.partition('/')[2]}": value for name, value in tested.items()}
    if module.criterion is not None:
        resume = checkpoints.last if checkpoints.last.exists() else None
        try:
            trainer.fit(module, data, ckpt_path=resume, weights_only=True)
        except SystemExit as stop:  # Lightning's answer to Ctrl-C
            raise Interrupted from stop
        if trainer.interrupted:
            raise Interrupted
        best = torch.load(checkpoints.best, map_location="cpu", weights_only=True)
        module.load_state_dict(best["state_dict"])
        metrics["epochs"] = trainer.current_epoch
        metrics["best_epoch"] = best["epoch"]
        metrics |= _best_validation(best)
    save_weights(module.embedder, weights_file)
    return metrics | _metrics(trainer.test(module, data, verbose=False))


def save_weights(network: torch.nn.Module, path: Path) -> None:
    """A network's state as safetensors."""
    with whole_file(path) as temporary:
        save_file(weights_of(network), temporary)


def _best_validation(checkpoint: dict) -> dict[str, float]:
    """The monitored metric of the best epoch, from the state of the callback that kept it."""
    for name, state in checkpoint["callbacks"].items():
        if name.startswith("ModelCheckpoint") and state.get("monitor") == MONITOR:
            return {MONITOR: float(state["best_model_score"])}
    return {}


def _metrics(results: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: float(value) for result in results for name, value in result.items()}
