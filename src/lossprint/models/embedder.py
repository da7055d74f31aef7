"""The model every loss trains: a backbone and one linear layer into the embedding space."""

from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from lossprint.models.backbones import Backbone, WeightsFrom, build_backbone


class Embedder(nn.Module):
    """Images [N, 3, H, W] to embeddings [N, D], not normalized.

    Losses and distances normalize by themselves where their definition says so.

    Args:
        backbone: gives pooled features [N, backbone.num_features].
        embedding_size: D.
        freeze_batchnorm: BatchNorm keeps using its running statistics, and keeps them as they
            are, during training too (the reality check's protocol). Scale and shift still learn.

    Raises:
        ValueError: `embedding_size` is not positive.
    """

    def __init__(
        self, backbone: Backbone, embedding_size: int, *, freeze_batchnorm: bool = False
    ) -> None:
        super().__init__()
        if embedding_size < 1:
            raise ValueError(f"embedding_size is {embedding_size}, it has to be at least 1")
        self.backbone = backbone
        self.embedding = nn.Linear(backbone.num_features, embedding_size)
        self.freeze_batchnorm = freeze_batchnorm
        self.train()  # a trainer that never calls it must find BatchNorm frozen, too

    @property
    def embedding_size(self) -> int:
        return self.embedding.out_features

    def forward(self, images: Tensor) -> Tensor:
        return self.embedding(self.backbone(images))

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        if self.freeze_batchnorm:
            for module in self.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self


def build_embedder(
    name: str,
    *,
    pretrained: bool,
    embedding_size: int = 128,
    freeze_batchnorm: bool = False,
    seed: int,
    weights: Path | str | None = None,
    weights_from: WeightsFrom | None = None,
) -> Embedder:
    """Build an embedder whose initial weights depend on `seed` alone.

    The global random state is the same before and after, so that two losses built in one process
    start from the same model and go on to draw the same batches.

    Args:
        name, pretrained, weights, weights_from: see `build_backbone`.
        embedding_size, freeze_batchnorm: see `Embedder`.
        seed: of the initial weights; the linear layer is always random, pretrained or not.

    Raises:
        ValueError, FileNotFoundError: see `build_backbone` and `Embedder`.
    """
    with torch.random.fork_rng(devices=[]):
        # Layers initialize on the CPU: the devices' generators need neither seed nor fork.
        torch.default_generator.manual_seed(seed)
        backbone = build_backbone(
            name, pretrained=pretrained, weights=weights, weights_from=weights_from
        )
        # A seed of its own: the linear layer is the same whether or not weights were loaded.
        torch.default_generator.manual_seed(seed)
        return Embedder(backbone, embedding_size, freeze_batchnorm=freeze_batchnorm)
