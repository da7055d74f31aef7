"""Pairs of pictures that differ in one property: what it names changes, the rest stays."""

from dataclasses import dataclass

import numpy as np
import pytest

from lossprint.rendering.designs import probe_designs
from lossprint.rendering.geometry import build_car
from lossprint.rendering.properties import PROPERTIES
from lossprint.rendering.render import Frame, Renderer

SIZE, SAMPLES = 64, 16
BASE = {
    "rotation_z": 30.0,
    "color_hue": 0.0,
    "color_sat": 0.85,
    "color_val": 0.6,
    "bg_color_hue": 0.6,
    "bg_color_sat": 0.15,
    "bg_color_val": 0.65,
    "camera_loc_z": 1.6,
    "sun_elevation": 30.0,
    "sun_rotation": 60.0,
}
OTHER = {
    "rotation_z": 120.0,
    "color_hue": 0.4,
    "color_sat": 0.3,
    "color_val": 0.2,
    "bg_color_hue": 0.1,
    "bg_color_sat": 0.6,
    "bg_color_val": 0.35,
    "camera_loc_z": 3.0,
    "sun_elevation": 60.0,
    "sun_rotation": -60.0,
}
PAINT = ("color_hue", "color_sat", "color_val")
BACKGROUND = ("bg_color_hue", "bg_color_sat", "bg_color_val")
# Grey values of 255. Light that a surface throws on another is real but small.
CLEARLY, HARDLY = 15.0, 4.0
# Of 4096: where car and ground share a pixel evenly, rounding may decide its label.
FEW_PIXELS = 4


@dataclass(frozen=True)
class Pair:
    """Mean change of grey values on car, backdrop above and ground below; changed labels."""

    car: float
    backdrop: float
    ground: float
    car_labels: int
    shadow_labels: int


@pytest.fixture(scope="module")
def render():
    renderer = Renderer("scalar_rgb")
    cars = {name: build_car(probe_designs()[name], cell=0.08) for name in ("hatchback", "van")}

    def picture(model: str = "hatchback", **changes: float) -> Frame:
        return renderer.render(cars[model], {**BASE, **changes}, size=SIZE, samples=SAMPLES, seed=1)

    return picture


@pytest.fixture(scope="module")
def pairs(render):
    before = render()
    above, below = np.zeros((2, SIZE, SIZE), dtype=bool)
    above[: SIZE // 6], below[-SIZE // 12 :] = True, True

    def compare(after) -> Pair:
        change = np.abs(after.image.astype(int) - before.image).max(axis=-1)
        both = {label: (before.mask == label) & (after.mask == label) for label in (0, 1)}
        return Pair(
            car=change[both[1]].mean(),
            backdrop=change[both[0] & above].mean(),
            ground=change[both[0] & below].mean(),
            car_labels=((before.mask == 1) != (after.mask == 1)).sum(),
            shadow_labels=((before.mask == 2) != (after.mask == 2)).sum(),
        )

    return {name: compare(render(**{name: value})) for name, value in OTHER.items()} | {
        "model": compare(render("van"))
    }


def test_every_property_is_looked_at():
    assert OTHER.keys() == BASE.keys() == PROPERTIES.keys()


def test_nothing_changed_changes_nothing(render):
    first, second = render(), render()
    assert (first.image == second.image).all()
    assert (first.mask == second.mask).all()


def test_the_picture_holds_ground_car_and_shadow(render):
    shares = np.bincount(render().mask.ravel(), minlength=3) / SIZE**2
    assert shares[0] > 0.4
    assert shares[1] > 0.15
    assert shares[2] > 0.02


@pytest.mark.parametrize("name", PAINT)
def test_paint_changes_the_car_alone(pairs, name):
    assert pairs[name].car > CLEARLY
    assert pairs[name].backdrop < HARDLY
    assert pairs[name].ground < HARDLY
    assert pairs[name].car_labels == pairs[name].shadow_labels == 0


@pytest.mark.parametrize("name", BACKGROUND)
def test_background_colour_changes_backdrop_and_ground_and_their_reflection(pairs, name):
    assert pairs[name].backdrop > CLEARLY
    assert pairs[name].ground > CLEARLY
    assert pairs[name].car < 0.3 * pairs[name].backdrop
    assert pairs[name].car_labels == pairs[name].shadow_labels == 0


def test_another_model_stands_before_the_same_backdrop(pairs):
    assert pairs["model"].car_labels > 100
    # The camera looks at the middle of a higher car, which shifts the backdrop's gentle shading.
    assert pairs["model"].backdrop < 2 * HARDLY
    assert pairs["model"].ground < HARDLY


def test_rotation_turns_the_car_before_the_same_backdrop(pairs):
    assert pairs["rotation_z"].car_labels > 100
    assert pairs["rotation_z"].backdrop < HARDLY
    assert pairs["rotation_z"].ground < HARDLY


def test_camera_height_changes_the_view_and_not_the_backdrop(pairs):
    assert pairs["camera_loc_z"].car_labels > 50
    assert pairs["camera_loc_z"].backdrop < HARDLY
    assert pairs["camera_loc_z"].ground < HARDLY


def test_sun_rotation_moves_light_and_shadow_and_not_the_car(pairs):
    assert pairs["sun_rotation"].shadow_labels > 50
    assert pairs["sun_rotation"].car > CLEARLY
    assert pairs["sun_rotation"].car_labels <= FEW_PIXELS
    assert pairs["sun_rotation"].backdrop < HARDLY


def test_sun_elevation_changes_the_shadow_and_not_the_car(pairs):
    assert pairs["sun_elevation"].shadow_labels > 30
    assert pairs["sun_elevation"].car > HARDLY
    assert pairs["sun_elevation"].car_labels <= FEW_PIXELS


def test_a_lower_sun_throws_a_longer_shadow(render):
    assert (render(sun_elevation=15.0).mask == 2).sum() > (
        render(sun_elevation=70.0).mask == 2
    ).sum()
