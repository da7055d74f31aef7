"""Progress of what a callback does, as a line of the trainer's own progress bar."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytorch_lightning as pl
from pytorch_lightning.callbacks import RichProgressBar

from lossprint.probing import ImagesDone


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
