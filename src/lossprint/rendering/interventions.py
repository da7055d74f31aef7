"""Interventions: the same scene with exactly one property moved to each of its other levels.

Base scene b is frame b of the drawn set of the same seed, and everything made from it, itself
first, lies in one block of frames with one sampling noise. More base scenes continue the set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lossprint.rendering.sampling import Scenes

MODEL = "model"


@dataclass(frozen=True)
class Intervention:
    """`frame` shows base frame `base` with `property` moved from `origin` to `target`.

    For `model`, origin and target are places in the set's list of designs.
    """

    base: int
    property: str
    origin: float
    target: float
    frame: int


def block_length(levels: Mapping[str, Sequence[float]], designs: int) -> int:
    """A base scene and its interventions: 1 + (designs − 1) + Σ (levels − 1)."""
    return designs + sum(len(values) - 1 for values in levels.values())


def intervene(
    base: Scenes, *, levels: Mapping[str, Sequence[float]], designs: int
) -> tuple[Scenes, list[Intervention]]:
    """The scenes of all interventions on the base scenes, and what was moved in each.

    With B = `block_length`, base scene b lies at frame b B, followed by its B − 1 interventions:
    `model` first, then the properties in their order, levels in theirs.
    """
    alternatives = {MODEL: tuple(range(designs)), **levels}
    block = block_length(levels, designs)
    columns = {MODEL: base.design, **base.properties}
    moved = {name: np.repeat(column, block) for name, column in columns.items()}
    interventions = []
    for number in range(len(base)):
        frame = first = number * block
        for name, values in alternatives.items():
            origin = columns[name][number]
            for target in values:
                if target == origin:
                    continue
                frame += 1
                moved[name][frame] = target
                interventions.append(Intervention(first, name, origin, target, frame))
    design = moved.pop(MODEL)
    return Scenes(design, moved, np.repeat(base.noise_seed, block)), interventions
