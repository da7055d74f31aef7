"""What an embedding clusters by: Normalized R-Precision of the properties of its inputs.

Source: Kobs, Steininger, Dulny, Hotho, *Do Different Deep Metric Learning Losses Lead to Similar
Learned Features?*, ICCV 2021.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lossprint.metrics.neighbor_matches import count_matches

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Variance = Literal["binomial", "hypergeometric"]

LABELS = "labels"
"""The name of labels that were given without one."""

ENOUGH = 10
"""Up to so many different whole numbers may be categories that hardly two items share."""


@dataclass(frozen=True)
class PropertyPrecision:
    """R-Precision of one property, for each of N queries and on average.

    Attributes:
        z: [N] Normalized R-Precision of each query; NaN where it is not defined.
        r_precision_per_query: [N] share of the neighbours that match; NaN where there are none.
        matches: [N] matching neighbours X (fractional where neighbours are tied at the last place).
        neighbors: [N] neighbours looked at, R; 0 for queries that are left out.
        missing: items without a value, left out as queries and as neighbours.
        single: items that are the only one with their value, left out as queries only.
        levels: distinct values.
    """

    z: NDArray[np.float64]
    r_precision_per_query: NDArray[np.float64]
    matches: NDArray[np.float64]
    neighbors: NDArray[np.int32]
    missing: int
    single: int
    levels: int

    @property
    def value(self) -> float:
        """NR-Prec: the mean of z over queries; NaN where z is defined for no query."""
        return _mean_of_defined(self.z)

    @property
    def r_precision(self) -> float:
        """R-Precision: the mean share of matching neighbours; NaN if no query has any."""
        return _mean_of_defined(self.r_precision_per_query)


@overload
def normalized_r_precision(
    embeddings: ArrayLike | Tensor,
    properties: Mapping[str, Any],
    *,
    normalize: bool = ...,
    max_neighbors: int | None = ...,
    variance: Variance = ...,
    device: str | torch.device | None = ...,
) -> dict[str, float]: ...
@overload
def normalized_r_precision(
    embeddings: ArrayLike | Tensor,
    properties: ArrayLike | Tensor,
    *,
    normalize: bool = ...,
    max_neighbors: int | None = ...,
    variance: Variance = ...,
    device: str | torch.device | None = ...,
) -> float: ...
def normalized_r_precision(
    embeddings: ArrayLike | Tensor,
    properties: Mapping[str, Any] | ArrayLike | Tensor,
    *,
    normalize: bool = True,
    max_neighbors: int | None = None,
    variance: Variance = "binomial",
    device: str | torch.device | None = None,
) -> dict[str, float] | float:
    """Normalized R-Precision of each property: standard deviations above chance.

    For a query with label l that n_l of N items carry, R = n_l − 1, X = how many of its R nearest
    neighbours (itself left out) carry l, and p = n_l / N:

        z = (X − R p) / sqrt(R p (1 − p)),    NR-Prec = mean of z over queries.

    The conventions at the edges:

    - *Ties.* Neighbours tied at the R-th place share the places that are left equally, so X is the
      expectation over the orders of the tied ones and may be a fraction.
    - *Missing values* (None, NaN, empty text): such an item is no query, no neighbour and not part
      of N, for that property alone.
    - *A value that one item carries alone* has R = 0: it is no query, but it is a neighbour.
    - *A property with one value*, or with no value twice, has no z: the result is NaN.

    Args:
        embeddings: [N, D], N ≥ 3, finite.
        properties: name → N labels (numbers, text or booleans; a sequence, array, tensor or pandas
            Series), or a DataFrame of N rows; or the N labels of one property without a name.
            Labels are categories: two values are the same level or they are not.
        normalize: L2-normalize the embeddings first (a vector of zeros stays as it is).
        max_neighbors: look at no more than this many neighbours; R in the formula is then the
            capped number.
        variance: "binomial" as published, or "hypergeometric": of the N − 1 others K = n_l − 1
            match, so drawing R without replacement has mean R p' and variance
            R p' (1 − p') (N − 1 − R) / (N − 2) with p' = K / (N − 1). Under it chance alone gives
            mean 0 and standard deviation 1.
        device: where to compute; by default where the embeddings are. Every device gives the
            counts of a search in float64.

    Returns:
        NR-Prec by property name, in the order given; of labels without a name the number alone.

    Raises:
        ValueError: embeddings that are not [N, D] numbers or not finite, N < 3, a property of
            another length, without any value or of continuous values (more than half of more than
            ten numbers, or of fractions, are different ones), `max_neighbors` < 1, an unknown
            variance.

    Example:
        >>> import numpy as np
        >>> embeddings = np.array([[0.0, 1.0], [0.1, 1.0], [1.0, 0.0], [1.0, 0.1]])
        >>> normalized_r_precision(embeddings, {"colour": ["red", "red", "blue", "blue"]})
        {'colour': 1.0}
        >>> normalized_r_precision(embeddings, [0, 0, 1, 1])
        1.0
    """
    named, alone = _named(properties)
    scores = property_precision(
        embeddings,
        named,
        normalize=normalize,
        max_neighbors=max_neighbors,
        variance=variance,
        device=device,
    )
    values = {name: score.value for name, score in scores.items()}
    return values[LABELS] if alone else values


def property_precision(
    embeddings: ArrayLike | Tensor,
    properties: Mapping[str, Any],
    *,
    normalize: bool = True,
    max_neighbors: int | None = None,
    variance: Variance = "binomial",
    device: str | torch.device | None = None,
) -> dict[str, PropertyPrecision]:
    """What `normalized_r_precision` averages, for each query, and what it left out.

    Arguments, conventions and errors are those of `normalized_r_precision`.
    """
    _check_options(max_neighbors, variance)
    if device is None:
        device = getattr(embeddings, "device", "cpu")
    points = embedding_array(embeddings)
    codes = {name: label_codes(name, labels, len(points)) for name, labels in properties.items()}

    scores: dict[str, PropertyPrecision] = {}
    for names in _grouped_by_missing(codes):
        present = codes[names[0]] >= 0
        known = points if present.all() else points[present]
        labels = np.stack([codes[name][present] for name in names], axis=1)
        sizes = np.stack([_label_sizes(column) for column in labels.T], axis=1)
        neighbors = _neighbors(sizes, max_neighbors)
        matches = count_matches(known, labels, neighbors, normalize=normalize, device=str(device))
        z = _standard_score(matches, neighbors, sizes, variance)
        for a, name in enumerate(names):
            scores[name] = PropertyPrecision(
                z=_in_all(present, z[:, a], np.nan),
                r_precision_per_query=_in_all(
                    present, _ratio(matches[:, a], neighbors[:, a].astype(float)), np.nan
                ),
                matches=_in_all(present, matches[:, a], 0.0),
                neighbors=_in_all(present, neighbors[:, a], 0),
                missing=int((~present).sum()),
                single=int((sizes[:, a] == 1).sum()),
                levels=int(labels[:, a].max()) + 1,
            )
    return {name: scores[name] for name in properties}


def normalized_r_precision_maximum(
    properties: Mapping[str, Any],
    *,
    max_neighbors: int | None = None,
    variance: Variance = "binomial",
) -> dict[str, float]:
    """NR-Prec of an embedding in which every neighbour matches: X = R for all queries.

    Standard deviations above chance grow with √N, so those of two sets compare only as a share of
    this maximum, which depends on the labels alone.

    Args:
        properties, max_neighbors, variance: as for `normalized_r_precision`, and with its
            conventions for missing and single values.

    Returns:
        By property name; NaN where z is defined for no query.

    Raises:
        ValueError: a property without any value, `max_neighbors` < 1, an unknown variance.

    Example:
        >>> normalized_r_precision_maximum({"colour": ["red", "red", "blue", "blue"]})
        {'colour': 1.0}
    """
    _check_options(max_neighbors, variance)
    largest = {}
    for name, labels in properties.items():
        codes = label_codes(name, labels, len(labels))
        sizes = _label_sizes(codes[codes >= 0])
        neighbors = _neighbors(sizes, max_neighbors)
        largest[name] = _mean_of_defined(_standard_score(neighbors, neighbors, sizes, variance))
    return largest


def embedding_array(embeddings: ArrayLike | Tensor) -> NDArray[np.float32] | NDArray[np.float64]:
    """Embeddings [N, D] as an array, checked: float32 as it is, all else in float64.

    Raises:
        ValueError: not of two dimensions, N < 3, D < 1, or values that are NaN or infinite.
    """
    if hasattr(embeddings, "detach"):  # a tensor
        tensor = embeddings.detach().cpu()
        embeddings = (tensor if str(tensor.dtype) == "torch.float32" else tensor.double()).numpy()
    try:
        points = np.asarray(embeddings)
        if points.dtype.kind not in "fiub":
            points = points.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"embeddings must be numbers [N, D]; this {type(embeddings).__name__} is none: {error}"
        ) from error
    if points.dtype != np.float32:
        points = points.astype(np.float64, copy=False)
    if points.ndim != 2 or points.shape[1] < 1:
        raise ValueError(f"embeddings have shape {list(points.shape)}: they must be [N, D], D ≥ 1")
    if len(points) < 3:
        raise ValueError(f"{len(points)} embeddings: at least 3 are needed")
    bad = ~np.isfinite(points).all(axis=1)
    if bad.any():
        raise ValueError(
            f"embeddings hold NaN or infinite values in {bad.sum()} of {len(points)} rows, "
            f"the first is row {int(bad.argmax())}"
        )
    return points


def label_codes(name: str, labels: Any, count: int) -> NDArray[np.int32]:
    """Labels of one property as codes 0…C − 1 in sorted order; −1 where the value is missing.

    Args:
        name: the property, for messages.
        labels: `count` values; None, NaN and empty text are missing.

    Raises:
        ValueError: another number of values than `count`, no value at all, or continuous ones.
    """
    if hasattr(labels, "detach"):  # a tensor
        labels = labels.detach().cpu().numpy()
    if hasattr(labels, "isna"):  # pandas, whose NA has no truth value
        labels = np.where(labels.isna(), None, labels.astype(object))
    values = np.asarray(labels)
    if values.shape != (count,):
        raise ValueError(
            f"property {name!r} has shape {list(values.shape)}: it must have one label for each of "
            f"the {count} embeddings"
        )
    if values.dtype.kind == "f":
        present = ~np.isnan(values)
    elif values.dtype.kind in "OU":
        present = np.array([_is_present(value) for value in values], dtype=bool)
    else:
        present = np.ones(count, dtype=bool)
    if not present.any():
        raise ValueError(f"property {name!r} is empty: none of its {count} labels has a value")
    known = values[present]
    _refuse_continuous(name, known)
    if known.dtype == object and len({isinstance(value, str) for value in known}) > 1:
        known = known.astype(str)  # text beside numbers has no order
    codes = np.full(count, -1, dtype=np.int32)
    codes[present] = np.unique(known, return_inverse=True)[1]
    return codes


def _named(properties: Any) -> tuple[Mapping[str, Any], bool]:
    """Labels by name, and whether they were given without one."""
    if isinstance(properties, Mapping):
        return properties, False
    if hasattr(properties, "columns"):  # a DataFrame
        return {str(name): properties[name] for name in properties.columns}, False
    return {LABELS: properties}, True


def _refuse_continuous(name: str, known: NDArray) -> None:
    """Raise if labels are numbers of which hardly two are the same."""
    if known.dtype == object and all(isinstance(value, int | float | np.number) for value in known):
        known = known.astype(float)
    distinct = len(np.unique(known)) if known.dtype.kind in "iuf" else 0
    fractions = known.dtype.kind == "f" and bool((known % 1 != 0).any())
    if distinct > len(known) / 2 and (distinct > ENOUGH or (fractions and distinct > 2)):
        raise ValueError(
            f"property {name!r} has {distinct} different numbers for {len(known)} items "
            f"({known[0]:.4g}, {known[1]:.4g}, …), but labels are categories that several items "
            "share. Put it into bins, e.g. pandas.qcut(values, 8, labels=False); or give numbers "
            "that are names of categories as text"
        )


def _check_options(max_neighbors: int | None, variance: str) -> None:
    if max_neighbors is not None and max_neighbors < 1:
        raise ValueError(f"max_neighbors is {max_neighbors}: it must be at least 1, or None")
    if variance not in ("binomial", "hypergeometric"):
        raise ValueError(f'variance is {variance!r}: it must be "binomial" or "hypergeometric"')


def _neighbors(sizes: NDArray[np.int32], max_neighbors: int | None) -> NDArray[np.int32]:
    """R of items whose labels `sizes` items carry."""
    return sizes - 1 if max_neighbors is None else np.minimum(sizes - 1, max_neighbors)


def _label_sizes(codes: NDArray[np.int32]) -> NDArray[np.int32]:
    """How many items carry each item's label, [N], for codes [N] ≥ 0."""
    return np.bincount(codes).astype(np.int32)[codes]


def _is_present(value: object) -> bool:
    return value is not None and value == value and not (isinstance(value, str) and not value)


def _grouped_by_missing(codes: Mapping[str, NDArray[np.int32]]) -> list[list[str]]:
    """Names whose missing items are the same: one pass serves them all."""
    groups: dict[bytes, list[str]] = {}
    for name, values in codes.items():
        groups.setdefault(np.packbits(values < 0).tobytes(), []).append(name)
    return list(groups.values())


def _standard_score(
    matches: NDArray,
    neighbors: NDArray[np.int32],
    sizes: NDArray[np.int32],
    variance: Variance,
) -> NDArray[np.float64]:
    """z [N, …] of `matches` among `neighbors`, whose label `sizes` items carry; NaN: undefined."""
    count = len(matches)
    if variance == "binomial":
        chance = sizes / count
        spread = neighbors * chance * (1 - chance)
    else:
        chance = (sizes - 1) / (count - 1)
        spread = neighbors * chance * (1 - chance) * (count - 1 - neighbors) / max(count - 2, 1)
    return _ratio(matches - neighbors * chance, np.sqrt(spread))


def _ratio(numerator: NDArray[np.float64], denominator: NDArray[np.float64]) -> NDArray[np.float64]:
    """numerator / denominator, NaN where the denominator is 0."""
    result = np.full(numerator.shape, np.nan)
    return np.divide(numerator, denominator, out=result, where=denominator > 0)


def _in_all(present: NDArray[np.bool_], values: NDArray, absent: float) -> NDArray:
    """`values` of the present items among all items, `absent` elsewhere."""
    result = np.full(len(present), absent, dtype=values.dtype)
    result[present] = values
    return result


def _mean_of_defined(values: NDArray[np.float64]) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")
