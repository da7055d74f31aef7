"""Progress of a training: what callbacks do as lines of its bar, and lines for a log file."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytorch_lightning as pl
from pytorch_lightning.callbacks import RichProgressBar
from rich.console import Console

from lossprint.probing import ImagesDone

TOLD = ("train/loss", "val/map_at_r")


@contextmanager
def shown_images(trainer: pl.Trainer) -> Iterator[ImagesDone]:
    """Show how many images are done of what, for as long as the context lasts.

    A trainer without a `RichProgressBar` (`callbacks=quiet`) shows nothing.

    Args:
        trainer: whose bar gets a line.

    Yields:
        To be told what is made of the probe images, how many are done and how many there are.
    """
    bar = trainer.progress_bar_callback
    if not isinstance(bar, RichProgressBar) or bar.progress is None:
        yield lambda what, done, total: None
        return
    lines = bar.progress
    line = lines.add_task("Probe set", total=1)

    def show(what: str, done: int, total: int) -> None:
        lines.update(line, description=f"Probe set: {what}", completed=done, total=total)
        bar.refresh()

    try:
        yield show
    finally:
        lines.remove_task(line)
        bar.refresh()


class EpochLines(pl.Callback):
    """Prints a line after each epoch where no bar moves: in a log file, under a scheduler.

    Args:
        console: what it is printed to; on a terminal nothing is.
        run: the name of what is trained.
    """

    def __init__(self, console: Console, run: str) -> None:
        self.console = console
        self.run = run

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.console.is_terminal or not trainer.is_global_zero:
            return
        known = trainer.callback_metrics
        values = [f"{name} {float(known[name]):.3f}" for name in TOLD if name in known]
        done = f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}"
        self.console.print(f"{self.run}: {', '.join([done, *values])}", highlight=False)
