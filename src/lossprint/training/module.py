"""The LightningModule: one embedder, any loss."""

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor

from lossprint.metrics.geometry import embedding_geometry
from lossprint.metrics.retrieval import retrieval_metrics
from lossprint.models.embedder import Embedder
from lossprint.streams import stream_seed
from lossprint.training.losses import LossSpec, loss_value
from lossprint.training.optimizers import OptimizerFactory, ScheduleFactory, parameter_groups


def embedding_metrics(embeddings: Tensor, labels: Tensor) -> dict[str, float]:
    """How well embeddings [N, D] retrieve their class, and how many directions they use.

    Returns:
        What `retrieval_metrics` does, `effective_rank` and `mean_length` (`EmbeddingGeometry`).
    """
    geometry = embedding_geometry(embeddings.cpu())
    return retrieval_metrics(embeddings, labels) | {
        "effective_rank": geometry.effective_rank,
        "mean_length": geometry.mean_length,
    }


class NonFiniteLossError(ArithmeticError):
    """A loss became NaN or infinite; training on would only spread it."""


class MetricLearning(pl.LightningModule):
    """Trains an embedder under a loss and measures retrieval on classes it never saw.

    Several processes (Lightning's DDP) train as one would: each embeds its share of a batch, and
    each computes the loss of the whole batch of all embeddings. Every process holds the same
    gradient of that loss; it arrives at the embedding it belongs to as their sum, and DDP's mean
    over the processes takes the factor out again, for the network and the loss's weights alike.

    Validation and test collect all embeddings, then log `<prefix>/map_at_r`, `…/r_precision`,
    `…/precision_at_1`, `…/recall_at_k`, `…/effective_rank` and `…/mean_length`. The test's
    embeddings and labels stay in `test_embeddings` [N, D] and `test_labels` [N], on the CPU.

    Args:
        embedder: the network.
        loss: what trains it.
        optimizer: makes an optimizer of parameter groups.
        schedule: makes a per-step learning-rate schedule of (optimizer, number of steps).
        embedding_lr: learning rate of the embedding layer; the optimizer's is the backbone's.
        seed: of the run.
    """

    test_embeddings: Tensor
    test_labels: Tensor

    def __init__(
        self,
        embedder: Embedder,
        loss: LossSpec,
        optimizer: OptimizerFactory,
        schedule: ScheduleFactory,
        *,
        embedding_lr: float,
        seed: int,
    ) -> None:
        super().__init__()
        # Convolutions on a processor, and in half precision on a GPU, are faster in this layout.
        self.embedder = embedder.to(memory_format=torch.channels_last)
        self.criterion = loss.criterion
        self.miner = loss.miner
        self.loss = loss
        self.make_optimizer = optimizer
        self.make_schedule = schedule
        self.embedding_lr = embedding_lr
        self.seed = seed
        self._collected: list[tuple[Tensor, Tensor]] = []

    def forward(self, images: Tensor) -> Tensor:
        return self.embedder(images)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        groups = parameter_groups(
            self.embedder,
            self.criterion,
            self.loss.learning_rate,
            embedding_lr=self.embedding_lr,
        )
        optimizer = self.make_optimizer(groups)
        steps = int(self.trainer.estimated_stepping_batches)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {
                "scheduler": self.make_schedule(optimizer, steps),
                "interval": "step",
            },
        }

    def on_train_epoch_start(self) -> None:
        # What layers draw depends on (seed, epoch) and the process alone: a continued run draws
        # alike, and no two processes drop out the same.
        key = (self.current_epoch, self.global_rank) if self.global_rank else (self.current_epoch,)
        torch.manual_seed(stream_seed(self.seed, "layers", *key))

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        images, labels = batch
        if self.criterion is None:
            raise ValueError(f"loss {self.loss.name!r} has no criterion to train with")
        embeddings = self._of_all(self.embedder(images)).flatten(0, 1)
        labels = self._of_all(labels).flatten(0, 1)
        with torch.random.fork_rng(devices=self._own_devices()):
            # All processes draw alike here: the loss is one.
            torch.manual_seed(stream_seed(self.seed, "loss", self.global_step))
            loss = loss_value(self.criterion, self.miner, embeddings, labels)
        if not torch.isfinite(loss):
            (optimizer,) = self.trainer.optimizers
            rates = {group["name"]: group["lr"] for group in optimizer.param_groups}
            raise NonFiniteLossError(
                f"loss {self.loss.name!r} became {loss.item()} at step {self.global_step} with "
                f"learning rates {rates}; a lower optimizer.lr or loss.optimizer.lr may help"
            )
        self.log(
            "train/loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(labels)
        )
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self._collect(batch)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self._collect(batch)

    def _collect(self, batch: tuple[Tensor, Tensor]) -> None:
        images, labels = batch
        self._collected.append((self.embedder(images).float(), labels))

    def _drain(self, loader: Any) -> tuple[Tensor, Tensor]:
        """Embeddings and labels of all processes, each image once and in the data's order."""
        embeddings, labels = (torch.cat(part) for part in zip(*self._collected, strict=True))
        self._collected.clear()
        if self.trainer.world_size == 1:
            return embeddings, labels
        # Process r of n embedded images r, r + n, …; at the end some repeat the first images.
        count = len(loader.dataset)
        embeddings, labels = (
            self._of_all(part).transpose(0, 1).flatten(0, 1)[:count]
            for part in (embeddings, labels)
        )
        return embeddings, labels

    def _of_all(self, part: Tensor) -> Tensor:
        """[n, B, …]: the tensors [B, …] of all n processes; gradients flow to where they belong."""
        gathered = self.all_gather(part, sync_grads=True)
        assert isinstance(gathered, Tensor)
        return gathered.view(self.trainer.world_size, *part.shape)

    def _own_devices(self) -> list[torch.device]:
        return [self.device] if self.device.type == "cuda" else []

    def on_validation_epoch_end(self) -> None:
        for name, value in embedding_metrics(*self._drain(self.trainer.val_dataloaders)).items():
            self.log(f"val/{name}", value, prog_bar=name == "map_at_r")

    def on_test_epoch_end(self) -> None:
        embeddings, labels = self._drain(self.trainer.test_dataloaders)
        for name, value in embedding_metrics(embeddings, labels).items():
            self.log(f"test/{name}", value)
        self.test_embeddings, self.test_labels = embeddings.cpu(), labels.cpu()
