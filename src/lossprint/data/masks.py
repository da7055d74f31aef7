"""Masks beside the probe images: which pixels are the object, its shadow, or neither."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lossprint.data.augment import CenterCrop
from lossprint.data.decoding import resized_size

GROUND, OBJECT, SHADOW = 0, 1, 2
_LABELS = {GROUND, OBJECT, SHADOW}
_MEANING = f"{GROUND} (ground), {OBJECT} (object) and {SHADOW} (shadow), or 0 and 255"
# Masks of more values than these have soft edges, if all but this share of the pixels is near the
# lowest or the highest value.
_FEW, _SOFT, _NEAR = 8, 0.05, 32
# Pixels by which a mask of another size than its image may differ from it once both are resized.
_ROUNDING = 1


def read_masks(files: Sequence[Path], sizes: Tensor, *, size: int) -> Tensor:
    """The labels of every image's pixels, in the square view that models get.

    A mask has the values 0 (ground), 1 (object) and 2 (shadow), or two values of which the higher
    is the object, such as 0 and 255; edges between the two may be soft. A palette's numbers count,
    not its colours.

    Args:
        files: N masks.
        sizes: [N, 2] height and width of their images, turned and resized.
        size: side of the centred square, S.

    Returns:
        [N, S, S] uint8.

    Raises:
        ValueError: a file is no image, its shape is not its image's, or the values have another
            meaning; the message names the file and what would be valid.
    """
    histogram: Counter[int] = Counter()
    first: dict[int, Path] = {}
    views = []
    for file, (height, width) in zip(files, sizes.tolist(), strict=True):
        values = _values(file)
        found = resized_size((values.shape[1], values.shape[0]), min(height, width))
        if max(abs(found[0] - width), abs(found[1] - height)) > _ROUNDING:
            raise ValueError(
                f"{file} is {values.shape[1]} x {values.shape[0]} px, not of the shape of its "
                f"image, {width} x {height} after turning and resizing it: make the mask again "
                "from the image as it is shown"
            )
        for value, count in zip(*np.unique(values, return_counts=True), strict=True):
            histogram[int(value)] += int(count)
            first.setdefault(int(value), file)
        views.append(_view(values, (height, width), size))
    threshold = _object_from(histogram, first)
    stacked = torch.from_numpy(np.stack(views))
    return stacked.to(torch.uint8) if threshold is None else (stacked >= threshold).to(torch.uint8)


def _object_from(histogram: Counter[int], first: dict[int, Path]) -> float | None:
    """The value from which on a pixel is the object; None where values are labels already."""
    values = sorted(histogram)
    if OBJECT in values and set(values) <= _LABELS:
        return None
    if len(values) == 2 and set(values) != {GROUND, SHADOW}:
        return values[1]
    high = values[-1]
    between = [value for value in values if _NEAR < value < high - _NEAR]
    if len(values) > _FEW and between:
        soft = sum(histogram[value] for value in between)
        if soft <= _SOFT * histogram.total():
            return high / 2
    shown = ", ".join(map(str, values[:_FEW])) + (", …" if len(values) > _FEW else "")
    odd = next((value for value in values if value not in _LABELS), values[-1])
    raise ValueError(
        f"the masks hold the values {shown} (the first with {odd} is {first[odd]}); they must hold "
        f"{_MEANING}. Write them anew with these, or move the folder masks/ away to go on without"
    )


def _values(file: Path) -> np.ndarray:
    """A mask's values [H, W], palette numbers as they are."""
    try:
        with Image.open(file) as image:
            single = image if image.mode in ("P", "L", "I") else _single(image)
            values = np.asarray(single)
    except Exception as error:  # decoders of damaged files raise whatever they stumble over
        raise ValueError(f"cannot decode mask {file}: {' '.join(str(error).split())}") from error
    if values.size and values.min() < 0:
        raise ValueError(f"mask {file} holds {values.min()}; masks hold {_MEANING}")
    return values.astype(np.uint8 if values.max(initial=0) < 256 else np.int32)


def _single(image: Image.Image) -> Image.Image:
    """One channel of an image that has several, or fewer bits than a byte."""
    return image if image.mode.startswith("I;16") else image.convert("RGB").convert("L")


def _view(values: np.ndarray, shape: tuple[int, int], size: int) -> np.ndarray:
    """The square that the image's view shows, of values that are resized as it was."""
    height, width = shape
    scaled = np.asarray(Image.fromarray(values).resize((width, height), Image.Resampling.NEAREST))
    top, left, side, _ = CenterCrop(size).draw(torch.tensor([shape])).boxes[0].tolist()
    return scaled[top : top + side, left : left + side]
