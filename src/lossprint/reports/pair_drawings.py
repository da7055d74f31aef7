"""A measure of every two losses in three drawings."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from lossprint.reports import figures
from lossprint.reports.evidence import Evidence
from lossprint.reports.section import Drawing, Grid
from lossprint.reports.style import loss_colors
from lossprint.reports.tables import loss_matrix

MANY_LOSSES = 8
"""With more of them a table of losses × losses needs the whole width to be read."""


def likeness_drawings(
    evidence: Evidence, table: str, measure: str, *, noun: str, called: str
) -> Iterable[Drawing]:
    """Draw ρ, likeness corrected for training noise, or the measure itself where ρ is not known.

    Args:
        evidence: of the comparison.
        table: pairs of losses with the measure itself.
        measure, noun, called: as for `pair_drawings`.
    """
    colors = loss_colors(evidence.families)
    corrected = evidence["corrected_by_loss"]
    if corrected.empty or corrected[measure].isna().any():
        return pair_drawings(evidence[table], measure, noun=noun, called=called, colors=colors)
    return pair_drawings(corrected, measure, noun=noun, called="ρ", colors=colors)


def pair_drawings(
    by_loss: pd.DataFrame, measure: str, *, noun: str, called: str, colors: Mapping[str, str]
) -> Iterable[Drawing]:
    """Draw a measure by family and, where every pair of at least three losses has it, more.

    Args:
        by_loss: one row per pair of losses; may be empty.
        measure: the column, 1 where two losses are alike.
        noun: what is compared, e.g. "map".
        called: the measure in words, e.g. "correlation".
        colors: of every loss.
    """
    if by_loss.empty:
        return
    matrix, _ = loss_matrix(by_loss, measure)
    wide = len(matrix) > MANY_LOSSES
    title = f"{noun.capitalize()} {called}"
    yield Drawing(
        f"{noun}_{measure}_by_family",
        f"{title}, losses grouped by family; "
        + (
            "1 is as alike as trainings of one loss."
            if called == "ρ"
            else "the diagonal compares runs of one loss and is empty where there is one run."
        ),
        figures.pairs_by_family(by_loss, measure, title=f"{title}, by family"),
        wide=wide,
        grid=Grid(matrix),
    )
    # A pair may have no row at all: of losses that were trained with one seed, the same.
    between = matrix.to_numpy()[~np.eye(len(matrix), dtype=bool)]
    if len(matrix) < 3 or np.isnan(between).any():
        return
    order = figures.clustered_order(matrix)
    yield Drawing(
        f"{noun}_{measure}_clustered",
        f"{title}, losses in the order of average-linkage clustering on 1 − {called}.",
        figures.clustered_pairs(by_loss, measure, title=f"{title}, clustered"),
        wide=wide,
        grid=Grid(matrix.loc[order, order]),
    )
    yield Drawing(
        f"{noun}_{measure}_map",
        f"Map of losses: classical scaling of 1 − {called}, so that close means alike.",
        figures.loss_map(by_loss, measure, title=f"Map of losses: {noun} {called}", colors=colors),
    )
