"""Images chosen for a gallery, with the maps of one run of every loss."""

import numpy as np
import pandas as pd

from lossprint.probing import read_maps
from lossprint.studies.networks import first_runs
from lossprint.studies.study import Results, Study, Tables

FIRST = "First images of the probe set"
DISAGREED = "Images on which the losses disagree most"

TABLES: Tables = {"galleries": ("gallery", "frame", "caption")}
"""One row per image shown. Arrays, in the order of the rows: `galleries/images` uint8 [K, H, W, 3]
and for each loss `galleries/maps/<loss>` float32 [K, H, W] in [0, 1]."""


def compute(study: Study) -> Results:
    """Choose the first images, and those that the losses disagree about most."""
    frames = study.probe.properties.index
    shown = frames[: min(study.settings.gallery, len(study.map_rows))]
    chosen = [[FIRST, frame, _named(frame)] for frame in shown]
    least = study.table("disagreement").head(study.settings.gallery)
    chosen += [
        [DISAGREED, frame, f"{_named(frame)}, r = {correlation:.2f}"]
        for frame, correlation in zip(least["frame"], least["correlation"], strict=True)
    ]
    table = pd.DataFrame(chosen, columns=list(TABLES["galleries"]))
    rows = [int(row) for row in frames.get_indexer(table["frame"])]
    pixels = study.probe.pixels(rows).permute(0, 2, 3, 1)
    maps = {
        f"galleries/maps/{loss}": read_maps(study.maps[study.networks.index(first)], rows).numpy()
        for loss, first in first_runs(study.networks).items()
    }
    return {"galleries": table, "galleries/images": np.ascontiguousarray(pixels.numpy()), **maps}


def _named(frame: object) -> str:
    """A rendered frame by its number, a photo by its file."""
    return f"frame {frame}" if str(frame).isdecimal() else str(frame)
