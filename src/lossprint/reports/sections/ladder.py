"""Floors and ceilings of map agreement, without which no correlation can be read."""

from collections.abc import Iterable

import pandas as pd

from lossprint.reports import figures
from lossprint.reports.evidence import Evidence
from lossprint.reports.section import Drawing, PrintedTable, Section
from lossprint.reports.tables import with_interval


def drawings(evidence: Evidence) -> Iterable[Drawing]:
    """All rungs on one axis."""
    if not evidence["ladder"].empty:
        yield Drawing(
            "ladder",
            "Correlation of two maps of one image, by what their networks share: from the same "
            "network down to no network at all. What two losses agree at means little by itself, "
            "and something between another seed above and the floors below.",
            figures.ladder(evidence["ladder"]),
            wide=True,
        )


def tables(evidence: Evidence) -> Iterable[PrintedTable]:
    """The same in numbers."""
    rungs = evidence["ladder"]
    if rungs.empty:
        return
    values = zip(*(rungs[name].astype(float) for name in ("mean", "low", "high")), strict=True)
    shown = pd.DataFrame(
        {
            "maps of": rungs["rung"],
            "correlation": [with_interval(*row) for row in values],
            "pairs": rungs["pairs"],
            "images": rungs["images"],
        }
    )
    yield PrintedTable("ladder", "Correlation of maps, with its interval over images", shown)


SECTION = Section(
    "ladder",
    "Floors and ceilings of map agreement",
    drawings=drawings,
    tables=tables,
    methods={
        "Floors and ceilings": "Fisher means over pairs and images; intervals from images as a "
        "sample, renders of one design together. Other noise draws: SmoothGrad's own ceiling. "
        "Weights are shuffled within each tensor, of one network of a few losses: from the output "
        "down (Adebayo et al., NeurIPS 2018), and from the input up, since layers near to it that "
        "keep their weights draw edges whatever lies above. Maps are means over noisy copies, "
        "which the network and its shuffled copy share, and correlation needs no rescaling of "
        "them: Smooth MPRT of Hedström et al. (2023). Edges are the Sobel gradient of the image."
    },
)
