"""Windows cut into the shell, and what is seen through them."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from lossprint.rendering.geometry.body import Body
from lossprint.rendering.geometry.fields import Array, smooth_max
from lossprint.rendering.geometry.mesh import (
    Mesh,
    box,
    clip,
    ellipsoid,
    join,
    revolve,
    rod,
    with_mirror,
)
from lossprint.rendering.geometry.surface import Canvas, Shape, decal, grown

FRAME = 0.022  # the black frame around the glass
_OVERLAP = 0.008  # of the frame over the shell's edge


@dataclass(frozen=True)
class Window:
    """Panes in a common frame, as shapes in a view's (u, v), both within the bounds low..high."""

    view: str
    frame: Shape
    panes: Shape
    low: tuple[float, float]
    high: tuple[float, float]


def windows(body: Body) -> list[Window]:
    """Side windows (those on the left), windscreen and rear window of a closed car."""
    d = body.design

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

    def screen(view: str, station: float, foot: float) -> Window:
        top = d.height - 0.10

        def frame(y: Array, z: Array) -> Array:
            width = body.cabin_half_width(np.full_like(y, station), z) - 0.075
            bottom = foot + 0.035 + 0.02 * y**2
            return smooth_max(
                np.abs(y) - width, np.maximum(z - top + 0.04 * y**2, bottom - z), 0.06
            )

        bounds = (-d.width / 2, foot), (d.width / 2, top + 0.02)
        return Window(view, frame, grown(frame, -FRAME), *bounds)

    low = (d.length / 2 - d.rear_base, min(d.cowl_height, d.deck_height))
    high = (d.length / 2 - d.cowl, d.height)
    found = [
        Window("left", side, panes, low, high),
        screen("front", 0.5 * (d.cowl + d.screen_top), d.cowl_height),
    ]
    if not d.cargo_height:
        found.append(screen("rear", 0.5 * (d.roof_rear + d.rear_base), d.deck_height))
    return found


def without_windows(body: Body, half: Mesh) -> Mesh:
    """The left half of a shell with its windows cut out."""
    d = body.design
    middle = 0.5 * (d.screen_top + d.roof_rear)
    for window in windows(body):
        x, y, z = half.vertices.T
        if window.view == "left":
            hole, elsewhere = window.panes(x, z), 0.25 - y
        else:
            forward = 1.0 if window.view == "front" else -1.0
            hole = window.panes(y, z)
            elsewhere = forward * (body.station(x) - middle)
        _, half, _ = clip(half, np.maximum(hole - _OVERLAP, elsewhere))
    return half


def glasshouse(canvas: Canvas) -> list[tuple[str, Mesh]]:
    """The windows' panes and their black frames, and the cabin's furniture."""
    pieces = cabin(canvas.body)
    for window in windows(canvas.body):
        lay = partial(decal, canvas, low=window.low, high=window.high, view=window.view, cell=0.045)
        frame = lay(window.frame, hole=window.panes, offset=0.006)
        pane = lay(window.panes, offset=0.004)
        for material, mesh in (("trim", frame), ("glass", pane)):
            pieces.append((material, with_mirror(mesh) if window.view == "left" else mesh))
    return pieces


def cabin(body: Body) -> list[tuple[str, Mesh]]:
    """Floor, dashboard, steering wheel and seats of a closed car, up to the windows' lower edge."""
    d = body.design
    sill = min(d.cowl_height, d.deck_height)
    nose, side = d.length / 2, d.width / 2 - 0.20
    tub = box(
        (nose - d.rear_base + 0.05, -side, d.clearance + 0.2),
        (nose - d.cowl - 0.05, side, sill - 0.10),
    )
    dash = box(
        (nose - d.cowl - 0.50, -side, sill - 0.12), (nose - d.cowl - 0.14, side, sill + 0.02)
    )
    turn = np.linspace(0.0, 2.0 * np.pi, 7)
    ring = revolve(np.stack([0.014 * np.cos(turn), 0.17 + 0.014 * np.sin(turn)], axis=1), 20)
    facing_back = Mesh(ring.vertices[:, [1, 0, 2]] * [1.0, -1.0, 1.0], ring.faces)
    steering = facing_back.moved(x=nose - d.cowl - 0.62, y=0.36, z=sill + 0.06)
    seats = []
    for row in range(3):
        s = d.cowl + 1.15 + 0.85 * row
        belt = body.belt(np.array([s]))
        headroom = -body.cabin_distance(np.array([s + 0.1]), belt + 0.30)[0]
        if headroom < 0.04 or s > min(d.glass_end + 0.1, d.rear_base - 0.20):
            break
        seats += [_seat(nose - s, y, float(belt[0])) for y in (0.36, -0.36)]
    return [("interior", join(tub, dash, steering)), *([("seat", join(*seats))] if seats else [])]


def _seat(x: float, y: float, belt: float) -> Mesh:
    """The back of a seat and its headrest, which stands above the belt line."""
    back = ellipsoid((x, y, belt - 0.08), (0.10, 0.22, 0.30))
    return join(back, ellipsoid((x - 0.02, y, belt + 0.17), (0.06, 0.12, 0.09)))


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
    seats = [_seat(d.length / 2 - d.rear_base + 0.20, y, d.cowl_height) for y in (0.36, -0.36)]
    dash = box((x0 - 0.45, -w0, z0 - 0.30), (x0 - 0.10, w0, z0 + 0.02))
    return [
        ("glass", screen),
        ("trim", join(*frame)),
        ("seat", join(*seats)),
        ("interior", dash),
    ]
