"""Gradients in 8 bits, for the convolutions of a backward pass.

A backward pass is linear: rounding adds noise there, where in a forward pass it would open and
close ReLUs. One scale for a batch of gradients and one for each output channel of the weights
therefore suffice.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from lossprint.saliency.laid_out import LaidOut
from lossprint.saliency.pixel_rows import empty_maps, pixel_rows

ZERO = 128
"""The code of 0: vector instructions for 8-bit products want their first factor unsigned."""

LARGEST = 127


class QuantizedConvolution:
    """A convolution of stride 1, of quantized maps with weights that it quantizes.

    Args:
        weight: [K, C, kh, kw], float32.
        padding: of each axis.
    """

    def __init__(self, weight: Tensor, padding: Sequence[int]) -> None:
        largest = weight.abs().amax((1, 2, 3)).clamp(min=torch.finfo(torch.float32).tiny)
        self.scales = largest / LARGEST
        codes = (weight / self.scales.view(-1, 1, 1, 1)).round().to(torch.int8)
        self.zeros = torch.zeros(len(weight), dtype=torch.int64)
        self.geometry = [1, 1], list(padding), [1, 1], 1
        self.weights = LaidOut(
            lambda shape: torch.ops.onednn.qconv_prepack(
                codes, self.scales, 1.0, ZERO, *self.geometry, shape
            )
        )

    def __call__(self, codes: Tensor, scale: float) -> Tensor:
        """Codes [N, C, H, W] and their scale, see `quantized`, to float32 [N, K, H', W']."""
        weight = self.weights.of(codes)
        return torch.ops.onednn.qconv2d_pointwise(
            codes, scale, ZERO, weight, self.scales, self.zeros, None, *self.geometry,
            1.0, 0, torch.float32, "none", [], "",
        )  # fmt: skip


def quantized(gradients: Sequence[Tensor], opened: Sequence[Tensor | None]) -> tuple[Tensor, float]:
    """Gradients [N, C_i, H, W] side by side as codes [N, ΣC_i, H, W] uint8, and their scale.

    A value is (code - 128) · scale. Where a gradient is not finite, the scale is not.

    Args:
        gradients: of the same N, H and W, float32.
        opened: of the gradients' shapes; where one is not positive, the gradient counts as zero.
            None leaves its gradient as it is.
    """
    masks = [None if mask is None else pixel_rows(mask) for mask in opened]
    rows = [pixel_rows(gradient) for gradient in gradients]
    widths = [gradient.shape[1] for gradient in gradients]
    bits = [
        _largest_bits(values.view(np.int32), mask, width)
        for values, mask, width in zip(rows, masks, widths, strict=True)
    ]
    scale = np.int32(max(bits)).view(np.float32) / np.float32(LARGEST) or np.float32(1)
    codes = empty_maps(gradients[0], sum(widths), torch.uint8)
    target, column = pixel_rows(codes), 0
    for values, mask, width in zip(rows, masks, widths, strict=True):
        _write_codes(values, mask, np.float32(1) / scale, target, column, width)
        column += width
    return codes, float(scale)


MAGNITUDE = np.int32(0x7FFFFFFF)


@njit(nogil=True, cache=True, error_model="numpy")
def _largest_bits(
    rows: NDArray[np.int32], opened: NDArray[np.float32] | None, width: int
) -> np.int32:
    """Of the magnitudes of float32 `rows`, seen as integers: in this order NaN is above all."""
    largest = np.int32(0)
    for pixel in range(len(rows)):
        row = rows[pixel, :width]
        if opened is None:
            for c in range(width):
                largest = max(largest, np.int32(row[c] & MAGNITUDE))
        else:
            gate = opened[pixel, :width]
            for c in range(width):
                magnitude = np.int32(row[c] & MAGNITUDE)
                largest = max(largest, magnitude if gate[c] > 0 else np.int32(0))
    return largest


@njit(nogil=True, cache=True, error_model="numpy")
def _write_codes(
    rows: NDArray[np.float32],
    opened: NDArray[np.float32] | None,
    steps: np.float32,
    target: NDArray[np.uint8],
    column: int,
    width: int,
) -> None:
    """Round `rows` times `steps` into columns `column` … of `target`."""
    half = np.float32(ZERO + 0.5)
    for pixel in range(len(rows)):
        row = rows[pixel, :width]
        out = target[pixel, column : column + width]
        if opened is None:
            for c in range(width):
                out[c] = np.uint8(np.int32(row[c] * steps + half))
        else:
            gate = opened[pixel, :width]
            for c in range(width):
                value = row[c] if gate[c] > 0 else np.float32(0)
                out[c] = np.uint8(np.int32(value * steps + half))
