"""Columns that many tables of a study begin with, and tables without rows."""

from collections.abc import Mapping, Sequence

import pandas as pd

RUN = ("run", "loss", "family", "fold", "seed")
"""One network: its name, unique in the comparison, and what it is."""

LOSS = ("loss", "family")

INTERVAL = ("mean", "low", "high", "runs")
"""Over the runs of a loss, with its 95 % interval; NaN where there are fewer than three runs."""

IMAGE_INTERVAL = ("image_low", "image_high")
"""95 % interval over images alone: of the mean of these very runs, however few they are."""

RUN_PAIR = tuple(f"{column}_{side}" for column in RUN for side in "ab")
"""Two networks; each unordered pair stands in a table once."""

LOSS_PAIR = ("loss_a", "family_a", "loss_b", "family_b")
"""Two losses, or one loss with itself: then the pairs are of different runs of it."""

SKIPPED = ("run", "part", "reason")
"""Of the table `skipped`: what could not be computed for which run ("": any), and why."""


def empty(columns: Sequence[str]) -> pd.DataFrame:
    """A table without rows."""
    return pd.DataFrame({column: pd.Series(dtype=object) for column in columns})


def empty_tables(tables: Mapping[str, Sequence[str]]) -> dict[str, pd.DataFrame]:
    """Tables without rows, of these columns by name."""
    return {name: empty(columns) for name, columns in tables.items()}


def skipped(part: str, reason: str, *, run: str = "") -> pd.DataFrame:
    """A row of the table `skipped`.

    Args:
        part: what could not be computed, e.g. "where the maps lie".
        reason: and what to do about it.
        run: name of the network; "" where it concerns all.
    """
    return pd.DataFrame([[run, part, reason]], columns=list(SKIPPED))


def together(gaps: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The table `skipped` of rows as `skipped` makes them; none where there are none."""
    return pd.concat(gaps, ignore_index=True) if gaps else empty(SKIPPED)
