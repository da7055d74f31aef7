"""The LightningModule: one embedder, any loss."""

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
        # What layers and miners draw depends on (seed, epoch) alone: a continued run draws alike.
        torch.manual_seed(stream_seed(self.seed, "layers", self.current_epoch))

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        images, labels = batch
        if self.criterion is None:
            raise ValueError(f"loss {self.loss.name!r} has no criterion to train with")
        loss = loss_value(self.criterion, self.miner, self.embedder(images), labels)
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

    def _drain(self) -> tuple[Tensor, Tensor]:
        embeddings, labels = (torch.cat(part) for part in zip(*self._collected, strict=True))
        self._collected.clear()
        return embeddings, labels

    def on_validation_epoch_end(self) -> None:
        for name, value in embedding_metrics(*self._drain()).items():
            self.log(f"val/{name}", value, prog_bar=name == "map_at_r")

    def on_test_epoch_end(self) -> None:
        embeddings, labels = self._drain()
        for name, value in embedding_metrics(embeddings, labels).items():
            self.log(f"test/{name}", value)
        self.test_embeddings, self.test_labels = embeddings.cpu(), labels.cpu()
