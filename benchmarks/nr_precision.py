"""NR-Prec of 11 properties: all in one pass, against one exact search per property.

    python benchmarks/nr_precision.py [--small 20000] [--large 100000] [--output FILE.md]

The published way searches the neighbours anew for each property: all pairwise distances, the R
nearest in order, their labels gathered and counted. Here it is written with PyTorch, in blocks.
Rounds of both ways alternate, so that a busy machine slows both. The large set runs in a process
of its own, whose peak memory is measured, once as it is and once with PyTorch imported, as in
training.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numba
import numpy as np
from publishing import add_output, publish

from lossprint.metrics import property_precision

if TYPE_CHECKING:
    import torch

DIMENSIONS = 128
LEVELS = {
    "model": 6,
    "rotation_z": 16,
    "color_hue": 12,
    "color_sat": 5,
    "color_val": 5,
    "bg_color_hue": 12,
    "bg_color_sat": 5,
    "bg_color_val": 5,
    "camera_loc_z": 8,
    "sun_elevation": 8,
    "sun_rotation": 16,
}


def scene(count: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Embeddings [N, 128] that follow some properties, and all properties' labels."""
    rng = np.random.default_rng(0)
    labels = {name: rng.integers(0, levels, count) for name, levels in LEVELS.items()}
    embeddings = rng.standard_normal((count, DIMENSIONS), dtype=np.float32)
    for name, strength in {"model": 0.5, "rotation_z": 0.3, "bg_color_val": 0.2}.items():
        centres = rng.standard_normal((LEVELS[name], DIMENSIONS), dtype=np.float32)
        embeddings += np.float32(strength) * centres[labels[name]]
    return embeddings, labels


def search_for_one_property(embeddings: torch.Tensor, labels: torch.Tensor) -> np.ndarray:
    """Matches among each query's R nearest neighbours by one exact search."""
    import torch

    sizes = labels.bincount()[labels]
    farthest = int(sizes.max()) - 1
    nearest = torch.cat(
        [
            torch.cdist(block, embeddings).topk(farthest + 1, largest=False).indices[:, 1:]
            for block in embeddings.split(500)
        ]
    )
    match = labels[nearest] == labels[:, None]
    match &= torch.arange(farthest) < sizes[:, None] - 1
    return match.sum(1).numpy()


class Seconds(NamedTuple):
    """On the wall, and on all cores together: what a busy machine lengthens least."""

    wall: float
    cpu: float


def timed(work: Callable[[], Any]) -> tuple[Any, Seconds]:
    """The result of some work, and how long it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, Seconds(time.perf_counter() - wall, time.process_time() - cpu)


def compare(count: int) -> list[str]:
    """Table lines for `count` embeddings, rounds of both ways alternating."""
    import torch

    embeddings, labels = scene(count)
    property_precision(embeddings[:100], {"model": labels["model"][:100]})  # compile
    points = torch.nn.functional.normalize(torch.from_numpy(embeddings))
    searches, passes, different, compared = [], [], 0, 0
    for name, values in labels.items():
        searched, search = timed(lambda v=values: search_for_one_property(points, torch.tensor(v)))
        scores, one_pass = timed(lambda: property_precision(embeddings, labels))
        searches.append(search)
        passes.append(one_pass)
        different += int((scores[name].matches != searched).sum())
        compared += len(searched)
        print(f"{name}: search {search.wall:.1f} s, all in one pass {one_pass.wall:.2f} s")
    search = Seconds(*np.sum(searches, axis=0))
    one_pass = Seconds(*np.median(passes, axis=0))
    walls = [each.wall for each in passes]
    return [
        f"| one search per property | {count:,} | {search.wall:.1f} s | "
        f"{search.cpu:.1f} s | 1 × | |",
        f"| one pass | {count:,} | {one_pass.wall:.2f} s ({min(walls):.2f}–{max(walls):.2f}) | "
        f"{one_pass.cpu:.1f} s | {search.wall / one_pass.wall:.0f} × | |",
        "",
        f"Of {compared:,} counts {different:,} differ between the two: the search ranks float32 "
        "distances, the pass settles what float32 cannot tell apart in float64.",
    ]


def alone(count: int, beside_torch: bool) -> None:
    """Time one pass in this process; print its seconds, their CPU time and the peak in bytes."""
    if beside_torch:
        import torch  # noqa: F401
    embeddings, labels = scene(count)
    property_precision(embeddings[:100], {"model": labels["model"][:100]})
    _, seconds = timed(lambda: property_precision(embeddings, labels))
    print(*seconds, peak_bytes())


def peak_bytes() -> int:
    """Peak resident memory of this process; `ru_maxrss` would start at the parent's."""
    status = Path("/proc/self/status").read_text()
    (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
    return int(kilobytes) * 1024


def growth(count: int, *, beside_torch: bool) -> str:
    """A table line for one pass over `count` embeddings in a process of its own."""
    command = [sys.executable, __file__, "--alone", str(count)]
    command += ["--beside-torch"] if beside_torch else []
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    wall, cpu, peak = map(float, output.split())
    way = "one pass, PyTorch imported" if beside_torch else "one pass"
    print(f"{way}, {count:,}: {wall:.1f} s, peak {peak / 1e6:.0f} MB")
    return f"| {way} | {count:,} | {wall:.1f} s | {cpu:.0f} s | | {peak / 1e6:.0f} MB |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", type=int, default=20_000)
    parser.add_argument("--large", type=int, default=100_000)
    add_output(parser)
    parser.add_argument("--alone", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--beside-torch", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        alone(options.alone, options.beside_torch)
        return
    search, one_pass, *note = compare(options.small)
    lines = [
        "# NR-Prec of 11 properties, 128 dimensions",
        "",
        "| way | N | time | CPU time | faster by | peak memory of the process |",
        "|---|---|---|---|---|---|",
        search,
        one_pass,
        growth(options.large, beside_torch=False),
        growth(options.large, beside_torch=True),
        *note,
        "",
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load average "
        f"{os.getloadavg()[1]:.1f} over the last 5 minutes; Python {platform.python_version()}, "
        f"PyTorch {version('torch')}, numba {numba.__version__}, NumPy {np.__version__}. "
        "One pass: median of 11 rounds (fastest–slowest), compilation not counted.",
        "",
        f"`python benchmarks/nr_precision.py --small {options.small} --large {options.large}`",
    ]
    publish("\n".join(lines), options.output)


if __name__ == "__main__":
    main()
