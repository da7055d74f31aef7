"""Means over the runs of a loss, with their uncertainty: runs are a sample, and so are images."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from lossprint.metrics import Interval, mean_over_images, mean_over_runs_and_images
from lossprint.metrics.fisher import fisher_z
from lossprint.metrics.intervals import Values
from lossprint.studies.columns import IMAGE_INTERVAL, INTERVAL, SKIPPED, empty, skipped

FEWEST_RUNS = 3
"""For an interval of a loss: the spread of two values is hardly known."""

LARGEST_SET = 2000
"""Images up to which intervals are made by computing all again without some of them."""


def by_loss(
    table: pd.DataFrame, *keys: str, clusters: ArrayLike | None = None, kind: Values = "any"
) -> pd.DataFrame:
    """Average a table of one `value` per run over the runs of each loss.

    Args:
        table: with `loss`, `family`, `value` and the keys. A column `images` holds what each image
            says of a run's value [N], whose mean it is; see also
            `lossprint.metrics.jackknife_values`.
        keys: further columns to keep apart, e.g. "property".
        clusters: [N] what each image belongs to, see `lossprint.metrics.mean_over_images`.
        kind: of the values, and so of their intervals.

    Returns:
        `loss, family, *keys, mean, low, high, runs`, in the order of first appearance: low and high
        from three runs on. Where there are `images` they are samples too, and `image_low` and
        `image_high` hold these very runs' mean over other images, however many runs there are.
    """
    columns = ["loss", "family", *keys]
    sampled = "images" in table.columns
    rows = []
    for names, runs in table.groupby(columns, sort=False):
        values = runs["value"].to_numpy(float)
        known = values[np.isfinite(values)]
        mean = float(known.mean()) if len(known) else np.nan
        low, high = np.nan, np.nan
        of_images: tuple[float, ...] = ()
        if sampled:
            images = np.stack(list(runs["images"]))
            low, high = mean_over_runs_and_images(images, clusters, kind=kind)[1:]
            of_images = mean_over_images(_over_runs(images), clusters, kind=kind)[1:]
        elif len(known) >= FEWEST_RUNS:
            low, high = mean_over_images(known, kind=kind)[1:]
        rows.append([*names, mean, low, high, len(known), *of_images])
    return pd.DataFrame(rows, columns=[*columns, *INTERVAL, *(IMAGE_INTERVAL if sampled else ())])


def is_large(images: int) -> bool:
    """Whether a set has more images than `LARGEST_SET`."""
    return images > LARGEST_SET


def without_interval(of: str, images: int) -> pd.DataFrame:
    """The table `skipped`, where a set of so many images is too large for an interval over them."""
    if not is_large(images):
        return empty(SKIPPED)
    reason = f"the probe set has {images} images, and it is made up to {LARGEST_SET}"
    return skipped(f"the interval of {of} over images", reason)


def mean_correlation(correlation: ArrayLike, clusters: ArrayLike | None = None) -> Interval:
    """Fisher mean of correlations [P, N] over P pairs and N images, its interval over images.

    Args:
        clusters: as for `mean_over_images`.
    """
    z = fisher_z(np.asarray(correlation)).mean(0)
    return Interval(*np.tanh(mean_over_images(z, clusters)).tolist())


def _over_runs(images: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means [N] of [M, N] over the runs that have each image; NaN where none has."""
    known = ~np.isnan(images)
    sums, numbers = np.where(known, images, 0.0).sum(0), known.sum(0)
    return np.divide(sums, numbers, out=np.full(len(sums), np.nan), where=numbers > 0)
