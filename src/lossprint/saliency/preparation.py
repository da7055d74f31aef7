"""A model made ready for input gradients, while the caller's own stays as it is."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

from lossprint.saliency.checks import check_embeddings

Precision = Literal["exact", "fast"]


@contextmanager
def evaluation_copy(model: nn.Module) -> Iterator[nn.Module]:
    """A frozen copy of `model` in evaluation mode, in float32 or, where it is so, float64.

    A module that Python cannot copy (one that keeps a graph or a lock) is lent itself, in its own
    dtype, and given back with its modes and `requires_grad` restored, whatever happens inside the
    block. Nothing else of it may be changed.

    """
    dtype = computing_dtype(model)
    try:
        frozen = copy.deepcopy(model)
    except (RuntimeError, TypeError):
        with _borrowed(model) as frozen:
            yield frozen
        return
    yield frozen.to(dtype).eval().requires_grad_(False)


def computing_dtype(model: nn.Module) -> torch.dtype:
    """float64 for a model with float64 weights, float32 for any other."""
    dtypes = {parameter.dtype for parameter in model.parameters()}
    return torch.float64 if torch.float64 in dtypes else torch.float32


def device_of(model: nn.Module, default: torch.device) -> torch.device:
    """Of its first weight; `default` for a model without weights."""
    return next((parameter.device for parameter in model.parameters()), default)


def fast_dtypes(device: torch.device) -> tuple[torch.dtype, torch.dtype]:
    """What `device` is fastest in, near enough to float32: its forward and its backward pass.

    float16 for both where convolutions are computed in it: its 11 bits agree better with float32
    than the 8 of bfloat16 (map r 0.993 against 0.963 on trained weights), and scaled gradients fit
    its range. Processors without AVX-512 FP16 or AMX FP16 emulate it, hundreds of times slower.
    There the forward pass stays in float32, because rounding in it opens and closes ReLUs; the
    backward pass is linear and bears int8 (r 0.998), which is twice as fast as bfloat16. float32
    where there are no instructions for that either.
    """
    if device.type == "cuda":
        return torch.float16, torch.float16
    if device.type == "cpu" and torch.ops.mkldnn._is_mkldnn_fp16_supported():
        return torch.float16, torch.float16
    if device.type == "cpu" and torch.cpu._is_vnni_supported():
        return torch.float32, torch.int8
    return torch.float32, torch.float32


def embed(model: nn.Module, images: Tensor) -> Tensor:
    """Embeddings [M, D] of images [M, C, H, W], checked."""
    embeddings = model(images)
    check_embeddings(embeddings, len(images))
    return embeddings


@contextmanager
def _borrowed(model: nn.Module) -> Iterator[nn.Module]:
    modes = [(module, module.training) for module in model.modules()]
    learning = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        model.eval()
        model.requires_grad_(False)
        yield model
    finally:
        for module, mode in modes:
            module.training = mode
        for parameter, requires_grad in learning:
            parameter.requires_grad_(requires_grad)
