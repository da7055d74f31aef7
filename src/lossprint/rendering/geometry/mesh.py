"""Triangle meshes: parts, surfaces of implicit functions, exact cuts and simple solids."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from skimage.measure import marching_cubes

from lossprint.rendering.geometry.fields import Array, Field, gradient, unit

Faces = NDArray[np.int64]


@dataclass
class Mesh:
    """Vertices [V, 3], faces [F, 3] and normals [V, 3], which point out of the solid.

    Faces may be wound either way: materials are two-sided, and the normals tell the outside.
    """

    vertices: Array
    faces: Faces
    normals: Array = field(default_factory=lambda: np.empty((0, 3)))

    def __post_init__(self) -> None:
        if len(self.normals) != len(self.vertices):
            self.normals = vertex_normals(self.vertices, self.faces)

    def mirrored(self) -> "Mesh":
        """The mesh reflected in the plane y = 0."""
        flip = np.array([1.0, -1.0, 1.0])
        return Mesh(self.vertices * flip, self.faces[:, ::-1], self.normals * flip)

    def moved(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> "Mesh":
        """The mesh shifted."""
        return Mesh(self.vertices + np.array([x, y, z]), self.faces, self.normals)


def vertex_normals(vertices: Array, faces: Faces) -> Array:
    """Area-weighted mean of the adjacent faces' normals, unit length [V, 3]."""
    corners = vertices[faces]
    face_normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(total, faces[:, corner], face_normals)
    return unit(total)


def join(*meshes: Mesh) -> Mesh:
    """One mesh holding all of them."""
    starts = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes])[:-1]
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.faces + start for mesh, start in zip(meshes, starts, strict=True)]),
        np.concatenate([mesh.normals for mesh in meshes]),
    )


def with_mirror(mesh: Mesh) -> Mesh:
    """The mesh and its reflection in y = 0."""
    return join(mesh, mesh.mirrored())


def flat(mesh: Mesh) -> Mesh:
    """The mesh with its faces' own normals: sharp edges."""
    vertices = mesh.vertices[mesh.faces].reshape(-1, 3)
    return Mesh(vertices, np.arange(len(vertices)).reshape(-1, 3))


def compact(vertices: Array, faces: Faces, normals: Array) -> Mesh:
    """Drop vertices that no face uses."""
    used = np.unique(faces)
    renumber = np.zeros(len(vertices), dtype=np.int64)
    renumber[used] = np.arange(len(used))
    return Mesh(vertices[used], renumber[faces], normals[used])


def isosurface(surface: Field, low: Array, high: Array, cell: float) -> Mesh:
    """The zero surface of a field inside a box: marching cubes and two Newton steps onto it."""
    counts = np.ceil((high - low) / cell).astype(int) + 1
    axes = [start + cell * np.arange(n) for start, n in zip(low, counts, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    volume = surface(grid).reshape(counts)
    vertices, faces, _, _ = marching_cubes(
        volume, 0.0, spacing=(cell, cell, cell), gradient_direction="ascent"
    )
    vertices = vertices.astype(np.float64) + low
    on_plane = np.abs(vertices[:, 1]) < 1e-6
    for _ in range(2):
        slope = gradient(surface, vertices)
        step = surface(vertices) / np.maximum((slope**2).sum(axis=1), 0.25)
        vertices = vertices - np.clip(step, -cell, cell)[:, None] * slope
    vertices[on_plane, 1] = 0.0
    return Mesh(vertices, faces.astype(np.int64), unit(gradient(surface, vertices)))


def clip(mesh: Mesh, values: Array) -> tuple[Mesh, Mesh, Array]:
    """Cut a mesh where a function of its vertices, values [V], changes sign.

    Cut edges are placed by linear interpolation. Returns the part where values are negative, the
    other part, and the edges [E, 2, 3] of the cut, wound as the negative part's boundary.
    """
    values = np.where(np.abs(values) < 1e-7, 1e-7, values)
    faces, negative = mesh.faces, values < 0
    count = negative[faces].sum(axis=1)
    crossing = faces[(count == 1) | (count == 2)]
    if len(crossing) == 0:
        keep, drop = faces[count == 3], faces[count == 0]
        return (
            compact(mesh.vertices, keep, mesh.normals),
            compact(mesh.vertices, drop, mesh.normals),
            np.empty((0, 2, 3)),
        )
    single = negative[crossing].sum(axis=1) == 1
    # Rotate each triangle so that the vertex alone on its side comes first.
    alone = np.argmax(negative[crossing] == single[:, None], axis=1)
    a, b, c = (crossing[np.arange(len(crossing)), (alone + k) % 3] for k in range(3))
    edges, index = np.unique(
        np.sort(np.concatenate([np.stack([a, b], 1), np.stack([a, c], 1)]), axis=1),
        axis=0,
        return_inverse=True,
    )
    index = index.reshape(-1)
    t = (values[edges[:, 0]] / (values[edges[:, 0]] - values[edges[:, 1]]))[:, None]
    new = mesh.vertices[edges[:, 0]] * (1 - t) + mesh.vertices[edges[:, 1]] * t
    new_normals = unit(mesh.normals[edges[:, 0]] * (1 - t) + mesh.normals[edges[:, 1]] * t)
    vertices = np.concatenate([mesh.vertices, new])
    normals = np.concatenate([mesh.normals, new_normals])
    ab, ac = index[: len(a)] + len(mesh.vertices), index[len(a) :] + len(mesh.vertices)
    tip = np.stack([a, ab, ac], axis=1)
    rest = np.concatenate([np.stack([ab, b, c], axis=1), np.stack([ab, c, ac], axis=1)])
    both = np.concatenate([single, single])
    inside = np.concatenate([faces[count == 3], tip[single], rest[~both]])
    outside = np.concatenate([faces[count == 0], tip[~single], rest[both]])
    cut = np.where(single[:, None], np.stack([ab, ac], 1), np.stack([ac, ab], 1))
    return (
        compact(vertices, inside, normals),
        compact(vertices, outside, normals),
        vertices[cut],
    )


def curtain(edges: Array, offset: Array) -> Mesh:
    """A wall from each edge [E, 2, 3] to the same edge shifted by offset [3] or [E, 2, 3]."""
    shifted = edges + offset
    quads = np.stack([edges[:, 0], edges[:, 1], shifted[:, 1], shifted[:, 0]], axis=1)
    vertices = quads.reshape(-1, 3)
    base = 4 * np.arange(len(edges))[:, None]
    faces = np.concatenate([base + np.array([0, 1, 2]), base + np.array([0, 2, 3])])
    return Mesh(vertices, faces)


def box(low: tuple[float, float, float], high: tuple[float, float, float]) -> Mesh:
    """An axis-aligned box with sharp edges."""
    x0, y0, z0 = low
    x1, y1, z1 = high
    vertices = np.array(
        [(x, y, z) for x in (x0, x1) for y in (y0, y1) for z in (z0, z1)], dtype=np.float64
    )
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [face for a, b, c, d in quads for face in ((a, b, c), (a, c, d))]
    return flat(Mesh(vertices, np.array(faces)))


def revolve(profile: Array, segments: int) -> Mesh:
    """Turn a polyline (y, radius) [P, 2] about the y axis into a surface.

    The polyline runs so that the outside is on its left when +y points right.
    """
    angle = np.linspace(0.0, 2.0 * np.pi, segments, endpoint=False)
    y, radius = profile[:, 0], profile[:, 1]
    vertices = np.stack(
        [
            radius[:, None] * np.cos(angle),
            np.broadcast_to(y[:, None], (len(y), segments)),
            radius[:, None] * np.sin(angle),
        ],
        axis=-1,
    ).reshape(-1, 3)
    ring, step = np.meshgrid(np.arange(len(y) - 1), np.arange(segments), indexing="ij")
    a = (ring * segments + step).reshape(-1)
    b = (ring * segments + (step + 1) % segments).reshape(-1)
    faces = np.concatenate(
        [np.stack([a, a + segments, b], 1), np.stack([b, a + segments, b + segments], 1)]
    )
    return Mesh(vertices, faces)


def ellipsoid(centre: tuple[float, float, float], radii: tuple[float, float, float]) -> Mesh:
    """An ellipsoid of 12 by 16 patches."""
    turn = np.linspace(np.pi, 0.0, 13)
    ball = revolve(np.stack([np.cos(turn), np.sin(turn)], axis=1), 16)
    normals = unit(ball.vertices / np.array(radii))
    return Mesh(ball.vertices * np.array(radii) + np.array(centre), ball.faces, normals)


def rod(start: Array, end: Array, radius: float) -> Mesh:
    """A square bar between two points."""
    along = (end - start) / np.linalg.norm(end - start)
    side = np.cross(along, [0.0, 0.0, 1.0]) if abs(along[2]) < 0.9 else np.array([0.0, 1.0, 0.0])
    side /= np.linalg.norm(side)
    up = np.cross(side, along)
    ring = [radius * (side * c + up * s) for c, s in ((1, 1), (-1, 1), (-1, -1), (1, -1))]
    vertices = np.array([start + r for r in ring] + [end + r for r in ring])
    quads = [(k, (k + 1) % 4, 4 + (k + 1) % 4, 4 + k) for k in range(4)]
    faces = np.array([f for a, b, c, e in quads for f in ((a, b, c), (a, c, e))])
    return Mesh(vertices, faces)
