"""The painted shell: body and cabin as one smooth implicit function of a design."""

import numpy as np

from lossprint.rendering.designs import Design
from lossprint.rendering.geometry.fields import (
    Array,
    Profile,
    fillet,
    smooth_max,
    smooth_min,
    smoothstep,
)

ARCH = 1.14  # radius of a wheel arch over the wheel's


class Body:
    """Signed distance to a design's shell, and the curves along it that details follow.

    Calling it with points [N, 3] in the car's frame gives an approximate signed distance [N] that
    is symmetric in y. Stations s are metres behind the nose: s = length / 2 − x.
    """

    def __init__(self, design: Design) -> None:
        self.design = design
        self._outline = Profile(fillet(_body_outline(design)))
        self._cabin = None if design.open_top else Profile(fillet(_cabin_outline(design)))

    def station(self, x: Array) -> Array:
        """Distance behind the nose of x."""
        return self.design.length / 2 - x

    def belt(self, s: Array) -> Array:
        """Height of the lower edge of the side windows at stations s."""
        d = self.design
        return np.interp(s, [d.cowl, d.rear_base], [d.cowl_height, d.deck_height])

    def cabin_distance(self, s: Array, z: Array) -> Array:
        """Signed distance to the cabin's side profile."""
        if self._cabin is None:
            raise ValueError(f"design {self.design.name!r} is open: it has no cabin profile")
        return self._cabin(s, z)

    def half_width(self, s: Array, z: Array) -> Array:
        """Half of the body's width at station s and height z, the rounding of edges aside."""
        d = self.design
        middle = 2.0 * s / d.length - 1.0
        boxy = 0.5 if d.bed or d.cargo_height else 1.0
        width = d.width / 2 * (1.0 - 0.075 * boxy * np.abs(middle) ** 3.5)
        shoulder = 0.80 * np.interp(s, [0.0, d.cowl, d.length], [0.86, 1.0, 1.02]) * d.cowl_height
        below = np.clip((shoulder - z) / (shoulder - d.clearance), 0.0, 1.3)
        above = np.clip((z - shoulder) / (0.28 * d.cowl_height), 0.0, 1.3)
        width = width - 0.065 * below**1.7 - 0.055 * above**1.5
        sill = d.clearance + 0.17
        width = width + 0.010 * np.exp(-(((z - sill) / 0.045) ** 2))
        for axle in (d.front_axle, d.rear_axle):
            distance = np.hypot(s - axle, z - d.wheel_radius)
            width = width + d.flare * (
                1.0 - smoothstep(0.0, 0.16, np.abs(distance - d.wheel_radius * ARCH))
            )
        return width

    def cabin_half_width(self, s: Array, z: Array) -> Array:
        """Half of the cabin's width at station s and height z."""
        d = self.design
        belt = self.belt(s)
        middle = 2.0 * s / d.length - 1.0
        base = d.width / 2 * (1.0 - 0.05 * np.abs(middle) ** 3) - 0.055
        rise = z - belt
        return base - np.tan(np.radians(d.tumblehome)) * (rise + 0.12 * rise**2)

    def __call__(self, points: Array) -> Array:
        d = self.design
        s, y, z = self.station(points[:, 0]), np.abs(points[:, 1]), points[:, 2]
        bowed = y**2 * d.plan_bow
        along = s - bowed * (1.0 - smoothstep(0.2, 1.4, s))
        along = along + bowed * 0.8 * smoothstep(d.length - 1.2, d.length - 0.2, s)
        crown = 0.0 if d.bed or d.cargo_height else 0.045
        front = 0.055 * (1.0 - smoothstep(d.cowl - 0.4, d.cowl + 0.4, s))
        raised = z + np.maximum(front, crown) * y**2
        shell = smooth_max(self._outline(along, raised), y - self.half_width(s, z), 2.0 * d.blend)
        if self._cabin is None:
            return shell
        cabin = smooth_max(
            self._cabin(
                s - 0.10 * y**2 * (1.0 - smoothstep(d.screen_top, d.roof_rear, s)), z + 0.045 * y**2
            ),
            y - self.cabin_half_width(s, z),
            2.2 * d.blend,
        )
        return smooth_min(shell, cabin, 0.09)


def _body_outline(d: Design) -> list[tuple[float, float, float]]:
    """Corners (station, height, fillet radius) of the side view below the windows."""
    low = d.clearance
    bumper = low + 0.5 * (d.hood_front - low)
    top = d.deck_height
    over_arch = d.wheel_radius * (1.0 + ARCH) + 0.075
    nose = [
        (0.26, low, 0.10),
        (0.035, low + 0.07, 0.08),
        (0.0, bumper - 0.08, 0.08),
        (0.0, bumper + 0.05, 0.05),
        (0.028, bumper + 0.08, 0.03),
        (0.075, d.hood_front - 0.07, 0.10),
        (0.19, d.hood_front, 0.14),
        (
            0.55 * d.cowl + 0.12,
            max(d.hood_front + 0.68 * (d.cowl_height - d.hood_front), over_arch),
            0.40,
        ),
        (d.cowl, d.cowl_height, 0.20),
    ]
    end = d.length
    if d.cargo_height:
        deck = 0.62 * d.cowl_height
        tail = [(d.rear_base, top, 0.1), (d.rear_base + 0.03, deck, 0.05), (end - 0.02, deck, 0.04)]
        return [*nose, *tail, (end - 0.02, deck - 0.18, 0.04), (end - 0.3, low + 0.1, 0.1)]
    if d.bed:
        tail = [(d.rear_base, top, 0.1), (end - 0.03, top, 0.05), (end - 0.02, low + 0.30, 0.06)]
        return [*nose, *tail, (end - 0.10, low + 0.22, 0.06), (end - 0.45, low + 0.1, 0.1)]
    rear_bumper = low + 0.46 * (top - low)
    return [
        *nose,
        (d.rear_base, top, 0.25),
        (end - 0.085, top - 0.02, 0.07),
        (end - 0.06, top - 0.13, 0.10),
        (end - 0.04, rear_bumper + 0.08, 0.04),
        (end, rear_bumper + 0.04, 0.04),
        (end, rear_bumper - 0.12, 0.10),
        (end - 0.06, low + 0.08, 0.10),
        (end - 0.35, low + 0.03, 0.12),
    ]


def _cabin_outline(d: Design) -> list[tuple[float, float, float]]:
    """Corners (station, height, fillet radius) of the side view of screens and roof."""
    base = min(d.cowl_height, d.deck_height) - 0.22
    roof = d.roof_rear - d.screen_top
    front = (d.screen_top - d.cowl) / (d.height - d.cowl_height)
    back = (d.rear_base - d.roof_rear) / (d.height - d.deck_height)
    return [
        (d.cowl - front * (d.cowl_height - base), base, 0.05),
        (d.screen_top, d.height - 0.035, min(0.34, 0.45 * roof)),
        (d.screen_top + 0.42 * roof, d.height + 0.012, 0.5),
        (d.roof_rear, d.height - 0.05, min(0.30, 0.45 * roof)),
        (d.rear_base, d.deck_height - 0.01, 0.03),
        (min(d.rear_base + back * (d.deck_height - base), d.length - 0.16), base, 0.05),
    ]
