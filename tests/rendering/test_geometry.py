"""Geometry: implicit functions and cuts by hand-made oracles, cars by their design's measures."""

from itertools import combinations

import numpy as np
import pytest

from lossprint.rendering.designs import Design, probe_designs, world_design
from lossprint.rendering.geometry import Car, build_car
from lossprint.rendering.geometry.body import Body
from lossprint.rendering.geometry.fields import (
    Profile,
    fillet,
    gradient,
    polygon_distance,
    smooth_max,
    smooth_min,
    unit,
)
from lossprint.rendering.geometry.mesh import (
    Mesh,
    box,
    clip,
    curtain,
    isosurface,
    revolve,
    with_mirror,
)
from lossprint.rendering.geometry.surface import Canvas, decal, disc
from lossprint.rendering.geometry.wheels import wheel
from lossprint.rendering.materials import MATERIALS, material_named

CELL = 0.09
# A closed car, one with a bed, an open one and one with a cargo box.
DESIGNS = [
    probe_designs()["sedan"],
    probe_designs()["pickup"],
    world_design(0, 7),
    world_design(0, 12),
]


@pytest.fixture(scope="module", params=DESIGNS, ids=lambda design: design.name)
def built(request: pytest.FixtureRequest) -> tuple[Design, Car]:
    return request.param, build_car(request.param, cell=CELL)


def _areas(mesh: Mesh) -> np.ndarray:
    corners = mesh.vertices[mesh.faces]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return np.linalg.norm(cross, axis=1) / 2


def _lone_edges(mesh: Mesh) -> np.ndarray:
    """Edges [E, 2] that only one face has."""
    edges = np.sort(mesh.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    unique, count = np.unique(edges, axis=0, return_counts=True)
    return unique[count == 1]


def _volume(mesh: Mesh) -> float:
    a, b, c = np.moveaxis(mesh.vertices[mesh.faces], 1, 0)
    return float((np.cross(a, b) * c).sum() / 6)


def test_smooth_maximum_rounds_the_crease_alone():
    a, b = np.array([0.0, 0.0, 1.0]), np.array([0.0, 0.5, 0.2])
    expected = [0.12 / 6, 0.5, 1.0]
    np.testing.assert_allclose(smooth_max(a, b, 0.12), expected)
    np.testing.assert_allclose(smooth_min(-a, -b, 0.12), np.negative(expected))


def test_polygon_distance_of_a_square():
    square = np.array([(0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (0.0, 2.0)])
    points = np.array([(1.0, 1.0), (1.9, 1.0), (3.0, 1.0), (5.0, 6.0), (-1.0, -1.0)])
    expected = [-1.0, -0.1, 1.0, 5.0, np.sqrt(2.0)]
    np.testing.assert_allclose(polygon_distance(points, square), expected)
    profile = Profile(square, cell=0.02)
    u, v = np.array([(1.0, 0.9), (1.9, 1.0), (2.3, 1.0), (4.0, 1.0)]).T
    # Beyond its margin of 0.45 a table keeps the value it has there.
    np.testing.assert_allclose(profile(u, v), [-0.9, -0.1, 0.3, 0.47], atol=2e-2)


def test_fillet_cuts_corners_and_keeps_to_the_polygon():
    corners = [(0.0, 0.0, 0.2), (1.0, 0.0, 0.2), (1.0, 1.0, 0.0), (0.0, 1.0, 5.0)]
    rounded = fillet(corners)
    square = np.array([(u, v) for u, v, _ in corners])
    assert (polygon_distance(rounded, square) < 1e-9).all()
    x, y = rounded.T
    area = 0.5 * abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))
    # A parabola takes a third of the corner's triangle r · r / 2 (5 is cut to 45 % of its edges),
    # and the chords of its six pieces a 36th of the other two thirds.
    triangles = (2 * 0.2**2 + 0.45**2) / 2
    assert area == pytest.approx(1.0 - triangles * (1 / 3 + 2 / 3 / 36), abs=1e-9)


def test_isosurface_of_a_ball_is_closed_smooth_and_right_in_size():
    def ball(points: np.ndarray) -> np.ndarray:
        return np.linalg.norm(points, axis=1) - 0.5

    mesh = isosurface(ball, np.full(3, -0.7), np.full(3, 0.7), 0.06)
    assert len(_lone_edges(mesh)) == 0
    np.testing.assert_allclose(np.linalg.norm(mesh.vertices, axis=1), 0.5, atol=1e-4)
    np.testing.assert_allclose(mesh.normals, mesh.vertices / 0.5, atol=1e-3)
    assert abs(_volume(mesh)) == pytest.approx(4 / 3 * np.pi * 0.125, rel=0.01)


def test_clip_divides_area_exactly_and_returns_the_cut():
    mesh = Mesh(
        np.array([(0.0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)]), np.array([(0, 1, 2), (0, 2, 3)])
    )
    inside, outside, edges = clip(mesh, mesh.vertices[:, 0] - 0.3)
    assert _areas(inside).sum() == pytest.approx(0.3)
    assert _areas(outside).sum() == pytest.approx(0.7)
    np.testing.assert_allclose(edges[..., 0], 0.3)
    assert np.linalg.norm(edges[:, 1] - edges[:, 0], axis=1).sum() == pytest.approx(1.0)
    wall = curtain(edges, np.array([0.0, 0.0, -0.5]))
    assert _areas(wall).sum() == pytest.approx(0.5)


def test_clip_that_misses_leaves_the_mesh_whole():
    mesh = box((0, 0, 0), (1, 1, 1))
    inside, outside, edges = clip(mesh, mesh.vertices[:, 0] + 1.0)
    assert (len(inside.faces), len(outside.faces), len(edges)) == (0, 12, 0)


def test_box_and_mirror_point_outwards():
    one = box((0.0, 1.0, 0.0), (1.0, 3.0, 0.5))
    assert _volume(one) == pytest.approx(1.0)
    assert _volume(with_mirror(one)) == pytest.approx(2.0)


def test_revolving_a_line_gives_a_cylinder():
    tube = revolve(np.array([(0.0, 0.4), (1.0, 0.4)]), 90)
    assert _areas(tube).sum() == pytest.approx(2 * np.pi * 0.4, rel=1e-3)
    assert (tube.normals[:, [0, 2]] * tube.vertices[:, [0, 2]]).sum(axis=1).min() > 0.39


def test_the_shell_is_watertight_but_for_its_plane_of_symmetry():
    design = probe_designs()["sedan"]
    body = Body(design)
    low = np.array([-design.length / 2 - 0.2, 0.0, design.clearance - 0.2])
    high = np.array([design.length / 2 + 0.2, design.width / 2 + 0.2, design.height + 0.2])
    mesh = isosurface(body, low, high, CELL)
    assert np.abs(mesh.vertices[_lone_edges(mesh)][..., 1]).max() < 1e-6
    inner = mesh.vertices[:, 1] > 1e-6
    assert np.abs(body(mesh.vertices[inner])).max() < 0.01


def test_a_decal_lies_on_the_shell_at_its_offset():
    body = Body(probe_designs()["van"])
    shape = disc(0.0, 1.2, 0.15)
    spot = decal(Canvas(body), shape, (-0.2, 1.0), (0.2, 1.4), view="left", offset=0.02)
    np.testing.assert_allclose(body(spot.vertices), 0.02, atol=3e-3)
    slope = unit(gradient(body, spot.vertices))
    assert ((slope * spot.normals).sum(axis=1) > 0.98).all()
    assert (spot.vertices[:, 1] > 0.5).all()
    assert _areas(spot).sum() == pytest.approx(np.pi * 0.15**2, rel=0.05)


def test_wheels_are_round_and_have_their_radius():
    parts = wheel(0.34, spokes=6)
    reach = np.hypot(parts["tyre"].vertices[:, 0], parts["tyre"].vertices[:, 2])
    assert reach.max() == pytest.approx(0.34)
    assert len(wheel(0.34, spokes=9)["rim"].faces) > len(parts["rim"].faces)


def test_parts_are_sound(built: tuple[Design, Car]):
    _, car = built
    assert len({part.name for part in car.parts}) == len(car.parts)
    for part in car.parts:
        assert part.material in MATERIALS
        assert part.vertices.dtype == np.float32
        assert np.isfinite(part.vertices).all()
        np.testing.assert_allclose(np.linalg.norm(part.normals, axis=1), 1.0, atol=1e-4)
        assert part.faces.max() < len(part.vertices)


def test_a_car_has_its_designs_size_and_stands_on_the_ground(built: tuple[Design, Car]):
    design, car = built
    parts = {part.name: part.vertices.astype(np.float64) for part in car.parts}
    paint = parts["paint"]
    assert np.ptp(paint[:, 0]) == pytest.approx(design.length, abs=0.06)
    sides = np.abs(paint[paint[:, 2] < 0.9 * design.cowl_height, 1]).max()
    assert sides == pytest.approx(design.width / 2, abs=0.07)
    top = design.cargo_height or design.height
    roof = 0.0 if design.open_top else paint[:, 2].max()
    assert design.open_top or roof == pytest.approx(top, abs=0.05)
    assert car.bounds[0, 2] == pytest.approx(0.0, abs=1e-6)
    assert parts["tyre"][:, 2].max() == pytest.approx(2 * design.wheel_radius, abs=0.3)
    low = parts["tyre"][parts["tyre"][:, 2] < 0.05]
    front = low[low[:, 0] > 0, 0].mean()
    assert front == pytest.approx(design.length / 2 - design.front_axle, abs=1e-3)
    rear = low[low[:, 0] < 0, 0].mean()
    assert rear == pytest.approx(design.length / 2 - design.rear_axle, abs=1e-3)


def test_a_car_is_symmetric(built: tuple[Design, Car]):
    _, car = built
    for part in car.parts:
        assert part.vertices[:, 1].min() == pytest.approx(-part.vertices[:, 1].max(), abs=0.02)


def test_every_car_shows_lamps_tail_lamps_plates_wheels_and_glass(built: tuple[Design, Car]):
    design, car = built
    centre = {part.name: part.vertices.mean(axis=0) for part in car.parts}
    assert {"paint", "lamp", "tail", "plate", "tyre", "trim"} <= set(centre)
    assert "glass" in centre
    assert centre["tail"][0] < -0.35 * design.length


def _sheets(part, axes: list[int], at: tuple[float, float], beyond: tuple[int, float]) -> int:
    """How many triangles cover a point of a plane of two axes, beyond a value of the third."""
    corners = part.vertices[part.faces].astype(np.float64)
    axis, value = beyond
    corners = corners[(corners[:, :, axis] * np.sign(value) > abs(value)).all(axis=1)]
    a, b, c = (corners[:, k][:, axes] - at for k in range(3))
    turns = np.stack([p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0] for p, q in ((a, b), (b, c), (c, a))])
    return int(((turns > 0).all(axis=0) | (turns < 0).all(axis=0)).sum())


def test_windows_are_open_in_the_shell_and_closed_by_panes():
    design = probe_designs()["sedan"]
    parts = {part.name: part for part in build_car(design, cell=CELL).parts}
    door = design.length / 2 - 0.5 * (design.screen_top + design.pillars[0])
    over_the_belt = design.cowl_height + 0.2
    for axes, at, beyond in (
        ([0, 2], (door, over_the_belt), (1, 0.3)),
        ([0, 2], (door, over_the_belt), (1, -0.3)),
        ([1, 2], (0.05, over_the_belt), (0, 0.1)),
        ([1, 2], (0.05, over_the_belt), (0, -0.3)),
    ):
        assert _sheets(parts["paint"], axes, at, beyond) == 0
        assert _sheets(parts["glass"], axes, at, beyond) == 1
        assert _sheets(parts["trim"], axes, at, beyond) == 0
        below = (at[0], at[1] - 0.35)
        assert _sheets(parts["paint"], axes, below, beyond) >= 1


def test_geometry_is_the_same_every_time():
    design = world_design(2, 5)
    one, two = build_car(design, cell=CELL), build_car(design, cell=CELL)
    for a, b in zip(one.parts, two.parts, strict=True):
        np.testing.assert_array_equal(a.vertices, b.vertices)


def test_side_views_of_the_probe_designs_differ():
    grid = np.stack(np.meshgrid(np.arange(-2.7, 2.7, 0.05), np.arange(0.2, 2.0, 0.05)), axis=-1)
    points = np.insert(grid.reshape(-1, 2), 1, 0.0, axis=1)
    filled = {name: Body(design)(points) < 0 for name, design in probe_designs().items()}
    for a, b in combinations(filled, 2):
        overlap = (filled[a] & filled[b]).sum() / (filled[a] | filled[b]).sum()
        assert overlap < 0.88, (a, b, overlap)


@pytest.mark.parametrize("cell", [0.0, 0.2])
def test_a_cell_out_of_range_is_refused(cell: float):
    with pytest.raises(ValueError, match=rf"between 0\.01 and 0\.1 m, got {cell}"):
        build_car(probe_designs()["sedan"], cell=cell)


def test_an_open_design_has_no_cabin():
    body = Body(world_design(0, 7))
    with pytest.raises(ValueError, match="roadster_007"):
        body.cabin_distance(np.zeros(1), np.zeros(1))


def test_materials_by_name_and_by_colour():
    assert material_named("paint") is MATERIALS["paint"]
    assert material_named("rgb:0.2,0.3,0.4").color == (0.2, 0.3, 0.4)
    with pytest.raises(ValueError, match="unknown material 'gold'"):
        material_named("gold")
