"""Crops and flips of a whole batch, drawn from an explicit generator."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from lossprint.data.decoding import Interpolation

ATTEMPTS = 10  # as many as torchvision's RandomResizedCrop makes before it falls back


@dataclass(frozen=True)
class Crops:
    """One crop per image.

    Attributes:
        boxes: [N, 4] int64: top, left, height, width in pixels of the image.
        flips: [N] bool: mirror left-right after cropping.
    """

    boxes: Tensor
    flips: Tensor


@dataclass(frozen=True)
class CenterCrop:
    """The middle `size` × `size` pixels; an image with a shorter side gives its largest square."""

    size: int

    def draw(self, sizes: Tensor, generator: torch.Generator | None = None) -> Crops:
        """Crops for images of `sizes` [N, 2]; nothing is drawn."""
        side = sizes.min(dim=1).values.clamp(max=self.size)
        corner = ((sizes - side[:, None]).float() / 2).round().long()
        boxes = torch.stack([corner[:, 0], corner[:, 1], side, side], dim=1)
        return Crops(boxes, torch.zeros(len(sizes), dtype=torch.bool))


@dataclass(frozen=True)
class RandomResizedCrop:
    """A crop of random area and aspect ratio, resized to `size` × `size`, and a random flip.

    The distribution is torchvision's RandomResizedCrop (area uniform in `scale`, logarithm of the
    aspect ratio uniform in `ratio`, ten attempts, then the largest centred crop), drawn for all
    images at once.
    """

    size: int
    scale: tuple[float, float] = (0.16, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise ValueError(f"scale={list(self.scale)} must satisfy 0 < low ≤ high ≤ 1")
        if not 0 < self.ratio[0] <= self.ratio[1]:
            raise ValueError(f"ratio={list(self.ratio)} must satisfy 0 < low ≤ high")
        if not 0 <= self.flip <= 1:
            raise ValueError(f"flip={self.flip} is no probability")

    def draw(self, sizes: Tensor, generator: torch.Generator | None = None) -> Crops:
        """Crops for images of `sizes` [N, 2] (height, width), drawn on the CPU.

        Raises:
            ValueError: no generator; random crops never come from global state.
        """
        if generator is None:
            raise ValueError("random crops need a generator")
        count = len(sizes)
        uniform = torch.rand(4, count, ATTEMPTS, generator=generator, dtype=torch.float64)
        heights, widths = sizes[:, :1].double(), sizes[:, 1:].double()
        area = heights * widths * (self.scale[0] + uniform[0] * (self.scale[1] - self.scale[0]))
        low, high = torch.tensor(self.ratio, dtype=torch.float64).log()
        ratio = torch.exp(low + uniform[1] * (high - low))
        width = (area * ratio).sqrt().round()
        height = (area / ratio).sqrt().round()
        fits = (width > 0) & (width <= widths) & (height > 0) & (height <= heights)
        first = fits.to(torch.uint8).argmax(dim=1, keepdim=True)
        height, width = height.gather(1, first), width.gather(1, first)
        top = (uniform[2].gather(1, first) * (heights - height + 1)).floor()
        left = (uniform[3].gather(1, first) * (widths - width + 1)).floor()
        drawn = torch.cat([top, left, height, width], dim=1).long()
        boxes = torch.where(fits.any(dim=1, keepdim=True), drawn, self._fallback(sizes))
        flips = torch.rand(count, generator=generator) < self.flip
        return Crops(boxes, flips)

    def _fallback(self, sizes: Tensor) -> Tensor:
        """The largest centred crop whose aspect ratio is allowed."""
        heights, widths = sizes[:, 0].double(), sizes[:, 1].double()
        ratio = (widths / heights).clamp(*self.ratio)
        width = torch.minimum(widths, (heights * ratio).round())
        height = torch.minimum(heights, (widths / ratio).round())
        top, left = ((heights - height) / 2).floor(), ((widths - width) / 2).floor()
        return torch.stack([top, left, height, width], dim=1).long()


View = CenterCrop | RandomResizedCrop


def crop_and_resize(
    images: Sequence[Tensor],
    crops: Crops,
    size: int,
    interpolation: Interpolation = "bilinear",
) -> Tensor:
    """Cut each image's crop, resize it to `size` × `size` and flip it.

    Args:
        images: N uint8 tensors [H, W, 3] of any sizes, on one device.
        crops: one per image.

    Returns:
        uint8 [N, 3, size, size] on the images' device.
    """
    device = images[0].device
    batch = torch.empty(len(images), 3, size, size, dtype=torch.uint8, device=device)
    jobs = list(zip(batch, images, crops.boxes.tolist(), crops.flips.tolist(), strict=True))
    if device.type != "cpu":
        for target, image, (top, left, height, width), flip in jobs:
            crop = image[top : top + height, left : left + width].permute(2, 0, 1)
            view = _resize(crop, size, interpolation)
            target.copy_(view.flip(-1) if flip else view)
        return batch
    threads = min(torch.get_num_threads(), len(jobs))
    if threads == 1:
        _fill(jobs, size, interpolation)
    else:
        with ThreadPoolExecutor(threads) as pool:
            # Taken up, so that what a thread raises is raised here.
            shares = [jobs[first::threads] for first in range(threads)]
            list(pool.map(lambda share: _fill(share, size, interpolation), shares))
    return batch


_Job = tuple[Tensor, Tensor, list[int], bool]
"""Where the view of an image goes, the image, its crop and whether it is mirrored."""


def _fill(jobs: Sequence[_Job], size: int, interpolation: Interpolation) -> None:
    """Compute views on the CPU, one after the other.

    Pixels are copied by numpy: torch would share each small copy among its threads, and waiting
    for them takes longer than copying, ten times as long on a busy machine.
    """
    for target, image, (top, left, height, width), flip in jobs:
        crop = np.ascontiguousarray(image.numpy()[top : top + height, left : left + width])
        view = _resize(torch.from_numpy(crop).permute(2, 0, 1), size, interpolation).numpy()
        target.numpy()[...] = view[..., ::-1] if flip else view


def _resize(crop: Tensor, size: int, mode: Interpolation) -> Tensor:
    if crop.shape[-2:] == (size, size):
        return crop
    smooth = mode != "nearest"
    if crop.device.type == "cpu":  # torch has a fast antialiased uint8 kernel on the CPU only
        return interpolate(crop[None], (size, size), mode=mode, antialias=smooth)[0]
    resized = interpolate(crop[None].float(), (size, size), mode=mode, antialias=smooth)[0]
    return resized.round().clamp(0, 255).to(torch.uint8)
