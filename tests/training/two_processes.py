"""What each of several processes does in test_distributed.py; alone it is the one to compare with.

A module of its own: the processes are started anew, and import what they run.
"""

import os
import socket
from pathlib import Path
from typing import Any

import hydra
import pytorch_lightning as pl
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from lossprint.data.augment import CenterCrop, RandomResizedCrop
from lossprint.data.sampler import ClassBalancedBatches
from lossprint.data.transforms import Preprocessing
from lossprint.models.backbones import Backbone
from lossprint.models.embedder import Embedder
from lossprint.training.datamodule import ImageDataModule, Split
from lossprint.training.losses import build_loss
from lossprint.training.module import MetricLearning
from lossprint.training.optimizers import constant
from lossprint.training.processes import strategy_for

CLASSES, IMAGES, STEPS = 6, 8, 10
TESTED = 7  # images of validation and test, which two processes cannot share equally


class RandomImages:
    """Noise in the colour of the class, in several sizes: embeddings that lie well apart.

    Close together they would meet the kinks of losses where rounding decides on which side. The
    seed is one with which no ranking loss is satisfied already before the first step.
    """

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(2)
        colours = torch.randint(0, 200, (CLASSES, 1, 1, 3), generator=generator)
        self.pixels = [
            (
                colours[row % CLASSES]
                + torch.randint(0, 56, (12 + row % 3, 14, 3), generator=generator)
            ).to(torch.uint8)
            for row in range(CLASSES * IMAGES)
        ]

    def images(self, rows: Any) -> list[Tensor]:
        return [self.pixels[int(row)] for row in rows]


class Seen(pl.Callback):
    """Keeps each step's loss and the first step's gradients."""

    def __init__(self) -> None:
        self.losses: list[Tensor] = []
        self.gradients: dict[str, Tensor] = {}

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *batch: Any
    ) -> None:
        self.losses.append(outputs["loss"].detach().clone())

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Any
    ) -> None:
        if not self.gradients:
            self.gradients = {
                name: weights.grad.clone()
                for name, weights in pl_module.named_parameters()
                if weights.grad is not None
            }


def data() -> ImageDataModule:
    labels = torch.arange(CLASSES * IMAGES) % CLASSES
    rows = torch.arange(len(labels))
    tested = rows[:TESTED], labels[:TESTED] % 2
    sampler = ClassBalancedBatches(
        labels, classes_per_batch=3, samples_per_class=2, batches=STEPS, seed=0
    )
    return ImageDataModule(
        RandomImages(),
        Split((rows, labels), tested, tested),
        sampler,
        train_view=RandomResizedCrop(8),
        eval_view=CenterCrop(8),
        preprocessing=Preprocessing(),
        seed=0,
        eval_batch_size=2,
    )


def network() -> Embedder:
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()
    )
    return Embedder(Backbone(layers, 32), 16, freeze_batchnorm=True)


def train(
    loss: dict[str, Any], devices: int, accelerator: str = "cpu", strategy: str = "auto"
) -> dict[str, Tensor]:
    """All that one process saw: losses, gradients, weights, and the test's embeddings."""
    spec = build_loss(loss, hydra.utils.instantiate, num_classes=CLASSES, seed=0)
    module = MetricLearning(
        network(),
        spec,
        lambda groups: torch.optim.SGD(groups, lr=0.05),
        constant,
        embedding_lr=0.05,
        seed=0,
    )
    seen, images = Seen(), data()
    trainer = pl.Trainer(
        accelerator=accelerator,
        devices=devices,
        **strategy_for(module.embedder, devices, strategy),
        precision="64-true",  # ten steps of losses with kinks enlarge what single precision rounds
        max_epochs=1,
        callbacks=[seen],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(module, images)
    validated = trainer.callback_metrics["val/map_at_r"]
    trainer.test(module, images, verbose=False)
    return {
        "losses": torch.stack(seen.losses),
        "map_at_r": validated,
        "test_embeddings": module.test_embeddings,
        "test_labels": module.test_labels,
        **{f"gradient of {name}": gradient for name, gradient in seen.gradients.items()},
        **{f"weights {name}": weights for name, weights in module.state_dict().items()},
    }


def train_all(losses: dict[str, dict[str, Any]], devices: int, *options: str) -> dict[str, Tensor]:
    """Under every loss in turn, the names of its results below the loss's name."""
    torch.set_num_threads(1)
    return {
        f"{name}/{key}": value.cpu().contiguous()
        for name, loss in losses.items()
        for key, value in train(loss, devices, *options).items()
    }


def process(
    rank: int,
    port: int,
    losses: dict[str, dict[str, Any]],
    folder: Path,
    devices: int,
    accelerator: str = "cpu",
) -> None:
    """One of several: what it saw is in `<folder>/<rank>.safetensors`."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "LOCAL_RANK": str(rank)}
    save_file(train_all(losses, devices, accelerator, "ddp"), folder / f"{rank}.safetensors")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
