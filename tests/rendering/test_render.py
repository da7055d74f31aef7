"""Rendering: the same pixels every time, masks that fit the picture, properties kept apart."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from scipy import ndimage

from lossprint.rendering import layout
from lossprint.rendering.designs import probe_designs
from lossprint.rendering.geometry import Car, build_car
from lossprint.rendering.render import Frame, Renderer, _sky

SIZE, SAMPLES = 40, 4
PROPERTIES = {
    "rotation_z": 40.0,
    "color_hue": 0.0,
    "color_sat": 0.9,
    "color_val": 0.8,
    "bg_color_hue": 0.6,
    "bg_color_sat": 0.3,
    "bg_color_val": 0.6,
    "camera_loc_z": 1.6,
    "sun_elevation": 35.0,
    "sun_rotation": 45.0,
}


@pytest.fixture(scope="module")
def car() -> Car:
    return build_car(probe_designs()["hatchback"], cell=0.1)


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer("scalar_rgb")


@pytest.fixture(scope="module")
def base(renderer: Renderer, car: Car) -> Frame:
    return _render(renderer, car)


def _render(renderer: Renderer, car: Car, **changes: float) -> Frame:
    return renderer.render(car, PROPERTIES | changes, size=SIZE, samples=SAMPLES, seed=3)


def _digest(frame: Frame) -> str:
    return hashlib.sha256(frame.image.tobytes() + frame.mask.tobytes()).hexdigest()


def _differs(a: Frame, b: Frame) -> np.ndarray:
    return np.abs(a.image.astype(int) - b.image).max(axis=-1)


def test_frame_has_the_promised_form(base: Frame):
    assert base.image.shape == (SIZE, SIZE, 3)
    assert base.mask.shape == (SIZE, SIZE)
    assert base.image.dtype == base.mask.dtype == np.uint8
    assert set(np.unique(base.mask)) == {0, 1, 2}


def test_a_reused_scene_gives_the_same_pixels(renderer: Renderer, car: Car, base: Frame):
    _render(renderer, car, color_hue=0.5, bg_color_hue=0.1, sun_rotation=-45.0, rotation_z=200.0)
    assert _digest(_render(renderer, car)) == _digest(base)


def test_another_process_and_thread_count_give_the_same_pixels(base: Frame):
    program = """
from lossprint.rendering.designs import probe_designs
from lossprint.rendering.geometry import build_car
from lossprint.rendering.render import Renderer
from tests.rendering.test_render import PROPERTIES, _digest, _render
car = build_car(probe_designs()["hatchback"], cell=0.1)
print(_digest(_render(Renderer("scalar_rgb", threads=3), car)))
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.split()[-1] == _digest(base)


def test_the_seed_changes_the_noise_alone(renderer: Renderer, car: Car, base: Frame):
    other = renderer.render(car, PROPERTIES, size=SIZE, samples=SAMPLES, seed=0)
    np.testing.assert_array_equal(other.mask, base.mask)
    assert 0 < _differs(other, base).mean() < 12


def test_paint_colour_touches_the_car_and_its_surroundings_alone(
    renderer: Renderer, car: Car, base: Frame
):
    green = _render(renderer, car, color_hue=1 / 3)
    np.testing.assert_array_equal(green.mask, base.mask)
    far = ndimage.distance_transform_edt(base.mask == 0) > 4
    assert far.sum() > 300
    # Light that the paint throws onto the ground reaches a little farther, and fades.
    assert _differs(green, base)[far].max() < 10
    assert _differs(green, base)[far].mean() < 0.3
    assert _differs(green, base)[:4].max() == 0
    on_car = base.mask == 1
    assert _differs(green, base)[on_car].mean() > 25
    red, shown_green = base.image[on_car].mean(axis=0), green.image[on_car].mean(axis=0)
    assert red[0] > red[1]
    assert shown_green[1] > shown_green[0]


def test_background_colour_leaves_the_mask_alone(renderer: Renderer, car: Car, base: Frame):
    other = _render(renderer, car, bg_color_hue=0.1)
    np.testing.assert_array_equal(other.mask, base.mask)
    difference = _differs(other, base)
    assert difference[base.mask == 0].min() > 20
    # The car changes by what it reflects of its surroundings, and by less.
    assert difference[base.mask == 1].mean() < 0.5 * difference[base.mask == 0].mean()


def test_the_sun_moves_the_shadow_and_not_the_car(renderer: Renderer, car: Car, base: Frame):
    for change in ({"sun_rotation": -45.0}, {"sun_elevation": 65.0}):
        other = _render(renderer, car, **change)
        np.testing.assert_array_equal(other.mask == 1, base.mask == 1)
        moved = (other.mask == 2) ^ (base.mask == 2)
        assert moved.sum() > 8
        assert other.image[moved & (other.mask == 2)].mean() < other.image[other.mask == 0].mean()


@pytest.mark.parametrize("change", [{"rotation_z": 130.0}, {"camera_loc_z": 3.0}])
def test_the_view_moves_the_car(renderer: Renderer, car: Car, base: Frame, change: dict):
    other = _render(renderer, car, **change)
    assert ((other.mask == 1) ^ (base.mask == 1)).sum() > 20


def test_open_ground_has_its_exact_colour(base: Frame):
    corner = base.image[-1, [0, -1]]
    np.testing.assert_array_equal(corner[0], corner[1])
    hue = corner[0].astype(float)
    assert hue[2] > hue[1] > hue[0]  # 0.6 of the hue circle is blue


def _pixels(points: np.ndarray, camera: layout.Camera) -> np.ndarray:
    """Pixel (row, column) [N, 2] of points, through the camera's axes."""
    forward, right, up = layout.camera_axes(camera)
    rays = points - np.array(camera.origin)
    depth = rays @ forward * np.tan(np.radians(camera.fov) / 2)
    column = (rays @ right / depth + 1) / 2 * SIZE
    row = (1 - rays @ up / depth) / 2 * SIZE
    return np.floor(np.stack([row, column], axis=1)).astype(int)


def test_the_mask_is_where_the_car_and_its_shadow_project(car: Car, base: Frame):
    vertices = np.concatenate([part.vertices for part in car.parts]).astype(np.float64)
    camera = layout.fit_camera(vertices[::7], PROPERTIES)
    seen = np.zeros((SIZE, SIZE), dtype=bool)
    seen[tuple(_pixels(vertices, camera).T)] = True
    near = ndimage.binary_dilation(seen, iterations=1)
    assert near[base.mask == 1].all()
    rows, columns = _pixels(vertices, camera).T
    assert (base.mask[rows, columns] == 1).mean() > 0.95

    sun = layout.sun_direction(PROPERTIES)
    fallen = vertices - vertices[:, 2:] / sun[2] * sun
    shade = np.zeros((SIZE, SIZE), dtype=bool)
    inside = _pixels(fallen, camera)
    inside = inside[((inside >= 0) & (inside < SIZE)).all(axis=1)]
    shade[tuple(inside.T)] = True
    assert ndimage.binary_dilation(shade, iterations=1)[base.mask == 2].all()
    assert (base.mask[tuple(inside.T)] > 0).mean() > 0.8


def test_the_sky_is_bright_about_the_sun_and_the_same_on_either_side_of_it(renderer: Renderer):
    assert renderer.variant == "scalar_rgb"
    sky = _sky(PROPERTIES["sun_elevation"])
    rows, columns = layout.ENVIRONMENT_SHAPE
    np.testing.assert_allclose(sky, sky[:, ::-1], rtol=1e-3, atol=1e-6)  # azimuth 0 is the middle
    assert (sky[rows // 2 :] == 0).all()
    row, column = np.unravel_index(sky.sum(axis=-1).argmax(), (rows, columns))
    assert abs(column + 0.5 - columns / 2) < 12
    assert sky[row, column, 0] > 1.5 * sky[row, 0, 0]
    zenith = sky[1].mean(axis=0)
    assert zenith[2] > zenith[0]


def test_unknown_variants_and_no_threads_are_refused():
    with pytest.raises(ValueError, match="unknown variant 'vulkan'; valid: auto, cuda_ad_rgb"):
        Renderer("vulkan")
    with pytest.raises(ValueError, match="threads must be at least 1 or None, got 0"):
        Renderer("scalar_rgb", threads=0)
