"""What was logged while the losses trained."""

from collections.abc import Mapping

import matplotlib
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lossprint.reports.style import FAMILY_LINES, FAMILY_MARKERS, MATPLOTLIB, by_family, readable

COLUMNS = 3
"""Panels in a row."""


def training_curves(curves: pd.DataFrame, *, colors: Mapping[str, str]) -> Figure:
    """Draw each metric over epochs: a line per loss (mean over its runs), a band least to most.

    Args:
        curves: the `curves` table, not empty; each of its metrics gets a panel.
        colors: of every loss.
    """
    metrics = list(dict.fromkeys(curves["metric"]))
    columns = min(COLUMNS, len(metrics))
    rows = -(-len(metrics) // columns)
    families = dict(zip(curves["loss"], curves["family"], strict=True))
    with matplotlib.rc_context(MATPLOTLIB):
        figure = Figure(figsize=(3.4 * columns, 2.5 * rows + 0.6), layout="constrained")
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, metric in zip(panels, metrics, strict=False):
            chosen = curves[curves["metric"] == metric]
            for loss in by_family(chosen["loss"], families):
                over = chosen[chosen["loss"] == loss].groupby("epoch")["value"]
                mean, low, high = over.mean(), over.min(), over.max()
                color, family = colors[loss], families[loss]
                axes.plot(
                    mean.index,
                    mean,
                    color=color,
                    linestyle=FAMILY_LINES.get(family, ":"),
                    marker=FAMILY_MARKERS.get(family, "X"),
                    markersize=3.5,
                    label=readable(loss),
                )
                axes.fill_between(mean.index, low, high, color=color, alpha=0.15, linewidth=0)
            axes.set_title(metric, loc="left", fontsize=8)
            axes.grid(alpha=0.25)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        for axes in panels[len(metrics) :]:
            axes.set_visible(False)
        for axes in panels[max(0, len(metrics) - columns) : len(metrics)]:
            axes.set_xlabel("epoch")
        handles = {
            label: handle
            for axes in panels
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        figure.legend(
            handles.values(),
            handles.keys(),
            loc="outside lower center",
            ncols=min(4, len(handles)),
            frameon=False,
            fontsize=8,
        )
    return figure
