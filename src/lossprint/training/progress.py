"""Progress of what a callback does, as a line of the trainer's own progress bar."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytorch_lightning as pl
from pytorch_lightning.callbacks import RichProgressBar


@contextmanager
def shown_images(trainer: pl.Trainer, text: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show how many of `total` images are done, for as long as the context lasts.

    A run without a progress bar (`callbacks=quiet`) shows nothing.

    Args:
        trainer: whose bar gets a line.
        text: what is done with the images.
        total: images.

    Yields:
        To be told how many are done.
    """
    bar = trainer.progress_bar_callback
    if not isinstance(bar, RichProgressBar) or bar.progress is None:
        yield lambda done: None
        return
    lines = bar.progress
    line = lines.add_task(text, total=total)

    def show(done: int) -> None:
        lines.update(line, completed=done)
        bar.refresh()

    try:
        yield show
    finally:
        lines.remove_task(line)
        bar.refresh()
