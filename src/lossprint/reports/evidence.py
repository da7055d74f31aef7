"""What a report is made of: tidy tables with named columns, and pictures for the galleries."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import partial

import numpy as np
import pandas as pd

_RUN = ("run", "loss", "family", "fold", "seed")
_LOSS = ("loss", "family")
_RUN_PAIR = ("run_a", "run_b", "loss_a", "loss_b", "family_a", "family_b")
_LOSS_PAIR = ("loss_a", "loss_b", "family_a", "family_b", "pairs")
_INTERVAL = ("mean", "low", "high", "runs")

COLUMNS: dict[str, tuple[str, ...]] = {
    "runs": (*_RUN, "distance"),
    "retrieval": (*_RUN, "metric", "value"),
    "retrieval_by_loss": (*_LOSS, "metric", *_INTERVAL),
    "agreement": (*_RUN_PAIR, "correlation", "spread", "divergence"),
    "agreement_by_loss": (*_LOSS_PAIR, "correlation", "spread", "divergence"),
    "similarity": (*_RUN_PAIR, "cka", "neighbor_overlap"),
    "similarity_by_loss": (*_LOSS_PAIR, "cka", "neighbor_overlap"),
    "properties": (*_RUN, "property", "value"),
    "properties_by_loss": (*_LOSS, "property", *_INTERVAL),
    "property_families": (
        "property",
        *("ranking_mean", "classification_mean", "difference", "low", "high"),
        *("superiority", "ranking_losses", "classification_losses", "p", "p_holm", "smallest_p"),
        "study_p",
    ),
    "shares_by_loss": (*_LOSS, "region", "area", *_INTERVAL),
    "interventions_by_loss": (*_LOSS, "property", "reference", *_INTERVAL),
    "contrasts": (
        *("measure", "contrast", "replicates", "near", "far", "difference", "low", "high"),
        *("p", "smallest_p", "tests", "p_adjusted", "near_pairs", "far_pairs", "losses"),
    ),
    "disagreement": ("frame", "correlation"),
    "curves": (*_RUN, "epoch", "metric", "value"),
    "skipped": ("run", "part", "reason"),
}


def empty_table(name: str) -> pd.DataFrame:
    """Return the named table without rows, for a part that could not be computed."""
    return pd.DataFrame({column: pd.Series(dtype=object) for column in COLUMNS[name]})


@dataclass(frozen=True)
class Evidence:
    """The tables of one comparison of losses; every table has at least the columns of `COLUMNS`.

    A part that was not computed is an empty table. `family` is "ranking", "classification" or
    "control". Intervals (`low`, `high`) are 95 % intervals over runs and NaN where there are too
    few runs for one.

    - `runs`: the trained runs. `retrieval`, `properties`, `curves`: one value per row and run.
    - `agreement`, `similarity`: one row per unordered pair of runs. `spread` is tanh of the
      standard deviation over images of Fisher's z, not a standard deviation of r.
    - `…_by_loss`: the same, summarised over runs; a row of one loss with itself compares
      different runs of that loss.
    - `interventions_by_loss`: how far the embedding moves when one property of a scene changes,
      relative to the distance between `reference`: "unrelated scenes" or "two designs".
    - `property_families`: ranking against classification losses, one row per property.
    - `contrasts`: are runs of one group more alike than runs of different groups? `contrast` is
      "loss" (groups are losses) or "family" (groups are families, pairs are of different losses).
      `near` and `far` are the mean likeness within and between groups, `difference` counts
      positive where groups matter, `smallest_p` is the least p the number of runs allows.
      `p_adjusted` is corrected for the number of `tests` it stands among.
    - `disagreement`: mean correlation over pairs of different losses, per probe frame.
    - `skipped`: what could not be computed for which run, and why.

    Raises:
        ValueError: a table lacks a column.
    """

    runs: pd.DataFrame = field(default_factory=partial(empty_table, "runs"))
    retrieval: pd.DataFrame = field(default_factory=partial(empty_table, "retrieval"))
    retrieval_by_loss: pd.DataFrame = field(
        default_factory=partial(empty_table, "retrieval_by_loss")
    )
    agreement: pd.DataFrame = field(default_factory=partial(empty_table, "agreement"))
    agreement_by_loss: pd.DataFrame = field(
        default_factory=partial(empty_table, "agreement_by_loss")
    )
    similarity: pd.DataFrame = field(default_factory=partial(empty_table, "similarity"))
    similarity_by_loss: pd.DataFrame = field(
        default_factory=partial(empty_table, "similarity_by_loss")
    )
    properties: pd.DataFrame = field(default_factory=partial(empty_table, "properties"))
    properties_by_loss: pd.DataFrame = field(
        default_factory=partial(empty_table, "properties_by_loss")
    )
    property_families: pd.DataFrame = field(
        default_factory=partial(empty_table, "property_families")
    )
    shares_by_loss: pd.DataFrame = field(default_factory=partial(empty_table, "shares_by_loss"))
    interventions_by_loss: pd.DataFrame = field(
        default_factory=partial(empty_table, "interventions_by_loss")
    )
    contrasts: pd.DataFrame = field(default_factory=partial(empty_table, "contrasts"))
    disagreement: pd.DataFrame = field(default_factory=partial(empty_table, "disagreement"))
    curves: pd.DataFrame = field(default_factory=partial(empty_table, "curves"))
    skipped: pd.DataFrame = field(default_factory=partial(empty_table, "skipped"))

    def __post_init__(self) -> None:
        for name, table in self.tables().items():
            missing = [column for column in COLUMNS[name] if column not in table.columns]
            if missing:
                raise ValueError(
                    f"table {name!r} lacks the column(s) {', '.join(missing)}; "
                    f"it needs {', '.join(COLUMNS[name])}"
                )

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return every table by its name."""
        return {item.name: getattr(self, item.name) for item in fields(self)}

    def families(self) -> dict[str, str]:
        """Return the family of each loss that any table names, the control included."""
        known: dict[str, str] = {}
        for table in self.tables().values():
            for loss, family in (
                ("loss", "family"),
                ("loss_a", "family_a"),
                ("loss_b", "family_b"),
            ):
                if loss in table.columns:
                    known.update(zip(table[loss], table[family], strict=True))
        return known


@dataclass(frozen=True)
class Gallery:
    """The same images under every loss.

    Attributes:
        title: what was chosen.
        frames: names of the K images.
        images: uint8 [K, H, W, 3].
        maps: per loss, float [K, H, W] in [0, 1].
        captions: one short line per image, or empty.
    """

    title: str
    frames: tuple[str, ...]
    images: np.ndarray
    maps: Mapping[str, np.ndarray]
    captions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.shape[-1] != 3 or self.images.dtype != np.uint8:
            raise ValueError(
                f"gallery images must be uint8 [K, H, W, 3], got {self.images.dtype} "
                f"{list(self.images.shape)}"
            )
        if len(self.frames) != len(self.images):
            raise ValueError(f"{len(self.frames)} frame names for {len(self.images)} images")
        for loss, maps in self.maps.items():
            if maps.shape != self.images.shape[:3]:
                raise ValueError(
                    f"maps of {loss!r} are {list(maps.shape)}, the images ask for "
                    f"{list(self.images.shape[:3])}"
                )
