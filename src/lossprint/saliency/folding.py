"""A frozen network rewritten to compute the same embeddings and input gradients faster.

Batch normalizations are folded into the convolutions before them, weights are laid out channels
last, and a convolution that sees the image itself takes the channel mean of the gradient with it.
On the processor every other convolution becomes one that takes along what is around it.
"""

import warnings
from typing import cast

import torch
from torch import Tensor, fx, nn
from torch.fx.experimental.optimization import fuse

from lossprint.saliency.first_convolution import FirstConvolution, is_supported
from lossprint.saliency.graph_passes import (
    fuse_convolutions,
    pool_before_relu,
    project_before_average,
)

TOLERANCE = 1e-3
"""Largest difference of the embeddings, relative to their largest value, that rounding explains."""


def folded(
    network: nn.Module, example: Tensor, expected: Tensor, gradients: torch.dtype
) -> nn.Module:
    """`network` with every rewriting that applies to it; the network itself where none does.

    Args:
        network: frozen, in evaluation mode; it is used up.
        example: images [M, C, H, W] on its device, on which the rewritten network is checked.
        expected: their embeddings.
        gradients: what the backward pass multiplies in. float32 and int8 are for float32 networks
            on the processor, whose convolutions are fused; any other fuses none.
    """
    try:
        # Symbolic tracing refuses what depends on values; it warns of nothing that matters here.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            traced = fx.symbolic_trace(network)
            graph = cast(fx.GraphModule, fuse(traced, inplace=True, no_trace=True))
    except Exception:  # Any error in the caller's forward under tracing means: do not rewrite.
        return network.to(memory_format=torch.channels_last)
    if example.device.type == "cpu" and gradients in (torch.float32, torch.int8):
        pool_before_relu(graph)
        project_before_average(graph)
        fuse_convolutions(graph, quantize=gradients == torch.int8)
    _replace_first_convolutions(graph)
    # A graph and its module hold each other: with their weights they would stay in memory until
    # the garbage collector finds them, one network after the other.
    traced.graph.owning_module = graph.graph.owning_module = None
    rewritten = graph.requires_grad_(False).eval().to(memory_format=torch.channels_last)
    with torch.no_grad():
        difference = (rewritten(example) - expected).abs().max()
    if not difference <= TOLERANCE * expected.abs().max():
        return network.to(memory_format=torch.channels_last)
    return rewritten


def _replace_first_convolutions(graph: fx.GraphModule) -> None:
    for node in list(graph.graph.nodes):
        source = node.args[0] if node.args else None
        if node.op != "call_module" or not isinstance(source, fx.Node):
            continue
        name = str(node.target)
        convolution = graph.get_submodule(name)
        calls = sum(other.target == name for other in graph.graph.nodes)
        if source.op == "placeholder" and calls == 1 and is_supported(convolution):
            graph.set_submodule(name, FirstConvolution(convolution))
    graph.recompile()
