"""The list of losses: one row per loss, a column from each section that has something to add."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lossprint.reports.evidence import Evidence
from lossprint.reports.section import Column, Section
from lossprint.reports.style import by_family


def loss_columns(evidence: Evidence, sections: Sequence[Section]) -> list[Column]:
    """The columns after loss and family."""
    return [column for section in sections for column in section.columns(evidence)]


def loss_overview(evidence: Evidence, columns: Sequence[Column]) -> pd.DataFrame:
    """One row per loss, families grouped: `loss`, `family` and the columns by their names."""
    families = evidence.families
    losses = by_family(families, families)
    overview = pd.DataFrame({"loss": losses, "family": [families[loss] for loss in losses]})
    for column in columns:
        known = list(column.values.values())
        missing = "" if any(isinstance(value, str | list) for value in known) else np.nan
        overview[column.name] = [column.values.get(loss, missing) for loss in losses]
    return overview
