"""Figures of a comparison: each function takes tidy tables and returns a matplotlib figure."""

from lossprint.reports.figures.bars import region_shares
from lossprint.reports.figures.curves import training_curves
from lossprint.reports.figures.distributions import pair_distributions
from lossprint.reports.figures.faithfulness import faithfulness_curves
from lossprint.reports.figures.galleries import gallery_figure
from lossprint.reports.figures.heatmaps import (
    clustered_order,
    clustered_pairs,
    pairs_by_family,
    property_heatmap,
)
from lossprint.reports.figures.ladder import ladder
from lossprint.reports.figures.loss_map import classical_mds, loss_map
from lossprint.reports.figures.region_effects import region_effects
from lossprint.reports.figures.saving import save_figure, web_picture
from lossprint.reports.figures.stages import stage_curves

__all__ = [
    "classical_mds",
    "clustered_order",
    "clustered_pairs",
    "faithfulness_curves",
    "gallery_figure",
    "ladder",
    "loss_map",
    "pair_distributions",
    "pairs_by_family",
    "property_heatmap",
    "region_effects",
    "region_shares",
    "save_figure",
    "stage_curves",
    "training_curves",
    "web_picture",
]
