"""The input gradient of a convolution of any stride, as matrix products and additions.

A 1x1 convolution takes each pixel of the output's gradient to the gradients of all the input
pixels under the kernel, which are then added where windows overlap.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from lossprint.saliency.pixel_rows import pixel_rows


def tap_weights(weight: Tensor) -> Tensor:
    """Weights [K, C, kh, kw] of a convolution to those of the 1x1 one, [kh · kw · C, K, 1, 1]."""
    return weight.permute(2, 3, 1, 0).reshape(-1, len(weight), 1, 1).contiguous()


def scatter(
    taps: Tensor,
    shape: tuple[int, int, int],
    kernel: Sequence[int],
    stride: int,
    padding: tuple[int, int],
) -> Tensor:
    """Add what the 1x1 convolution gave, [N, kh · kw · C, h, w], into [N, C, H, W], channels last.

    Args:
        taps: float32.
        shape: C, H and W.
        kernel: kh and kw.
        stride: of both axes.
        padding: of each axis.
    """
    count, _, rows, columns = taps.shape
    channels, height, width = shape
    result = torch.zeros(count, height, width * channels)
    source = pixel_rows(taps).reshape(count, rows, columns, kernel[0], kernel[1] * channels)
    _scatter(source, result.numpy(), stride, padding, channels)
    return result.view(count, height, width, channels).permute(0, 3, 1, 2)


_jit: Any = njit(nogil=True, cache=True, error_model="numpy")


@_jit
def _scatter(
    taps: NDArray[np.float32],
    result: NDArray[np.float32],
    stride: int,
    padding: tuple[int, int],
    channels: int,
) -> None:
    """Add `taps` [N, h, w, kh, kw · C] into `result` [N, H, W · C]."""
    count, rows, columns, kernel, span = taps.shape
    _, height, width = result.shape
    for image in range(count):
        for y in range(rows):
            for x in range(columns):
                left = (x * stride - padding[1]) * channels
                first, last = max(0, -left), min(span, width - left)
                for i in range(kernel):
                    row = y * stride - padding[0] + i
                    if 0 <= row < height:
                        values = taps[image, y, x, i, first:last]
                        target = result[image, row, left + first : left + last]
                        for c in range(values.size):
                            target[c] += values[c]
