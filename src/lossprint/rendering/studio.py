"""What a rendering process holds: a renderer, and the cars that it built last."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Protocol

import numpy as np

from lossprint.rendering.designs import Design
from lossprint.rendering.geometry import Car, build_car
from lossprint.rendering.sampling import Scene
from lossprint.rendering.user_designs import MeshDesign, load_car


class RenderedFrame(Protocol):
    """Image uint8 [H, W, 3] and mask uint8 [H, W]."""

    @property
    def image(self) -> np.ndarray: ...

    @property
    def mask(self) -> np.ndarray: ...


class SceneRenderer(Protocol):
    """What a studio needs of a renderer."""

    def render(
        self, car: Car, properties: Mapping[str, float], *, size: int, samples: int, seed: int
    ) -> RenderedFrame: ...


MakeRenderer = Callable[[], SceneRenderer]


class Studio:
    """Renders scenes of its designs, building each design's geometry when it is first needed.

    Args:
        make_renderer: gives what makes the pictures, in the process that renders.
        designs: what the scenes' design numbers count in.
        size: of the images, pixels.
        keep: how many designs' geometry is kept for further scenes.
    """

    def __init__(
        self,
        make_renderer: MakeRenderer,
        designs: tuple[Design | MeshDesign, ...],
        size: int,
        keep: int = 1,
    ) -> None:
        self._renderer = make_renderer()
        self._size = size
        self._car = lru_cache(keep)(lambda number: build(designs[number], size))

    def shoot(self, scene: Scene, *, samples: int, seed: int | None = None) -> RenderedFrame:
        """Render a scene; `seed` replaces the scene's own sampling noise."""
        return self._renderer.render(
            self._car(scene.design),
            scene.properties,
            size=self._size,
            samples=samples,
            seed=scene.noise_seed if seed is None else seed,
        )


def build(design: Design | MeshDesign, size: int) -> Car:
    """The geometry of a design for images of a size: its triangles are about a pixel wide."""
    if isinstance(design, MeshDesign):
        return load_car(design)
    return build_car(design, cell=min(0.06, max(0.025, 4.0 / size)))
