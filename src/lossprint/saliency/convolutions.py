"""The fastest way to compute a float32 convolution, or its input gradient, on the processor."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lossprint.saliency.laid_out import LaidOut
from lossprint.saliency.pixel_rows import gated
from lossprint.saliency.quantized import QuantizedConvolution, quantized
from lossprint.saliency.scattering import scatter, tap_weights
from lossprint.saliency.winograd import WinogradConvolution, is_faster

Pair = tuple[int, int]
"""Rows and columns."""

Gradients = Sequence[Tensor]
"""Of outputs side by side, [N, K_i, h, w] each."""

Opened = Sequence[Tensor | None]
"""The outputs that a ReLU made, [N, K_i, h, w]; None for others."""

InputGradient = Callable[[Gradients, Opened, Pair], Tensor]
"""Gradients, opened, the input's H and W -> gradient [N, C, H, W]."""


def convolution(
    weight: Tensor, bias: Tensor, stride: Pair, padding: Pair, *, relu: bool
) -> Callable[[Tensor], Tensor]:
    """A function from maps [N, C, H, W] to those that it convolves with `weight` [K, C, kh, kw]."""
    if stride == (1, 1) and is_faster(weight, padding):
        return WinogradConvolution(weight, bias, padding[0], relu=relu)
    return _Direct(weight, bias, stride, padding, relu=relu)


def input_gradient(weight: Tensor, stride: Pair, padding: Pair, *, quantize: bool) -> InputGradient:
    """The input gradient of a convolution with `weight` [K, C, kh, kw], of equal strides.

    Args:
        quantize: compute its products in 8 bits.
    """
    if stride != (1, 1) or weight.shape[1] == 1:
        to_taps = _gradient_convolution(tap_weights(weight), (0, 0), quantize=quantize)
        _, channels, *kernel = weight.shape
        return lambda gradients, opened, size: scatter(
            to_taps(gradients, opened), (channels, *size), kernel, stride[0], padding
        )
    # Of stride 1 it is a convolution, with the weights turned by 180 degrees.
    turned = weight.transpose(0, 1).flip(2, 3).contiguous()
    rest = (weight.shape[2] - 1 - padding[0], weight.shape[3] - 1 - padding[1])
    convolve = _gradient_convolution(turned, rest, quantize=quantize)
    return lambda gradients, opened, _: convolve(gradients, opened)


def _gradient_convolution(
    weight: Tensor, padding: Pair, *, quantize: bool
) -> Callable[[Gradients, Opened], Tensor]:
    """Of stride 1, of gradients that have yet to pass their ReLUs."""
    if quantize:
        convolve = QuantizedConvolution(weight, padding)
        return lambda gradients, opened: convolve(*quantized(gradients, opened))
    if is_faster(weight, padding):
        winograd = WinogradConvolution(weight, None, padding[0], relu=False)
        return lambda gradients, opened: winograd(gradients[0], opened[0])
    direct = _Direct(weight, None, (1, 1), padding, relu=False)
    return lambda gradients, opened: direct(gated(gradients, opened))


class _Direct:
    """oneDNN's convolution, with its weights laid out beforehand."""

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        stride: Pair,
        padding: Pair,
        *,
        relu: bool,
    ) -> None:
        self.geometry = list(padding), list(stride), [1, 1], 1
        self.weights = LaidOut(
            lambda shape: torch.ops.mkldnn._reorder_convolution_weight(
                weight, *self.geometry, shape
            )
        )
        self.bias = bias
        self.relu = "relu" if relu else "none"

    def __call__(self, maps: Tensor) -> Tensor:
        maps = maps.contiguous(memory_format=torch.channels_last)
        return torch.ops.mkldnn._convolution_pointwise(
            maps, self.weights.of(maps), self.bias, *self.geometry, self.relu, [], ""
        )
