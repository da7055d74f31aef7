"""The numbers of a comparison by other means: slow and plain, in float64."""

import numpy as np
from scipy import stats
from scipy.spatial.distance import cdist


def cka(a: np.ndarray, b: np.ndarray) -> float:
    """Debiased linear CKA of [N, D] unit rows, by Song et al.'s unbiased HSIC written out."""
    k, m = a @ a.T, b @ b.T
    return _hsic(k, m) / np.sqrt(_hsic(k, k) * _hsic(m, m))


def _hsic(k: np.ndarray, m: np.ndarray) -> float:
    n, k, m = len(k), k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
    total = np.trace(k @ m) + k.sum() * m.sum() / ((n - 1) * (n - 2))
    return float((total - 2 / (n - 2) * (k @ m).sum()) / (n * (n - 3)))


def nr_precision(points: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """NR-Prec of [N, D] against chance by the hypergeometric distribution, and its maximum."""
    order = np.argsort(cdist(points, points) + 9 * np.eye(len(points)), axis=1)
    z, largest = [], []
    for query, label in enumerate(labels):
        n = (labels == label).sum()
        hits = (labels[order[query, : n - 1]] == label).sum()
        chance = stats.hypergeom(len(labels) - 1, n - 1, n - 1)
        z.append((hits - chance.mean()) / chance.std())
        largest.append((n - 1 - chance.mean()) / chance.std())
    return float(np.mean(z)), float(np.mean(largest))


def jackknife(whole: float, left_out: list[float], *, runs: list[float] = ()) -> tuple:
    """95 % interval around `whole` from leaving out one group at a time, runs adding theirs."""
    g = len(left_out)
    variances = [(g - 1) / g * np.square(left_out - np.mean(left_out)).sum()]
    degrees = [g - 1]
    if runs:
        variances.append(np.var(runs, ddof=1) / len(runs))
        degrees.append(len(runs) - 1)
    variance = sum(variances)
    total = variance**2 / sum(v**2 / d for v, d in zip(variances, degrees, strict=True))
    reach = stats.t.ppf(0.975, total) * np.sqrt(variance)
    return whole - reach, whole + reach
