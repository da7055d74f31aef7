"""Stage features: which parts of a network are stages, and the means of what they give."""

import pytest
import timm
import torch
import torchvision
from torch import nn

from lossprint.models.backbones import Backbone, build_backbone
from lossprint.models.bn_inception import BNInception
from lossprint.models.embedder import Embedder
from lossprint.probing import make_stage_features, probe_stage_features, stages
from lossprint.probing.network import LoadedNetwork, weights_key
from tests.studies.planted import probe_set


class Toy(nn.Module):
    """Two maps, written into by what follows, and tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, stride=2)
        self.after = nn.ReLU(inplace=True)
        self.blocks = nn.ModuleList([nn.Linear(4, 5), nn.Linear(5, 5)])
        self.embedding = nn.Linear(5, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        tokens = self.after(self.first(images)).flatten(2).transpose(1, 2)
        for block in self.blocks:
            tokens = block(tokens)
        return self.embedding(tokens.mean(1))


def preprocessing(pixels: torch.Tensor) -> torch.Tensor:
    return pixels.float() / 255 - 0.5


def names(network: nn.Module, size: int = 64) -> list[str]:
    with torch.no_grad():
        return list(stages(network, torch.zeros(1, 3, size, size)))


def test_features_are_means_over_positions_of_the_images_asked_for(tmp_path):
    torch.manual_seed(0)
    probe, toy = probe_set(), Toy().train()
    found = make_stage_features(toy, preprocessing, probe, images=5)
    images = preprocessing(probe.pixels(range(5)))
    with torch.no_grad():
        first = toy.first(images)
        tokens = toy.blocks[0](first.relu().flatten(2).transpose(1, 2))
        expected = {
            "first": first.mean((2, 3)),
            "blocks.0": tokens.mean(1),
            "blocks.1": toy.blocks[1](tokens).mean(1),
            "embedding": toy(images),
        }
    assert list(found) == list(expected)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value)
    assert toy.training  # and the network is as it was, without hooks
    assert not any(module._forward_hooks for module in toy.modules())

    network = LoadedNetwork(toy, preprocessing, "lp", tmp_path, weights_key(toy))
    kept = probe_stage_features(network, probe, 5)
    again = probe_stage_features(
        LoadedNetwork(nn.Identity(), preprocessing, "lp", tmp_path, network.weights_key), probe, 5
    )
    assert list(kept) == list(again) == list(expected)
    torch.testing.assert_close(again["blocks.1"], expected["blocks.1"])


def test_the_stages_of_networks_of_many_kinds():
    resnet = Embedder(build_backbone("resnet18", pretrained=False), 8)
    assert names(resnet)[-4:] == [f"backbone.network.layer{n}" for n in (1, 2, 3, 4)]
    vit = timm.create_model("vit_tiny_patch16_224", num_classes=0, dynamic_img_size=True)
    assert names(Backbone(vit, 192)) == [f"blocks.{n}" for n in range(12)]
    assert names(timm.create_model("resnet10t", num_classes=0))[-1] == "layer4"
    assert names(BNInception(num_classes=None))[-1] == "inception_5b"
    assert names(torchvision.models.mobilenet_v3_small())[0] == "features.0"
    assert names(torchvision.models.alexnet())[-1] == "features.10"
    swin = torchvision.models.swin_t()
    found = stages(swin, torch.zeros(1, 3, 64, 64))
    assert list(found) == [f"features.{n}" for n in range(8)]


def test_channels_last_are_seen():
    swin = torchvision.models.swin_t(num_classes=3)
    probe = probe_set()
    big = lambda pixels: nn.functional.interpolate(preprocessing(pixels), size=64)  # noqa: E731
    found = make_stage_features(swin, big, probe, images=2)
    assert [found[f"features.{n}"].shape[1] for n in (1, 3, 5, 7)] == [96, 192, 384, 768]


def test_a_network_without_stages_is_named():
    with pytest.raises(ValueError, match="Sequential has no stages"):
        names(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), size=2)
