"""While the losses train."""

from collections.abc import Iterable

from lossprint.reports import figures
from lossprint.reports.evidence import Evidence
from lossprint.reports.section import Drawing, Section
from lossprint.reports.style import loss_colors


def drawings(evidence: Evidence) -> Iterable[Drawing]:
    """A panel per metric."""
    curves = evidence["curves"]
    if curves.empty:
        return
    yield Drawing(
        "training_curves",
        "What was logged while training: mean over runs, the band from least to most.",
        figures.training_curves(curves, colors=loss_colors(evidence.families)),
        wide=True,
    )


SECTION = Section("training", "While it trains", drawings=drawings)
