"""Likeness of run pairs: same loss, same family, between families, and against the control."""

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lossprint.reports.style import MATPLOTLIB, readable
from lossprint.reports.tables import RELATIONS, pair_relation

_MARKERS = {"same loss": "D", "same family": "o", "between families": "s", "control": "X"}
_COLORS = {
    "same loss": "#222222",
    "same family": "#1b5e9b",
    "between families": "#e08214",
    "control": "#8a8a8a",
}


def pair_distributions(pairs: pd.DataFrame, measure: str, *, title: str) -> Figure:
    """Draw each pair of runs as a point, by what the two runs share.

    Args:
        pairs: `agreement` or `similarity`.
        measure: the column to draw.
        title: the figure's title.
    """
    relation = pair_relation(pairs)
    groups = [name for name in RELATIONS if (relation == name).any()]
    with matplotlib.rc_context(MATPLOTLIB):
        figure = Figure(figsize=(6.4, 1.1 + 0.62 * len(groups)), layout="constrained")
        axes = figure.add_subplot()
        for row, name in enumerate(groups):
            values = np.sort(pairs.loc[relation == name, measure].to_numpy(dtype=float))
            # Fixed offsets: a random jitter would differ from drawing to drawing.
            offsets = 0.26 * np.sin(np.arange(len(values)) * 2.399963)
            axes.scatter(
                values,
                row + offsets,
                s=22,
                marker=_MARKERS[name],
                color=_COLORS[name],
                alpha=0.65,
                linewidth=0,
            )
            axes.plot(
                [np.median(values)] * 2, [row - 0.36, row + 0.36], color="black", linewidth=1.6
            )
        counts = [int((relation == name).sum()) for name in groups]
        axes.set_yticks(
            range(len(groups)), [f"{g}\n({n} pairs)" for g, n in zip(groups, counts, strict=True)]
        )
        axes.set_ylim(len(groups) - 0.45, -0.55)
        axes.grid(axis="x", alpha=0.25)
        axes.set_xlabel(f"{readable(measure)} (bar: median)")
        axes.set_title(title, loc="left")
    return figure
