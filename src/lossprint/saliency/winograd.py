"""3x3 convolutions of stride 1 with a quarter of the multiplications.

Winograd's F(4x4, 3x3): each tile of 4x4 output pixels needs 36 products of transformed 6x6 input
pixels and transformed weights in place of 144 (Lavin and Gray, "Fast Algorithms for Convolutional
Neural Networks", CVPR 2016). The products are 36 matrix products over the channels, and what is
around them - padding, masks, biases, ReLUs - is done while tiles are taken apart and put together.

Interpolated at 0, ±3/4, ±3/2 and ∞ in place of the usual 0, ±1, ±2 and ∞, rounding errors are half
as large, and the constants are still exact in binary.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from lossprint.saliency.matrix_products import ROWS, RightFactors
from lossprint.saliency.pixel_rows import pixel_rows

A, B = 0.75, 1.5
"""The interpolation points are 0, ±A, ±B and ∞."""

TILE = 4

BLOCK = 2**19
"""Floats of transformed tiles at a time: they stay in a core's cache. Never fewer than weights,
which are read once for each block."""

FEWEST = 24
"""Channels from which it pays: half the harmonic mean of those that come in and go out."""

WEIGHTS = torch.tensor(
    [
        [1 / (A * A * B * B), 0, 0],
        *(
            [1 / scale, point / scale, point * point / scale]
            for scale, points in (
                (2 * A * A * (A * A - B * B), (A, -A)),
                (2 * B * B * (B * B - A * A), (B, -B)),
            )
            for point in points
        ),
        [0, 0, 1],
    ],
    dtype=torch.float64,
)
"""G of the literature, [6, 3]: three weights to their polynomial's values at the points."""

A1, B1 = np.float32(A), np.float32(B)
A2, B2 = np.float32(A * A), np.float32(B * B)
A3, B3 = np.float32(A**3), np.float32(B**3)
A2B2, A2_B2 = np.float32(A * A * B * B), np.float32(A * A + B * B)


def is_faster(weight: Tensor, padding: Sequence[int]) -> bool:
    """Whether a convolution of stride 1 with `weight` [K, C, kh, kw] can be done so, and pays.

    With few channels the transforms take longer than the products that they save.
    """
    outputs, inputs, *kernel = weight.shape
    return (
        kernel == [3, 3]
        and tuple(padding) in {(0, 0), (1, 1), (2, 2)}
        and inputs * outputs >= FEWEST * (inputs + outputs)
    )


class WinogradConvolution:
    """A 3x3 convolution of stride 1, float32, on the processor.

    Args:
        weight: [K, C, 3, 3].
        bias: [K], or None.
        padding: zeros on each side: 0, 1 or 2.
        relu: of the result.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, padding: int, *, relu: bool) -> None:
        outputs, inputs = weight.shape[:2]
        both = torch.kron(WEIGHTS, WEIGHTS).float()  # [36, 9]
        taps = weight.permute(2, 3, 1, 0).reshape(9, inputs * outputs)
        self.weights = RightFactors((both @ taps).view(36, inputs, outputs))
        self.bias = (torch.zeros(outputs) if bias is None else bias).numpy()
        self.padding = padding
        self.relu = relu

    def __call__(self, images: Tensor, opened: Tensor | None = None) -> Tensor:
        """Images [N, C, H, W] to [N, K, H', W'], channels last.

        Args:
            images: float32; channels last is fastest.
            opened: [N, C, H, W]; where it is not positive, `images` count as zero.
        """
        count, _, height, width = images.shape
        points, inputs, outputs = self.weights.shape
        grow = 2 * self.padding - 2
        result = torch.empty(
            (count, outputs, height + grow, width + grow), memory_format=torch.channels_last
        )
        across, down = (-(-size // TILE) for size in result.shape[2:])
        tiles = count * across * down
        blocks = -(-tiles * points * (inputs + outputs) // max(BLOCK, points * inputs * outputs))
        size = max(-(-tiles // blocks), ROWS)
        spread, products = torch.empty(points, size, inputs), torch.empty(points, size, outputs)
        source = pixel_rows(images)
        mask = None if opened is None else pixel_rows(opened)
        target = result.permute(0, 2, 3, 1).numpy()
        for first in range(0, tiles, size):
            last = min(first + size, tiles)
            _take_apart(
                source, mask, spread.numpy(), first, last, (height, width), (across, down),
                self.padding,
            )  # fmt: skip
            self.weights.multiply(spread, products)
            _put_together(
                products.numpy(), self.bias, target, first, last, (across, down), self.relu
            )
        return result


_FASTMATH = {"contract", "reassoc", "nsz"}
_jit: Any = njit(nogil=True, cache=True, error_model="numpy", fastmath=_FASTMATH)


# The two one-dimensional transforms are inlined, because at every call numba counts references to
# the arrays, and have one loop for each result, because LLVM only vectorizes loops over few arrays.


@njit(inline="always")
def _to_points(d0, d1, d2, d3, d4, d5, v0, v1, v2, v3, v4, v5):
    """Bᵀ of the literature: six pixels d (vectors of channels) to values v at the six points."""
    for c in range(v0.size):
        v0[c] = A2B2 * d0[c] - A2_B2 * d2[c] + d4[c]
    for c in range(v1.size):
        v1[c] = (d4[c] - B2 * d2[c]) + A1 * (d3[c] - B2 * d1[c])
    for c in range(v2.size):
        v2[c] = (d4[c] - B2 * d2[c]) - A1 * (d3[c] - B2 * d1[c])
    for c in range(v3.size):
        v3[c] = (d4[c] - A2 * d2[c]) + B1 * (d3[c] - A2 * d1[c])
    for c in range(v4.size):
        v4[c] = (d4[c] - A2 * d2[c]) - B1 * (d3[c] - A2 * d1[c])
    for c in range(v5.size):
        v5[c] = A2B2 * d1[c] - A2_B2 * d3[c] + d5[c]


@njit(inline="always")
def _to_pixels(m0, m1, m2, m3, m4, m5, y0, y1, y2, y3):
    """Aᵀ of the literature: values m at the six points to four pixels y."""
    for c in range(y0.size):
        y0[c] = m0[c] + (m1[c] + m2[c]) + (m3[c] + m4[c])
    for c in range(y1.size):
        y1[c] = A1 * (m1[c] - m2[c]) + B1 * (m3[c] - m4[c])
    for c in range(y2.size):
        y2[c] = A2 * (m1[c] + m2[c]) + B2 * (m3[c] + m4[c])
    for c in range(y3.size):
        y3[c] = A3 * (m1[c] - m2[c]) + B3 * (m3[c] - m4[c]) + m5[c]


@_jit
def _take_apart(
    source: NDArray[np.float32],
    mask: NDArray[np.float32] | None,
    spread: NDArray[np.float32],
    first: int,
    last: int,
    size: tuple[int, int],
    tiles: tuple[int, int],
    padding: int,
) -> None:
    """Transform the 6x6 patches of tiles first … last - 1 into the front of `spread` [36, T, C].

    `source` and `mask` are rows of pixels, see `pixel_rows`.
    """
    height, width = size
    channels = spread.shape[2]
    patch = np.empty((6, 6 * channels), np.float32)
    half = np.empty((6, 6 * channels), np.float32)
    for tile in range(first, last):
        at = tile - first
        image = tile // (tiles[0] * tiles[1])
        place = tile - image * tiles[0] * tiles[1]
        top = TILE * (place // tiles[1]) - padding
        left = TILE * (place % tiles[1]) - padding
        for i in range(6):
            line = patch[i]
            inside = 0 <= top + i < height
            for j in range(6):
                part = line[j * channels : (j + 1) * channels]
                if not (inside and 0 <= left + j < width):
                    for c in range(channels):
                        part[c] = 0
                    continue
                pixel = (image * height + top + i) * width + left + j
                values = source[pixel]
                if mask is None:
                    for c in range(channels):
                        part[c] = values[c]
                else:
                    gate = mask[pixel]
                    for c in range(channels):
                        part[c] = values[c] if gate[c] > 0 else np.float32(0)
        _to_points(
            patch[0], patch[1], patch[2], patch[3], patch[4], patch[5],
            half[0], half[1], half[2], half[3], half[4], half[5],
        )  # fmt: skip
        for i in range(6):
            h, k = half[i], 6 * i
            _to_points(
                h[:channels], h[channels : 2 * channels], h[2 * channels : 3 * channels],
                h[3 * channels : 4 * channels], h[4 * channels : 5 * channels], h[5 * channels :],
                spread[k, at], spread[k + 1, at], spread[k + 2, at],
                spread[k + 3, at], spread[k + 4, at], spread[k + 5, at],
            )  # fmt: skip


@_jit
def _put_together(
    products: NDArray[np.float32],
    bias: NDArray[np.float32],
    target: NDArray[np.float32],
    first: int,
    last: int,
    tiles: tuple[int, int],
    relu: bool,
) -> None:
    """Write tiles first … last - 1 of `target` [N, H, W, K] from the front of `products`."""
    _, height, width, channels = target.shape
    half = np.empty((4, 6, channels), np.float32)
    done = np.empty((4, channels), np.float32)
    floor = np.float32(0) if relu else np.float32(-np.inf)
    for tile in range(first, last):
        at = tile - first
        image = tile // (tiles[0] * tiles[1])
        place = tile - image * tiles[0] * tiles[1]
        top, left = TILE * (place // tiles[1]), TILE * (place % tiles[1])
        for k in range(6):
            _to_pixels(
                products[k, at], products[6 + k, at], products[12 + k, at],
                products[18 + k, at], products[24 + k, at], products[30 + k, at],
                half[0, k], half[1, k], half[2, k], half[3, k],
            )  # fmt: skip
        for i in range(min(TILE, height - top)):
            line = target[image, top + i]
            h = half[i]
            _to_pixels(
                h[0], h[1], h[2], h[3], h[4], h[5], done[0], done[1], done[2], done[3]
            )  # fmt: skip
            for j in range(min(TILE, width - left)):
                value, out = done[j], line[left + j]
                for c in range(channels):
                    out[c] = max(value[c] + bias[c], floor)
