"""Intervals of means over images and runs, which are both samples."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.special import expit, logit

CONFIDENCE = 0.95

Values = Literal["any", "positive", "share"]
"""What values may be, and with them an interval: any numbers, positive ones, shares of [0, 1]."""

GROUPS = 20
"""Groups of images that are left out one at a time, where there are more images."""


class Interval(NamedTuple):
    """A mean with its interval; NaN where there is too little to tell."""

    mean: float
    low: float
    high: float


def mean_over_images(
    values: ArrayLike,
    clusters: ArrayLike | None = None,
    *,
    kind: Values = "any",
) -> Interval:
    """Mean over N images of one network (or one pair), its 95 % interval from images as a sample.

    Images of one cluster (renders of one design) do not vary on their own: the variance is that of
    the clusters' sums of residuals, Student's t with one degree less than there are clusters.

    Args:
        values: [N]; NaN is missing.
        clusters: [N] what each image belongs to; without it each is its own.
        kind: of the values. Of shares the interval is that of the mean's logit, of positive values
            that of its logarithm, transformed back.

    Returns:
        NaN low and high with fewer than two clusters.

    Raises:
        ValueError: shapes that do not fit, infinite values, or shares outside [0, 1].

    Example:
        >>> [round(x, 3) for x in mean_over_images([0.1, 0.2, 0.6], kind="share")]
        [0.3, 0.018, 0.907]
    """
    images = np.asarray(values, dtype=np.float64)
    if images.ndim != 1:
        raise ValueError(f"values have shape {list(images.shape)}: they must be [N]")
    mean, variance, degrees = _over_images(images[None], clusters, kind)
    return _interval(mean, variance, degrees, kind)


def mean_over_runs_and_images(
    values: ArrayLike,
    clusters: ArrayLike | None = None,
    *,
    kind: Values = "any",
) -> Interval:
    """Mean over M runs and N images, its 95 % interval from runs and images as samples.

    The variances of the mean over runs (of their means) and over images (of their means over runs,
    by cluster) are added, which counts what varies with both twice and so is never too short;
    degrees of freedom after Satterthwaite (1946).

    Args:
        values: [M, N], the same images in all runs; NaN is missing. The mean is that of the images'
            means over the runs that have them.
        clusters, kind: as for `mean_over_images`.

    Returns:
        NaN low and high with fewer than three runs, whose spread is hardly known, or fewer than two
        clusters.

    Raises:
        ValueError: as for `mean_over_images`.
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2:
        raise ValueError(f"values have shape {list(table.shape)}: they must be [M, N]")
    mean, of_images, image_degrees = _over_images(table, clusters, kind)
    runs = np.array([row[~np.isnan(row)].mean() for row in table if not np.isnan(row).all()])
    if len(runs) < 3 or image_degrees < 1:
        return Interval(mean, float("nan"), float("nan"))
    of_runs = runs.var(ddof=1) / len(runs)
    variance = of_runs + of_images
    parts = of_runs**2 / (len(runs) - 1) + of_images**2 / image_degrees
    return _interval(mean, variance, variance**2 / parts if parts else 1.0, kind)


def image_groups(
    count: int, clusters: ArrayLike | None = None, *, at_most: int = GROUPS
) -> NDArray[np.intp]:
    """Groups of images [N], 0 … G − 1, to be left out one at a time; see `jackknife_values`.

    −1, for no group, where all images are of one cluster: without it there is nothing.

    Args:
        count: N images.
        clusters: as for `mean_over_images`; those of one stay together.
        at_most: groups; more clusters are put together at random, always the same.

    Raises:
        ValueError: clusters of another number than `count`.

    Example:
        >>> image_groups(4, ["a", "b", "b", "a"]).tolist()
        [0, 1, 1, 0]
    """
    codes = _cluster_codes(clusters, count)
    number = int(codes.max(initial=-1)) + 1
    if number < 2:
        return np.full(count, -1)
    if number <= at_most:
        return codes
    return (np.random.default_rng(0).permutation(number) % at_most)[codes]


def without_each(groups: NDArray[np.intp]) -> list[NDArray[np.bool_]]:
    """For each of G groups of images [N], see `image_groups`, the images [N] that are not in it."""
    return [groups != group for group in range(int(groups.max(initial=-1)) + 1)]


def jackknife_values(whole: ArrayLike, left_out: ArrayLike) -> NDArray[np.float64]:
    """What each of G groups of images says of a number that is no mean of images.

    Tukey's pseudo-values, moved so that their mean is the number itself: `mean_over_images` of
    them, or `mean_over_runs_and_images`, has the variance of leaving out one group at a time.

    Args:
        whole: [...] the number, of all images.
        left_out: [..., G] the same without each group.

    Returns:
        [..., G].
    """
    without = np.asarray(left_out, dtype=np.float64)
    if not without.shape[-1]:
        return without
    apart = without.mean(-1, keepdims=True) - without
    return np.asarray(whole, dtype=np.float64)[..., None] + (without.shape[-1] - 1) * apart


def _over_images(
    table: NDArray[np.float64], clusters: ArrayLike | None, kind: Values
) -> tuple[float, float, int]:
    """Mean of [M, N], and the variance of it, with its degrees of freedom, as images vary."""
    if np.isinf(table).any():
        raise ValueError("values are infinite")
    if kind == "share" and ((table < 0) | (table > 1)).any():
        wrong = table[(table < 0) | (table > 1)][0]
        raise ValueError(f"a share is {wrong}: it must lie in [0, 1]")
    codes = _cluster_codes(clusters, table.shape[1])
    known = ~np.isnan(table).all(0)
    if not known.any():
        return float("nan"), float("nan"), 0
    runs_known = ~np.isnan(table).all(1)
    images = np.nanmean(table[runs_known][:, known], axis=0)
    mean = float(images.mean())
    residuals = np.bincount(np.unique(codes[known], return_inverse=True)[1], images - mean)
    number = len(residuals)
    if number < 2:
        return mean, float("nan"), 0
    variance = number / (number - 1) * np.square(residuals).sum() / len(images) ** 2
    return mean, float(variance), number - 1


def _interval(mean: float, variance: float, degrees: float, kind: Values) -> Interval:
    if not degrees >= 1:
        return Interval(mean, float("nan"), float("nan"))
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, degrees) * np.sqrt(variance))
    if kind == "any" or reach == 0:
        return Interval(mean, mean - reach, mean + reach)
    if kind == "positive":  # of a mean m of standard error e, the logarithm has e / m
        factor = float(np.exp(reach / mean))
        return Interval(mean, mean / factor, mean * factor)
    # The logit has e / (m (1 − m)).
    centre, wide = logit(mean), reach / (mean * (1 - mean))
    return Interval(mean, float(expit(centre - wide)), float(expit(centre + wide)))


def _cluster_codes(clusters: ArrayLike | None, count: int) -> NDArray[np.intp]:
    if clusters is None:
        return np.arange(count)
    labels = np.asarray(clusters)
    if labels.shape != (count,):
        raise ValueError(
            f"clusters have shape {list(labels.shape)}: one for each of the {count} images"
        )
    return np.unique(labels, return_inverse=True)[1]
