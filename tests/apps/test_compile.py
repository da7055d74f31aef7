"""trainer.compile: the network is compiled, computes the same, and keeps its weights' names."""

import pytest
import torch
from torch import nn

from lossprint.apps import build
from lossprint.models.backbones import Backbone
from lossprint.models.embedder import Embedder
from lossprint.saliency import saliency_maps
from lossprint.training.losses import LossSpec

CONFIG = {
    "optimizer": {
        "_target_": "torch.optim.AdamW", "_partial_": True, "lr": 1e-3, "embedding_lr_factor": 1.0,
    },
    "schedule": {"_target_": "lossprint.training.optimizers.constant", "_partial_": True},
    "seed": 0,
}  # fmt: skip


@pytest.mark.parametrize("wanted", [True, False])
def test_the_network_is_compiled_where_it_is_asked_for(wanted, monkeypatch):
    compiled, compile_with = [], torch.compile

    def tracing_only(function, **options):
        compiled.append(function)
        return compile_with(function, backend="eager")  # all but machine code

    monkeypatch.setattr(torch, "compile", tracing_only)
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AvgPool2d(46))
    network = Embedder(Backbone(layers, 4), 4).eval()
    images = torch.randn(2, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = network(images)
    names = list(network.state_dict())
    config = CONFIG | {"trainer": {"compile": wanted}}
    module = build.module(config, network, LossSpec("untrained", "control", "lp", None))
    with torch.no_grad():
        torch.testing.assert_close(module.embedder(images), expected)
    assert len(compiled) == wanted
    assert list(module.embedder.state_dict()) == names
    maps = saliency_maps(
        module.embedder, images, distance="lp", baseline=torch.zeros(3, 48, 48), samples=2
    )
    assert maps.shape == (2, 48, 48)
