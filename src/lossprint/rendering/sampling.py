"""Which scene a frame shows: drawn from (seed, property, frame), whatever the number of frames.

Each property has a random stream of its own, keyed by the seed and the property's name, and
frame i takes the stream's i-th number. A longer set is therefore a continuation of a shorter one,
and changing one property's levels leaves the draws of all others alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lossprint.streams import stream


@dataclass(frozen=True)
class Scene:
    """What one frame shows: the design's place in its set's list, and the ten values."""

    frame: int
    design: int
    properties: Mapping[str, float]
    noise_seed: int


@dataclass(frozen=True)
class Scenes:
    """The scenes of frames 0 … N−1, by column.

    `design` int64 [N] counts in the set's designs, `properties` maps names to float64 [N], and
    `noise_seed` uint32 [N] seeds the renderer's sampling.
    """

    design: np.ndarray
    properties: Mapping[str, np.ndarray]
    noise_seed: np.ndarray

    def __len__(self) -> int:
        return len(self.design)

    def __getitem__(self, frame: int) -> Scene:
        values = {name: float(column[frame]) for name, column in self.properties.items()}
        return Scene(frame, int(self.design[frame]), values, int(self.noise_seed[frame]))


def draw_scenes(
    count: int,
    *,
    seed: int,
    levels: Mapping[str, Sequence[float]],
    designs: int,
    balanced: bool,
    shortcut: Mapping[str, float] | None = None,
) -> Scenes:
    """Draw every property uniformly and independently from its levels, and a design.

    With a shortcut a property tells something of the design: each design has a level of its own,
    all levels about equally many designs, and a frame takes it with the given probability.

    Args:
        count: number of frames N.
        seed: of the set, ≥ 0.
        levels: of each property.
        designs: how many designs there are.
        balanced: give each run of `designs` frames every design once, in shuffled order, so that
            the designs' numbers of frames differ by at most one; otherwise the design is drawn
            independently, like a property.
        shortcut: by property the probability of the design's own level; the others are free.
    """
    shortcut = shortcut or {}
    design = (
        _shuffled_rounds(seed, count, designs)
        if balanced
        else _uniform_choices(seed, "model", count, designs)
    )
    properties = {}
    for name, values in levels.items():
        choices = _uniform_choices(seed, name, count, len(values))
        if name in shortcut:
            own = _levels_of_designs(seed, name, designs, len(values))[design]
            follows = np.random.Generator(stream(seed, "shortcut", name, "frames")).random(count)
            choices = np.where(follows < shortcut[name], own, choices)
        properties[name] = np.asarray(values, dtype=np.float64)[choices]
    noise_seed = (stream(seed, "noise").random_raw(count) >> np.uint64(32)).astype(np.uint32)
    return Scenes(design, properties, noise_seed)


def shortcut_name(shortcut: Mapping[str, float] | None) -> str:
    """What tells a world with a shortcut from others in the names of folders.

    >>> shortcut_name({"color_hue": 0.9})
    '-color_hue0.9'
    >>> shortcut_name({})
    ''
    """
    return "".join(f"-{name}{share}" for name, share in sorted((shortcut or {}).items()))


def _uniform_choices(seed: int, name: str, count: int, number: int) -> np.ndarray:
    uniform = np.random.Generator(stream(seed, name)).random(count)
    return np.floor(uniform * number).astype(np.int64)


def _levels_of_designs(seed: int, name: str, designs: int, number: int) -> np.ndarray:
    """Each design's own level of a property: designs in shuffled order take the levels in turn."""
    order = np.random.Generator(stream(seed, "shortcut", name, "designs")).random(designs)
    return np.argsort(np.argsort(order, kind="stable"), kind="stable") % number


def _shuffled_rounds(seed: int, count: int, designs: int) -> np.ndarray:
    rounds = [
        # Sorting random numbers shuffles by arithmetic alone, so no release of numpy changes it.
        np.argsort(
            np.random.Generator(stream(seed, "model", number)).random(designs), kind="stable"
        )
        for number in range(-(-count // designs))
    ]
    return np.concatenate([np.empty(0, np.int64), *rounds])[:count]
