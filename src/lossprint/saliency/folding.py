"""A frozen network rewritten to compute the same embeddings and input gradients faster.

Batch normalizations are folded into the convolutions before them, weights are laid out channels
last, and a convolution that sees the image itself takes the channel mean of the gradient with it.
"""

import warnings
from typing import cast

import torch
from torch import Tensor, fx, nn
from torch.fx.experimental.optimization import fuse

from lossprint.saliency.first_convolution import FirstConvolution, is_supported

TOLERANCE = 1e-3
"""Largest difference of the embeddings, relative to their largest value, that rounding explains."""


def folded(network: nn.Module, example: Tensor) -> nn.Module:
    """`network` with every rewriting that applies to it; the network itself where none does.

    Args:
        network: frozen, in evaluation mode; it is used up.
        example: images [M, C, H, W] on its device, on which the rewritten network is checked.
    """
    with torch.no_grad():
        expected = network(example)
    try:
        # Symbolic tracing refuses what depends on values; it warns of nothing that matters here.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graph = cast(fx.GraphModule, fuse(fx.symbolic_trace(network)))
    except Exception:  # Any error in the caller's forward under tracing means: do not rewrite.
        return network.to(memory_format=torch.channels_last)
    _replace_first_convolutions(graph)
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
            graph.set_submodule(name, FirstConvolution(cast(nn.Conv2d, convolution)))
    graph.recompile()
