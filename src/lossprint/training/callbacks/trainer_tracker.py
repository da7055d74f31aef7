"""Pictures to the loggers of any Lightning trainer."""

from collections.abc import Mapping

import numpy as np
import pytorch_lightning as pl
from PIL import Image
from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger

from lossprint.runs.tracker import Tracker


class TrainerTracker(Tracker):
    """Hands pictures to those of a trainer's loggers that take them: W&B's and TensorBoard's.

    What others, like the CSV logger, miss lies in the folder. Metrics go through
    `LightningModule.log`, to every logger.
    """

    def __init__(self, trainer: pl.Trainer) -> None:
        self.trainer = trainer

    def log_images(self, images: Mapping[str, Image.Image], *, epoch: int | None = None) -> None:
        step = self.trainer.global_step
        for logger in self.trainer.loggers:
            for key, image in images.items():
                if isinstance(logger, WandbLogger):
                    logger.log_image(key, [image])
                elif isinstance(logger, TensorBoardLogger):
                    pixels = np.asarray(image)
                    logger.experiment.add_image(key, pixels, step, dataformats="HWC")
