"""Which sizes a network takes, and what is said about those that it does not."""

import pytest
import torch
from torch import nn

from lossprint.models import build_backbone
from lossprint.models.image_sizes import check_image_size


def test_a_network_of_any_size_takes_them_all() -> None:
    network = build_backbone("resnet18", pretrained=False)
    check_image_size(network, 33, where="data.size")
    assert network.training  # it was left as it was


def test_a_network_of_one_size_names_it_in_one_line() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 64, 2))
    check_image_size(network, 64, where="data.size")
    with pytest.raises(ValueError, match=r"^data\.size=65: .* 65 px \(.*\)\. It takes 64 px$"):
        check_image_size(network, 65, where="data.size")


def test_a_network_that_takes_nothing_says_so() -> None:
    class Broken(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            raise AssertionError("no size will do")

    with pytest.raises(ValueError, match=r"no size will do.*none of \(32, "):
        check_image_size(Broken(), 64, where="probe.size")
