"""Implicit functions: signed distances (negative inside) from which a car's surfaces are cut.

The car's frame: x forward, y left, z up, metres, the origin on the ground midway along the car.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float64]
Field = Callable[[Array], Array]  # points [N, 3] -> signed distance [N]


def smooth_max(a: Array, b: Array, radius: float) -> Array:
    """Maximum whose crease is rounded over `radius` (cubic polynomial; exact outside it)."""
    h = np.maximum(radius - np.abs(a - b), 0.0) / radius
    return np.maximum(a, b) + h * h * h * radius / 6.0


def smooth_min(a: Array, b: Array, radius: float) -> Array:
    """Minimum whose crease is rounded over `radius`."""
    return -smooth_max(-a, -b, radius)


def smoothstep(low: float, high: float, x: Array) -> Array:
    """0 below `low`, 1 above `high`, a cubic between them."""
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def fillet(corners: Sequence[tuple[float, float, float]], steps: int = 7) -> Array:
    """Round the corners (u, v, radius) of a closed polygon; returns its points [P, 2].

    Each corner becomes a parabola that leaves its edges `radius` before the corner, or at 45 % of
    the edge where that is shorter.
    """
    points = np.array([(u, v) for u, v, _ in corners])
    t = np.linspace(0.0, 1.0, steps)[:, None]
    rounded = []
    for i, (_, _, radius) in enumerate(corners):
        corner = points[i]
        to_previous, to_next = points[i - 1] - corner, points[(i + 1) % len(points)] - corner
        before, after = np.linalg.norm(to_previous), np.linalg.norm(to_next)
        start = corner + to_previous * min(radius / before, 0.45)
        end = corner + to_next * min(radius / after, 0.45)
        rounded.append((1 - t) ** 2 * start + 2 * t * (1 - t) * corner + t**2 * end)
    return np.concatenate(rounded)


def polygon_distance(points: Array, polygon: Array) -> Array:
    """Signed distance [N] of points [N, 2] to a closed polygon [P, 2], negative inside."""
    squared = np.full(len(points), np.inf)
    inside = np.zeros(len(points), dtype=bool)
    u, v = points[:, 0], points[:, 1]
    for (u0, v0), (u1, v1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        du, dv = u1 - u0, v1 - v0
        length = du * du + dv * dv
        if length < 1e-14:
            continue
        t = np.clip(((u - u0) * du + (v - v0) * dv) / length, 0.0, 1.0)
        squared = np.minimum(squared, (u - u0 - t * du) ** 2 + (v - v0 - t * dv) ** 2)
        if v0 != v1:
            inside ^= ((v0 > v) != (v1 > v)) & (u < u0 + (v - v0) * du / dv)
    return np.where(inside, -1.0, 1.0) * np.sqrt(squared)


class Profile:
    """Signed distance to a polygon in a plane, tabulated on a grid behind a cubic spline.

    The table reaches `margin` beyond the polygon and keeps its border's values farther out.
    """

    def __init__(self, polygon: Array, *, cell: float = 0.03, margin: float = 0.45) -> None:
        self.polygon = polygon
        self._low = polygon.min(axis=0) - margin
        self._cell = cell
        shape = np.ceil((polygon.max(axis=0) + margin - self._low) / cell).astype(int) + 1
        axes = [low + cell * np.arange(n) for low, n in zip(self._low, shape, strict=True)]
        grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
        table = polygon_distance(grid, polygon).reshape(shape)
        self._coefficients = ndimage.spline_filter(table, order=3, mode="nearest")

    def __call__(self, u: Array, v: Array) -> Array:
        """Distance at (u, v), arrays of one shape."""
        where = np.stack([(u - self._low[0]) / self._cell, (v - self._low[1]) / self._cell])
        return ndimage.map_coordinates(
            self._coefficients, where, order=3, prefilter=False, mode="nearest"
        )


def gradient(field: Field, points: Array, step: float = 2e-3) -> Array:
    """Central differences [N, 3] of a field at points [N, 3]."""
    result = np.empty_like(points)
    for axis in range(3):
        offset = np.zeros(3)
        offset[axis] = step
        result[:, axis] = field(points + offset) - field(points - offset)
    return result / (2.0 * step)


def unit(vectors: Array) -> Array:
    """Vectors [N, 3] scaled to length one; a zero vector points up."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    up = np.zeros_like(vectors)
    up[:, 2] = 1.0
    return np.where(length > 1e-9, vectors / np.maximum(length, 1e-9), up)
