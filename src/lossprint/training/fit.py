"""One training from initial weights to the final test, continued where it was cut off."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytorch_lightning as pl

from lossprint.models.checkpoints import weights_of
from lossprint.runs.record import MONITOR
from lossprint.tensor_files import save_tensors
from lossprint.training.checkpoints import Checkpoints, best_validation, read_checkpoint
from lossprint.training.module import MetricLearning


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
        trainer: with `checkpoints.callbacks()` and `checkpoints.plugins()` among its own.
        module, data: what to train and on what.
        checkpoints: where they are written; training continues from what `resume` finds there.
        weights_file: gets the embedder of the best epoch before the final test, as safetensors.

    Returns:
        `test/<metric>` and what callbacks logged in the test, `untrained/<metric>` of the first
        test, and of a training `val/<metric>` at its best epoch, `epochs` run and `best_epoch`.

    Raises:
        Interrupted: by Ctrl-C.
        NonFiniteLossError: the loss became NaN or infinite.
    """
    first = _test(trainer, module, data)
    # What callbacks logged then they log again at the end, under names of their own.
    metrics = {
        f"untrained/{name.removeprefix('test/')}": value
        for name, value in first.items()
        if name.startswith("test/")
    }
    if module.criterion is not None:
        with _interruptible():
            trainer.fit(module, data, ckpt_path=_resume(trainer, checkpoints), weights_only=True)
        if trainer.interrupted:
            raise Interrupted
        best = read_checkpoint(checkpoints.best)
        module.load_state_dict(best["state_dict"])
        metrics["epochs"] = trainer.current_epoch
        metrics["best_epoch"] = best["epoch"]
        score = best_validation(best)
        metrics |= {} if score is None else {MONITOR: score}
    if trainer.is_global_zero:
        save_tensors(weights_of(module.embedder), weights_file)
    return metrics | _test(trainer, module, data)


def _resume(trainer: pl.Trainer, checkpoints: Checkpoints) -> Path | None:
    """What the first of several processes finds to continue from."""
    found = checkpoints.resume() if trainer.is_global_zero else None
    return trainer.strategy.broadcast(found)


def _test(
    trainer: pl.Trainer, module: MetricLearning, data: pl.LightningDataModule
) -> dict[str, float]:
    with _interruptible():
        results = trainer.test(module, data, verbose=False)
    return {name: float(value) for result in results for name, value in result.items()}


@contextmanager
def _interruptible() -> Iterator[None]:
    """Lightning answers Ctrl-C by ending the program, whatever it does."""
    try:
        yield
    except SystemExit as stop:
        raise Interrupted from stop
