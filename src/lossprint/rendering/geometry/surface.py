"""Details laid onto the shell: flat shapes and lines projected along an axis."""

from collections.abc import Callable

import numpy as np

from lossprint.rendering.geometry.body import Body
from lossprint.rendering.geometry.fields import Array, gradient, unit
from lossprint.rendering.geometry.mesh import Mesh, clip, compact, curtain, join

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


def project(body: Body, uv: Array, view: str) -> tuple[Array, Array]:
    """Where rays through uv [N, 2] from a view meet the shell: points [N, 3] and hit [N]."""
    axis, sign, u_axis, v_axis = _VIEWS[view]
    points = np.empty((len(uv), 3))
    points[:, u_axis], points[:, v_axis] = uv[:, 0], uv[:, 1]
    reach = {0: body.design.length / 2, 1: body.design.width / 2, 2: body.design.height}[axis] + 0.1
    points[:, axis] = sign * reach
    distance = body(points)
    for _ in range(45):
        moving = distance > 2e-4
        if not moving.any():
            break
        points[moving, axis] -= sign * 0.8 * distance[moving]
        distance[moving] = body(points[moving])
    return points, (np.abs(distance) < 2e-3) & (np.abs(points[:, axis]) < reach + 0.01)


def _lay(body: Body, flat: Mesh, view: str, offset: float) -> tuple[Mesh, Array, Array]:
    points, hit = project(body, flat.vertices[:, :2], view)
    normals = unit(gradient(body, points))
    faces = flat.faces[hit[flat.faces].all(axis=1)]
    corners = points[faces]
    facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    if len(faces) and (facing * normals[faces[:, 0]]).sum() < 0:
        faces = faces[:, ::-1]
    return compact(points + offset * normals, faces, normals), points, normals


def decal(
    body: Body,
    shape: Shape,
    low: tuple[float, float],
    high: tuple[float, float],
    *,
    view: str,
    offset: float = 0.003,
    cell: float = 0.02,
    raised: bool = False,
) -> Mesh:
    """A shape in the bounds low..high of (u, v), laid onto the shell as seen from a view.

    `offset` lifts it off the shell along the normals; `raised` closes the gap with a rim.
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
    inside, _, edges = clip(Mesh(vertices, faces, up), shape(grid[:, 0], grid[:, 1]))
    laid, _, _ = _lay(body, inside, view, offset)
    if not raised or len(edges) == 0:
        return laid
    points, hit = project(body, edges.reshape(-1, 3)[:, :2], view)
    normals = unit(gradient(body, points))
    keep = hit.reshape(-1, 2).all(axis=1)
    base = points.reshape(-1, 2, 3)[keep]
    rim = curtain(
        base + offset * normals.reshape(-1, 2, 3)[keep], -offset * normals.reshape(-1, 2, 3)[keep]
    )
    return join(laid, rim)


def ribbon(
    body: Body, path: Array, width: float, *, view: str, offset: float = 0.003, step: float = 0.03
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
    return _lay(body, flat, view, offset)[0]
