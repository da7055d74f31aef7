"""How well the saliency maps of several models agree: Pearson correlation and Jensen–Shannon.

All pairs at once, in one pass over the maps. The divergence follows from the identity
JSD(p, q) = H((p + q) / 2) - (H(p) + H(q)) / 2, which needs one logarithm for each pixel and pair;
the same compiled loop, over tiles of pixels that stay in the first-level cache, sums the products
of the correlation.
"""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numba import njit
from numpy.polynomial import Chebyshev, Polynomial
from numpy.typing import NDArray
from torch import Tensor

from lossprint.compiled import compiled

BLOCK_BYTES = 128 * 2**20
"""Maps held in memory at a time, as float32, when the caller sets no block."""

TILE = 1024
"""Pixels of a tile: the tiles of two models take 8 KiB of a first-level cache of 32."""


class MapSource(Protocol):
    """The maps of one model on disk or in memory: [N, H, W], read by slices of images."""

    def __getitem__(self, images: slice, /) -> Any: ...


@dataclass(frozen=True)
class MapAgreement:
    """Agreement of L models on N images, float64; symmetric in the models.

    Attributes:
        correlation: [L, L, N] Pearson correlation of the flattened maps. A constant map has no
            variation to share: its correlation is 0 with every map, itself included.
        divergence: [L, L, N] Jensen–Shannon divergence in nats, in [0, ln 2], of the maps scaled
            to sum 1. A constant map, all zeros included, counts as the uniform distribution.
        names: of the models, L of them, where they were given by name; else empty.
    """

    correlation: Tensor
    divergence: Tensor
    names: tuple[str, ...] = ()


def map_agreement(
    maps: Tensor | NDArray[Any] | Sequence[MapSource] | Mapping[str, MapSource],
    other: MapSource | None = None,
    *,
    block: int | None = None,
) -> MapAgreement:
    """Compare every pair of models on every image.

    Both numbers are within 1e-6 of double precision. Memory holds `block` images of every model,
    whatever N is; the result takes 16 L² N bytes.

    Args:
        maps: non-negative maps [L, N, H, W] of any floating type, or one source of [N, H, W] for
            each model: an array, a memory map, a safetensors slice. A dict names the models.
        other: maps [N, H, W] of a second model; `maps` then are those of the first.
        block: images read at a time; by default as many as fit into 128 MiB.

    Raises:
        TypeError: something else than arrays.
        ValueError: no maps, maps of different shapes or counts, values that are negative or not
            finite, or a `block` below 1.

    Example:
        >>> a, b = torch.rand(2, 5, 8, 8)
        >>> map_agreement(a, b).correlation[0, 1].shape
        torch.Size([5])
        >>> map_agreement({"triplet": a, "arcface": b}).names
        ('triplet', 'arcface')
    """
    names, sources = _sources(maps, other)
    shapes = [_shape(name, source) for name, source in zip(names, sources, strict=True)]
    if not shapes:
        raise ValueError("no maps to compare: give at least one model's maps [N, H, W]")
    for name, shape in zip(names, shapes, strict=True):
        if len(shape) != 3 or shape != shapes[0] or 0 in shape:
            raise ValueError(
                f"maps of {name} have shape {list(shape)}, those of {names[0]} "
                f"{list(shapes[0])}: all must be one and the same non-empty [N, H, W]"
            )
    count, height, width = shapes[0]
    if block is None:
        block = max(1, BLOCK_BYTES // (4 * len(shapes) * height * width))
    if block < 1:
        raise ValueError(f"block must be at least 1 image, not {block}")

    correlation = np.empty((count, len(shapes), len(shapes)))
    divergence = np.empty_like(correlation)
    pixels = np.empty((len(shapes), min(block, count), height * width), dtype=np.float32)
    with ThreadPoolExecutor(_threads()) as pool:
        for start in range(0, count, block):
            stop = min(start + block, count)
            for model, source in enumerate(sources):
                pixels[model, : stop - start] = _read(source, names[model], start, stop)

            def compare(image: int, start: int = start) -> None:
                at = start + image
                correlation[at], divergence[at] = _compare(pixels[:, image])

            list(pool.map(compare, range(stop - start)))
    return MapAgreement(
        torch.from_numpy(correlation).permute(1, 2, 0).contiguous(),
        torch.from_numpy(divergence).permute(1, 2, 0).contiguous(),
        tuple(maps) if isinstance(maps, Mapping) else (),
    )


def _sources(maps: Any, other: Any) -> tuple[list[str], list[Any]]:
    """What to call each model in errors, and its maps."""
    if isinstance(maps, Mapping):
        if other is not None:
            raise TypeError("give either maps by name or two stacks of maps, not both")
        return [str(name) for name in maps], list(maps.values())
    if other is None and not isinstance(maps, Sequence | Tensor | np.ndarray):
        raise TypeError(f"maps must be arrays or tensors [N, H, W], not a {type(maps).__name__}")
    sources = list(maps) if other is None else [maps, other]
    return [f"model {number}" for number in range(len(sources))], sources


def _shape(name: str, source: Any) -> tuple[int, ...]:
    """Of an array, or of a safetensors slice, which has `get_shape` in place of `shape`."""
    shape = source.get_shape() if hasattr(source, "get_shape") else getattr(source, "shape", None)
    if shape is None:
        raise TypeError(
            f"maps of {name} must be an array or tensor [N, H, W], not a {type(source).__name__}"
        )
    return tuple(shape)


def _read(source: MapSource, name: str, start: int, stop: int) -> NDArray[np.float32]:
    """Maps [n, H * W] of the images start … stop - 1 of the model called `name`, checked."""
    part = source[start:stop]
    array = part.detach().cpu().float().numpy() if isinstance(part, Tensor) else np.asarray(part)
    rows = array.reshape(stop - start, -1).astype(np.float32, copy=False)
    # min and max see every NaN and infinity without a temporary of the maps' size.
    low, high = rows.min(1), rows.max(1)
    for image in np.flatnonzero(~((low >= 0) & np.isfinite(high))):
        raise ValueError(
            f"map {start + image} of {name} has values in [{low[image]}, {high[image]}]: "
            "maps must be finite and not negative"
        )
    return rows


def _threads() -> int:
    """As many as torch is told to use, never more than there are cores."""
    return max(1, min(torch.get_num_threads(), os.cpu_count() or 1))


def _compare(stack: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Maps [L, P] of one image to their correlations and divergences, [L, L] each."""
    mean = stack.mean(1, dtype=np.float64)
    varies = stack.min(1) < stack.max(1)
    # To mean 1: deviations are then density - 1, and logarithms are small and so are their errors.
    scale = np.divide(1.0, mean, out=np.zeros_like(mean), where=varies).astype(np.float32)
    density = stack * scale[:, None]
    density[~varies] = 1.0

    products, entropies = _pair_sums(density)
    norms = np.sqrt(np.diagonal(products))
    scale = np.divide(1.0, norms, out=np.zeros_like(norms), where=varies)
    correlation = np.clip(products * np.outer(scale, scale), -1.0, 1.0)

    own = np.diagonal(entropies)
    divergence = (entropies - (own[:, None] + own[None, :]) / 2) / stack.shape[1]
    return correlation, np.clip(divergence, 0.0, np.log(2))


def _log_series() -> tuple[np.float32, ...]:
    """Coefficients c of (ln(1 + t) - t + t² / 2) / t³ = Σ c_k t^k for t in [√½ - 1, √2 - 1].

    Interpolated at Chebyshev nodes: ln(1 + t) is then right to the rounding of float32.
    """

    def remainder(t: NDArray[np.float64]) -> NDArray[np.float64]:
        return (np.log1p(t) - t + t**2 / 2) / t**3

    domain = (np.sqrt(0.5) - 1, np.sqrt(2) - 1)
    fit = Chebyshev.interpolate(remainder, 8, domain=domain).convert(kind=Polynomial)
    return tuple(np.float32(coefficient) for coefficient in fit.coef)


C0, C1, C2, C3, C4, C5, C6, C7, C8 = _log_series()

HALF, ONE, LN2 = np.float32(0.5), np.float32(1), np.float32(np.log(2))
SQRT_HALF_BITS = np.sqrt(np.float32(0.5)).view(np.int32)
MANTISSA, MANTISSA_BITS = np.int32(0x007FFFFF), np.int32(23)


@njit(inline="always")
def _log(x: np.float32) -> np.float32:
    """Natural logarithm of a positive normal float32; finite, about -88, for 0."""
    # x = 2^exponent · (1 + t) with 1 + t in [√½, √2): subtracting the bits of √½ splits there.
    # Each integer is cast back to 32 bits, to which numba does not keep by itself: 64 would halve
    # the vectors.
    shifted = np.int32(np.float32(x).view(np.int32) - SQRT_HALF_BITS)
    exponent = np.float32(np.int32(shifted >> MANTISSA_BITS))
    t = np.int32(np.int32(shifted & MANTISSA) + SQRT_HALF_BITS).view(np.float32) - ONE
    series = C7 + t * C8
    series = C6 + t * series
    series = C5 + t * series
    series = C4 + t * series
    series = C3 + t * series
    series = C2 + t * series
    series = C1 + t * series
    series = C0 + t * series
    return exponent * LN2 + (t + t * t * (t * series - HALF))


@compiled(error_model="numpy", fastmath={"contract", "reassoc", "nsz"})
def _pair_sums(
    density: NDArray[np.float32],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums over the pixels of densities [L, P] of mean 1, for all pairs, [L, L] each.

    The products of the deviations (p - 1)(q - 1), and -m ln m with m = (p + q) / 2, 0 ln 0 = 0.
    One pass over tiles: a tile is summed in float32, the tiles in float64.
    """
    models, size = density.shape
    products = np.zeros((models, models))
    entropies = np.zeros((models, models))
    for start in range(0, size, TILE):
        stop = min(start + TILE, size)
        for a in range(models):
            p = density[a, start:stop]
            for b in range(a, models):
                q = density[b, start:stop]
                product = np.float32(0)
                entropy = np.float32(0)
                for i in range(p.size):
                    product += (p[i] - ONE) * (q[i] - ONE)
                    middle = HALF * (p[i] + q[i])
                    entropy -= middle * _log(middle)
                products[a, b] += product
                entropies[a, b] += entropy
    for a in range(models):
        for b in range(a):
            products[a, b] = products[b, a]
            entropies[a, b] = entropies[b, a]
    return products, entropies
