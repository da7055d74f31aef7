"""What surrounds the car: sky and studio light, backdrop, camera, exposure and tone curve.

The car stays at rest on the origin, nose towards +x. A car turned by `rotation_z` is seen by
turning camera, sky and backdrop the other way round it, which is the same picture and keeps the
scene's geometry untouched. In the camera's own frame, azimuth 0 is the direction from the car to
the camera and azimuths grow counter-clockwise seen from above.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lossprint.rendering.geometry.fields import Array, smoothstep

Indices = NDArray[np.int64]

ENVIRONMENT_SHAPE = (96, 192)  # rows from the zenith down, columns around
CAMERA_DISTANCE = 11.0  # metres
STRATA = 3  # rays a pixel, squared, that tell what is seen where
GLASS_INDEX = 1.5  # of refraction
GLINT = 0.05  # radians: how wide glass makes the sun
SUN_STRENGTH = 0.55
SKY_STRENGTH = 1.35
EXPOSURE_KEY = 0.95


@dataclass(frozen=True)
class Camera:
    """A perspective camera in the car's frame; `fov` is the full angle in degrees."""

    origin: tuple[float, float, float]
    target: tuple[float, float, float]
    fov: float


def hsv_to_linear(hue: float, saturation: float, value: float) -> Array:
    """Linear RGB [3] of a hue in turns and saturation and value in [0, 1], as sRGB defines them."""
    sector = np.array([5.0, 3.0, 1.0]) + 6.0 * hue
    k = np.mod(sector, 6.0)
    encoded = value - value * saturation * np.clip(np.minimum(k, 4.0 - k), 0.0, 1.0)
    return srgb_to_linear(encoded)


def srgb_to_linear(encoded: Array) -> Array:
    """IEC 61966-2-1 decoding of values in [0, 1]."""
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(linear: Array) -> Array:
    """IEC 61966-2-1 encoding of values in [0, 1]."""
    return np.where(
        linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055
    )


def sun_direction(properties: Mapping[str, float]) -> Array:
    """Unit vector [3] from the car to the sun, in the car's frame."""
    elevation = np.radians(properties["sun_elevation"])
    azimuth = np.radians(properties["sun_rotation"] - properties["rotation_z"])
    flat = np.cos(elevation)
    return np.array([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)])


def paint_color(properties: Mapping[str, float]) -> Array:
    """Linear RGB of the paint."""
    return hsv_to_linear(*(properties[f"color_{channel}"] for channel in ("hue", "sat", "val")))


def ground_color(properties: Mapping[str, float]) -> Array:
    """Linear RGB of ground and backdrop, kept just below what an ideal white would reflect."""
    return 0.9 * hsv_to_linear(
        *(properties[f"bg_color_{channel}"] for channel in ("hue", "sat", "val"))
    )


def fit_camera(outline: Array, properties: Mapping[str, float]) -> Camera:
    """Look at the car's middle from 11 m away so that it fills the picture.

    The field of view follows the projected width of the car as it is turned, but stays above 0.68
    of what the car's length would need, so that a car seen head-on does not look huge.

    Args:
        outline: points [N, 3] of the car's surface.
    """
    yaw = np.radians(properties["rotation_z"])
    target = np.array([0.0, 0.0, 0.46 * float(outline[:, 2].max())])
    origin = np.array(
        [
            CAMERA_DISTANCE * np.cos(yaw),
            -CAMERA_DISTANCE * np.sin(yaw),
            properties["camera_loc_z"],
        ]
    )
    forward, right, up = camera_axes(Camera(tuple(origin), tuple(target), 0.0))
    rays = outline - origin
    depth = rays @ forward
    extent = max(np.abs(rays @ right / depth).max(), np.abs(rays @ up / depth).max())
    radius = 0.5 * float(np.ptp(outline[:, 0])) / CAMERA_DISTANCE
    half = 1.10 * max(extent, 0.68 * radius)
    return Camera(tuple(origin), tuple(target), float(np.degrees(2.0 * np.arctan(half))))


def _rays(camera: Camera, size: int, rows: Indices, columns: Indices) -> Array:
    """Unit directions [..., 3] through the centres of pixels, rows counted from the top."""
    forward, right, up = camera_axes(camera)
    scale = np.tan(np.radians(camera.fov) / 2)
    across = (2.0 * (columns + 0.5) / size - 1.0) * scale
    down = (2.0 * (rows + 0.5) / size - 1.0) * scale
    rays = forward + across[..., None] * right - down[..., None] * up
    return np.asarray(rays / np.linalg.norm(rays, axis=-1, keepdims=True))


def camera_axes(camera: Camera) -> tuple[Array, Array, Array]:
    """Unit vectors [3] forward, right and up of a camera."""
    forward = np.subtract(camera.target, camera.origin)
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    return forward, right, np.cross(right, forward)


@lru_cache(maxsize=1)
def directions() -> tuple[Array, Array]:
    """Azimuth [H, W] and elevation [H, W] in radians of the environment map's pixels.

    Azimuth is measured in the camera's frame and falls from π to −π along a row, for the map is
    seen from inside.
    """
    rows, columns = ENVIRONMENT_SHAPE
    elevation = np.pi / 2 - (np.arange(rows) + 0.5) / rows * np.pi
    azimuth = np.pi - (np.arange(columns) + 0.5) / columns * 2.0 * np.pi
    grid = np.meshgrid(azimuth, elevation)
    return grid[0], grid[1]


@dataclass(frozen=True)
class Light:
    """Environment map [H, W, 3] in the camera's frame and what follows from it."""

    environment: Array
    sun: Array  # irradiance [3] of the sun on a surface facing it
    exposure: float
    ground: Array  # radiance [3] of the ground where nothing shades it
    sunlight: Array  # the part of it that the sun gives


def compose_light(sky: Array, sun: Array, properties: Mapping[str, float]) -> Light:
    """Sky, studio panels and backdrop as one environment map, and the sun beside it.

    The backdrop behind the car has the radiance that the lit ground has, so the two meet without
    a seam, and darkens gently with height. Exposure depends on the sun's elevation alone, through
    the light that reaches ground and a wall facing the sun: never on colours.

    Args:
        sky: radiance [H, W, 3] of the sky above the horizon whose sun stands at azimuth 0.
        sun: irradiance [3] of the sun on a surface facing it.
    """
    _, elevation = directions()
    rows, columns = ENVIRONMENT_SHAPE
    solid = np.cos(elevation) * (np.pi / rows) * (2.0 * np.pi / columns)
    upper = elevation > 0
    weight = np.where(upper, np.sin(elevation) * solid, 0.0)

    light = SKY_STRENGTH * _turned(sky, properties["sun_rotation"])
    level = float((light.mean(axis=-1) * weight).sum() / np.pi)  # mean radiance of the sky
    panels, open_sky = _studio()
    light = light * open_sky[..., None] + level * panels[..., None]

    sine = float(np.sin(np.radians(properties["sun_elevation"])))
    sun = SUN_STRENGTH * sun

    facing = float((light.mean(axis=-1) * weight).sum() + sun.mean() * sine)
    wall = float(0.5 * (light.mean(axis=-1) * weight).sum() + sun.mean())
    exposure = EXPOSURE_KEY * np.pi / (0.55 * facing + 0.45 * wall)

    # The backdrop lights the ground as the ground lights the backdrop: E = E0 + k·ρE/π.
    cover, fall = _backdrop()
    colour = ground_color(properties)
    light = light * (1.0 - cover[..., None])
    direct = (light * weight[..., None]).sum(axis=(0, 1)) + sun * sine
    share = (cover * fall * weight).sum() / np.pi
    radiance = colour / np.pi * direct / (1.0 - share * colour)
    environment = light + (cover * fall)[..., None] * radiance
    # Below the horizon lies the ground: one row keeps the seam shut, the rest would only draw
    # light samples that the ground blocks.
    environment = np.where(upper[..., None], environment, 0.0)
    environment[rows // 2] = radiance
    return Light(environment, sun, float(exposure), radiance, colour / np.pi * sun * sine)


def _turned(environment: Array, degrees: float) -> Array:
    """A map turned counter-clockwise about the vertical, between columns by interpolation."""
    shift = -degrees / 360.0 * ENVIRONMENT_SHAPE[1]
    whole = int(np.floor(shift))
    part = shift - whole
    return (1.0 - part) * np.roll(environment, whole, axis=1) + part * np.roll(
        environment, whole + 1, axis=1
    )


@lru_cache(maxsize=1)
def _studio() -> tuple[Array, Array]:
    """What paint has to reflect besides the sky, both [H, W].

    The radiance of soft light panels in units of the sky's mean, one overhead and one on either
    side of the camera; and the share of the sky that a dark treeline at the horizon leaves open.
    """
    azimuth, elevation = directions()
    degrees = np.degrees(elevation)
    side = np.abs(np.degrees(azimuth))
    ceiling = 3.2 * smoothstep(50.0, 56.0, degrees) * (1.0 - smoothstep(76.0, 82.0, degrees))
    ceiling = ceiling * (1.0 - smoothstep(110.0, 130.0, side))
    strip = 3.0 * smoothstep(15.0, 19.0, degrees) * (1.0 - smoothstep(32.0, 38.0, degrees))
    strip = strip * smoothstep(24.0, 32.0, side) * (1.0 - smoothstep(100.0, 115.0, side))
    return ceiling + strip, 0.15 + 0.85 * smoothstep(6.0, 12.0, degrees)


@lru_cache(maxsize=1)
def _backdrop() -> tuple[Array, Array]:
    """How far the backdrop covers the sky [H, W], 1 behind the car, and its shading with height."""
    azimuth, elevation = directions()
    side, degrees = 180.0 - np.abs(np.degrees(azimuth)), np.degrees(elevation)
    cover = (1.0 - smoothstep(62.0, 95.0, side)) * (1.0 - smoothstep(24.0, 40.0, degrees))
    return cover, 1.0 - 0.45 * smoothstep(0.0, np.radians(24.0), elevation)


def develop(radiance: Array, exposure: float) -> NDArray[np.uint8]:
    """Expose, roll highlights off above 0.6 and encode: radiance [H, W, 3] -> sRGB uint8."""
    x = np.maximum(radiance * exposure, 0.0)
    x = np.where(x <= 0.6, x, 0.6 + 0.4 * (1.0 - np.exp(-(x - 0.6) / 0.4)))
    return np.rint(255.0 * np.clip(linear_to_srgb(x), 0.0, 1.0)).astype(np.uint8)


Window = tuple[slice, slice]


@dataclass(frozen=True)
class Shares:
    """How much of each pixel [H, W] is ground in the sun, ground at all, any surface at all.

    Glass is not counted: what lies behind it is.
    """

    lit: Array
    ground: Array
    covered: Array


@dataclass(frozen=True)
class Front:
    """What STRATA × STRATA rays a pixel meet first, in a window of a picture of `size`².

    Is it the car, is it glass, [h, w]; and the normals [h, w, 3] where it is glass.
    """

    window: Window
    size: int
    is_car: NDArray[np.bool_]
    is_glass: NDArray[np.bool_]
    normals: Array

    @property
    def car(self) -> Array:
        """Share of each pixel that is car, its glass included."""
        return _pixels(self.is_car.astype(np.float64))


def finer(window: Window) -> Window:
    """A window's rows and columns in a picture with STRATA times as many."""
    rows, columns = (slice(STRATA * side.start, STRATA * side.stop) for side in window)
    return rows, columns


def _pixels(samples: Array) -> Array:
    """Mean of each pixel's samples, [H STRATA, W STRATA, …] -> [H, W, …]."""
    height, width, *rest = samples.shape
    blocks = samples.reshape(height // STRATA, STRATA, width // STRATA, STRATA, *rest)
    return np.asarray(blocks.mean(axis=(1, 3)))


def empty_stage(light: Light, camera: Camera, size: int) -> Array:
    """Radiance [size, size, 3] of ground and backdrop without a car: no noise, no paths."""
    rows, columns = np.indices((size, size), dtype=np.int64)
    return _surroundings(light, camera, _rays(camera, size, rows, columns))


def _surroundings(light: Light, camera: Camera, rays: Array) -> Array:
    """Radiance [..., 3] that unit directions [..., 3] in the car's frame meet without a car."""
    towards_camera = np.arctan2(camera.origin[1], camera.origin[0])
    azimuth = np.arctan2(rays[..., 1], rays[..., 0]) - towards_camera
    elevation = np.arcsin(np.clip(rays[..., 2], -1.0, 1.0))
    rows, columns = ENVIRONMENT_SHAPE
    row = (np.pi / 2 - elevation) / np.pi * rows - 0.5
    column = np.mod((np.pi - azimuth) / (2.0 * np.pi), 1.0) * columns - 0.5
    where = np.stack([row, column])
    sky = np.stack(
        [
            ndimage.map_coordinates(channel, where, order=1, mode="grid-wrap")
            for channel in np.moveaxis(light.environment, -1, 0)
        ],
        axis=-1,
    )
    return np.where(elevation[..., None] > 0.0, sky, light.ground)


def car_window(outline: Array, camera: Camera, size: int) -> Window:
    """Rows and columns outside which nothing of the car shows."""
    return _bounds(outline, camera, size, margin=2 + round(0.02 * size))


def shadow_window(
    outline: Array, camera: Camera, properties: Mapping[str, float], size: int
) -> Window:
    """Rows and columns outside which neither the car nor its shadow changes the ground."""
    sun = sun_direction(properties)
    fallen = outline - outline[:, 2:] / sun[2] * sun
    return _bounds(np.concatenate([outline, fallen]), camera, size, margin=4 + round(0.08 * size))


def _bounds(points: Array, camera: Camera, size: int, margin: int) -> Window:
    forward, right, up = camera_axes(camera)
    rays = points - np.array(camera.origin)
    depth = rays @ forward
    if depth.min() < 1.0:  # a shadow that passes below the camera
        return slice(0, size), slice(0, size)
    scale = size / 2 / np.tan(np.radians(camera.fov) / 2) / depth
    window = []
    for at in (size / 2 - rays @ up * scale, size / 2 + rays @ right * scale):
        low, high = int(np.floor(at.min())) - margin, int(np.ceil(at.max())) + margin
        window.append(slice(max(low, 0), min(high, size)))
    return window[0], window[1]


def busy_window(shares: Shares) -> Window | None:
    """Rows and columns that hold the car, its shadow and what surrounds them; None without any."""
    busy = (shares.covered - shares.lit > 1e-3) | (shares.covered - shares.ground > 1e-3)
    if not busy.any():
        return None
    margin = 2 + round(0.06 * max(busy.shape))
    window = []
    for axis, size in ((1, len(busy)), (0, busy.shape[1])):
        at = np.flatnonzero(busy.any(axis=axis))
        window.append(slice(max(at[0] - margin, 0), min(at[-1] + 1 + margin, size)))
    return window[0], window[1]


def clean_ground(
    radiance: Array, stage: Array, shares: Shares, sunlight: Array, *, radius: int
) -> Array:
    """Radiance [H, W, 3] with the sampling noise taken off ground and backdrop.

    Where nothing shades the ground it has the radiance that the empty `stage` [H, W, 3] has, and
    pixels without any share of the car are drawn to it as far as the mean of their neighbourhood,
    `radius` pixels to every side, agrees with it within a few percent. In the shade the part of
    the light that comes from the sun, `sunlight` [3] where it is not blocked, follows from the
    shares without noise; the rest varies slowly and is averaged over half the neighbourhood.
    Ground brighter than the stage by a fifth is cut: sun thrown there by rims and chrome is found
    by chance and would stay as bright specks.
    """
    without_car = shares.covered - shares.ground < 1e-3
    only_ground = (without_car & (shares.ground >= 1.0 - 1e-3)).astype(np.float64)[..., None]
    capped = np.minimum(radiance, 1.2 * stage)
    shade = 1.0 - capped.sum(axis=-1, keepdims=True) / stage.sum(axis=-1, keepdims=True)
    keep = smoothstep(0.02, 0.08, np.abs(_mean_over(shade, only_ground, 2 * radius + 1)))
    from_sun = shares.lit[..., None] * sunlight
    shaded = from_sun + _mean_over(capped - from_sun, only_ground, radius + 1 - radius % 2)
    cleaned = stage + keep * only_ground * (shaded - stage)
    return np.where(without_car[..., None], cleaned, radiance)


def _mean_over(values: Array, weight: Array, width: int) -> Array:
    """Weighted mean of values [H, W, C] over squares of a width; `weight` [H, W, 1]."""
    window = (width, width, 1)
    total = ndimage.uniform_filter(weight * values, window, mode="nearest")
    return total / np.maximum(ndimage.uniform_filter(weight, window, mode="nearest"), 1e-6)


def glaze(
    radiance: Array,
    front: Front,
    light: Light,
    camera: Camera,
    properties: Mapping[str, float],
    *,
    tint: Array,
) -> Array:
    """Radiance [H, W, 3] of `front`'s window, behind glass of a transmittance `tint` [3].

    A pane passes on what lies behind it and mirrors sky, backdrop and ground without noise: by
    Schlick's approximation of Fresnel's equations at its two faces, the sun's image widened to
    that of slightly curved glass.
    """
    rows, columns = np.nonzero(front.is_glass)
    first_row, first_column = (side.start for side in finer(front.window))
    rays = _rays(camera, STRATA * front.size, rows + first_row, columns + first_column)
    normals = front.normals[rows, columns]
    normals = normals / np.linalg.norm(normals, axis=-1, keepdims=True)
    cosine = (rays * normals).sum(axis=-1, keepdims=True)
    mirrored = rays - 2.0 * cosine * normals
    at_right_angles = ((GLASS_INDEX - 1.0) / (GLASS_INDEX + 1.0)) ** 2
    once = at_right_angles + (1.0 - at_right_angles) * (1.0 - np.abs(cosine)) ** 5
    share = 2.0 * once / (1.0 + once)
    from_sun = 2.0 * (1.0 - mirrored @ sun_direction(properties))[:, None]  # squared angle
    glint = np.exp(-from_sun / GLINT**2) / (np.pi * GLINT**2) * light.sun
    passed = np.ones((*front.is_glass.shape, 3))
    passed[rows, columns] = (1.0 - share) * tint
    thrown = np.zeros_like(passed)
    thrown[rows, columns] = share * (_surroundings(light, camera, mirrored) + glint)
    return np.asarray(radiance * _pixels(passed) + _pixels(thrown))


def mask_labels(shares: Shares, car: Array) -> NDArray[np.uint8]:
    """Label each pixel: 1 car, 2 shadow (ground where the car hides the sun), 0 all else.

    Half a pixel of car [H, W], its glass included, makes it car, wherever the sun stands; of the
    rest the larger share counts.
    """
    shadow = np.minimum(shares.ground - shares.lit, 1.0 - car)
    labels = np.zeros(car.shape, dtype=np.uint8)
    labels[shadow > 1.0 - car - shadow] = 2
    labels[car >= 0.5] = 1
    return labels
