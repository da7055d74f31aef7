"""Lines in the trainer's progress bar: there while it lasts, and only where there is a bar."""

import io

import pytest
import pytorch_lightning as pl
from pytorch_lightning.callbacks import RichProgressBar
from pytorch_lightning.demos.boring_classes import BoringModel
from rich.console import Console

from lossprint.training.progress import EpochLines, shown_images


def small_trainer(**more) -> pl.Trainer:
    nothing_else = {"logger": False, "enable_checkpointing": False, "enable_model_summary": False}
    return pl.Trainer(accelerator="cpu", **nothing_else, **more)


class Looks(pl.Callback):
    """Notes the lines of the bar before, during and after images are worked on."""

    def __init__(self) -> None:
        self.lines: list[list[tuple[str, float, float | None]]] = []

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        with shown_images(trainer) as progress:
            progress("maps", 5, 20)
            self._note(trainer)
        self._note(trainer)

    def _note(self, trainer: pl.Trainer) -> None:
        bar = trainer.progress_bar_callback
        tasks = bar.progress.tasks if isinstance(bar, RichProgressBar) else []
        self.lines.append([(t.description, t.completed, t.total) for t in tasks])


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("bar", [True, False])
def test_a_line_while_it_lasts(bar):
    looks = Looks()
    callbacks = [looks, RichProgressBar()] if bar else [looks]
    trainer = small_trainer(callbacks=callbacks, enable_progress_bar=bar, limit_test_batches=1)
    trainer.test(BoringModel())
    during, after = looks.lines
    line = ("Probe set: maps", 5, 20)
    assert (line in during) is bar
    assert len(after) == len(during) - bar
    assert line not in after


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("terminal", [True, False])
def test_a_log_file_is_told_of_each_epoch(terminal):
    class Model(BoringModel):
        def validation_step(self, batch, batch_idx):
            self.log("val/map_at_r", 0.25)

    said = io.StringIO()
    trainer = small_trainer(
        callbacks=[EpochLines(Console(file=said, force_terminal=terminal), "triplet-seed0")],
        enable_progress_bar=False,
        limit_train_batches=1,
        limit_val_batches=1,
        max_epochs=2,
    )
    trainer.fit(Model())
    lines = [] if terminal else [f"epoch {n} of 2, val/map_at_r 0.250" for n in (1, 2)]
    assert said.getvalue().splitlines() == [f"triplet-seed0: {line}" for line in lines]
