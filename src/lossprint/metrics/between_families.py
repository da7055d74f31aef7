"""Are losses of one family more alike than losses of two?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lossprint.metrics.likeness import Likeness
from lossprint.metrics.relabelings import among_units


@dataclass(frozen=True)
class FamilyContrast:
    """Families of losses, contrasted. NaN is what cannot be told.

    Attributes:
        statistic: mean log likeness of two losses of one family, each family weighing the same,
            less that of two losses of two families, additive effects of losses taken off.
        p: one-sided, from permuting families among lineages; NaN where it cannot be told.
        smallest_p: the least p that the number of distinct relabelings allows.
        lineages: units that were permuted.
    """

    statistic: float
    p: float
    smallest_p: float
    lineages: int


def family_contrast(
    likeness: ArrayLike,
    loss: ArrayLike,
    replicate: ArrayLike,
    *,
    family: Mapping,
    lineage: Mapping,
    stratum: ArrayLike | None = None,
    draws: int = 9999,
    seed: int = 0,
) -> FamilyContrast:
    """Contrast the likeness of losses of one family with that of losses of two families.

    From the mean log likeness of two losses an additive effect of each loss is taken, fitted by
    least squares off the diagonal: a family whose trainings are noisier is no family apart. Close
    variants of a loss are one unit: families are permuted among lineages. All ways are tried where
    there are no more than `draws`; else p = (1 + as extreme) / (1 + draws).

    Args:
        likeness, loss, replicate, stratum, draws, seed: as for `loss_contrast`.
        family: the family of each loss.
        lineage: the lineage of each loss; one that is not named is a lineage of its own.

    Returns:
        NaN statistic and p with fewer than two families or four losses (additive effects leave
        nothing of three), where no family has two losses that meet, or where a likeness is not
        finite.

    Raises:
        ValueError: as for `loss_contrast`, a loss without a family, or a lineage in two families.
    """
    runs = Likeness.of(likeness, loss, replicate, stratum)
    names = runs.losses.tolist()
    families = _codes_of(_families(names, family))
    units = _codes_of([("of", lineage[n]) if n in lineage else ("own", n) for n in names])
    of_unit = np.zeros(units.max(initial=-1) + 1, dtype=np.intp)
    of_unit[units] = families
    if (torn := of_unit[units] != families).any():
        torn_lineage = lineage[names[int(torn.argmax())]]
        members = {n: family[n] for n in names if lineage.get(n) == torn_lineage}
        raise ValueError(f"lineage {torn_lineage!r} is in two families: {members}")

    residual = without_loss_effects(runs.means(runs.log))
    relabelings = among_units(of_unit, draws=draws, seed=seed)
    statistic = float(_contrast(residual, families[None])[0])
    if len(names) < 4 or not np.isfinite(runs.log).all() or not np.isfinite(statistic):
        return FamilyContrast(float("nan"), float("nan"), relabelings.smallest_p, len(of_unit))
    permuted = _contrast(residual, relabelings.labels[:, units])
    return FamilyContrast(
        statistic, relabelings.p(permuted, statistic), relabelings.smallest_p, len(of_unit)
    )


def without_loss_effects(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means [L, L] of pairs of losses less an additive effect of each, NaN on the diagonal.

    The effects are those of least squares over the pairs that are known, off the diagonal.
    """
    i, j = np.triu_indices(len(means), 1)
    known = ~np.isnan(means[i, j])
    i, j = i[known], j[known]
    design = np.zeros((len(i), len(means)))
    rows = np.arange(len(i))
    design[rows, i] = design[rows, j] = 1.0
    effects = np.linalg.lstsq(design, means[i, j], rcond=None)[0]
    residual = np.full(means.shape, np.nan)
    residual[i, j] = residual[j, i] = means[i, j] - design @ effects
    return residual


def _contrast(residual: NDArray[np.float64], families: NDArray[np.intp]) -> NDArray[np.float64]:
    """The statistic [B] of losses in families [B, L]; NaN without pairs within or between."""
    known = (~np.isnan(residual)).astype(float)
    values = np.nan_to_num(residual)
    members = (families[:, None, :] == np.unique(families)[:, None]).astype(float)  # [B, F, L]
    sums, numbers = (((members @ of) * members).sum(2) for of in (values, known))  # [B, F]
    within = np.divide(sums, numbers, out=np.zeros_like(sums), where=numbers > 0).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return within / (numbers > 0).sum(1) - (values.sum() - sums.sum(1)) / (
            known.sum() - numbers.sum(1)
        )


def _families(names: list, family: Mapping) -> list:
    if missing := [name for name in names if name not in family]:
        raise ValueError(f"no family is named for {missing}")
    return [family[name] for name in names]


def _codes_of(labels: list) -> NDArray[np.intp]:
    places = {label: place for place, label in enumerate(dict.fromkeys(labels))}
    return np.array([places[label] for label in labels], dtype=np.intp)
