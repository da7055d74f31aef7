"""Rewritings of a traced network that compute the same with less, or with fewer passes."""

import copy
from operator import getitem
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from lossprint.saliency.fused_convolution import FusedConvolution, can_fuse

RELUS = (nn.ReLU, F.relu, torch.relu, torch.relu_, "relu", "relu_")
MAX_POOLS = (nn.MaxPool2d, F.max_pool2d, torch.max_pool2d)
AVERAGE_POOLS = (nn.AvgPool2d, F.avg_pool2d)


def pool_before_relu(graph: fx.GraphModule) -> None:
    """max_pool(relu(x)) becomes relu(max_pool(x)): the same, on fewer pixels."""
    for pool in _calls(graph, MAX_POOLS):
        relu = pool.args[0]
        if _is_only_user(relu, pool) and _is_call(graph, relu, RELUS):
            relu = cast(fx.Node, relu)
            if not _is_only_user(relu.args[0], relu):
                continue  # an in-place ReLU would be missed elsewhere
            pool.replace_input_with(relu, cast(fx.Node, relu.args[0]))
            with graph.graph.inserting_after(pool):
                after = graph.graph.node_copy(relu)
            pool.replace_all_uses_with(after)
            after.args = (pool, *relu.args[1:])
            graph.graph.erase_node(relu)
    graph.recompile()


def project_before_average(graph: fx.GraphModule) -> None:
    """conv1x1(avg_pool(x)) becomes avg_pool(conv1x1(x)) where that has fewer channels.

    A mean over pixels and a map over channels commute; the bias stays behind both, because the
    mean counts padded zeros.
    """
    for node in _calls(graph, (nn.Conv2d,)):
        pool = node.args[0]
        convolution = _once(graph, node)
        if (
            convolution is None
            or not _is_pointwise(convolution)
            or convolution.out_channels >= convolution.in_channels
            or not _is_only_user(pool, node)
            or not _is_call(graph, pool, AVERAGE_POOLS)
        ):
            continue
        pool = cast(fx.Node, pool)
        node.args = (pool.args[0],)
        node.replace_all_uses_with(pool)
        pool.args = (node, *pool.args[1:])
        pool.prepend(node)
        if convolution.bias is not None:
            name = f"{node.target}_bias".replace(".", "_")
            graph.add_submodule(name, _Bias(convolution.bias.detach()))
            unbiased = copy.deepcopy(convolution)
            unbiased.bias = None
            graph.set_submodule(str(node.target), unbiased)
            with graph.graph.inserting_after(pool):
                after = graph.graph.call_module(name)
            pool.replace_all_uses_with(after)
            after.args = (pool,)
    graph.recompile()


class _Bias(nn.Module):
    bias: Tensor

    def __init__(self, bias: Tensor) -> None:
        super().__init__()
        self.register_buffer("bias", bias.view(1, -1, 1, 1))

    def forward(self, maps: Tensor) -> Tensor:
        return maps + self.bias


def fuse_convolutions(graph: fx.GraphModule, *, quantize: bool) -> None:
    """Convolutions take the ReLU behind them along; parallel 1x1 convolutions become one.

    Args:
        quantize: see `FusedConvolution`.
    """
    groups: dict[Any, list[fx.Node]] = {}
    for node in _calls(graph, (nn.Conv2d,)):
        convolution = _once(graph, node)
        if convolution is not None and can_fuse(convolution):
            groups.setdefault(node.args[0] if _is_pointwise(convolution) else node, []).append(node)
    for number, nodes in enumerate(groups.values()):
        convolutions = [cast(nn.Conv2d, graph.get_submodule(str(node.target))) for node in nodes]
        relus = [_relu_behind(graph, node) for node in nodes]
        name = f"fused_{number}"
        graph.add_submodule(
            name,
            FusedConvolution(
                convolutions,
                [relu is not None for relu in relus],
                quantize=quantize,
                sees_image=cast(fx.Node, nodes[0].args[0]).op == "placeholder",
            ),
        )
        with graph.graph.inserting_before(nodes[0]):
            result = graph.graph.call_module(name, (nodes[0].args[0],))
            parts = [result]
            if len(nodes) > 1:
                parts = [graph.graph.call_function(getitem, (result, i)) for i in range(len(nodes))]
        for node, relu, part in zip(nodes, relus, parts, strict=True):
            (relu or node).replace_all_uses_with(part)
            for done in (relu, node):
                if done is not None:
                    graph.graph.erase_node(done)
    graph.recompile()
    graph.delete_all_unused_submodules()


def _calls(graph: fx.GraphModule, targets: tuple[Any, ...]) -> list[fx.Node]:
    return [node for node in graph.graph.nodes if _is_call(graph, node, targets)]


def _is_call(graph: fx.GraphModule, node: Any, targets: tuple[Any, ...]) -> bool:
    """Of a module of one of `targets`, or of a function or method among them, on one tensor."""
    if not isinstance(node, fx.Node) or not node.args or not isinstance(node.args[0], fx.Node):
        return False
    if node.op == "call_module":
        return type(graph.get_submodule(str(node.target))) in targets
    return node.op in ("call_function", "call_method") and node.target in targets


def _is_only_user(node: Any, user: Any) -> bool:
    return isinstance(node, fx.Node) and set(node.users) == {user}


def _once(graph: fx.GraphModule, node: fx.Node) -> nn.Conv2d | None:
    """The convolution that `node` calls, where no other node calls it."""
    calls = sum(other.target == node.target for other in graph.graph.nodes)
    return cast(nn.Conv2d, graph.get_submodule(str(node.target))) if calls == 1 else None


def _is_pointwise(convolution: nn.Conv2d) -> bool:
    return (
        convolution.kernel_size == (1, 1)
        and convolution.stride == (1, 1)
        and convolution.padding == (0, 0)
        and convolution.groups == 1
    )


def _relu_behind(graph: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    user = next(iter(node.users), None)
    if user is not None and _is_only_user(node, user) and _is_call(graph, user, RELUS):
        return user
    return None
