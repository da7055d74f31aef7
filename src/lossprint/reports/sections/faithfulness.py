"""Different maps or worse maps: how faithful those of each loss are."""

from collections.abc import Iterable

import pandas as pd

from lossprint.reports import figures
from lossprint.reports.evidence import Evidence
from lossprint.reports.findings import Finding, Verdict
from lossprint.reports.section import Column, Drawing, PrintedTable, Section
from lossprint.reports.style import loss_colors, readable
from lossprint.reports.tables import interval_cells, losses_by
from lossprint.reports.wording import listing


def drawings(evidence: Evidence) -> Iterable[Drawing]:
    """Deletion and insertion by loss."""
    curves = evidence["faithfulness_curves"]
    if not curves.empty:
        yield Drawing(
            "faithfulness",
            "How far the embedding is from that of the image as cells of it are replaced by blur, "
            "those first that the loss's own maps mark most, and as they are restored. Losses "
            "whose maps differ from the others' and are as far from the random order look "
            "elsewhere; those near to it have worse maps.",
            figures.faithfulness_curves(curves, colors=loss_colors(evidence.families)),
            wide=True,
        )


def tables(evidence: Evidence) -> Iterable[PrintedTable]:
    """By how much each loss's maps beat a random order."""
    found = evidence["faithfulness"]
    if not found.empty:
        yield PrintedTable(
            "faithfulness",
            "By how much maps beat a random order: area between the curves, 0 for maps that know "
            "nothing [95 % interval]",
            losses_by(interval_cells(found), "curve"),
        )


def findings(evidence: Evidence) -> Iterable[Finding]:
    """The most and the least faithful maps, and those that are no better than chance."""
    means = _means(evidence)
    if means.empty:
        return
    best, worst = means.idxmax(), means.idxmin()
    text = (
        f"Taking away what a map marks moves the embedding by {means.mean():.2f} more than taking "
        "away as much at random, of the distance of a wholly blurred image"
    )
    if len(means) > 1:
        text += (
            f", from {means[worst]:.2f} ({readable(worst)}) to {means[best]:.2f} ({readable(best)})"
        )
    if (wrong := means[means <= 0]).size:
        names = listing(readable(loss) for loss in wrong.index)
        text += f". The maps of {names} are no better than a random order"
    yield Finding("faithfulness", Verdict.OBSERVED, text + ".", 4.1)


def columns(evidence: Evidence) -> Iterable[Column]:
    """The mean of deletion and insertion, on the card of each loss."""
    means = _means(evidence, controls=True)
    if not means.empty:
        yield Column("faithfulness of maps (0: as random)", means.to_dict(), on_card=True)


def _means(evidence: Evidence, *, controls: bool = False) -> pd.Series:
    """Mean of both areas by loss."""
    found = evidence["faithfulness"]
    if found.empty:
        return pd.Series(dtype=float)
    chosen = found[controls | (found["family"] != "control")]
    return chosen.assign(mean=chosen["mean"].astype(float)).groupby("loss")["mean"].mean().dropna()


SECTION = Section(
    "faithfulness",
    "Different maps, or worse ones?",
    drawings=drawings,
    tables=tables,
    findings=findings,
    columns=columns,
    methods={
        "Faithfulness": "Deletion and insertion (Petsiuk et al., BMVC 2018) of the embedding: "
        "16 × 16 cells are replaced by a Gaussian blur of a tenth of the image's side, in eight "
        "steps. Euclidean distance of L2-normalized embeddings from that of the image, over the "
        "distance of the wholly blurred one. Random orders are those of the same images for all "
        "networks."
    },
)
