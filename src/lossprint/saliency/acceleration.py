"""A frozen network rewritten to give the same input gradients faster, by public PyTorch alone.

Batch normalizations are folded into the convolutions before them, a convolution that sees the
image itself takes the channel mean of the gradient with it, and weights are laid out channels
last. Symbolic tracing only says where: what runs is the network's own `forward`.
"""

import copy
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from lossprint.saliency.first_convolution import FirstConvolution, is_supported

CLOSE = 1e-5
"""Relative difference up to which gradients of both need no closer look.

It lowers the correlation of gradients by less than 1e-10; rounding alone gives a few 1e-6.
"""

TOLERANCE = 1e-6
"""Largest relative difference that rounding explains in double precision."""

ROUNDING = 1e-2
"""Largest relative error of gradients in the network's own precision.

Gradients off by it correlate with the exact ones at about 1 - 0.01² / 2 = 0.99995.
Where layers take small differences of large numbers, rounding decides the gradients and every
order of computing gives others: then the caller's own order counts.
"""


def accelerated(network: nn.Module, images: Tensor) -> nn.Module:
    """`network` rewritten, or `network` itself where rewriting it fails or changes what it gives.

    Embeddings and input gradients of both are compared. Where they differ by more than `CLOSE`,
    double precision tells why: there a rewriting that is right differs by rounding alone, and the
    network's own rounding is the distance to it. That `network` had to stay is warned of.

    Args:
        network: frozen, in evaluation mode; it is not changed.
        images: [M, C, H, W] to compare on. More than one, and without equal neighbours: a max
            pool may send the gradient of equal pixels anywhere.
    """
    if not any(isinstance(module, nn.Conv2d) for module in network.modules()):
        return network
    told = "right but slow, because it cannot be rewritten"
    try:
        dtype = next((weight.dtype for weight in network.parameters()), images.dtype)
        images = images.to(dtype)
        result = _rewritten(network)
        found = _response(result, images)
        if _difference(_response(network, images), found) <= CLOSE:
            return result
        exact, images = copy.deepcopy(network).double(), images.double()
        expected = _response(exact, images)
        differs = _difference(expected, _response(_rewritten(exact), images))
        rounding = _rounding(expected, found)
        if not differs <= TOLERANCE:
            reason = f"its gradients would change by {differs:.1g}"
        elif not rounding <= ROUNDING:
            told = "slow and imprecise, unless you give it as model.double()"
            reason = f"rounding in {dtype} alone changes its gradients by {rounding:.1g}"
        else:
            return result
    except Exception as error:  # Whatever a network of the caller's raises: do not rewrite it.
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
    warnings.warn(
        f"maps of {type(network).__name__} are {told} ({reason})",
        RuntimeWarning,
        stacklevel=3,
    )
    return network


class _Tracer(fx.Tracer):
    """Keeps convolutions and batch normalizations of any library whole, and calls no hooks."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        whole = isinstance(m, nn.Conv2d | nn.BatchNorm2d)
        return whole or super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        return super().call_module(m, m.forward, args, kwargs)


def _rewritten(network: nn.Module) -> nn.Module:
    """A copy of `network`, folded and laid out channels last."""
    # Traced is another copy: a forward may keep what it is given, and there that is no tensor.
    graph = _Tracer().trace(copy.deepcopy(network))
    network = copy.deepcopy(network)
    calls = [node for node in graph.nodes if node.op == "call_module" and node.args]
    times = Counter(node.target for node in calls)
    once = [node for node in calls if times[node.target] == 1 and isinstance(node.args[0], fx.Node)]
    for node in once:
        source, normalization = node.args[0], network.get_submodule(node.target)
        if source not in once or len(source.users) > 1:
            continue
        convolution = network.get_submodule(source.target)
        if (
            isinstance(normalization, nn.BatchNorm2d)
            and normalization.running_var is not None
            and type(convolution) is nn.Conv2d
        ):
            network.set_submodule(source.target, fuse_conv_bn_eval(convolution, normalization))
            # What timm's activating normalizations do besides: drop out, activate.
            network.set_submodule(node.target, nn.Sequential(*normalization.children()))
    for node in once:
        convolution = network.get_submodule(node.target)
        if node.args[0].op == "placeholder" and is_supported(convolution):
            network.set_submodule(node.target, FirstConvolution(convolution))
    return network.to(memory_format=torch.channels_last)


def _response(network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Embeddings, and the channel mean of their input gradient in random directions.

    The global generator stays as it was, whatever a network draws from it. Convolutions do not
    round to TF32, as a GPU's may otherwise: that error is the caller's choice.
    """
    devices = [images.device] if images.device.type == "cuda" else []
    cudnn = torch.backends.cudnn
    with torch.random.fork_rng(devices), cudnn.flags(enabled=cudnn.enabled, allow_tf32=False):
        leaf = images.clone().requires_grad_()
        embeddings = network(leaf.clone())
        generator = torch.Generator().manual_seed(0)
        direction = torch.randn(embeddings.shape, generator=generator).to(embeddings)
        (gradient,) = torch.autograd.grad(embeddings, leaf, direction)
        return embeddings.detach(), gradient.mean(1)


def _rounding(expected: tuple[Tensor, Tensor], found: tuple[Tensor, Tensor]) -> float:
    """The difference of the image where it is least.

    Rounding may push a rectifier over its kink, of one image and not of another, however the
    network is computed. What takes small differences of large numbers rounds badly everywhere.
    """
    images = zip(zip(*expected, strict=True), zip(*found, strict=True), strict=True)
    return float(torch.tensor([_difference(one, other) for one, other in images]).amin())


def _difference(expected: tuple[Tensor, ...], found: tuple[Tensor, ...]) -> float:
    """Relative to the length of what is expected, the larger one; NaN where one is not finite."""
    tiny = torch.finfo(torch.float64).tiny
    relative = [
        (b - a).norm() / a.norm().clamp(min=tiny) for a, b in zip(expected, found, strict=True)
    ]
    return float(torch.stack(relative).max())
