"""Rendering with Mitsuba 3. The only file that imports it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import drjit as dr
import mitsuba as mi
import numpy as np
from numpy.typing import NDArray

from lossprint.rendering import layout
from lossprint.rendering.geometry import Car, Part
from lossprint.rendering.materials import MATERIALS, Material, material_named
from lossprint.rendering.variants import VARIANTS

TURBIDITY = 3.0
BLOCK = 32  # pixels; left to Mitsuba, blocks and with them the noise follow the thread count
MASK_SAMPLES = layout.STRATA**2
GLASS = np.array(MATERIALS["glass"].color)
GROUND_RADIUS = 400.0  # metres: beyond the horizon's last pixel

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Frame:
    """image [H, W, 3] sRGB uint8; mask [H, W] uint8: 0 ground or backdrop, 1 car, 2 shadow."""

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]


class Renderer:
    """Renders cars. One car's scene is kept between calls, so render a design's frames in a row.

    The pixels follow from (car, properties, size, samples, seed) and the variant alone.

    Args:
        variant: "scalar_rgb", "llvm_ad_rgb", "cuda_ad_rgb", or "auto" for "scalar_rgb", which
            works on every machine.
        threads: CPU threads to render with; None takes one a core.

    Raises:
        ValueError: for an unknown variant, or fewer than one thread.
    """

    def __init__(self, variant: str = "auto", *, threads: int | None = None) -> None:
        self.variant = "scalar_rgb" if variant == "auto" else variant
        if self.variant not in VARIANTS:
            raise ValueError(f"unknown variant {variant!r}; valid: auto, {', '.join(VARIANTS)}")
        if threads is not None and threads < 1:
            raise ValueError(f"threads must be at least 1 or None, got {threads}")
        mi.set_variant(self.variant)
        mi.set_log_level(mi.LogLevel.Error)  # the sampler tells of every rounded count
        if threads is not None:
            dr.set_thread_count(threads)
        if not self.variant.startswith("scalar"):
            dr.eval(dr.arange(mi.Float, 4) * 3.0)  # a compiler that does not work fails here
        self._car: Car | None = None

    def render(
        self, car: Car, properties: Mapping[str, float], *, size: int, samples: int, seed: int
    ) -> Frame:
        """One frame of size × size pixels, `samples` paths per pixel."""
        mi.set_variant(self.variant)
        if car is not self._car:
            self._load(car)
        camera = layout.fit_camera(self._outline, properties)
        elevation = float(properties["sun_elevation"])
        light = layout.compose_light(_sky(elevation), _sun(elevation), properties)
        # Paths are traced only where the car or its shadow may show; the rest is known exactly.
        near = far = (slice(0, size), slice(0, size))
        if not self._is_compiled:
            near = layout.car_window(self._outline, camera, size)
            far = layout.shadow_window(self._outline, camera, properties, size)
        shares = self._shares(camera, properties, size, far)
        front = self._front(camera, size, near)

        radiance = layout.empty_stage(light, camera, size)
        self._light_up(light, properties)
        radiance[far] = layout.clean_ground(
            self._trace(radiance[far], shares, _Shot(camera, size, samples, seed), far),
            radiance[far],
            shares,
            light.sunlight,
            radius=2 if size < 160 else 4,
        )
        radiance[near] = layout.glaze(radiance[near], front, light, camera, properties, tint=GLASS)
        share_of_car = np.zeros((size, size))
        share_of_car[near] = front.car
        labels = np.zeros((size, size), dtype=np.uint8)
        labels[far] = layout.mask_labels(shares, share_of_car[far])
        return Frame(layout.develop(radiance, light.exposure), labels)

    @property
    def _is_compiled(self) -> bool:
        """Whether pictures are compiled, anew for each new shape."""
        return not self.variant.startswith("scalar")

    def _load(self, car: Car) -> None:
        panes = [part for part in car.parts if material_named(part.material).clear]
        opaque = [part for part in car.parts if not material_named(part.material).clear]
        self._scene = mi.load_dict(_scene_of_light(opaque))
        self._parameters = mi.traverse(self._scene)
        paint = "part_paint.bsdf.brdf_0.base_color.value"
        self._paint = paint if any(part.material == "paint" for part in opaque) else None
        self._labels = mi.load_dict(_scene_of_labels(opaque))
        self._label_parameters = mi.traverse(self._labels)
        self._panes = mi.load_dict(_scene_of_panes(opaque, panes))
        vertices = np.concatenate([part.vertices for part in car.parts])
        stride = 7 if len(vertices) > 7000 else 1  # enough to frame the car by
        self._outline = vertices[::stride].astype(np.float64)
        self._car = car

    def _light_up(self, light: layout.Light, properties: Mapping[str, float]) -> None:
        """Set what changes between pictures of one car."""
        parameters = self._parameters
        parameters["environment.data"] = mi.TensorXf(_padded(light.environment))
        parameters["environment.to_world"] = _environment_frame(properties["rotation_z"])
        parameters["sun.irradiance.value"] = _rgb(light.sun)
        parameters["sun.to_world"] = _facing(-layout.sun_direction(properties))
        if self._paint is not None:
            parameters[self._paint] = _rgb(layout.paint_color(properties))
        parameters["floor.bsdf.reflectance.value"] = _rgb(layout.ground_color(properties))
        parameters.update()

    def _trace(
        self, stage: Floats, shares: layout.Shares, shot: "_Shot", window: layout.Window
    ) -> Floats:
        """The window's radiance [h, w, 3]: that of the `stage` far from the car, else traced."""
        radiance = stage.copy()
        busy = layout.busy_window(shares)
        if busy is None:
            return radiance
        if self._is_compiled:
            busy = (slice(None), slice(None))
            part = window
        else:
            part = _within(window, busy)
        sensor = _sensor(shot.camera, shot.size, shot.samples, part)
        traced = mi.render(self._scene, sensor=sensor, seed=mi.UInt32(shot.seed), spp=shot.samples)
        radiance[busy] = np.asarray(traced)[..., :3]
        return radiance

    def _shares(
        self,
        camera: layout.Camera,
        properties: Mapping[str, float],
        size: int,
        window: layout.Window,
    ) -> layout.Shares:
        towards = layout.sun_direction(properties)
        self._label_parameters["sun.to_world"] = _facing(-towards)
        self._label_parameters.update()
        sensor = _sensor(camera, size, MASK_SAMPLES, window)
        layers = np.asarray(
            mi.render(self._labels, sensor=sensor, seed=mi.UInt32(0), spp=MASK_SAMPLES)
        )
        lit = layers[..., 0] * np.pi / towards[2]
        return layout.Shares(lit=lit, ground=layers[..., 1], covered=layers[..., 3])

    def _front(self, camera: layout.Camera, size: int, window: layout.Window) -> layout.Front:
        sensor = _sensor(camera, layout.STRATA * size, 1, layout.finer(window))
        layers = np.asarray(mi.render(self._panes, sensor=sensor, seed=mi.UInt32(0), spp=1))
        glow = layers[..., :3].astype(np.float64)
        return layout.Front(
            window, size, is_car=layers[..., 3] > 0.5, is_glass=glow[..., 0] > 0, normals=glow - 2.0
        )


@dataclass(frozen=True)
class _Shot:
    """A picture of size × size pixels by `samples` paths each, seeded."""

    camera: layout.Camera
    size: int
    samples: int
    seed: int


def _scene_of_light(opaque: Sequence[Part]) -> dict[str, Any]:
    """The car without its glass, on the ground under sun and sky, which are set later."""
    scene: dict[str, Any] = {
        "type": "scene",
        "integrator": {"type": "path", "max_depth": 3, "block_size": BLOCK},
        "environment": {
            "type": "envmap",
            "bitmap": mi.Bitmap(np.ones((*layout.ENVIRONMENT_SHAPE, 3), dtype=np.float32)),
        },
        # A sun without extent: two emitters and an even sample count light every pixel by the
        # sun equally often, which leaves no noise of it on plain surfaces.
        "sun": _distant((1.0, 1.0, 1.0)),
        "floor": _disk()
        | {"bsdf": {"type": "diffuse", "id": "ground", "reflectance": _color((0.5, 0.5, 0.5))}},
    }
    for part in opaque:
        bsdf = _bsdf(part.material, material_named(part.material))
        scene[f"part_{part.name}"] = _mesh(part, bsdf)
    return scene


def _scene_of_labels(opaque: Sequence[Part]) -> dict[str, Any]:
    """Labels by light: the ground glows green and the sun is red.

    A pixel's green is its share of ground, its red its share of lit ground, its alpha its share of
    any surface.
    """
    direct = {"type": "direct", "bsdf_samples": 0, "emitter_samples": 1}
    glow = {"type": "area", "radiance": _color((0.0, 1.0, 0.0)), "sampling_weight": 0.0}
    red = {"type": "diffuse", "reflectance": _color((1.0, 0.0, 0.0))}
    return {
        "type": "scene",
        "integrator": direct | {"block_size": BLOCK},
        "sun": _distant((1.0, 0.0, 0.0)),
        "floor": _disk() | {"bsdf": red, "glow": glow},
        "car": _mesh(_merged(opaque), _black()),
    }


def _scene_of_panes(opaque: Sequence[Part], panes: Sequence[Part]) -> dict[str, Any]:
    """Glass that glows in the colour 2 + n where its normal is n, and what may stand before it."""
    direct = {"type": "direct", "bsdf_samples": 1, "emitter_samples": 0}
    scene: dict[str, Any] = {
        "type": "scene",
        "integrator": direct | {"block_size": BLOCK},
        "car": _mesh(_merged(opaque), _black()),
    }
    if panes:
        glass = _merged(panes)
        glow = {"type": "mesh_attribute", "name": "vertex_glow"}
        scene["panes"] = _mesh(glass, _black(), emitter={"type": "area", "radiance": glow})
        scene["panes"].add_attribute("vertex_glow", 3, (2.0 + glass.normals).ravel())
    return scene


def _disk() -> dict[str, Any]:
    return {"type": "disk", "to_world": mi.ScalarTransform4f().scale(GROUND_RADIUS)}


def _distant(irradiance: tuple[float, float, float]) -> dict[str, Any]:
    return {"type": "directional", "irradiance": _color(irradiance), "direction": [0, 0, -1]}


def _black() -> dict[str, Any]:
    return {"type": "diffuse", "reflectance": _color((0.0, 0.0, 0.0))}


@lru_cache(maxsize=64)
def _sky(elevation: float) -> NDArray[np.float64]:
    """Sky radiance [H, W, 3] without the sun, which stands at azimuth 0."""
    emitter = mi.load_dict(_sunsky(elevation, sky=1.0, sun=0.0))
    azimuths, elevations = layout.directions()
    above = elevations > 0
    a, e = azimuths[above], elevations[above]
    towards = np.stack([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)], axis=-1)
    result = np.zeros((*above.shape, 3))
    result[above] = _radiance(emitter, towards)
    return result


def _radiance(emitter: Any, directions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Radiance [N, 3] that a distant emitter sends from unit directions [N, 3]."""
    if (mi.variant() or "").startswith("scalar"):
        interaction = mi.SurfaceInteraction3f()
        result = np.empty(directions.shape)
        for i, (x, y, z) in enumerate((-directions).tolist()):
            interaction.wi = mi.Vector3f(x, y, z)
            result[i] = emitter.eval(interaction)
        return result
    interaction = dr.zeros(mi.SurfaceInteraction3f, len(directions))
    interaction.wi = mi.Vector3f(*(-directions.T.astype(np.float32)))
    return np.asarray(emitter.eval(interaction)).T.astype(np.float64)


@lru_cache(maxsize=64)
def _sun(elevation: float) -> NDArray[np.float64]:
    """Irradiance [3] of the sun on a surface facing it."""
    emitter = mi.load_dict(_sunsky(elevation, sky=0.0, sun=1.0))
    e = np.radians(elevation)
    radiance = _radiance(emitter, np.array([[np.cos(e), 0.0, np.sin(e)]]))[0]
    solid_angle = 2.0 * np.pi * (1.0 - np.cos(np.radians(0.5358 / 2)))
    return radiance * solid_angle


def _sunsky(elevation: float, *, sky: float, sun: float) -> dict[str, Any]:
    e = np.radians(elevation)
    return {
        "type": "sunsky",
        "turbidity": TURBIDITY,
        "sun_direction": [float(np.cos(e)), 0.0, float(np.sin(e))],
        "sky_scale": sky,
        "sun_scale": sun,
    }


def _padded(environment: NDArray[np.float64]) -> NDArray[np.float32]:
    """A column of overlap on either side, as Mitsuba keeps environment maps in memory."""
    wrapped = [environment[:, -1:], environment, environment[:, :1]]
    return np.concatenate(wrapped, axis=1).astype(np.float32)


def _environment_frame(yaw: float) -> Any:
    """From the map's own axes (y up, centre column towards +z) into the car's frame."""
    return mi.Transform4f().rotate([0, 0, 1], -yaw).rotate([0, 0, 1], 90).rotate([1, 0, 0], 90)


def _facing(direction: NDArray[np.float64]) -> Any:
    """A frame whose z axis points along a direction."""
    up = [1.0, 0.0, 0.0] if abs(direction[2]) > 0.999 else [0.0, 0.0, 1.0]
    return mi.Transform4f().look_at(origin=[0.0, 0.0, 0.0], target=direction.tolist(), up=up)


def _sensor(camera: layout.Camera, size: int, samples: int, window: layout.Window) -> Any:
    rows, columns = window
    return mi.load_dict(
        {
            "type": "perspective",
            "fov": camera.fov,
            "to_world": mi.ScalarTransform4f().look_at(
                origin=list(camera.origin), target=list(camera.target), up=[0, 0, 1]
            ),
            "sampler": {"type": "multijitter", "sample_count": samples},
            "film": {
                "type": "hdrfilm",
                "width": size,
                "height": size,
                "crop_offset_x": int(columns.start),
                "crop_offset_y": int(rows.start),
                "crop_width": int(columns.stop - columns.start),
                "crop_height": int(rows.stop - rows.start),
                "pixel_format": "rgba",
                "component_format": "float32",
                "rfilter": {"type": "box"},  # no pixel depends on its neighbours' blocks
            },
        }
    )


def _within(window: layout.Window, part: layout.Window) -> layout.Window:
    """A part of a window, counted from the picture's corner."""
    rows, columns = (
        slice(outer.start + inner.start, outer.start + inner.stop)
        for outer, inner in zip(window, part, strict=True)
    )
    return rows, columns


def _mesh(part: Part, bsdf: dict[str, Any], emitter: dict[str, Any] | None = None) -> Any:
    properties = mi.Properties()
    properties["bsdf"] = mi.load_dict(bsdf)
    if emitter is not None:
        properties["emitter"] = mi.load_dict(emitter)
    mesh = mi.Mesh(
        part.name,
        vertex_count=len(part.vertices),
        face_count=len(part.faces),
        has_vertex_normals=True,
        props=properties,
    )
    buffers = mi.traverse(mesh)
    buffers["vertex_positions"] = part.vertices.ravel()
    buffers["vertex_normals"] = part.normals.ravel()
    buffers["faces"] = part.faces.ravel()
    buffers.update()
    return mesh


def _merged(parts: Sequence[Part]) -> Part:
    """All parts as one."""
    starts = np.cumsum([0] + [len(part.vertices) for part in parts[:-1]]).astype(np.uint32)
    return Part(
        name="car",
        vertices=np.concatenate([part.vertices for part in parts]),
        faces=np.concatenate(
            [part.faces + start for part, start in zip(parts, starts, strict=True)]
        ),
        normals=np.concatenate([part.normals for part in parts]),
        material="car",
    )


def _bsdf(name: str, material: Material) -> dict[str, Any]:
    return {
        "type": "twosided",
        "id": name,
        "bsdf": {
            "type": "principled",
            "base_color": _color(material.color),
            "roughness": material.roughness,
            "metallic": material.metallic,
            "specular": material.specular,
            "clearcoat": material.clearcoat,
            "clearcoat_gloss": material.clearcoat_gloss,
        },
    }


def _color(value: tuple[float, float, float]) -> dict[str, Any]:
    return {"type": "rgb", "value": list(value)}


def _rgb(value: NDArray[np.float64]) -> Any:
    return mi.Color3f(*(float(channel) for channel in value))
