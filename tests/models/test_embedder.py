"""The embedder: seeded, without touching global randomness, BatchNorm frozen on request."""

import pytest
import torch
from torch import nn

from lossprint.models.backbones import Backbone
from lossprint.models.embedder import Embedder, build_embedder


def images() -> torch.Tensor:
    return torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def small_backbone() -> Backbone:
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1)
    )
    return Backbone(network, 8)


def test_embeddings_are_a_linear_map_of_features() -> None:
    model = Embedder(small_backbone(), 5).eval()
    features = model.backbone(images())
    expected = features @ model.embedding.weight.T + model.embedding.bias
    torch.testing.assert_close(model(images()), expected)
    assert model.embedding_size == 5


def test_same_seed_same_weights_and_global_state_untouched() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = build_embedder("resnet18", pretrained=False, seed=0)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(77)
    second = build_embedder("resnet18", pretrained=False, seed=0)
    other = build_embedder("resnet18", pretrained=False, seed=1)
    first_state, second_state = first.state_dict(), second.state_dict()
    assert all(torch.equal(first_state[key], second_state[key]) for key in first_state)
    assert not torch.equal(first.embedding.weight, other.embedding.weight)
    assert not torch.equal(
        first_state["backbone.network.conv1.weight"],
        other.state_dict()["backbone.network.conv1.weight"],
    )


@pytest.mark.parametrize("freeze", [True, False])
def test_frozen_batchnorm_keeps_its_statistics_in_training(freeze: bool) -> None:
    model = Embedder(small_backbone(), 5, freeze_batchnorm=freeze)
    norm = model.backbone.network[1]
    model(images()).sum().backward()
    assert torch.equal(norm.running_mean, torch.zeros(8)) == freeze
    assert model.training
    assert norm.training != freeze
    assert norm.weight.grad is not None
    model.eval().train()
    assert norm.training != freeze


def test_embedding_size_is_checked() -> None:
    with pytest.raises(ValueError, match="embedding_size is 0, it has to be at least 1"):
        Embedder(small_backbone(), 0)
