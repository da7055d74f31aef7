"""How alike networks are, stage by stage."""

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lossprint.reports.style import MATPLOTLIB

_LINES = {
    "within": ("two trainings of one loss", "#222222", "-", "D"),
    "between": ("two losses", "#1b5e9b", "-", "o"),
    "untrained": ("trained and untrained", "#8a8a8a", ":", "X"),
}


def stage_curves(stages: pd.DataFrame) -> Figure:
    """Draw CKA by what two networks share, and ρ where it is known, over the stages.

    Args:
        stages: the `stages` table, with names short enough for an axis.
    """
    place, rho = np.arange(len(stages)), stages["rho"].to_numpy(float)
    panels = 1 + bool(np.isfinite(rho).any())
    with matplotlib.rc_context(MATPLOTLIB):
        figure = Figure(figsize=(2.2 + 0.62 * len(stages), 1.2 + 2 * panels), layout="constrained")
        upper, *lower = figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]
        for column, (label, color, line, marker) in _LINES.items():
            values = stages[column].to_numpy(float)
            if np.isfinite(values).any():
                upper.plot(place, values, color=color, linestyle=line, marker=marker, label=label)
        upper.set_ylabel("CKA, debiased")
        upper.set_title("How alike two networks are, stage by stage", loc="left")
        if upper.lines:
            upper.legend(frameon=False, fontsize=8)
        for axes in lower:
            low, high = (stages[f"rho_{end}"].fillna(stages["rho"]) for end in ("low", "high"))
            axes.axhline(1, color="black", linestyle="--", linewidth=1)
            axes.fill_between(place, low.astype(float), high.astype(float), alpha=0.2, linewidth=0)
            axes.plot(place, rho, color="#1b5e9b", marker="o")
            axes.set_ylabel("ρ (1: training noise alone)")
        for axes in (upper, *lower):
            axes.grid(alpha=0.25)
        axes.set_xticks(place, stages["stage"], rotation=40, ha="right", rotation_mode="anchor")
    return figure
