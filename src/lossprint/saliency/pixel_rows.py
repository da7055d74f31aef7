"""Feature maps as compiled loops see them: one row of channels for each pixel."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor


def pixel_rows(maps: Tensor) -> NDArray[Any]:
    """Maps [N, C, H, W] as rows [N * H * W, P >= C], of which the first C columns are the channels.

    Some channels of a larger map are not copied: P then is the number of channels of the larger
    one, and columns C … P - 1 must not be touched, because the last row ends with the memory.
    Maps that are not laid out channels last are copied.
    """
    count, channels, height, width = maps.shape
    step = maps.stride(3) if width > 1 else maps.stride(2) if height > 1 else maps.stride(0)
    wanted = (height * width * step, 1, width * step, step)
    if step < channels or any(
        size > 1 and stride != right
        for size, stride, right in zip(maps.shape, maps.stride(), wanted, strict=True)
    ):
        maps = maps.contiguous(memory_format=torch.channels_last)
        step = channels
    flat = maps.permute(0, 2, 3, 1).numpy()
    return np.lib.stride_tricks.as_strided(
        flat, (count * height * width, step), (step * flat.itemsize, flat.itemsize)
    )


def empty_maps(like: Tensor, channels: int, dtype: torch.dtype) -> Tensor:
    """Maps [N, channels, H, W], channels last, of the N, H and W of `like`."""
    count, _, height, width = like.shape
    return torch.empty(
        (count, channels, height, width), dtype=dtype, memory_format=torch.channels_last
    )


def gated(gradients: Sequence[Tensor], opened: Sequence[Tensor | None]) -> Tensor:
    """Gradients [N, C_i, H, W] side by side, [N, ΣC_i, H, W], channels last.

    Args:
        gradients: of the same N, H and W, float32.
        opened: of the gradients' shapes; where one is not positive, the gradient becomes zero.
            None leaves its gradient as it is.
    """
    result = empty_maps(gradients[0], sum(part.shape[1] for part in gradients), torch.float32)
    target, column = pixel_rows(result), 0
    for part, mask in zip(gradients, opened, strict=True):
        _write_gated(
            pixel_rows(part), None if mask is None else pixel_rows(mask), target, column,
            part.shape[1],
        )  # fmt: skip
        column += part.shape[1]
    return result


@njit(nogil=True, cache=True, error_model="numpy")
def _write_gated(
    rows: NDArray[np.float32],
    opened: NDArray[np.float32] | None,
    target: NDArray[np.float32],
    column: int,
    width: int,
) -> None:
    for pixel in range(len(rows)):
        row = rows[pixel, :width]
        out = target[pixel, column : column + width]
        if opened is None:
            for c in range(width):
                out[c] = row[c]
        else:
            gate = opened[pixel, :width]
            for c in range(width):
                out[c] = row[c] if gate[c] > 0 else np.float32(0)
