"""What surrounds the car: sky and studio light, backdrop, camera, exposure and tone curve.

The car stays at rest on the origin, nose towards +x. A car turned by `rotation_z` is seen by
turning camera, sky and backdrop the other way round it, which is the same picture and keeps the
scene's geometry untouched. In the camera's own frame, azimuth 0 is the direction from the car to the
camera and azimuths grow counter-clockwise seen from above.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ENVIRONMENT_SHAPE = (96, 192)  # rows from the zenith down, columns around
CAMERA_DISTANCE = 11.0  # metres
SUN_RADIUS = 2.8  # degrees; ten times the real sun: softer shadows, no specks
SUN_STRENGTH = 0.55
SKY_STRENGTH = 1.35
EXPOSURE_KEY = 0.86


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
    forward = (target - origin) / np.linalg.norm(target - origin)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    up = np.cross(right, forward)
    rays = outline - origin
    depth = rays @ forward
    extent = max(np.abs(rays @ right / depth).max(), np.abs(rays @ up / depth).max())
    radius = 0.5 * float(np.ptp(outline[:, 0])) / CAMERA_DISTANCE
    half = 1.10 * max(extent, 0.68 * radius)
    return Camera(tuple(origin), tuple(target), float(np.degrees(2.0 * np.arctan(half))))


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


def _step(low: float, high: float, x: Array) -> Array:
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


@dataclass(frozen=True)
class Light:
    """Environment map [H, W, 3] in the camera's frame and what follows from it."""

    environment: Array
    exposure: float
    ground: Array  # radiance [3] of the ground where nothing shades it


def compose_light(sky: Array, sun: Array, properties: Mapping[str, float]) -> Light:
    """Sky, sun, studio panels and backdrop as one environment map.

    The backdrop behind the car has the radiance that the lit ground has, so the two meet without
    a seam, and darkens gently with height. Exposure depends on the sun's elevation alone, through
    the light that reaches ground and a wall facing the sun: never on colours.

    Args:
        sky: radiance [H, W, 3] of the sky above the horizon whose sun stands at azimuth 0.
        sun: irradiance [3] of the sun on a surface facing it.
    """
    azimuth, elevation = directions()
    rows, columns = ENVIRONMENT_SHAPE
    solid = np.cos(elevation) * (np.pi / rows) * (2.0 * np.pi / columns)
    upper = elevation > 0
    weight = np.where(upper, np.sin(elevation) * solid, 0.0)

    light = SKY_STRENGTH * _turned(sky, properties["sun_rotation"])
    level = float((light.mean(axis=-1) * weight).sum() / np.pi)  # mean radiance of the sky
    light = light + level * _panels()[..., None]

    sun_elevation = np.radians(properties["sun_elevation"])
    sun_azimuth = np.radians(properties["sun_rotation"])
    cosine = np.sin(elevation) * np.sin(sun_elevation) + np.cos(elevation) * np.cos(
        sun_elevation
    ) * np.cos(azimuth - sun_azimuth)
    angle = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
    disc = 1.0 - _step(SUN_RADIUS - 1.0, SUN_RADIUS + 1.0, angle)
    disc = disc / (disc * solid).sum()
    sun = SUN_STRENGTH * sun

    facing = float((light.mean(axis=-1) * weight).sum() + sun.mean() * np.sin(sun_elevation))
    wall = float(0.5 * (light.mean(axis=-1) * weight).sum() + sun.mean())
    exposure = EXPOSURE_KEY * np.pi / (0.55 * facing + 0.45 * wall)

    # The backdrop lights the ground as the ground lights the backdrop: E = E0 + k·ρE/π.
    cover, fall = _backdrop()
    colour = ground_color(properties)
    light = light * (1.0 - cover[..., None])
    direct = (light * weight[..., None]).sum(axis=(0, 1)) + sun * np.sin(sun_elevation)
    share = (cover * fall * weight).sum() / np.pi
    radiance = colour / np.pi * direct / (1.0 - share * colour)
    environment = light + (cover * fall)[..., None] * radiance
    # Below the horizon lies the ground: one row keeps the seam shut, the rest would only draw
    # light samples that the ground blocks.
    environment = np.where(upper[..., None], environment + disc[..., None] * sun, 0.0)
    environment[rows // 2] = radiance
    return Light(environment, float(exposure), radiance)


def _turned(environment: Array, degrees: float) -> Array:
    """A map turned counter-clockwise about the vertical, between columns by interpolation."""
    shift = -degrees / 360.0 * ENVIRONMENT_SHAPE[1]
    whole = int(np.floor(shift))
    part = shift - whole
    return (1.0 - part) * np.roll(environment, whole, axis=1) + part * np.roll(
        environment, whole + 1, axis=1
    )


@lru_cache(maxsize=1)
def _panels() -> Array:
    """Soft light panels of a studio [H, W], in units of the sky's mean radiance."""
    azimuth, elevation = directions()
    degrees = np.degrees(elevation)
    side = np.abs(np.degrees(azimuth))
    ceiling = 1.6 * _step(48.0, 58.0, degrees) * (1.0 - _step(78.0, 86.0, degrees))
    strip = 1.3 * _step(16.0, 22.0, degrees) * (1.0 - _step(34.0, 42.0, degrees))
    strip = strip * _step(30.0, 42.0, side) * (1.0 - _step(95.0, 115.0, side))
    return ceiling * (1.0 - _step(100.0, 130.0, side)) + strip


@lru_cache(maxsize=1)
def _backdrop() -> tuple[Array, Array]:
    """How far the backdrop covers the sky [H, W], 1 behind the car, and its shading with height."""
    azimuth, elevation = directions()
    side = 180.0 - np.abs(np.degrees(azimuth))
    cover = (1.0 - _step(62.0, 95.0, side)) * (1.0 - _step(24.0, 40.0, np.degrees(elevation)))
    return cover, 1.0 - 0.45 * _step(0.0, np.radians(24.0), elevation)


def develop(radiance: Array, exposure: float) -> NDArray[np.uint8]:
    """Expose, roll highlights off above 0.6 and encode: radiance [H, W, 3] -> sRGB uint8."""
    x = np.maximum(radiance * exposure, 0.0)
    x = np.where(x <= 0.6, x, 0.6 + 0.4 * (1.0 - np.exp(-(x - 0.6) / 0.4)))
    return np.rint(255.0 * np.clip(linear_to_srgb(x), 0.0, 1.0)).astype(np.uint8)


def without_specks(radiance: Array, ground: Array, car: Array) -> Array:
    """Radiance [H, W, 3] whose ground is at most a fifth brighter than where nothing shades it.

    Sun that rims or chrome throw onto the ground is found by chance and would stay as bright
    specks. Pixels that hold any share `car` [H, W] of the car are left alone.
    """
    return np.where(car[..., None] > 0.0, radiance, np.minimum(radiance, 1.2 * ground))


@dataclass(frozen=True)
class Shares:
    """How much of each pixel [H, W] is ground in the sun, ground at all, any surface at all."""

    lit: Array
    ground: Array
    covered: Array


def mask_labels(shares: Shares) -> NDArray[np.uint8]:
    """Each pixel's majority: 0 ground or backdrop, 1 car, 2 ground where the car hides the sun."""
    car = shares.covered - shares.ground
    shadow = shares.ground - shares.lit
    rest = 1.0 - car - shadow
    labels = np.zeros(car.shape, dtype=np.uint8)
    labels[(car >= shadow) & (car >= rest)] = 1
    labels[(shadow > car) & (shadow > rest)] = 2
    return labels
