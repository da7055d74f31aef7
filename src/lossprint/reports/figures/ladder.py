"""Agreement of maps that share more or less, on one axis."""

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lossprint.reports.style import MATPLOTLIB


def ladder(rungs: pd.DataFrame) -> Figure:
    """Draw each rung's mean correlation and its interval over images, in the order of the table.

    Args:
        rungs: the `ladder` table.
    """
    mean = rungs["mean"].to_numpy(float)
    low, high = (rungs[name].fillna(rungs["mean"]).to_numpy(float) for name in ("low", "high"))
    places = np.arange(len(rungs))
    with matplotlib.rc_context(MATPLOTLIB):
        figure = Figure(figsize=(7.2, 1.0 + 0.36 * len(rungs)), layout="constrained")
        axes = figure.add_subplot()
        axes.hlines(places, low, high, color="#1b5e9b", linewidth=2.4, alpha=0.5)
        axes.scatter(mean, places, s=34, color="#1b5e9b", zorder=3)
        for place, value, right in zip(places, mean, high, strict=True):
            axes.annotate(
                f"{value:.2f}", (right, place), (6, 0), textcoords="offset points", va="center"
            )
        axes.set_yticks(places, rungs["rung"])
        axes.set_ylim(len(rungs) - 0.5, -0.5)
        axes.set_xlim(min(0.0, float(low.min())) - 0.03, 1.08)
        axes.grid(axis="x", alpha=0.25)
        axes.set_xlabel("correlation of maps (line: 95 % interval over images)")
        axes.set_title("Agreement of two maps, by what they share", loc="left")
    return figure
