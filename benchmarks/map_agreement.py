"""Correlation and Jensen–Shannon divergence of all pairs of models, against one pair at a time.

    python benchmarks/map_agreement.py [--models 15] [--images 500] [--output FILE.md]

The per-pair way is numpy and scipy, one pair of models and one image at a time. It is timed on
some pairs and images, taking turns with the whole of this package's way, and scaled to all pairs.
"""

import argparse
import os
import platform
import resource
import time
from statistics import median

import numba
import numpy as np
import scipy
import torch
from publishing import add_output, publish

from lossprint.saliency import map_agreement

ROUNDS, IMAGES_A_PAIR = 3, 25


def one_pair(first: np.ndarray, second: np.ndarray) -> tuple[list[float], list[float]]:
    """The plain way: pixels of both maps as vectors, image after image."""
    correlations, divergences = [], []
    for a, b in zip(first, second, strict=True):
        p, q = a.ravel().astype(np.float64), b.ravel().astype(np.float64)
        correlations.append(np.corrcoef(p, q)[0, 1])
        p, q = p / p.sum(), q / q.sum()
        middle = (p + q) / 2
        halves = [scipy.special.rel_entr(x, middle).sum() for x in (p, q)]
        divergences.append(sum(halves) / 2)
    return correlations, divergences


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=15)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--size", type=int, default=227)
    add_output(parser)
    options = parser.parse_args()

    random = np.random.default_rng(0)
    maps = random.random((options.models, options.images, options.size, options.size), np.float32)
    np.power(maps, 3, out=maps)
    map_agreement(maps[:2, :2])  # compile
    pairs = options.models * (options.models - 1) // 2
    some = min(IMAGES_A_PAIR, options.images)
    plain, ours, plain_cpu, ours_cpu, error = [], [], [], [], 0.0
    for turn in range(ROUNDS):
        start, cpu = time.perf_counter(), time.process_time()
        correlations, divergences = one_pair(maps[turn, :some], maps[turn + 1, :some])
        scale = pairs * options.images / some
        plain.append((time.perf_counter() - start) * scale)
        plain_cpu.append((time.process_time() - cpu) * scale)
        start, cpu = time.perf_counter(), time.process_time()
        agreement = map_agreement(maps)
        ours.append(time.perf_counter() - start)
        ours_cpu.append(time.process_time() - cpu)
        for expected, found in (
            (correlations, agreement.correlation),
            (divergences, agreement.divergence),
        ):
            error = max(
                error, float(abs(np.array(expected) - found[turn, turn + 1, :some].numpy()).max())
            )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    lines = [
        f"# Agreement of {options.models} models × {options.images} maps of {options.size} px, "
        f"{pairs} pairs",
        "",
        "| way | wall | faster by | processor | less by |",
        "|---|---|---|---|---|",
        f"| one pair at a time, numpy (scaled from {some} images) | {median(plain):.1f} s | 1 × | "
        f"{median(plain_cpu):.1f} s | 1 × |",
        f"| all pairs | {median(ours):.2f} s | {median(plain) / median(ours):.0f} × | "
        f"{median(ours_cpu):.2f} s | {median(plain_cpu) / median(ours_cpu):.0f} × |",
        "",
        f"Largest difference {error:.1e}. {os.cpu_count()} cores, load average "
        f"{os.getloadavg()[1]:.1f} over the last 5 minutes; Python {platform.python_version()}, "
        f"NumPy {np.__version__}, SciPy {scipy.__version__}, numba {numba.__version__}, PyTorch "
        f"{torch.__version__}. Medians of {ROUNDS} turns. Peak memory of the process "
        f"{peak / 1e9:.2f} GB, {maps.nbytes / 1e9:.2f} GB of it the maps.",
        "",
        f"`python benchmarks/map_agreement.py --models {options.models} --images "
        f"{options.images} --size {options.size}`",
    ]
    publish("\n".join(lines), options.output)


if __name__ == "__main__":
    main()
