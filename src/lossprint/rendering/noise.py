"""How many samples a pixel needs for a wanted signal-to-noise ratio, measured on a few scenes.

Two renderings of one scene with independent noise differ by twice the noise's variance, whatever
the noise-free image is. The variance falls with the number of samples n, faster than 1/n with a
stratified sampler, but how fast depends on the scene. So nothing is extrapolated: numbers of
samples are tried in growing order, and the first that reaches the target is taken.
"""

import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from lossprint.rendering.sampling import Scene
from lossprint.rendering.studio import Studio

PILOT_SCENES = 6
# Between neighbours lies at most a factor 1.5, about 2 to 3 dB.
LADDER = tuple(sorted({2**k for k in range(2, 13)} | {3 * 2**k for k in range(1, 11)}))
# Not even a stratified sampler gains more than n^-2, which tells what need not be tried.
_FASTEST_DECAY = 2.0


def fewest_samples(psnr: Callable[[int], float], noise_db: float) -> int:
    """The smallest number on the ladder with psnr(number) ≥ noise_db, dB.

    Raises:
        ValueError: if even the largest does not reach it.
    """
    reachable = -math.inf
    tried = 0
    for samples in LADDER:
        if tried and reachable + 10 * _FASTEST_DECAY * math.log10(samples / tried) < noise_db:
            continue
        reachable, tried = psnr(samples), samples
        if reachable >= noise_db:
            return samples
    raise ValueError(
        f"noise_db = {noise_db:g} is out of reach of {LADDER[-1]} samples per pixel: {tried} give "
        f"{reachable:.1f} dB; lower it, or give the number of samples"
    )


def measure_psnr(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> float:
    """PSNR in dB of either of two uint8 images that differ in their noise alone.

    The mean over pairs of E[(a − b)²] / 2 is the noise's variance; equal images give +inf.
    """
    squares = [
        float(np.mean((first.astype(np.float64) - second.astype(np.float64)) ** 2)) / 2
        for first, second in pairs
    ]
    variance = sum(squares) / len(squares)
    return math.inf if variance == 0 else 10 * math.log10(255**2 / variance)


def run_pilot(studio: Studio, task: tuple[list[Scene], float]) -> Iterator[int]:
    """Yield the number of samples that `task`, (scenes, noise_db), needs."""
    scenes, noise_db = task

    def psnr(samples: int) -> float:
        return measure_psnr(
            (
                studio.shoot(scene, samples=samples).image,
                studio.shoot(scene, samples=samples, seed=scene.noise_seed ^ 0xFFFFFFFF).image,
            )
            for scene in scenes
        )

    yield fewest_samples(psnr, noise_db)
