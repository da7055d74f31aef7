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
    shown = pd.DataFrame(
        {
            "maps of": rungs["rung"],
            "correlation": _intervals(rungs, "mean", "low", "high"),
            "below two seeds by": _intervals(
                rungs, "below_seeds", "below_seeds_low", "below_seeds_high"
            ),
            "pairs": rungs["pairs"],
            "images": rungs["images"],
        }
    )
    if rungs["below_seeds"].isna().all():  # imported networks have no seeds
        shown = shown.drop(columns="below two seeds by")
    yield PrintedTable(
        "ladder",
        "Correlation of maps, and how far it lies below that of two seeds of one loss on the same "
        "images, with intervals over images",
        shown,
    )


def _intervals(rungs: pd.DataFrame, *names: str) -> list[str]:
    return [
        with_interval(*row)
        for row in zip(*(rungs[name].astype(float) for name in names), strict=True)
    ]


SECTION = Section(
    "ladder",
    "Floors and ceilings of map agreement",
    drawings=drawings,
    tables=tables,
    methods={
        "Floors and ceilings": "Fisher means over pairs and images; intervals from images as a "
        "sample, renders of one design together. Below two seeds: the mean over images of the "
        "difference of their Fisher means over pairs, of these very networks. Other noise draws: "
        "SmoothGrad's own ceiling. "
        "Weights are shuffled within each tensor, of one network of a few losses: from the output "
        "down (Adebayo et al., NeurIPS 2018), and from the input up, since layers near to it that "
        "keep their weights draw edges whatever lies above. Maps are means over noisy copies, "
        "which the network and its shuffled copy share, and correlation needs no rescaling of "
        "them: Smooth MPRT of Hedström et al. (2023). Edges are the Sobel gradient of the image."
    },
)
