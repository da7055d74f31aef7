"""Maps against interventions: are the maps right?"""

from collections.abc import Iterable

import pandas as pd

from lossprint.reports import figures
from lossprint.reports.evidence import Evidence
from lossprint.reports.findings import Finding, Verdict
from lossprint.reports.section import Drawing, PrintedTable, Section
from lossprint.reports.style import readable
from lossprint.reports.tables import number, probability
from lossprint.reports.wording import p_value

_ALL = "all"


def drawings(evidence: Evidence) -> Iterable[Drawing]:
    """Losses × properties as points."""
    points = evidence["region_effects"]
    if not points.empty:
        yield Drawing(
            "region_effects",
            "Each point is a loss and a property that changes one region of the picture alone; "
            "hollow: untrained. Where maps tell what matters, points of one colour and shape rise "
            "to the right. That regions differ from each other says nothing: they differ in size.",
            figures.region_effects(points),
            wide=True,
        )


def tables(evidence: Evidence) -> Iterable[PrintedTable]:
    """The rank correlation over losses, for each property."""
    found = evidence["region_correlations"]
    if found.empty:
        return
    rows = [
        {
            "changed": "mean over these" if row["property"] == _ALL else readable(row["property"]),
            "rank correlation": number(row["correlation"]),
            "p": probability(row["p"]),
        }
        for _, row in found.iterrows()
    ]
    yield PrintedTable(
        "region_correlations",
        "Rank correlation of the share of saliency on a region with how far the embedding moves "
        f"when that region alone changes, over {int(found['units'].iloc[0])} losses (those of one "
        "lineage are one)",
        pd.DataFrame(rows),
    )


def findings(evidence: Evidence) -> Iterable[Finding]:
    """Whether losses that mark a region more are moved more by it, where that can be told."""
    found = evidence["region_correlations"]
    if found.empty:
        return
    (mean,) = (row for _, row in found.iterrows() if row["property"] == _ALL)
    if not mean["smallest_p"] <= evidence.alpha:
        return
    sizes = (
        f"rank correlation over {mean['units']:.0f} losses, averaged over properties, "
        f"{mean['correlation']:.2f}; p = {p_value(mean['p'])}, not corrected for other questions"
    )
    if mean["p"] > evidence.alpha:
        text = (
            "That losses with more saliency on a region are moved more when that region alone "
            f"changes is not shown ({sizes})."
        )
        yield Finding("maps and interventions", Verdict.NOT_SHOWN, text, 3.8)
        return
    more = "further" if mean["correlation"] > 0 else "less far"
    text = (
        f"Losses with more saliency on a region are moved {more} when that region alone changes "
        f"({sizes})."
    )
    yield Finding("maps and interventions", Verdict.OBSERVED, text, 4.4)


SECTION = Section(
    "maps-and-interventions",
    "Do maps mark what moves the embedding?",
    drawings=drawings,
    tables=tables,
    findings=findings,
    methods={
        "Maps against interventions": "Mean over runs of the share of saliency on a region of the "
        "probe images, and of the displacement (against unrelated scenes) when paint changes the "
        "car, the background's colour the background, or the sun's direction the shadow. "
        "Spearman's correlation over losses within each property, averaged; two-sided p from "
        "permuting losses as a whole, all properties together."
    },
)
