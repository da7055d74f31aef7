import csv
import logging
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor
from torch.utils.data import DataLoader

from lossprint.training.callbacks.metrics_file import EpochMetrics, read_rows, write_rows

EPOCHS, BATCHES = 4, 3


class Counting(pl.LightningModule):
    """Logs metrics that are known beforehand: epoch numbers, times ten in validation."""

    def __init__(self, stop_in: int | None = None) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.stop_in = stop_in

    def configure_optimizers(self) -> dict[str, Any]:
        groups = [{"params": [self.weight], "lr": 1.0, "name": "embedder"}]
        optimizer = torch.optim.SGD(groups)
        halve = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
        return {"optimizer": optimizer, "lr_scheduler": halve}

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        self.log("train/loss", float(self.current_epoch), on_step=False, on_epoch=True)
        return (self.weight * batch.mean()).sum()

    def on_train_epoch_end(self) -> None:
        if self.current_epoch == self.stop_in:
            raise KeyError("killed")

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.log("val/map_at_r", 10.0 * self.current_epoch)


def fit(folder: Path, module: Counting, *, every: int = 1, resume: bool = False) -> list[Any]:
    handed: list[Any] = []
    checkpoint = ModelCheckpoint(
        folder, filename="last", save_on_train_epoch_end=True, enable_version_counter=False
    )
    metrics = EpochMetrics(folder / "metrics.csv", lambda row, epoch: handed.append((epoch, row)))
    trainer = pl.Trainer(
        max_epochs=EPOCHS,
        check_val_every_n_epoch=every,
        callbacks=[metrics, checkpoint],
        logger=False,
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    loader: DataLoader = DataLoader(torch.ones(BATCHES, 1))
    path = str(folder / "last.ckpt") if resume else None
    trainer.fit(module, loader, loader, ckpt_path=path, weights_only=True)
    return handed


@pytest.fixture(autouse=True)
def _quiet() -> None:
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)


def expected(epoch: int) -> dict[str, float]:
    return {
        "epoch": epoch,
        "step": (epoch + 1) * BATCHES,
        "lr/embedder": 0.5**epoch,
        "train/loss": epoch,
        "val/map_at_r": 10 * epoch,
    }


@pytest.mark.filterwarnings("ignore:.*num_workers.*", "ignore:.*Checkpoint directory.*")
@pytest.mark.filterwarnings("ignore:.*log_every_n_steps.*", "ignore:.*sanity.*")
class TestTraining:
    def test_one_whole_row_per_epoch(self, tmp_path: Path) -> None:
        handed = fit(tmp_path, Counting())
        rows = read_rows(tmp_path / "metrics.csv")
        assert rows == [expected(epoch) for epoch in range(EPOCHS)]
        assert [{"epoch": epoch, **row} for epoch, row in handed] == rows
        header = (tmp_path / "metrics.csv").read_text().splitlines()[0]
        assert header == "epoch,step,lr/embedder,train/loss,val/map_at_r"

    def test_figures_of_earlier_epochs_are_not_repeated(self, tmp_path: Path) -> None:
        fit(tmp_path, Counting(), every=2)
        rows = read_rows(tmp_path / "metrics.csv")
        assert ["val/map_at_r" in row for row in rows] == [False, True, False, True]
        assert [row["val/map_at_r"] for row in rows[1::2]] == [10, 30]
        assert [row["train/loss"] for row in rows] == [0, 1, 2, 3]

    def test_continued_training_has_every_epoch_once(self, tmp_path: Path) -> None:
        with pytest.raises(KeyError, match="killed"):
            fit(tmp_path, Counting(stop_in=2))
        # the row of the epoch it was killed in had been written, its checkpoint had not
        assert [row["epoch"] for row in read_rows(tmp_path / "metrics.csv")] == [0, 1, 2]
        handed = fit(tmp_path, Counting(), resume=True)
        assert [epoch for epoch, _ in handed] == [2, 3]
        rows = read_rows(tmp_path / "metrics.csv")
        assert rows == [expected(epoch) for epoch in range(EPOCHS)]

    def test_run_without_epochs_has_a_file(self, tmp_path: Path) -> None:
        trainer = pl.Trainer(logger=False, accelerator="cpu")
        EpochMetrics(tmp_path / "metrics.csv").setup(trainer, Counting(), "test")
        assert (tmp_path / "metrics.csv").read_text() == "epoch,step\n"
        assert read_rows(tmp_path / "metrics.csv") == []


def test_figures_survive_the_file_exactly(tmp_path: Path) -> None:
    rows = [
        {"epoch": 0, "step": 3, "loss": 0.1 + 0.2, "a,b": 1e-300},
        {"epoch": 1, "step": 6, "loss": float("inf")},
    ]
    write_rows(tmp_path / "metrics.csv", rows)
    assert read_rows(tmp_path / "metrics.csv") == rows
    with (tmp_path / "metrics.csv").open(newline="") as file:
        assert next(csv.reader(file)) == ["epoch", "step", "a,b", "loss"]


def test_missing_and_damaged_files(tmp_path: Path) -> None:
    assert read_rows(tmp_path / "none.csv") == []
    (tmp_path / "bad.csv").write_text("epoch,step\n0,1\n1,many\n")
    with pytest.raises(ValueError, match=r"bad\.csv, line 3: .*many"):
        read_rows(tmp_path / "bad.csv")
