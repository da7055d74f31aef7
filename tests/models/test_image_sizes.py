"""Which sizes a network takes, and what is said about those that it does not."""

import pytest
import torch
from torch import nn

from lossprint.models.backbones import build_backbone
from lossprint.models.image_sizes import check_image_sizes


def test_a_network_of_any_size_takes_them_all() -> None:
    network = build_backbone("resnet18", pretrained=False)
    check_image_sizes(network, {"data.size": 33, "probe.size": 48})
    assert network.training  # it was left as it was


def test_a_network_of_one_size_names_it_in_one_line() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 64, 2))
    check_image_sizes(network, {"data.size": 64})
    told = r"^data\.size=65: .* 65 px \(.*\)\. It takes 64 px: data\.size=64$"
    with pytest.raises(ValueError, match=told):
        check_image_sizes(network, {"data.size": 65, "probe.size": 64})


@pytest.mark.parametrize(
    "name", ["timm:levit_128s.fb_dist_in1k", "timm:mixer_s32_224", "timm:convit_tiny"]
)
def test_both_sizes_are_refused_at_once_with_the_words_to_type(name: str) -> None:
    network = build_backbone(name, pretrained=False)
    with pytest.raises(ValueError, match=r"data\.size=224 probe\.size=224$") as caught:
        check_image_sizes(network, {"data.size": 227, "probe.size": 128})
    assert str(caught.value).startswith("data.size=227 probe.size=128: the network takes no images")
    assert "\n" not in str(caught.value)
    check_image_sizes(network, {"data.size": 224, "probe.size": 224})


def test_a_network_that_takes_nothing_says_so() -> None:
    class Broken(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            raise AssertionError("no size will do")

    with pytest.raises(ValueError, match=r"no size will do.*none of \(32, "):
        check_image_sizes(Broken(), {"probe.size": 64})
