"""Where the maps lie, against where they would lie by chance."""

from collections.abc import Mapping

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lossprint.reports.style import (
    FAMILY_COLORS,
    FAMILY_MARKERS,
    MATPLOTLIB,
    by_family,
    readable,
)


def region_shares(
    shares_by_loss: pd.DataFrame, shares: pd.DataFrame, *, title: str, colors: Mapping[str, str]
) -> Figure:
    """Draw the share of saliency per region and loss; dashed: the area share.

    Args:
        shares_by_loss: means, with intervals where there are enough runs.
        shares: of each run, drawn as points where there are not; may be empty.
        title: of the figure.
        colors: of every loss.
    """
    families = dict(zip(shares_by_loss["loss"], shares_by_loss["family"], strict=True))
    losses = by_family(families, families)
    regions = list(dict.fromkeys(shares_by_loss["region"]))
    with matplotlib.rc_context(MATPLOTLIB):
        figure = Figure(
            figsize=(2.4 + 2.1 * len(regions), 1.3 + 0.3 * len(losses)), layout="constrained"
        )
        panels = figure.subplots(1, len(regions), squeeze=False, sharey=True)[0]
        for axes, region in zip(panels, regions, strict=True):
            rows = shares_by_loss[shares_by_loss["region"] == region].set_index("loss")
            for position, loss in enumerate(losses):
                if loss not in rows.index:
                    continue
                mean, low, high = rows.loc[loss, ["mean", "low", "high"]].astype(float)
                if np.isfinite([low, high]).all():
                    axes.plot([low, high], [position] * 2, color="#555555", linewidth=1.4)
                elif not shares.empty:
                    own = shares[(shares["region"] == region) & (shares["loss"] == loss)]
                    axes.scatter(own["value"], [position] * len(own), s=9, color="#555555")
                axes.scatter(
                    mean,
                    position,
                    s=38,
                    marker=FAMILY_MARKERS.get(families[loss], "X"),
                    color=colors[loss],
                    edgecolor="black",
                    linewidth=0.5,
                    zorder=3,
                )
            axes.axvline(float(rows["area"].astype(float).mean()), color="black", linestyle="--")
            axes.set_title(region, loc="left", fontsize=9)
            axes.xaxis.set_major_formatter("{x:.0%}")
            axes.tick_params(axis="x", labelsize=7)
            axes.margins(x=0.15)
            axes.grid(axis="x", alpha=0.25)
        panels[0].set_yticks(range(len(losses)), [readable(loss) for loss in losses])
        for label, loss in zip(panels[0].get_yticklabels(), losses, strict=True):
            label.set_color(FAMILY_COLORS.get(families[loss], "black"))
        panels[0].set_ylim(len(losses) - 0.5, -0.5)
        figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    return figure
