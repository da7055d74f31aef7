"""What a report is made of: tidy tables, and pictures as arrays."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

_NOTHING = pd.DataFrame()


@dataclass(frozen=True)
class Evidence:
    """The tables of one comparison of losses; `evidence[name]` is empty where one was not made.

    Which columns a table has is said by the study of the same name as the section that shows it.
    An empty table may lack its columns, so ask for `.empty` first. `family` is "ranking",
    "classification" or "control". Intervals (`low`, `high`) are 95 % intervals over runs, and
    over images where these are a sample too; NaN where there are fewer than three runs.

    Attributes:
        tables: by name.
        arrays: by name.
        settings: of the study, in plain containers.
    """

    tables: Mapping[str, pd.DataFrame]
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self.tables.get(name, _NOTHING)

    @property
    def alpha(self) -> float:
        """The level at which the text speaks of a difference."""
        return float(self.settings.get("alpha", 0.05))

    @cached_property
    def families(self) -> dict[str, str]:
        """The family of each loss that any table names, the controls included."""
        known: dict[str, str] = {}
        for table in self.tables.values():
            for loss, family in (
                ("loss", "family"),
                ("loss_a", "family_a"),
                ("loss_b", "family_b"),
            ):
                if {loss, family} <= set(table.columns):
                    known.update(zip(table[loss], table[family], strict=True))
        return known

    def trained_losses(self) -> list[str]:
        """The losses without the controls, by name."""
        return sorted(loss for loss, family in self.families.items() if family != "control")
