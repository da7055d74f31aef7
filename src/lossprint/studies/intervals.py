"""Means over the runs of a loss, with their uncertainty."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

CONFIDENCE = 0.95


def mean_interval(values: Sequence[float] | np.ndarray) -> tuple[float, float, float]:
    """Mean and its 95 % interval by Student's t over runs.

    A loss has two to four runs. Resampling so few would give an interval that is far too short
    (of two values the bootstrap knows only these two and their middle); Student's is wide, and
    right where runs vary normally.

    Returns:
        Mean, low and high. Missing values are left out; the interval of fewer than two values is
        NaN, and so is the mean of none.

    Example:
        >>> mean_interval([1.0])
        (1.0, nan, nan)
    """
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known)]
    if len(known) < 2:
        return (float(known[0]) if len(known) else np.nan), np.nan, np.nan
    mean, error = known.mean(), stats.sem(known)
    reach = stats.t.ppf((1 + CONFIDENCE) / 2, len(known) - 1) * error
    return float(mean), float(mean - reach), float(mean + reach)


def by_loss(table: pd.DataFrame, *keys: str) -> pd.DataFrame:
    """Average a table of one `value` per run over the runs of each loss.

    Args:
        table: with `loss`, `family`, `value` and the keys.
        keys: further columns to keep apart, e.g. "property".

    Returns:
        `loss, family, *keys, mean, low, high, runs`, in the order of first appearance.
    """
    columns = ["loss", "family", *keys]
    rows = []
    for names, values in table.groupby(columns, sort=False)["value"]:
        mean, low, high = mean_interval(values.to_numpy(float))
        rows.append([*names, mean, low, high, int(values.notna().sum())])
    return pd.DataFrame(rows, columns=[*columns, "mean", "low", "high", "runs"])
