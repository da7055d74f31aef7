"""A renderer without a picture: its pixels are a hash of everything a frame depends on."""

import json
import os
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import trimesh

from lossprint.rendering.geometry import Car


@dataclass(frozen=True)
class FakeFrame:
    image: np.ndarray
    mask: np.ndarray


@dataclass
class FakeRenderer:
    """`seconds` a frame; raises or dies when the file `fail` or `die` exists."""

    seconds: float = 0.0
    fail: Path | None = None
    die: Path | None = None

    def render(
        self, car: Car, properties: Mapping[str, float], *, size: int, samples: int, seed: int
    ) -> FakeFrame:
        time.sleep(self.seconds)
        if self.fail is not None and self.fail.exists():
            raise ValueError("the fake renderer was told to fail")
        if self.die is not None and self.die.exists():
            os._exit(9)
        content = json.dumps([car.name, sorted(properties.items()), size, samples, seed])
        rng = np.random.default_rng(zlib.crc32(content.encode()))
        # Noise whose variance falls as 1 / samples around one grey.
        image = np.clip(128 + 128 / np.sqrt(samples) * rng.standard_normal((size, size, 3)), 0, 255)
        mask = rng.integers(0, 3, (size, size), dtype=np.uint8)
        return FakeFrame(image.astype(np.uint8), mask)


@dataclass(frozen=True)
class FakeBackend:
    """Makes fake renderers; its one variant is "fake" unless told otherwise."""

    seconds: float = 0.0
    fail: Path | None = None
    die: Path | None = None
    variant: str = "fake"

    def choose_variant(self, wanted: str, size: int) -> str:
        return self.variant if wanted == "auto" else wanted

    def renderer(self, variant: str, threads: int | None) -> partial[FakeRenderer]:
        return partial(FakeRenderer, self.seconds, self.fail, self.die)


def write_box_cars(folder: Path, number: int) -> list[str]:
    """Mesh files of boxes of a car's size, quick to read; box k is 4 + k / 10 long."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"box{k}.stl" for k in range(number)]
    for k, path in enumerate(paths):
        trimesh.creation.box((4.0 + k / 10, 1.8, 1.5)).export(path)
    return [str(path) for path in paths]
