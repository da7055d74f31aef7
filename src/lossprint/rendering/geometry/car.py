"""A design becomes a car: parts with vertices, faces, normals and a material's name."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from lossprint.rendering.designs import Design
from lossprint.rendering.geometry.body import ARCH, Body
from lossprint.rendering.geometry.details import front_details, rear_details, side_details
from lossprint.rendering.geometry.glass import cockpit, glasshouse, without_windows
from lossprint.rendering.geometry.mesh import (
    Mesh,
    box,
    clip,
    curtain,
    isosurface,
    join,
    with_mirror,
)
from lossprint.rendering.geometry.surface import Canvas
from lossprint.rendering.geometry.wheels import WIDTH, wheel


@dataclass(frozen=True)
class Part:
    """All triangles of one material.

    vertices [V, 3] float32 metres, faces [F, 3] uint32 wound either way (materials are
    two-sided), normals [V, 3] float32 of unit length, out of the car.
    """

    name: str
    vertices: NDArray[np.float32]
    faces: NDArray[np.uint32]
    normals: NDArray[np.float32]
    material: str

    @classmethod
    def of(cls, name: str, material: str, mesh: Mesh) -> Self:
        """A mesh as a part."""
        return cls(
            name,
            mesh.vertices.astype(np.float32),
            mesh.faces.astype(np.uint32),
            mesh.normals.astype(np.float32),
            material,
        )


@dataclass(frozen=True)
class Car:
    """A car standing on z = 0, x forward, y left, centred on the origin."""

    name: str
    parts: tuple[Part, ...]

    @property
    def bounds(self) -> NDArray[np.float64]:
        """Lowest and highest corner [2, 3]."""
        vertices = np.concatenate([part.vertices for part in self.parts]).astype(np.float64)
        return np.stack([vertices.min(axis=0), vertices.max(axis=0)])


def build_car(design: Design, *, cell: float = 0.04) -> Car:
    """Build a design's geometry; `cell` is the size of the shell's triangles in metres.

    Raises:
        ValueError: if cell is not between 0.01 and 0.1.
    """
    if not 0.01 <= cell <= 0.1:
        raise ValueError(f"cell must be between 0.01 and 0.1 m, got {cell}")
    body = Body(design)
    canvas = Canvas(body)
    meshes: dict[str, list[Mesh]] = defaultdict(list)
    for material, mesh in [
        *_shell(body, cell),
        *(cockpit(body) if design.open_top else glasshouse(canvas)),
        *front_details(canvas),
        *rear_details(canvas),
        *side_details(canvas),
        *_running_gear(design),
    ]:
        if len(mesh.faces):
            meshes[material].append(mesh)
    parts = (Part.of(material, material, join(*meshes[material])) for material in sorted(meshes))
    return Car(design.name, tuple(parts))


def _shell(body: Body, cell: float) -> list[tuple[str, Mesh]]:
    """The painted surface with its wheel arches, bed or cockpit cut out, and what lies inside."""
    d = body.design
    half = isosurface(
        body,
        np.array([-d.length / 2 - 2.5 * cell, 0.0, d.clearance - 2.5 * cell]),
        np.array([d.length / 2 + 2.5 * cell, d.width / 2 + 0.1 + 2 * cell, d.height + 3 * cell]),
        cell,
    )
    pieces: list[tuple[str, Mesh]] = []
    for axle in (d.front_axle, d.rear_axle):
        x = d.length / 2 - axle
        distance = np.hypot(half.vertices[:, 0] - x, half.vertices[:, 2] - d.wheel_radius)
        outside = d.width / 2 - 0.42 - half.vertices[:, 1]
        _, half, edges = clip(half, np.maximum(distance - ARCH * d.wheel_radius, outside))
        outer = edges[(edges[:, :, 1] > d.width / 2 - 0.30).all(axis=1)]
        well = curtain(outer[:, ::-1], np.array([0.0, -0.32, 0.0]))
        pieces.append(("cavity", with_mirror(well)))
        wall = box(
            (x - ARCH * d.wheel_radius, -d.width / 2 + 0.40, d.wheel_radius * 0.6),
            (x + ARCH * d.wheel_radius, d.width / 2 - 0.40, d.wheel_radius * (ARCH + 0.9)),
        )
        pieces.append(("cavity", wall))
    for name, opening in (("bed", d.bed), ("cockpit", d.open_top)):
        if not opening:
            continue
        s = body.station(half.vertices[:, 0])
        y, z = half.vertices[:, 1], half.vertices[:, 2]
        if name == "bed":
            start, end, depth = d.rear_base + 0.07, d.length - 0.10, 0.46
        else:
            start, end, depth = d.cowl + 0.12, d.rear_base + 0.05, 0.50
        inset = 0.10 if name == "bed" else 0.17
        rim = np.full_like(s, d.deck_height if name == "bed" else d.cowl_height)
        outline = np.maximum.reduce(
            [
                y - (d.width / 2 * 0.97 - inset),
                start - s,
                s - end,
                rim - 0.22 - z,
            ]
        )
        _, half, edges = clip(half, outline)
        floor_height = float(rim[0]) - depth
        drop = edges * [1.0, 1.0, 0.0] + [0.0, 0.0, floor_height] - edges
        lining = curtain(edges, drop)
        material = "bed" if name == "bed" else "interior"
        floor = box(
            (d.length / 2 - end - 0.02, -d.width / 2 + 0.2, floor_height - 0.03),
            (d.length / 2 - start + 0.02, d.width / 2 - 0.2, floor_height),
        )
        pieces += [(material, with_mirror(lining)), (material, floor)]
    if not d.open_top:
        half = without_windows(body, half)
    pieces.append(("paint", with_mirror(half)))
    if d.cargo_height:
        front = d.length / 2 - d.rear_base - 0.10
        cargo = box(
            (-d.length / 2 + 0.0, -d.width / 2 - 0.02, 0.66 * d.cowl_height),
            (front, d.width / 2 + 0.02, d.cargo_height),
        )
        pieces.append(("paint", cargo))
    return pieces


def _running_gear(d: Design) -> list[tuple[str, Mesh]]:
    pieces: list[tuple[str, Mesh]] = []
    for material, mesh in wheel(d.wheel_radius, d.spokes).items():
        name = "dark_rim" if material == "rim" and d.dark_rims else material
        for axle in (d.front_axle, d.rear_axle):
            at = mesh.moved(
                x=d.length / 2 - axle, y=d.width / 2 - 0.035 - WIDTH / 2, z=d.wheel_radius
            )
            pieces.append((name, with_mirror(at)))
    floor = box(
        (-d.length / 2 + 0.25, -d.width / 2 + 0.28, d.clearance + 0.015),
        (d.length / 2 - 0.25, d.width / 2 - 0.28, d.clearance + 0.25),
    )
    pieces.append(("cavity", floor))
    return pieces
