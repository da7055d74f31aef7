"""Saliency maps against the study's numbers, a closed form and a plain loop."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lossprint.saliency import saliency_maps

GOLDEN = np.load(Path(__file__).parent / "golden" / "saliency.npz", allow_pickle=False)


def golden(name: str) -> Tensor:
    return torch.from_numpy(GOLDEN[name])


def small_network(number: int) -> nn.Sequential:
    """The golden data's tiny network `number`."""
    layers = nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=2, padding=2),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 12),
    )
    prefix = f"net{number}."
    layers.load_state_dict(
        {name.removeprefix(prefix): golden(name) for name in GOLDEN.files if prefix in name}
    )
    return layers.eval()


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("distance", ["lp", "lp_squared", "cosine", "dot", "snr"])
def test_agrees_with_the_published_analysis(distance: str, number: int) -> None:
    maps = saliency_maps(
        small_network(number),
        golden("images"),
        distance=distance,
        baseline=golden("baseline_image"),
        noise=golden("noise"),
    )
    torch.testing.assert_close(maps, golden(f"map.{distance}.{number}"), atol=1e-5, rtol=0)
