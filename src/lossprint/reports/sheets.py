"""Many small pictures in few large ones, so that a page stays small."""

import io
from collections.abc import Mapping

import numpy as np
from PIL import Image
from skimage.util import montage

COLUMNS = 16
"""Pictures beside each other on a sheet."""

_STEPS = ((70, 1.0), (45, 1.0), (25, 1.0), (45, 1.5), (30, 1.5), (40, 2.0), (20, 2.0), (10, 3.0))
"""Quality of WebP, of 100, and by how much sides are divided; from the best to the smallest."""


def sheet(pictures: np.ndarray) -> Image.Image:
    """Lay uint8 pictures [N, H, W] or [N, H, W, 3] out row by row, `COLUMNS` to a row."""
    grid = (-(-len(pictures) // COLUMNS), COLUMNS)
    axis = -1 if pictures.ndim == 4 else None
    return Image.fromarray(montage(pictures, fill=(0, 0, 0), grid_shape=grid, channel_axis=axis))


def sheets(pictures: Mapping[str, np.ndarray], budget: int) -> dict[str, bytes]:
    """A WebP sheet for each stack of pictures, as good as fits.

    Args:
        pictures: stacks alike in size, see `sheet`.
        budget: bytes for all of them. The first sheet tells what the others take; where even the
            smallest step takes more, that is what is returned.
    """
    drawn = {name: sheet(stack) for name, stack in pictures.items()}
    if not drawn:
        return {}
    first = next(iter(drawn.values()))
    fitting = (step for step in _STEPS if len(_encoded(first, *step)) * len(drawn) <= budget)
    step = next(fitting, _STEPS[-1])
    return {name: _encoded(image, *step) for name, image in drawn.items()}


def _encoded(image: Image.Image, quality: int, shrink: float) -> bytes:
    if shrink > 1:
        # Whole tiles shrink alike: a sheet stays a grid of equal parts.
        size = (max(COLUMNS, int(image.width / shrink)), max(1, int(image.height / shrink)))
        image = image.resize(size, Image.Resampling.BOX)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=quality, method=4)
    return buffer.getvalue()
