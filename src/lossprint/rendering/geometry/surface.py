"""Details laid onto the shell: flat shapes and lines projected along an axis."""

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from lossprint.rendering.geometry.body import Body
from lossprint.rendering.geometry.fields import Array, gradient, unit
from lossprint.rendering.geometry.mesh import Mesh, clip, compact

Shape = Callable[[Array, Array], Array]  # (u, v) -> signed distance, negative inside

# side: the axis looked along, its sign towards the viewer, and the axes of (u, v)
_VIEWS = {
    "front": (0, 1.0, 1, 2),
    "rear": (0, -1.0, 1, 2),
    "left": (1, 1.0, 0, 2),
    "top": (2, 1.0, 0, 1),
}


def rounded_box(
    low: tuple[float, float], high: tuple[float, float], radius: float, slant: float = 0.0
) -> Shape:
    """A rectangle in (u, v) with rounded corners; `slant` shears v by slant · (u − centre)."""
    centre = (np.array(low) + np.array(high)) / 2
    half = (np.array(high) - np.array(low)) / 2
    radius = min(radius, float(half.min()) * 0.98)

    def shape(u: Array, v: Array) -> Array:
        du = np.abs(u - centre[0]) - half[0] + radius
        dv = np.abs(v - centre[1] - slant * (u - centre[0])) - half[1] + radius
        outside = np.hypot(np.maximum(du, 0.0), np.maximum(dv, 0.0))
        return outside + np.minimum(np.maximum(du, dv), 0.0) - radius

    return shape


def disc(u0: float, v0: float, radius: float) -> Shape:
    """A disc in (u, v)."""
    return lambda u, v: np.hypot(u - u0, v - v0) - radius


def grown(shape: Shape, margin: float) -> Shape:
    """A shape made larger by a margin on every side."""
    return lambda u, v: shape(u, v) - margin


class Canvas:
    """A shell seen along the axes: where rays through (u, v) of a view meet it.

    The first look along a view marches rays on a grid; shapes laid on later start from that table
    and take one Newton step along the axis.
    """

    def __init__(self, body: Body, *, cell: float = 0.05) -> None:
        self.body = body
        self._cell = cell
        self._depths: dict[str, tuple[Array, Array]] = {}

    def project(self, uv: Array, view: str) -> tuple[Array, Array, Array]:
        """Points [N, 3] on the shell, unit normals [N, 3] and hit [N] of rays through uv [N, 2]."""
        axis, _, u_axis, v_axis = _VIEWS[view]
        if view not in self._depths:
            self._depths[view] = self._march(view)
        low, depths = self._depths[view]
        where = (uv - low) / self._cell
        depth = ndimage.map_coordinates(depths, where.T, order=1, mode="nearest")
        points = np.empty((len(uv), 3))
        points[:, axis], points[:, u_axis], points[:, v_axis] = depth, uv[:, 0], uv[:, 1]
        hit = np.isfinite(depth)
        points[~hit, axis] = 0.0
        slope = gradient(self.body, points)
        along = np.where(
            np.abs(slope[:, axis]) < 0.08, np.copysign(0.08, slope[:, axis]), slope[:, axis]
        )
        for _ in range(2):
            points[:, axis] -= np.clip(self.body(points) / along, -0.03, 0.03)
        return points, unit(slope), hit

    def _march(self, view: str) -> tuple[Array, Array]:
        d = self.body.design
        axis, sign, u_axis, v_axis = _VIEWS[view]
        reach = np.array([d.length / 2 + 0.1, d.width / 2 + 0.1, d.height + 0.1])
        low = np.array([-reach[u_axis], 0.0 if v_axis == 2 else -reach[v_axis]])
        high = reach[[u_axis, v_axis]]
        u, v = (np.arange(a, b, self._cell) for a, b in zip(low, high, strict=True))
        points = np.empty((len(u) * len(v), 3))
        points[:, u_axis], points[:, v_axis] = np.repeat(u, len(v)), np.tile(v, len(u))
        points[:, axis] = sign * reach[axis]
        active = np.arange(len(points))
        for _ in range(48):
            distance = self.body(points[active])
            points[active, axis] -= sign * 0.85 * distance
            on_the_way = (distance > 1e-3) & (sign * points[active, axis] > -0.3)
            active = active[on_the_way]
            if len(active) == 0:
                break
        depth = points[:, axis]
        depth[active] = np.nan
        depth[sign * depth <= -0.3] = np.nan
        return low, depth.reshape(len(u), len(v))


def _lay(canvas: Canvas, flat: Mesh, view: str, offset: float) -> Mesh:
    points, normals, hit = canvas.project(flat.vertices[:, :2], view)
    faces = flat.faces[hit[flat.faces].all(axis=1)]
    corners = points[faces]
    facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    if len(faces) and (facing * normals[faces[:, 0]]).sum() < 0:
        faces = faces[:, ::-1]
    return compact(points + offset * normals, faces, normals)


def decal(
    canvas: Canvas,
    shape: Shape,
    low: tuple[float, float],
    high: tuple[float, float],
    *,
    view: str,
    offset: float = 0.005,
    cell: float = 0.02,
    hole: Shape | None = None,
) -> Mesh:
    """A shape in the bounds low..high of (u, v), laid onto the shell as seen from a view.

    `offset` lifts it off the shell along the normals; `hole` is left out of the shape.
    """
    counts = np.maximum(np.ceil((np.array(high) - np.array(low)) / cell).astype(int), 2) + 1
    u, v = (np.linspace(a, b, n) for a, b, n in zip(low, high, counts, strict=True))
    grid = np.stack(np.meshgrid(u, v, indexing="ij"), axis=-1).reshape(-1, 2)
    i, j = np.meshgrid(np.arange(counts[0] - 1), np.arange(counts[1] - 1), indexing="ij")
    a = (i * counts[1] + j).reshape(-1)
    b, c, d = a + counts[1], a + counts[1] + 1, a + 1
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    vertices = np.column_stack([grid, np.zeros(len(grid))])
    up = np.tile([0.0, 0.0, 1.0], (len(grid), 1))
    inside, _, _ = clip(Mesh(vertices, faces, up), shape(grid[:, 0], grid[:, 1]))
    if hole is not None:
        _, inside, _ = clip(inside, hole(inside.vertices[:, 0], inside.vertices[:, 1]))
    return _lay(canvas, inside, view, offset)


def ribbon(
    canvas: Canvas,
    path: Array,
    width: float,
    *,
    view: str,
    offset: float = 0.005,
    step: float = 0.03,
) -> Mesh:
    """A line of a width along a polyline [P, 2] in (u, v), laid onto the shell."""
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    at = np.linspace(0.0, lengths[-1], max(int(lengths[-1] / step), 1) + 1)
    line = np.column_stack([np.interp(at, lengths, path[:, k]) for k in range(2)])
    tangent = np.gradient(line, axis=0)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
    across = np.column_stack([-tangent[:, 1], tangent[:, 0]]) * width / 2
    vertices = np.concatenate([line - across, line + across])
    n = len(line)
    a = np.arange(n - 1)
    faces = np.concatenate([np.stack([a, a + 1, a + n], 1), np.stack([a + 1, a + n + 1, a + n], 1)])
    flat = Mesh(
        np.column_stack([vertices, np.zeros(2 * n)]), faces, np.tile([0.0, 0.0, 1.0], (2 * n, 1))
    )
    return _lay(canvas, flat, view, offset)
