"""Wheels: a revolved tyre and rim with tapered spokes before a brake disc."""

import numpy as np

from lossprint.rendering.geometry.fields import Array
from lossprint.rendering.geometry.mesh import Mesh, ellipsoid, flat, join, revolve

WIDTH = 0.21


def wheel(radius: float, spokes: int) -> dict[str, Mesh]:
    """Parts of one wheel by material, centred at the origin, its outer face towards +y."""
    rim = 0.70 * radius
    half = WIDTH / 2
    tyre = np.array(
        [
            (-half + 0.01, rim - 0.01),
            (-half - 0.005, 0.5 * (rim + radius)),
            (-half + 0.012, radius - 0.012),
            (-half + 0.035, radius),
            (half - 0.035, radius),
            (half - 0.012, radius - 0.012),
            (half + 0.005, 0.5 * (rim + radius)),
            (half - 0.012, rim - 0.004),
        ]
    )
    lip = np.array(
        [
            (half - 0.008, rim + 0.004),
            (half - 0.004, rim - 0.008),
            (half - 0.014, rim - 0.022),
            (half - 0.06, rim - 0.032),
            (-half + 0.02, rim - 0.035),
        ]
    )
    disc = np.array([(half - 0.085, 0.78 * rim), (half - 0.084, 0.02)])
    back = np.array([(half - 0.12, rim - 0.03), (half - 0.119, 0.005)])
    return {
        "tyre": revolve(tyre, 40),
        "rim": join(revolve(lip, 40), _spokes(rim, half, spokes)),
        "disc": revolve(disc, 24),
        "cavity": revolve(back, 24),
    }


def _spokes(rim: float, half: float, count: int) -> Mesh:
    """Tapered spokes from hub to lip and the hub's cap."""
    width = min(0.9 * np.pi * rim / count * 0.42, 0.05)
    outer, inner = rim - 0.018, 0.14 * rim
    face_outer, face_inner, depth = half - 0.022, half - 0.035, 0.03
    section: list[tuple[float, float, float]] = []
    for r, y, w in ((inner, face_inner, 0.75 * width), (outer, face_outer, width)):
        section += [(r, y, -w * 0.7), (r, y, w * 0.7), (r, y - depth, w), (r, y - depth, -w)]
    corners = np.array(section)
    quads = [(0, 1, 5, 4), (1, 2, 6, 5), (3, 0, 4, 7)]
    faces = np.array([f for a, b, c, d in quads for f in ((a, b, c), (a, c, d))])
    spoke = flat(Mesh(corners, faces))
    turned = [_turn(spoke, 2.0 * np.pi * k / count + np.pi / 2) for k in range(count)]
    hub = ellipsoid((0.0, face_inner - 0.005, 0.0), (0.21 * rim, 0.02, 0.21 * rim))
    return join(hub, *turned)


def _turn(mesh: Mesh, angle: float) -> Mesh:
    c, s = np.cos(angle), np.sin(angle)
    rotation: Array = np.array([[c, 0.0, -s], [0.0, 1.0, 0.0], [s, 0.0, c]])
    return Mesh(mesh.vertices @ rotation.T, mesh.faces, mesh.normals @ rotation.T)
