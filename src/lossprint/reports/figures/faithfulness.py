"""How the embedding moves as an image loses what its map marks."""

from collections.abc import Mapping

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from lossprint.reports.style import FAMILY_LINES, MATPLOTLIB, by_family, readable


def faithfulness_curves(curves: pd.DataFrame, *, colors: Mapping[str, str]) -> Figure:
    """Draw deletion and insertion of each loss, and the mean of the random orders.

    Args:
        curves: the `faithfulness_curves` table.
        colors: of the losses.
    """
    families = dict(zip(curves["loss"], curves["family"], strict=True))
    random = curves[curves["curve"] == "random"].groupby("share")["distance"].mean()
    backwards = random.set_axis(1 - random.index)
    with matplotlib.rc_context(MATPLOTLIB):
        figure = Figure(figsize=(7.6, 4.2), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        for axes, curve, chance, title in zip(
            panels,
            ("deletion", "insertion"),
            (random, backwards),
            ("Deletion: high is right", "Insertion: low is right"),
            strict=True,
        ):
            axes.plot(chance.index, chance, color="black", linestyle="--", label="random order")
            for loss in by_family(families, families):
                drawn = curves[(curves["loss"] == loss) & (curves["curve"] == curve)]
                axes.plot(
                    drawn["share"].astype(float),
                    drawn["distance"].astype(float),
                    color=colors[loss],
                    linestyle=FAMILY_LINES.get(families[loss], ":"),
                    label=readable(loss),
                )
            axes.set_title(title, loc="left")
            axes.xaxis.set_major_formatter("{x:.0%}")
            axes.set_xlabel("cells replaced" if curve == "deletion" else "cells restored")
            axes.grid(alpha=0.25)
        panels[0].set_ylabel("distance from the image (1: all blurred)")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=8
        )
    return figure
