"""Noses, tails and sides: lamps, grilles, bumpers, plates, shut lines, handles and mirrors."""

from itertools import pairwise

import numpy as np

from lossprint.rendering.geometry.body import ARCH, Body
from lossprint.rendering.geometry.mesh import (
    Mesh,
    box,
    ellipsoid,
    join,
    revolve,
    rod,
    with_mirror,
)
from lossprint.rendering.geometry.surface import (
    Canvas,
    Shape,
    decal,
    disc,
    grown,
    ribbon,
    rounded_box,
)

Pieces = list[tuple[str, Mesh]]


def front_details(canvas: Canvas) -> Pieces:
    """Headlamps, grille, lower intake, fog lamps, bumper strip and plate."""
    body = canvas.body
    d = body.design
    top, low = d.hood_front, d.clearance
    bumper = low + 0.5 * (top - low)
    width = float(body.half_width(np.array([0.15]), np.array([top - 0.1]))[0])
    lamp_z = 0.5 * (top + bumper) + 0.03
    lamp_half = min(0.5 * (top - bumper) - 0.06, 0.085)
    pieces: Pieces = []

    def front(shape: Shape, low_: tuple, high_: tuple, offset: float, cell: float = 0.02) -> Mesh:
        return decal(canvas, shape, low_, high_, view="front", offset=offset, cell=cell)

    inner, outer = {"almond": (0.50, 0.90), "slim": (0.46, 0.92), "round": (0.62, 0.88)}.get(
        d.lamps, (0.62, 0.90)
    )
    if d.lamps == "round":
        radius = lamp_half + 0.02
        centre = 0.74 * width
        housing, lens = disc(centre, lamp_z, radius), disc(centre, lamp_z, radius - 0.016)
        low_, high_ = (centre - 0.2, lamp_z - 0.2), (centre + 0.2, lamp_z + 0.2)
        rim = "chrome"
    else:
        half = {"almond": 0.85, "slim": 0.5, "block": 1.0}[d.lamps] * lamp_half
        slant = {"almond": 0.12, "slim": 0.16, "block": 0.0}[d.lamps]
        radius = {"almond": 0.05, "slim": 0.02, "block": 0.025}[d.lamps]
        a, b = (inner * width, lamp_z - half), (outer * width, lamp_z + half)
        housing = rounded_box(a, b, radius, slant)
        edge = 0.014
        lens = rounded_box(
            (a[0] + edge, a[1] + edge), (b[0] - edge, b[1] - edge), radius * 0.8, slant
        )
        low_, high_ = (a[0] - 0.02, a[1] - 0.08), (b[0] + 0.02, b[1] + 0.08)
        rim = "gloss"
    pieces.append((rim, with_mirror(front(housing, low_, high_, 0.007))))
    pieces.append(("lens", with_mirror(front(lens, low_, high_, 0.011))))
    bulb = lamp_half * {"slim": 0.40, "round": 0.75}.get(d.lamps, 0.62)
    for share in (0.5,) if d.lamps == "round" else (0.30, 0.68):
        at = (inner + share * (outer - inner)) * width
        tilt = 0.0 if d.lamps == "round" else slant * (at - 0.5 * (inner + outer) * width)
        spot = disc(at, lamp_z + tilt, bulb)
        pieces.append(("lamp", with_mirror(front(spot, low_, high_, 0.015))))

    pieces += _grille(canvas, width, inner * width - 0.04, bumper)
    # lower intake with a fog lamp at either end
    intake_low, intake_high = low + 0.07, min(bumper - 0.10, low + 0.22)
    mouth = rounded_box((-0.55 * width, intake_low), (0.55 * width, intake_high), 0.03)
    pieces.append(("trim", front(mouth, (-width, low), (width, bumper), 0.006, 0.03)))
    fog_z = 0.5 * (intake_low + intake_high) + 0.02
    pocket = rounded_box((0.64 * width, fog_z - 0.06), (0.86 * width, fog_z + 0.06), 0.03, 0.1)
    bounds = ((0.6 * width, fog_z - 0.12), (0.9 * width, fog_z + 0.12))
    pieces.append(("trim", with_mirror(front(pocket, *bounds, 0.007))))
    fog = disc(0.75 * width, fog_z, 0.038)
    pieces.append(("lamp", with_mirror(front(fog, *bounds, 0.012))))
    seam = np.linspace(-0.97 * width, 0.97 * width, 40)
    line = np.column_stack([seam, np.full_like(seam, bumper + 0.075)])
    pieces.append(("gap", ribbon(canvas, line, 0.010, view="front")))
    hood = d.length / 2 - np.array([0.22, 0.30, d.cowl - 0.02, d.cowl + 0.05])
    side = np.array([0.0, 0.66, 0.74, 0.70]) * d.width / 2
    hood[0] -= 0.02
    outline = np.column_stack([hood, side])
    if not d.cargo_height:
        pieces.append(("gap", with_mirror(ribbon(canvas, outline, 0.009, view="top"))))
    plate = rounded_box((-0.26, bumper - 0.075), (0.26, bumper + 0.035), 0.01)
    pieces.append(("plate", front(plate, (-0.3, bumper - 0.1), (0.3, bumper + 0.1), 0.012, 0.04)))
    return pieces


def _grille(canvas: Canvas, width: float, reach: float, bumper: float) -> Pieces:
    d = canvas.body.design
    if d.grille == "none":
        return []
    top = d.hood_front - 0.075
    bottom = bumper + 0.085
    half = {"bars": 0.42, "mesh": 0.46, "split": 0.44, "slim": 0.50, "upright": 0.36}[d.grille]
    half = min(half * width, reach)
    if d.grille == "slim":
        bottom = top - 0.065
    if d.grille in ("mesh", "upright"):
        top += 0.02
    if d.grille == "mesh":
        bottom -= 0.02
    frames = [(-half, half)]
    if d.grille == "split":
        frames = [(-half, -0.03), (0.03, half)]
    pieces: Pieces = []

    def front(shape: Shape, offset: float) -> Mesh:
        return decal(
            canvas,
            shape,
            (-half - 0.05, bottom - 0.05),
            (half + 0.05, top + 0.05),
            view="front",
            offset=offset,
            cell=0.02,
        )

    for left, right in frames:
        pieces.append(
            (
                "chrome",
                front(
                    rounded_box((left - 0.014, bottom - 0.014), (right + 0.014, top + 0.014), 0.03),
                    0.007,
                ),
            )
        )
        pieces.append(("trim", front(rounded_box((left, bottom), (right, top), 0.022), 0.010)))
        if d.grille in ("bars", "split", "slim"):
            count = max(int((top - bottom) / 0.035), 1)
            for z in np.linspace(bottom, top, count + 2)[1:-1]:
                line = np.array([(left + 0.01, z), (right - 0.01, z)])
                pieces.append(("chrome", ribbon(canvas, line, 0.010, view="front", offset=0.014)))
        elif d.grille == "upright":
            for y in np.linspace(left, right, 12)[1:-1]:
                line = np.array([(y, bottom + 0.01), (y, top - 0.01)])
                pieces.append(("chrome", ribbon(canvas, line, 0.012, view="front", offset=0.014)))
    badge = disc(0.0, 0.5 * (top + bottom), 0.035)
    pieces.append(("chrome", front(badge, 0.016)))
    return pieces


def rear_details(canvas: Canvas) -> Pieces:
    """Tail lamps, lid lines, bumper strip, plate, exhaust; a bed's gate or a box's doors."""
    body = canvas.body
    d = body.design
    top, low = d.deck_height, d.clearance
    pieces: Pieces = []
    if d.cargo_height:
        return _box_doors(body)
    bumper = low + (0.28 if d.bed else 0.46 * (top - low))
    end = d.length - 0.1
    width = float(body.half_width(np.array([end]), np.array([0.5 * (top + bumper)]))[0])

    def rear(shape: Shape, low_: tuple, high_: tuple, offset: float, cell: float = 0.02) -> Mesh:
        return decal(canvas, shape, low_, high_, view="rear", offset=offset, cell=cell)

    high = top - 0.04
    tall = d.height > 1.55 and not d.bed
    if d.tails == "vertical":
        a, b = (0.80 * width, bumper + 0.09), (0.95 * width, high + (0.10 if tall else 0.0))
        shapes = [rounded_box(a, b, 0.03)]
    elif d.tails == "round":
        r = min(0.5 * (high - bumper) - 0.05, 0.075)
        z = 0.5 * (high + bumper) + 0.05
        shapes = [disc(0.80 * width, z, r), disc(0.80 * width - 2.3 * r, z, 0.85 * r)]
    else:
        z = high - 0.10
        half = 0.05 if d.tails == "strip" else 0.07
        shapes = [rounded_box((0.52 * width, z - half), (0.93 * width, z + half), 0.03, -0.05)]
    bounds = ((0.3 * width, bumper), (width, top + 0.15))
    for shape in shapes:
        pieces.append(("gloss", with_mirror(rear(grown(shape, 0.012), *bounds, 0.007))))
        pieces.append(("tail", with_mirror(rear(shape, *bounds, 0.012))))
    if d.tails == "strip":
        band = rounded_box((-0.55 * width, z - 0.02), (0.55 * width, z + 0.02), 0.01)
        pieces.append(("tail", rear(band, (-width, z - 0.1), (width, z + 0.1), 0.009)))
    if d.tails != "round":
        reverse = rounded_box((0.60 * width, high - 0.125), (0.70 * width, high - 0.085), 0.01)
        if d.tails == "vertical":
            reverse = rounded_box(
                (0.81 * width, bumper + 0.12), (0.94 * width, bumper + 0.165), 0.01
            )
        pieces.append(("lamp", with_mirror(rear(reverse, *bounds, 0.012))))
    plate_z = bumper + 0.5 * (high - bumper) - 0.04
    if tall:
        plate_z = bumper + 0.17
    recess = rounded_box((-0.33, plate_z - 0.085), (0.33, plate_z + 0.085), 0.03)
    pieces.append(("trim", rear(recess, (-0.4, plate_z - 0.1), (0.4, plate_z + 0.1), 0.007)))
    plate = rounded_box((-0.26, plate_z - 0.055), (0.26, plate_z + 0.055), 0.01)
    pieces.append(("plate", rear(plate, (-0.3, plate_z - 0.1), (0.3, plate_z + 0.1), 0.010, 0.04)))
    skirt_z = low + 0.10
    skirt = rounded_box((-0.62 * width, skirt_z - 0.02), (0.62 * width, skirt_z + 0.09), 0.03)
    pieces.append(("trim", rear(skirt, (-width, low), (width, bumper), 0.006, 0.03)))
    seam = np.linspace(-0.95 * width, 0.95 * width, 40)
    across = np.column_stack([seam, np.full_like(seam, bumper + 0.045)])
    pieces.append(("gap", ribbon(canvas, across, 0.010, view="rear")))
    lid = 0.78 * width if d.tails == "vertical" else 0.72 * width
    line = np.array(
        [(-lid, top - 0.02), (-lid, bumper + 0.06), (lid, bumper + 0.06), (lid, top - 0.02)]
    )
    pieces.append(("gap", ribbon(canvas, line, 0.009, view="rear")))
    return pieces


def _box_doors(body: Body) -> Pieces:
    d = body.design
    x = -d.length / 2 - 0.004
    low, high = 0.66 * d.cowl_height, d.cargo_height
    half = d.width / 2
    pieces: Pieces = [
        ("gap", box((x, -0.006, low + 0.06), (x + 0.01, 0.006, high - 0.06))),
        ("trim", box((x - 0.02, -half, 0.42), (x + 0.1, half, 0.56))),
        ("plate", box((x - 0.03, -0.26, 0.44), (x, 0.26, 0.54))),
    ]
    for y in (-0.35, -0.12, 0.12, 0.35):
        pieces.append(
            ("chrome", box((x - 0.012, y - 0.012, low + 0.05), (x, y + 0.012, high - 0.05)))
        )
    for sign in (-1.0, 1.0):
        y0, y1 = sorted((sign * (half - 0.30), sign * (half - 0.02)))
        pieces.append(("tail", box((x - 0.03, y0, 0.45), (x, y1, 0.54))))
    return pieces


def side_details(canvas: Canvas) -> Pieces:
    """Shut lines, door handles, sills, cladding, mirrors, rails, spoiler, spare wheel."""
    body = canvas.body
    d = body.design
    half = d.length / 2
    pieces: Pieces = []
    sill = d.clearance + 0.10

    def line(stations: list[float], heights: list[float], width: float = 0.010) -> Mesh:
        path = np.column_stack([half - np.array(stations), heights])
        return with_mirror(ribbon(canvas, path, width, view="left"))

    door = max(d.cowl + 0.14, d.front_axle + ARCH * d.wheel_radius + 0.10)
    last = d.rear_axle - ARCH * d.wheel_radius - 0.07

    def belt(s: float) -> float:
        return float(body.belt(np.array([s]))[0])

    edges = [door]
    edges += [pillar for pillar in d.pillars if pillar < last - 0.25]
    rear_edge = last if not (d.bed or d.cargo_height) else min(d.rear_base - 0.10, last)
    if d.open_top:
        rear_edge = d.rear_base - 0.02
    edges.append(rear_edge)
    for s in edges:
        pieces.append(("gap", line([s, s], [sill + 0.02, belt(s) + 0.01])))
    pieces.append(("gap", line([edges[0], edges[-1]], [sill + 0.02, sill + 0.02], 0.008)))
    for start, end in pairwise(edges):
        if end - start > 0.45:
            s = end - 0.16
            y = float(body.half_width(np.array([s]), np.array([belt(s) - 0.12]))[0])
            pieces.append(
                (
                    "chrome",
                    with_mirror(
                        ellipsoid((half - s, y - 0.005, belt(s) - 0.12), (0.09, 0.02, 0.014))
                    ),
                )
            )
    if d.cladding:
        for axle in (d.front_axle, d.rear_axle):
            turn = np.linspace(-0.15, np.pi + 0.15, 40)
            radius = d.wheel_radius * ARCH + 0.03
            stations = axle - radius * np.cos(turn)
            heights = d.wheel_radius + radius * np.sin(turn)
            keep = heights > d.clearance + 0.02
            pieces.append(("plastic", line(list(stations[keep]), list(heights[keep]), 0.065)))
    between = [
        d.front_axle + ARCH * d.wheel_radius + 0.02,
        d.rear_axle - ARCH * d.wheel_radius - 0.02,
    ]
    height = 0.12 if d.cladding else 0.05
    z = d.clearance + 0.035 + height / 2
    pieces.append(("plastic", line(between, [z, z], height)))
    pieces += _mirrors(body)
    if d.roof_rails:
        pieces.append(("trim", with_mirror(_roof_rail(canvas))))
    if d.spoiler and not (d.bed or d.cargo_height):
        pieces.append(_spoiler(body))
    if d.spare_wheel:
        ring = np.array([(-0.10, 0.01), (-0.10, 0.25), (-0.06, 0.33), (0.06, 0.35), (0.10, 0.30)])
        turned = revolve(ring * [1.0, d.wheel_radius / 0.36], 32)
        swap = turned.vertices[:, [1, 0, 2]] * [1.0, -1.0, 1.0]
        normals = turned.normals[:, [1, 0, 2]] * [1.0, -1.0, 1.0]
        spare = Mesh(swap, turned.faces, normals).moved(
            x=-half - 0.02, z=d.clearance + 0.45 + d.wheel_radius * 0.6
        )
        pieces.append(("tyre", spare))
    return pieces


def _mirrors(body: Body) -> Pieces:
    d = body.design
    s = d.cowl + 0.30 * (d.screen_top - d.cowl) + 0.12
    size = 1.3 if d.height > 1.6 else 1.0
    z = float(body.belt(np.array([s]))[0]) + 0.06 + 0.05 * size
    y = float(body.half_width(np.array([s]), np.array([z - 0.14]))[0])
    x = d.length / 2 - s
    shell = ellipsoid((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    square = np.sum(np.abs(shell.vertices) ** 3.5, axis=1, keepdims=True) ** (1 / 3.5)
    shaped = shell.vertices / square * [0.05 * size, 0.095 * size, 0.058 * size]
    shaped[:, 0] -= 0.25 * shaped[:, 1]  # swept back towards its tip
    shaped[:, 0] = np.maximum(shaped[:, 0], -0.02 - 0.25 * shaped[:, 1])
    shell = Mesh(shaped + np.array([x, y + 0.055 * size, z]), shell.faces)
    foot = box((x - 0.03, y - 0.16, z - 0.05 * size), (x + 0.025, y + 0.03, z - 0.025))
    return [("paint", with_mirror(shell)), ("trim", with_mirror(foot))]


def _spoiler(body: Body) -> tuple[str, Mesh]:
    d = body.design
    if d.rear_base > d.length - 0.45:  # a hatch carries it at the end of the roof
        x, z = d.length / 2 - d.roof_rear - 0.10, d.height - 0.075
        y = d.width / 2 - 0.33
    else:
        x, z = -d.length / 2 + 0.16, d.deck_height + 0.035
        y = d.width / 2 - 0.24
    return "paint", box((x - 0.13, -y, z), (x + 0.12, y, z + 0.028))


def _roof_rail(canvas: Canvas) -> Mesh:
    """A low rail that follows the roof's left edge."""
    body = canvas.body
    d = body.design
    roof = np.array([d.height])
    y = float(body.cabin_half_width(np.array([d.roof_rear]), roof)[0]) - 0.05
    x = np.linspace(d.length / 2 - d.roof_rear + 0.02, d.length / 2 - d.screen_top - 0.15, 14)
    path, _, _ = canvas.project(np.column_stack([x, np.full_like(x, y)]), "top")
    lift = 0.045 * np.minimum(1.0, np.minimum(np.arange(14), np.arange(14)[::-1]) / 1.0)
    path[:, 2] += lift - 0.005
    return join(*(rod(path[k], path[k + 1], 0.017) for k in range(13)))
