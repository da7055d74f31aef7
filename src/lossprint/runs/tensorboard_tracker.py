"""TensorBoard: curves, pictures and tables as event files in the run's folder."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from lossprint.runs.tracker import Points, TrackedRun, Tracker

FOLDER = "tensorboard"


class TensorBoardTracker(Tracker):
    """Writes what a run says as events, by epoch. Opened and closed by `tensorboard_tracker`."""

    def __init__(self, writer: SummaryWriter) -> None:
        self.writer = writer
        self._epoch = 0

    def log(self, metrics: Mapping[str, float], epoch: int) -> None:
        self._epoch = epoch
        for key, value in metrics.items():
            self.writer.add_scalar(key, value, epoch)

    def log_images(self, images: Mapping[str, Image.Image], *, epoch: int | None = None) -> None:
        for key, image in images.items():
            pixels = np.asarray(image.convert("RGB"))
            step = self._epoch if epoch is None else epoch
            self.writer.add_image(key, pixels, step, dataformats="HWC")

    def log_table(self, key: str, table: pd.DataFrame) -> None:
        rows = [list(table.columns), ["---"] * len(table.columns), *table.to_numpy().tolist()]
        text = "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)
        self.writer.add_text(key, text, self._epoch)

    def log_embeddings(self, key: str, points: Points) -> None:
        pixels = np.stack([np.asarray(picture.convert("RGB")) for picture in points.pictures])
        self.writer.add_embedding(
            points.vectors.to_numpy(np.float32),
            metadata=points.about.astype(str).to_numpy().tolist(),
            metadata_header=[str(column) for column in points.about.columns],
            label_img=torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255,
            tag=key,
        )

    def summarize(self, metrics: Mapping[str, Any]) -> None:
        for key, value in metrics.items():
            if isinstance(value, int | float):
                self.writer.add_scalar(f"final/{key}", value, self._epoch)
            else:
                self.writer.add_text(f"final/{key}", str(value), self._epoch)


@contextmanager
def tensorboard_tracker(run: TrackedRun) -> Iterator[Tracker]:
    """Open event files below `<folder>/tensorboard`; `tensorboard --logdir outputs` shows them."""
    with SummaryWriter(str(run.folder / FOLDER)) as writer:
        writer.add_text("run", f"{run.group}: {run.name} ({run.job_type}, {', '.join(run.tags)})")
        yield TensorBoardTracker(writer)
