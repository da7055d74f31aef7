"""A run's checkpoints: whole whatever happens, each with one before it, and of which run."""

import logging
import os
import pickle
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins import TorchCheckpointIO
from pytorch_lightning.callbacks import ModelCheckpoint

from lossprint.files import whole_file
from lossprint.runs.record import MONITOR

log = logging.getLogger(__name__)

RUN = "lossprint_run"
"""Under which a checkpoint says of which run it is."""


@dataclass(frozen=True)
class Checkpoints:
    """Where a run's checkpoints lie, and of which run they are.

    Attributes:
        folder: of theirs.
        run: the content of the run's configuration and data; checkpoints of another are not
            continued.
    """

    folder: Path
    run: str

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

    def remove_earlier(self) -> None:
        """Keep the best and the last one only."""
        for path in (self.best, self.last):
            before(path).unlink(missing_ok=True)

    def callbacks(self) -> list[pl.Callback]:
        """Two that write, because one that keeps the best writes its `last` only beside a best."""
        best = _Movable(
            self.folder,
            filename="best",
            monitor=MONITOR,
            mode="max",
            save_top_k=1,
            enable_version_counter=False,
        )
        last = _Movable(
            self.folder,
            filename="last",
            monitor=None,
            save_top_k=1,
            every_n_epochs=1,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )
        return [_Named(self.run), best, last]

    def plugins(self) -> list[TorchCheckpointIO]:
        """What Lightning is to write checkpoints with."""
        return [WholeCheckpoints()]

    def resume(self) -> Path | None:
        """The checkpoint to continue from, or None to begin at the beginning.

        Damaged checkpoints and those of another run are passed over with a word. Where the best
        epoch so far is not there any more, an earlier checkpoint has to repeat it: what is trained
        ends as if it had never been interrupted.
        """
        for path in (self.last, before(self.last)):
            reached = self._read(path)
            if reached is None:
                continue
            score = best_validation(reached)
            if score is None:
                return path
            for best in (self.best, before(self.best)):
                candidate = self._read(best)
                if candidate is not None and best_validation(candidate) == score:
                    if best != self.best:
                        os.replace(best, self.best)
                    return path
            log.warning("%s is passed over: the best epoch before it is lost", path)
        return None

    def _read(self, path: Path) -> dict[str, Any] | None:
        if not path.is_file():
            return None
        try:
            checkpoint = read_checkpoint(path)
        except ValueError as error:
            log.warning("%s; it is passed over", error)
            return None
        if checkpoint.get(RUN) != self.run:
            log.warning("%s is of another configuration or other images; it is passed over", path)
            return None
        return checkpoint


def before(path: Path) -> Path:
    """The checkpoint that was there before, e.g. last.before.ckpt."""
    return path.with_suffix(f".before{path.suffix}")


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU, its checksums compared.

    Raises:
        ValueError: it is damaged, or none; names the file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f"the checksum of {damaged} is another")
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(checkpoint, dict) or not {"state_dict", "callbacks"} <= checkpoint.keys():
            raise ValueError("it holds no training's state")
    except (
        *(ValueError, TypeError, KeyError, RuntimeError, OSError, EOFError, NotImplementedError),
        *(zipfile.BadZipFile, pickle.UnpicklingError),
    ) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{path} is damaged: {reason}") from error
    return checkpoint


def best_validation(checkpoint: Mapping[str, Any]) -> float | None:
    """The monitored metric of the best epoch, from the state of the callback that kept it."""
    for state in checkpoint["callbacks"].values():
        if state.get("monitor") == MONITOR and state.get("best_model_score") is not None:
            return float(state["best_model_score"])
    return None


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside the one that is there, which then becomes the one before.

    Lightning's own is staged in the system's temporary folder, and copied from there where that
    lies on another file system: a copy that is cut off leaves half a checkpoint.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        path = Path(path)
        with whole_file(path) as temporary:
            with temporary.open("wb") as file:  # Python's own names a full disk
                torch.save(checkpoint, file)
            if path.exists():
                os.replace(path, before(path))


class _Named(pl.Callback):
    """Writes into each checkpoint of which run it is."""

    def __init__(self, run: str) -> None:
        self.run = run

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint[RUN] = self.run


class _Movable(ModelCheckpoint):
    """Knows its best epoch again in a run's folder that was moved."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        def here(path: str) -> str:
            return str(Path(str(self.dirpath)) / Path(path).name) if path else path

        super().load_state_dict(
            state_dict
            | {
                "dirpath": self.dirpath,
                "best_model_path": here(state_dict["best_model_path"]),
                "kth_best_model_path": here(state_dict["kth_best_model_path"]),
                "last_model_path": here(state_dict["last_model_path"]),
                "best_k_models": {
                    here(path): score for path, score in state_dict["best_k_models"].items()
                },
            }
        )
