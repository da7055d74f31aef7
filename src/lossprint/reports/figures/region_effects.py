"""What maps mark, against what moves the embedding."""

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from lossprint.reports.style import MATPLOTLIB, readable

_COLORS = {"car": "Blues", "background": "Oranges", "shadow": "Greys"}
_MARKERS = "oDs"


def region_effects(points: pd.DataFrame) -> Figure:
    """Draw each loss under each property: share of saliency against displacement.

    Args:
        points: the `region_effects` table; controls are drawn hollow.
    """
    with matplotlib.rc_context(MATPLOTLIB):
        figure = Figure(figsize=(7.2, 4.4), layout="constrained")
        axes = figure.add_subplot()
        for region, rows in points.groupby("region", sort=False):
            shades = matplotlib.colormaps[_COLORS[str(region)]]
            for place, (name, chosen) in enumerate(rows.groupby("property", sort=False)):
                color = shades(0.85 - 0.2 * place)
                control = chosen["family"] == "control"
                for drawn, face, label in (
                    (chosen[~control], color, f"{readable(str(name))}: {region}"),
                    (chosen[control], "none", None),
                ):
                    axes.scatter(
                        drawn["share"].astype(float),
                        drawn["displacement"].astype(float),
                        s=30,
                        marker=_MARKERS[place % len(_MARKERS)],
                        facecolor=face,
                        edgecolor=color,
                        label=label,
                    )
        axes.xaxis.set_major_formatter("{x:.0%}")
        axes.set_xlabel("share of the saliency on the region")
        axes.set_ylabel("displacement (1: as unrelated pictures)")
        axes.set_title("What maps mark, and what moves the embedding", loc="left")
        axes.grid(alpha=0.25)
        figure.legend(loc="outside right center", frameon=False, fontsize=8)
    return figure
