"""Images chosen for a gallery, with the maps of one run of every loss."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lossprint.data.probe import ProbeSet
from lossprint.probing import read_maps
from lossprint.studies.subjects import Subject


def gallery_fields(
    title: str,
    rows: Sequence[int],
    captions: Sequence[str],
    subjects: Sequence[Subject],
    files: Sequence[Path],
    probe: ProbeSet,
) -> Mapping[str, Any]:
    """Gather images and maps, under the names a report's gallery takes.

    Args:
        title: what was chosen.
        rows: of the probe set, K of them; each must have maps.
        captions: one per image.
        subjects: L of them; a loss shows its run of the lowest fold and seed.
        files: with their maps.
        probe: the images.

    Returns:
        `title`, `frames` (K names), `images` uint8 [K, H, W, 3], `maps` (loss → [K, H, W] float32)
        and `captions`.
    """
    shown: dict[str, int] = {}
    order = sorted(range(len(subjects)), key=lambda p: (subjects[p].fold, subjects[p].seed))
    for position in order:
        shown.setdefault(subjects[position].loss, position)
    pixels = probe.pixels(list(rows)).permute(0, 2, 3, 1)
    return {
        "title": title,
        "frames": tuple(str(probe.properties.index[row]) for row in rows),
        "images": np.ascontiguousarray(pixels.numpy()),
        "maps": {
            loss: read_maps(files[position], list(rows)).numpy() for loss, position in shown.items()
        },
        "captions": tuple(captions),
    }


def galleries(
    disagreement: pd.DataFrame,
    subjects: Sequence[Subject],
    files: Sequence[Path],
    probe: ProbeSet,
    *,
    images: int,
    count: int,
) -> list[Mapping[str, Any]]:
    """Make the gallery of the first images, and that of the images the losses disagree about most.

    Args:
        disagreement: `frame, correlation`, least agreed first; empty leaves the second out.
        subjects: L of them.
        files: with their maps.
        probe: the images.
        images: how many have maps.
        count: images in each gallery.
    """
    frames = probe.properties.index
    first = list(range(min(count, images)))
    made = [
        gallery_fields(
            "First images of the probe set",
            first,
            [f"frame {frames[row]}" for row in first],
            subjects,
            files,
            probe,
        )
    ]
    if len(disagreement):
        least = disagreement.head(count)
        rows = [int(row) for row in frames.get_indexer(least["frame"])]
        made.append(
            gallery_fields(
                "Images on which the losses disagree most",
                rows,
                [
                    f"frame {frame}, r = {value:.2f}"
                    for frame, value in zip(least["frame"], least["correlation"], strict=True)
                ],
                subjects,
                files,
                probe,
            )
        )
    return made
