"""What was logged while the losses trained."""

from collections.abc import Mapping

import matplotlib
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lossprint.reports.style import FAMILY_LINES, FAMILY_MARKERS, MATPLOTLIB, by_family, readable


def training_curves(
    curves: pd.DataFrame, metrics: list[str], *, colors: Mapping[str, str], columns: int = 3
) -> Figure:
    """Draw each metric over epochs: a line per loss (mean over its runs), a band least to most.

    Args:
        curves: the `curves` table.
        metrics: which metrics, one panel each.
        columns: panels in a row.

    Raises:
        ValueError: `metrics` is empty or names what the table lacks.
    """
    known = set(curves["metric"])
    unknown = [metric for metric in metrics if metric not in known]
    if unknown or not metrics:
        lacking = ", ".join(unknown) or "an empty list"
        raise ValueError(f"no curve for {lacking}; known: {', '.join(sorted(known))}")
    columns = min(columns, len(metrics))
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
