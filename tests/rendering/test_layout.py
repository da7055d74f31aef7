"""What surrounds the car: colours, camera, light, tone and masks against independent oracles."""

import colorsys

import numpy as np
import pytest

from lossprint.rendering import layout

PROPERTIES = {
    "rotation_z": 30.0,
    "color_hue": 0.6,
    "color_sat": 0.8,
    "color_val": 0.7,
    "bg_color_hue": 0.1,
    "bg_color_sat": 0.4,
    "bg_color_val": 0.6,
    "camera_loc_z": 1.6,
    "sun_elevation": 40.0,
    "sun_rotation": 45.0,
}
SUN = np.array([3.0, 2.7, 2.2])


def _sky() -> np.ndarray:
    azimuth, elevation = layout.directions()
    glow = np.where(elevation > 0, 0.2 + 0.1 * np.cos(azimuth) * np.cos(elevation), 0.0)
    return glow[..., None] * np.array([0.8, 1.0, 1.4])


def _light(**changes: float) -> layout.Light:
    return layout.compose_light(_sky(), SUN, PROPERTIES | changes)


def _outline() -> np.ndarray:
    corners = [(x, y, z) for x in (-2.3, 2.3) for y in (-0.9, 0.9) for z in (0.0, 1.4)]
    return np.array(corners)


@pytest.mark.parametrize("hsv", [(0.0, 1.0, 1.0), (0.37, 0.4, 0.8), (0.9, 0.0, 0.5), (0.66, 1, 0)])
def test_hue_saturation_and_value_mean_what_srgb_means(hsv: tuple[float, float, float]):
    encoded = np.array(colorsys.hsv_to_rgb(*hsv))
    displayed = layout.linear_to_srgb(layout.hsv_to_linear(*hsv))
    np.testing.assert_allclose(displayed, encoded, atol=1e-6)


def test_srgb_of_middle_grey_and_back():
    assert layout.srgb_to_linear(np.array(0.5)) == pytest.approx(0.21404, abs=1e-5)
    values = np.linspace(0.0, 1.0, 256)
    np.testing.assert_allclose(
        layout.linear_to_srgb(layout.srgb_to_linear(values)), values, atol=1e-6
    )


def test_the_ground_keeps_just_below_white():
    white = layout.ground_color(PROPERTIES | {"bg_color_sat": 0.0, "bg_color_val": 1.0})
    np.testing.assert_allclose(white, 0.9)


def test_the_sun_stands_where_its_properties_say():
    behind_camera = PROPERTIES | {"rotation_z": 0.0, "sun_rotation": 0.0, "sun_elevation": 30.0}
    np.testing.assert_allclose(
        layout.sun_direction(behind_camera), [np.sqrt(0.75), 0.0, 0.5], atol=1e-12
    )
    left = layout.sun_direction(behind_camera | {"sun_rotation": 90.0})
    np.testing.assert_allclose(left, [0.0, np.sqrt(0.75), 0.5], atol=1e-12)
    # A turned car sees camera and sun move the other way, together.
    turned = layout.sun_direction(behind_camera | {"rotation_z": 90.0})
    np.testing.assert_allclose(turned, [0.0, -np.sqrt(0.75), 0.5], atol=1e-12)


def _projected(camera: layout.Camera, points: np.ndarray) -> np.ndarray:
    """Points in the picture [N, 2], its edges at −1 and 1, by a projection matrix."""
    origin, target = np.array(camera.origin), np.array(camera.target)
    z = (origin - target) / np.linalg.norm(origin - target)
    x = np.cross([0.0, 0.0, 1.0], z)
    x /= np.linalg.norm(x)
    view = (points - origin) @ np.stack([x, np.cross(z, x), z], axis=1)
    return view[:, :2] / -view[:, 2:] / np.tan(np.radians(camera.fov) / 2)


@pytest.mark.parametrize("yaw", [0.0, 35.0, 90.0, 200.0])
@pytest.mark.parametrize("height", [0.8, 3.2])
def test_the_camera_frames_the_car_from_every_side(yaw: float, height: float):
    properties = PROPERTIES | {"rotation_z": yaw, "camera_loc_z": height}
    camera = layout.fit_camera(_outline(), properties)
    assert camera.origin[2] == height
    assert np.hypot(*camera.origin[:2]) == pytest.approx(layout.CAMERA_DISTANCE)
    reach = np.abs(_projected(camera, _outline())).max()
    assert reach <= 1 / 1.10 + 1e-9
    assert reach > (0.55 if yaw == 0.0 else 0.88)


def test_framing_follows_rotation_and_camera_height_alone():
    others = [name for name in PROPERTIES if name not in ("rotation_z", "camera_loc_z")]
    camera = layout.fit_camera(_outline(), PROPERTIES)
    for name in others:
        assert layout.fit_camera(_outline(), PROPERTIES | {name: 0.33}) == camera


def test_the_ground_has_the_radiance_that_the_light_gives_it():
    light = _light()
    azimuth, elevation = layout.directions()
    rows, columns = azimuth.shape
    solid_angle = np.cos(elevation) * (np.pi / rows) * (2 * np.pi / columns)
    weight = np.where(elevation > 0, np.sin(elevation) * solid_angle, 0.0)
    sky = (light.environment * weight[..., None]).sum(axis=(0, 1))
    irradiance = sky + light.sun * np.sin(np.radians(40.0))
    expected = layout.ground_color(PROPERTIES) * irradiance / np.pi
    np.testing.assert_allclose(light.ground, expected, rtol=1e-6)


def test_backdrop_and_ground_meet_without_a_seam():
    light = _light()
    rows, columns = layout.ENVIRONMENT_SHAPE
    behind = 0  # azimuth 180°
    np.testing.assert_allclose(light.environment[rows // 2, behind], light.ground)
    np.testing.assert_allclose(light.environment[rows // 2 - 1, behind], light.ground, rtol=0.02)
    higher = light.environment[rows // 2 - 8, columns - 1]
    assert (higher < light.environment[rows // 2 - 1, behind]).all()


def test_exposure_follows_the_suns_elevation_alone():
    # The caller's sky does not change here; the sun's height must still change the exposure.
    exposure = _light().exposure
    for name in set(PROPERTIES) - {"sun_elevation"}:
        assert _light(**{name: 0.33}).exposure == pytest.approx(exposure, rel=1e-3)
    assert _light(sun_elevation=15.0).exposure > 1.05 * exposure


def test_tone_curve_is_srgb_below_its_shoulder_and_rises_throughout():
    ramp = np.repeat(np.linspace(0.0, 4.0, 400)[None, :, None], 3, axis=2)
    shown = layout.develop(ramp, 1.0)[0, :, 0].astype(int)
    assert (np.diff(shown) >= 0).all()
    assert shown[-1] <= 255
    grey = layout.develop(np.full((1, 1, 3), 0.09), 2.0)
    assert grey[0, 0, 0] == round(255 * (1.055 * 0.18 ** (1 / 2.4) - 0.055))


def _shares(lit: list[float], ground: list[float], covered: list[float]) -> layout.Shares:
    return layout.Shares(*(np.array([row]) for row in (lit, ground, covered)))


def test_labels_follow_the_shares_of_a_pixel():
    # sky; lit ground; car; shadow; car against sky; ground mostly lit; shadow mostly;
    # 0.4 of car, the largest of three shares and yet less than half; a pane before a shadow
    lit = [0.0, 1.0, 0.0, 0.0, 0.0, 0.6, 0.2, 0.3, 0.0]
    ground = [0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.9, 0.6, 1.0]
    covered = [0.0, 1.0, 1.0, 1.0, 0.6, 1.0, 1.0, 1.0, 1.0]
    car = np.array([[0.0, 0.0, 1.0, 0.0, 0.6, 0.0, 0.1, 0.4, 1.0]])
    labels = layout.mask_labels(_shares(lit, ground, covered), car)
    np.testing.assert_array_equal(labels, [[0, 0, 1, 2, 1, 0, 2, 0, 1]])


def test_paths_are_traced_only_around_car_and_shadow():
    size = 100
    covered = np.ones((size, size))
    covered[:40] = 0.0
    ground, lit = covered.copy(), covered.copy()
    assert layout.busy_window(layout.Shares(lit, ground, covered)) is None
    ground[50:60, 30:70] = 0.0
    lit[50:62, 30:80] = 0.0
    assert layout.busy_window(layout.Shares(lit, ground, covered)) == (
        slice(42, 70),
        slice(22, 88),
    )


def test_cleaning_takes_the_noise_off_ground_and_backdrop_and_leaves_the_car():
    rng = np.random.default_rng(0)
    size = 60
    ground, lit = np.ones((2, size, size))
    ground[:10] = lit[:10] = 0.0  # backdrop
    ground[10:20] = lit[10:20] = 0.0  # the car
    lit[40:55, 10:50] = 0.0  # its shadow
    covered = np.ones((size, size))
    covered[:10] = 0.0
    stage = np.full((size, size, 3), [0.4, 0.5, 0.6])
    stage[:10] = 0.2
    sunlight = np.array([0.3, 0.35, 0.4])
    truth = stage - np.where((ground > lit)[..., None], sunlight, 0.0)
    truth[10:20] = 3.0
    radiance = truth * (1.0 + 0.05 * rng.standard_normal((size, size, 1)))
    radiance[30, 30] = 50.0  # a speck
    before = radiance.copy()
    shares = layout.Shares(lit, ground, covered)
    cleaned = layout.clean_ground(radiance, stage, shares, sunlight, radius=2)
    np.testing.assert_array_equal(radiance, before)
    np.testing.assert_array_equal(cleaned[10:20], before[10:20])
    np.testing.assert_array_equal(cleaned[:10], stage[:10])
    error = np.abs(cleaned / truth - 1.0)
    assert error[24:27].max() < 0.01
    assert error[30, 30].max() <= 0.2 + 1e-9
    # A mean of 3 × 3 pixels has a third of the noise, and the shadow's edge stays where it is.
    noise = (before / truth - 1.0)[40:55, 10:50].std()
    assert error[41:54, 11:49].std() < 0.5 * noise
    edge = cleaned[40:55, 8:12].mean(axis=(0, 2))
    np.testing.assert_allclose(edge, truth[40:55, 8:12].mean(axis=(0, 2)), rtol=0.05)


def test_an_empty_stage_is_ground_below_the_horizon_and_backdrop_above():
    light = _light()
    camera = layout.fit_camera(_outline(), PROPERTIES)
    stage = layout.empty_stage(light, camera, 48)
    np.testing.assert_allclose(stage[-1], np.broadcast_to(light.ground, (48, 3)))
    assert (stage[0] < light.ground).all()
    assert (stage[0] > 0.5 * light.ground).all()
    horizon = np.flatnonzero(np.isclose(stage[:, 24], light.ground).all(axis=1))[0]
    low = layout.fit_camera(_outline(), PROPERTIES | {"camera_loc_z": 0.8})
    lower = layout.empty_stage(light, low, 48)
    assert np.flatnonzero(np.isclose(lower[:, 24], light.ground).all(axis=1))[0] != horizon


@pytest.mark.parametrize("sun_rotation", [-60.0, 20.0, 170.0])
def test_car_and_shadow_lie_within_their_windows(sun_rotation: float):
    size, properties = 80, PROPERTIES | {"sun_rotation": sun_rotation}
    camera = layout.fit_camera(_outline(), properties)
    near = layout.car_window(_outline(), camera, size)
    far = layout.shadow_window(_outline(), camera, properties, size)
    elevation = np.radians(properties["sun_elevation"])
    azimuth = np.radians(sun_rotation - properties["rotation_z"])
    away = -np.array([np.cos(azimuth), np.sin(azimuth)]) / np.tan(elevation)
    forward, right, up = layout.camera_axes(camera)

    def holds(window: layout.Window, point: np.ndarray) -> bool:
        ray = point - np.array(camera.origin)
        scale = size / 2 / (ray @ forward) / np.tan(np.radians(camera.fov / 2))
        where = (size / 2 - ray @ up * scale, size / 2 + ray @ right * scale)
        shown = all(0 <= at < size for at in where)
        inside = all(side.start <= at < side.stop for side, at in zip(window, where, strict=True))
        return inside or not shown

    for corner in _outline():
        fallen = np.array([*(corner[:2] + corner[2] * away), 0.0])
        assert holds(near, corner)
        assert holds(far, corner)
        assert holds(far, fallen)
    areas = [np.prod([side.stop - side.start for side in window]) for window in (near, far)]
    assert areas[0] < areas[1] < size**2


def test_a_shadow_below_the_camera_reaches_everywhere():
    properties = PROPERTIES | {"sun_rotation": 180.0, "sun_elevation": 5.0}
    camera = layout.fit_camera(_outline(), properties)
    everywhere = (slice(0, 80), slice(0, 80))
    assert layout.shadow_window(_outline(), camera, properties, 80) == everywhere


def _front(size: int, glass: np.ndarray, normal: np.ndarray) -> layout.Front:
    normals = np.where(glass[..., None], normal, 0.0)
    return layout.Front((slice(0, size), slice(0, size)), size, glass, glass, normals)


def test_a_pixels_share_of_car_counts_its_rays():
    hit = np.zeros((6, 6), dtype=bool)
    hit[:3, :3] = True
    hit[3, 3] = True
    front = _front(2, hit, np.array([0.0, 0.0, 1.0]))
    np.testing.assert_allclose(front.car, [[1.0, 0.0], [0.0, 1 / 9]])


def _slab(cosine: float, index: float = 1.5) -> float:
    """Share of unpolarized light that a pane reflects, by Fresnel's equations at both faces."""
    inside = np.sqrt(1.0 - (1.0 - cosine**2) / index**2)
    across = (cosine - index * inside) / (cosine + index * inside)
    along = (index * cosine - inside) / (index * cosine + inside)
    return float(np.mean([2 * r**2 / (1 + r**2) for r in (across, along)]))


@pytest.mark.parametrize("degrees", [0.0, 45.0, 80.0])
def test_a_pane_dims_what_lies_behind_and_mirrors_what_lies_before_it(degrees: float):
    size, properties = 40, PROPERTIES | {"sun_rotation": 180.0}
    camera = layout.fit_camera(_outline(), properties)
    forward, right, up = layout.camera_axes(camera)
    light = _light(sun_rotation=180.0)
    tint, behind = np.array([0.5, 0.6, 0.7]), np.full((size, size, 3), 0.3)
    glass = np.zeros((3 * size, 3 * size), dtype=bool)
    glass[:, :90] = True
    # An upright pane leaves a ray that falls falling, so it shows open ground.
    towards = np.cross(right, [0.0, 0.0, 1.0])
    normal = np.cos(np.radians(degrees)) * towards + np.sin(np.radians(degrees)) * right
    seen = layout.glaze(behind, _front(size, glass, normal), light, camera, properties, tint=tint)
    np.testing.assert_array_equal(seen[:, 30:], behind[:, 30:])
    ray = forward + np.tan(np.radians(camera.fov / 2)) * (right - (2 * 39.5 - 40) * up) / 40
    share = _slab(abs(ray @ normal) / np.linalg.norm(ray))
    expected = (1.0 - share) * tint * 0.3 + share * light.ground
    np.testing.assert_allclose(seen[39, 20], expected, rtol=0.05)
