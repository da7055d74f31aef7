"""The same images under every loss."""

from collections.abc import Mapping
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from skimage.util import montage

from lossprint.reports.style import FAMILY_COLORS, MATPLOTLIB, OVERLAY, by_family, readable


@dataclass(frozen=True)
class Gallery:
    """The same images under every loss.

    Attributes:
        title: what was chosen.
        frames: names of the K images.
        images: uint8 [K, H, W, 3].
        maps: per loss, float [K, H, W] in [0, 1].
        captions: one short line per image, or empty.
    """

    title: str
    frames: tuple[str, ...]
    images: np.ndarray
    maps: Mapping[str, np.ndarray]
    captions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.shape[-1] != 3 or self.images.dtype != np.uint8:
            raise ValueError(
                f"gallery images must be uint8 [K, H, W, 3], got {self.images.dtype} "
                f"{list(self.images.shape)}"
            )
        if len(self.frames) != len(self.images):
            raise ValueError(f"{len(self.frames)} frame names for {len(self.images)} images")
        for loss, maps in self.maps.items():
            if maps.shape != self.images.shape[:3]:
                raise ValueError(
                    f"maps of {loss!r} are {list(maps.shape)}, the images ask for "
                    f"{list(self.images.shape[:3])}"
                )


STRENGTH = 0.65
"""Share of a map's colours where it lies over its image."""


def overlay(image: np.ndarray, saliency: np.ndarray) -> np.ndarray:
    """Lay a map over a darkened grey version of its image.

    Args:
        image: uint8 [H, W, 3].
        saliency: [H, W] in [0, 1].

    Returns:
        uint8 [H, W, 3].
    """
    grey = image.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32) / 255.0
    heat = matplotlib.colormaps[OVERLAY](saliency.astype(np.float32))[..., :3]
    mixed = STRENGTH * heat + (1.0 - STRENGTH) * grey[..., None]
    return np.round(np.clip(mixed, 0.0, 1.0) * 255.0).astype(np.uint8)


def gallery_figure(gallery: Gallery, families: dict[str, str]) -> Figure:
    """Draw images in columns and losses in rows; the first row shows the images themselves."""
    losses = by_family(gallery.maps, families)
    rows = [gallery.images]
    for loss in losses:
        pairs = zip(gallery.images, gallery.maps[loss], strict=True)
        rows.append(np.stack([overlay(image, saliency) for image, saliency in pairs]))
    count, height, width, _ = gallery.images.shape
    gap = max(1, width // 32)
    with matplotlib.rc_context(MATPLOTLIB):
        figure = Figure(
            figsize=(1.6 + 1.15 * count, 0.7 + 1.15 * len(rows) * height / width),
            layout="constrained",
        )
        axes = figure.add_subplot()
        mosaic = montage(
            np.concatenate(rows),
            fill=(255, 255, 255),
            grid_shape=(len(rows), count),
            padding_width=gap,
            channel_axis=-1,
        )
        axes.imshow(mosaic[gap:-gap, gap:-gap])
        axes.set_anchor("W")  # centred, square pixels would leave the names less room than planned
        axes.set_xticks(
            np.arange(count) * (width + gap) + width / 2,
            gallery.captions or gallery.frames,
            fontsize=7,
        )
        axes.xaxis.tick_top()
        axes.set_yticks(
            np.arange(len(rows)) * (height + gap) + height / 2,
            ["image", *(readable(loss) for loss in losses)],
        )
        for label, loss in zip(axes.get_yticklabels(), ["", *losses], strict=True):
            label.set_color(FAMILY_COLORS.get(families.get(loss, ""), "black"))
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_title(gallery.title, loc="left")
    return figure
