"""The gallery crops the images it shows, however many the test has."""

from types import SimpleNamespace
from typing import cast

import pytest
import torch
from torch import Tensor

from lossprint.apps.training import draw_gallery
from lossprint.training.datamodule import ImageDataModule
from lossprint.training.gallery import nearest_neighbors, neighbor_gallery, pick_queries
from lossprint.training.module import MetricLearning


class Cropped:
    """Test pixels made when they are asked for, and how many were."""

    def __init__(self) -> None:
        self.asked = 0

    def test_pixels(self, positions: Tensor) -> Tensor:
        self.asked += len(positions)
        return (positions % 251).to(torch.uint8)[:, None, None, None].expand(-1, 3, 8, 8)


@pytest.mark.parametrize("count", [5, 80, 1000, 20_000])
def test_only_tiles_that_are_shown_are_cropped(count: int) -> None:
    generator = torch.Generator().manual_seed(count)
    labels = torch.arange(count) // 3
    embeddings = torch.randn(count, 8, generator=generator)
    module = cast(MetricLearning, SimpleNamespace(test_labels=labels, test_embeddings=embeddings))
    cropped = Cropped()
    drawn = draw_gallery(module, cast(ImageDataModule, cropped))
    assert cropped.asked <= min(count, 8 * (1 + 8))
    # The same picture as from all pixels at once.
    queries = pick_queries(labels, 8)
    neighbors = nearest_neighbors(embeddings, queries, 8)
    everything = Cropped().test_pixels(torch.arange(count))
    assert drawn.tobytes() == neighbor_gallery(everything, labels, queries, neighbors).tobytes()
