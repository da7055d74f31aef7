"""What one loss holds together and another tears apart."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from lossprint.reports import figures
from lossprint.reports.evidence import Evidence
from lossprint.reports.figures.galleries import Gallery
from lossprint.reports.findings import Finding, Verdict
from lossprint.reports.section import Drawing, PrintedTable, Section
from lossprint.reports.sections.explorer import IMAGES
from lossprint.reports.style import readable
from lossprint.reports.tables import number
from lossprint.reports.wording import p_value, sentence

SHOWN = 8
"""Images of a group."""


def drawings(evidence: Evidence) -> Iterable[Drawing]:
    """The first images of each group that other runs confirm."""
    images, members = evidence["probe_images"], evidence["difference_groups"]
    if images.empty or members.empty or IMAGES not in evidence.arrays:
        return
    position = {frame: row for row, frame in enumerate(images["frame"])}
    for place, row in enumerate(_confirmed(evidence).itertuples(), start=1):
        chosen = members[
            (members["loss_near"] == row.loss_near)
            & (members["loss_far"] == row.loss_far)
            & (members["group"] == row.group)
        ]
        frames = chosen["frame"].head(SHOWN).tolist()
        title = f"Near under {readable(row.loss_near)}, far under {readable(row.loss_far)}"
        pictures = evidence.arrays[IMAGES][[position[frame] for frame in frames]]
        gallery = Gallery(title, tuple(map(str, frames)), pictures, {})
        yield Drawing(
            f"difference_{place}",
            f"{title}: {row.images} images; {_shared(row, evidence.alpha)}.",
            figures.gallery_figure(gallery, evidence.families),
            photographs=True,
        )


def tables(evidence: Evidence) -> Iterable[PrintedTable]:
    """Every group, confirmed or not."""
    table = evidence["differences"]
    if table.empty:
        return
    text = pd.DataFrame(
        {
            "near under": table["loss_near"],
            "far under": table["loss_far"],
            "images": table["images"].astype(str),
            "gap": table["gap"].map(number),
            "p": table["p"].map(lambda p: "" if np.isnan(p) else p_value(p)),
            "shared property": table["property"].map(readable),
            "pairs that share it": table["share"].map("{:.0%}".format),
            "of any pairs": table["expected"].map("{:.0%}".format),
            "p of the property": table["p_property"].map(p_value),
        }
    )
    yield PrintedTable("differences", "Groups near under one loss, far under the other", text)


def findings(evidence: Evidence) -> Iterable[Finding]:
    """The widest confirmed group and what its images share, or that there is none."""
    table = evidence["differences"]
    if table.empty:
        return
    confirmed = _confirmed(evidence)
    topic = "held together, torn apart"
    pair = f"{readable(table['loss_near'].iloc[0])} and {readable(table['loss_far'].iloc[0])}"
    if table["p"].isna().all():
        text = (
            f"Which images {pair} arrange differently cannot be confirmed: that takes two runs of "
            "each."
        )
        yield Finding(topic, Verdict.UNDECIDABLE, text, 3.0)
    elif confirmed.empty:
        text = f"No group of images that {pair} arrange differently was found again in other runs."
        yield Finding(topic, Verdict.NOT_SHOWN, text, 3.5)
    else:
        row = next(confirmed.itertuples())
        text = sentence(
            f"{readable(row.loss_near)} holds {row.images} images together that "
            f"{readable(row.loss_far)} tears apart, also in runs that had no part in finding them "
            f"(p = {p_value(row.p)}); {_shared(row, evidence.alpha)}."
        )
        yield Finding(topic, Verdict.DIFFERENT, text, 5.5)


def _confirmed(evidence: Evidence) -> pd.DataFrame:
    table = evidence["differences"]
    if table.empty:
        return table
    table = table[table["p"].astype(float) <= evidence.alpha]
    return table.sort_values("gap", ascending=False)


def _shared(row: Any, alpha: float) -> str:
    if row.p_property > alpha:
        return "no property explains it"
    return (
        f"they share {readable(row.property)} ({row.share:.0%} of their pairs, {row.expected:.0%} "
        f"of any, p = {p_value(row.p_property)})"
    )


SECTION = Section(
    "differences",
    "What one holds together and the other tears apart",
    drawings=drawings,
    tables=tables,
    findings=findings,
    methods={
        "Held together, torn apart": "The two losses of least CKA. Ranks of similarity of every "
        "two images are subtracted, and what is nearer under one is gathered by spectral "
        "clustering (after RDX, NeurIPS 2025). Groups are found on the first run of each loss and "
        "tested on the others against random groups, Holm over all groups.",
    },
)
