"""Rewritings of traced networks: what they find, and that networks stay what they were."""

import gc
import weakref
from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torchvision.models import convnext_tiny, resnet18

from lossprint.models.bn_inception import BNInception
from lossprint.saliency.folding import folded
from lossprint.saliency.fused_convolution import FusedConvolution
from lossprint.saliency.graph_passes import (
    fuse_convolutions,
    pool_before_relu,
    project_before_average,
)
from tests.saliency.networks import seeded


class _Block(nn.Module):
    """Four branches of one input, as inception blocks have them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.one, self.reduce, self.project = (nn.Conv2d(8, width, 1) for width in (4, 5, 3))
        self.three = nn.Conv2d(5, 6, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        x = F.max_pool2d(self.stem(images).relu_(), 2)
        pooled = F.avg_pool2d(x, 3, stride=1, padding=1)
        branches = [self.one(x), self.three(F.relu(self.reduce(x))), self.project(pooled)]
        return torch.cat([branch.relu() for branch in branches], 1).mean((2, 3))


IMAGES = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def order(graph: fx.GraphModule) -> list[str]:
    return [str(node.name) for node in graph.graph.nodes]


def test_each_rewriting_computes_the_same_with_less() -> None:
    block = seeded(_Block()).requires_grad_(False)
    expected = block(IMAGES)
    graph = fx.symbolic_trace(block)
    pool_before_relu(graph)
    assert order(graph).index("max_pool2d") < order(graph).index("relu__1")
    torch.testing.assert_close(graph(IMAGES), expected)
    project_before_average(graph)
    assert order(graph).index("project") < order(graph).index("avg_pool2d")
    torch.testing.assert_close(graph(IMAGES), expected)
    fuse_convolutions(graph, quantize=False)
    torch.testing.assert_close(graph(IMAGES), expected)
    fused = [module for module in graph.modules() if isinstance(module, FusedConvolution)]
    assert sorted(module.widths for module in fused) == [[3, 4, 5], [6], [8]]
    assert not any(isinstance(module, nn.Conv2d) for module in graph.modules())


class _Shared(nn.Module):
    """Nothing here may be moved: values and modules are used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.twice = nn.Conv2d(3, 3, 1)
        self.project = nn.Conv2d(3, 2, 1)

    def forward(self, images: Tensor) -> Tensor:
        x = self.twice(self.twice(images))
        opened = x.relu_()
        pooled = F.avg_pool2d(opened, 2)
        return (F.max_pool2d(opened, 2).sum(1) + x.sum() + pooled.sum()).flatten(1) + (
            self.project(pooled).mean()
        )


def test_what_is_used_twice_stays_as_it_is() -> None:
    model = seeded(_Shared()).requires_grad_(False)
    graph = fx.symbolic_trace(model)
    before = order(graph)
    pool_before_relu(graph)
    project_before_average(graph)
    assert order(graph) == before
    fuse_convolutions(graph, quantize=False)
    assert isinstance(graph.twice, nn.Conv2d)
    torch.testing.assert_close(graph(IMAGES), model(IMAGES))


@pytest.mark.parametrize(
    ("make", "fused"),
    [
        (lambda: BNInception(num_classes=None), 44),
        (lambda: resnet18(num_classes=9), 20),
        (lambda: convnext_tiny(num_classes=9), 4),
    ],
)
def test_architectures_are_rewritten_as_far_as_it_applies(make, fused: int) -> None:
    torch.manual_seed(0)
    network = make().eval().requires_grad_(False)
    images = F.interpolate(IMAGES, size=64)
    leaf = images.clone().requires_grad_()
    result = network(leaf)
    direction = torch.randn(result.shape, generator=torch.Generator().manual_seed(1))
    (expected,) = torch.autograd.grad(result, leaf, direction)

    rewritten = folded(network, images, result.detach(), torch.float32)
    kinds = Counter(type(module) for module in rewritten.modules())
    assert kinds[FusedConvolution] == fused
    assert kinds[nn.BatchNorm2d] == 0
    again = rewritten(leaf)
    torch.testing.assert_close(
        again, result, atol=1e-4 * result.detach().abs().max().item(), rtol=0
    )
    (found,) = torch.autograd.grad(again, leaf, direction)
    difference = found.mean(1) - expected.mean(1)
    assert difference.norm() < 1e-2 * expected.mean(1).norm()  # a ReLU near 0 may open


def test_double_precision_keeps_its_own_convolutions() -> None:
    block = seeded(_Block()).double().requires_grad_(False)
    images = IMAGES.double()
    rewritten = folded(block, images, block(images), torch.float64)
    assert not any(isinstance(module, FusedConvolution) for module in rewritten.modules())


def test_a_rewritten_network_is_freed_with_its_last_user() -> None:
    block = seeded(_Block()).requires_grad_(False)
    gc.disable()
    try:
        network = folded(block, IMAGES, block(IMAGES), torch.float32)
        del block
        parts = [weakref.ref(module) for module in network.modules()]
        del network
        assert not any(part() for part in parts)
    finally:
        gc.enable()
