"""Averages of correlations through Fisher's z transform."""

from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

Correlations = TypeVar("Correlations", Tensor, np.ndarray)

LARGEST_Z = float(np.arctanh(1 - 1e-7))
"""About 8.4: where the z of |r| = 1, which is infinite, is held.

Correlations computed in float32 are no closer to 1 than this, so no measured value is changed.
"""


def fisher_z(correlation: Correlations) -> Correlations:
    """z = atanh(r), any shape, held within ±LARGEST_Z so that r = ±1 stays finite.

    Values beyond ±1 by rounding are held as well; NaN stays NaN.
    """
    if isinstance(correlation, Tensor):
        bound = torch.nextafter(
            torch.ones((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
        )
        z = torch.atanh(correlation.to(torch.float64).clamp(-bound, bound))
        return z.clamp(-LARGEST_Z, LARGEST_Z)
    below_one = np.nextafter(1.0, 0.0)
    z = np.arctanh(np.clip(np.asarray(correlation, dtype=np.float64), -below_one, below_one))
    return np.clip(z, -LARGEST_Z, LARGEST_Z)


def fisher_mean(correlation: Correlations, dim: int = -1) -> Correlations:
    """tanh of the mean of atanh(r) over `dim`, float64.

    r = ±1 counts as z = ±LARGEST_Z: the mean of correlations that are all 1 is 1 to 1e-7.

    Example:
        >>> round(float(fisher_mean(np.array([0.5, 0.9]))), 4)
        0.7661
    """
    z = fisher_z(correlation)
    return torch.tanh(z.mean(dim)) if isinstance(z, Tensor) else np.tanh(z.mean(dim))


def fisher_std(correlation: Correlations, dim: int = -1) -> Correlations:
    """tanh of the standard deviation of atanh(r) over `dim`, float64, dividing by the count.

    This is the study's spread. It is no standard deviation of r; it is 0 for equal correlations
    and below 1 always. r = ±1 counts as z = ±LARGEST_Z.
    """
    z = fisher_z(correlation)
    if isinstance(z, Tensor):
        return torch.tanh(z.std(dim, correction=0))
    return np.tanh(z.std(dim))
