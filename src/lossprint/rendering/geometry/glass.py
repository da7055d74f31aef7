"""Windows laid onto the shell, and the open cockpit of a roadster."""

import numpy as np

from lossprint.rendering.geometry.body import Body
from lossprint.rendering.geometry.fields import Array, smooth_max
from lossprint.rendering.geometry.mesh import Mesh, box, ellipsoid, join, rod, with_mirror
from lossprint.rendering.geometry.surface import Canvas, decal, grown

FRAME = 0.022  # the black frame around the glass


def glasshouse(canvas: Canvas) -> list[tuple[str, Mesh]]:
    """Side windows, windscreen and rear window with their black frames."""
    body = canvas.body
    d = body.design
    low = (d.length / 2 - d.rear_base, min(d.cowl_height, d.deck_height))
    high = (d.length / 2 - d.cowl, d.height)

    def side(x: Array, z: Array) -> Array:
        s = d.length / 2 - x
        cabin = body.cabin_distance(s, z) + 0.085
        return smooth_max(np.maximum(cabin, s - d.glass_end), body.belt(s) + 0.045 - z, 0.03)

    def panes(x: Array, z: Array) -> Array:
        s = d.length / 2 - x
        glass = side(x, z) + FRAME
        for pillar in d.pillars:
            glass = np.maximum(glass, 0.028 - np.abs(s - pillar))
        return glass

    def screen(station: float, foot: float) -> tuple:
        top = d.height - 0.10

        def frame(y: Array, z: Array) -> Array:
            width = body.cabin_half_width(np.full_like(y, station), z) - 0.075
            bottom = foot + 0.035 + 0.02 * y**2
            return smooth_max(
                np.abs(y) - width, np.maximum(z - top + 0.04 * y**2, bottom - z), 0.06
            )

        return frame, (-d.width / 2, foot), (d.width / 2, top + 0.02)

    pieces = []
    for offset, shape, material in ((0.006, side, "trim"), (0.010, panes, "glass")):
        mesh = decal(canvas, shape, low, high, view="left", offset=offset, cell=0.045)
        pieces.append((material, with_mirror(mesh)))
    for view, station, foot in (
        ("front", 0.5 * (d.cowl + d.screen_top), d.cowl_height),
        ("rear", 0.5 * (d.roof_rear + d.rear_base), d.deck_height),
    ):
        if view == "rear" and d.cargo_height:
            continue
        frame, low, high = screen(station, foot)
        for offset, inset, material in ((0.006, 0.0, "trim"), (0.010, FRAME, "glass")):
            mesh = decal(
                canvas,
                grown(frame, -inset),
                low,
                high,
                view=view,
                offset=offset,
                cell=0.045,
            )
            pieces.append((material, mesh))
    return pieces


def cockpit(body: Body) -> list[tuple[str, Mesh]]:
    """Windscreen with its frame, seats with headrests, dashboard and wheel of an open car."""
    d = body.design
    x0, z0 = d.length / 2 - d.cowl - 0.02, d.cowl_height - 0.03
    x1, z1 = d.length / 2 - d.screen_top, d.height
    w0, w1 = d.width / 2 - 0.17, d.width / 2 - 0.34
    u = np.linspace(-1.0, 1.0, 17)
    t = np.array([0.0, 1.0])
    uu, tt = np.meshgrid(u, t, indexing="ij")
    width = w0 + (w1 - w0) * tt
    vertices = np.stack(
        [
            x0 + (x1 - x0) * tt - 0.16 * uu**2,
            width * uu,
            z0 + (z1 - z0) * tt - 0.03 * uu**2 * tt,
        ],
        axis=-1,
    ).reshape(-1, 3)
    a = 2 * np.arange(16)
    faces = np.concatenate([np.stack([a, a + 2, a + 1], 1), np.stack([a + 2, a + 3, a + 1], 1)])
    screen = Mesh(vertices, faces)
    top = vertices.reshape(17, 2, 3)[:, 1]
    posts = vertices.reshape(17, 2, 3)[[0, 16]]
    frame = [rod(top[k], top[k + 1], 0.018) for k in range(16)]
    frame += [rod(post[0], post[1], 0.022) for post in posts]
    seats = []
    for y in (0.36, -0.36):
        x = d.length / 2 - d.rear_base + 0.20
        seats.append(ellipsoid((x, y, d.cowl_height - 0.08), (0.10, 0.22, 0.30)))
        seats.append(ellipsoid((x - 0.02, y, d.cowl_height + 0.17), (0.06, 0.12, 0.09)))
    dash = box((x0 - 0.45, -w0, z0 - 0.30), (x0 - 0.10, w0, z0 + 0.02))
    return [
        ("pane", screen),
        ("trim", join(*frame)),
        ("seat", join(*seats)),
        ("interior", dash),
    ]
