"""Images per second and their noise: `python benchmarks/rendering.py`, about six minutes.

For each size: the samples per pixel that the default noise target takes, the PSNR that they reach
against pictures of 4,096 samples, and the rate of every variant of Mitsuba that works here, with
as many processes as `render.py` starts.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from publishing import add_output, publish

from lossprint.rendering.backend import VARIANTS, MitsubaBackend, workers_for
from lossprint.rendering.noise import PILOT_SCENES, run_pilot
from lossprint.rendering.processes import spread
from lossprint.rendering.progress import track_frames
from lossprint.rendering.sampling import Scene, Scenes
from lossprint.rendering.specification import DEFAULT_NOISE_DB, SetSpecification, specify
from lossprint.rendering.studio import RenderedFrame, Studio

SIZES = (64, 128, 227)
REFERENCE_SAMPLES = 4096
# The reference is the mean of pictures with these many samples: they are spread over the cores,
# and a GPU or LLVM keeps all of a picture's samples in memory at once.
PASS_SAMPLES = 256
REFERENCE_SCENES = 2
SECONDS_PER_RATE = 12.0


@dataclass(frozen=True)
class Quality:
    """Samples per pixel, and the PSNR that they reach in the whole picture and on the car, dB."""

    samples: int
    picture: float
    car: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--reference-samples", type=int, default=REFERENCE_SAMPLES)
    parser.add_argument("--seconds", type=float, default=SECONDS_PER_RATE)
    add_output(parser)
    options = parser.parse_args()
    publish(measure(options.sizes, options.reference_samples, options.seconds), options.output)


def measure(sizes: Iterable[int], reference_samples: int, seconds: float) -> str:
    backend = MitsubaBackend()
    variants = [name for name in VARIANTS if _works(backend, name)]
    lines = [
        f"Made by `python benchmarks/rendering.py` on {_processor()}, {os.cpu_count()} cores, "
        f"with Mitsuba {version('mitsuba')}. Samples per pixel: what a noise target of "
        f"{DEFAULT_NOISE_DB:g} dB takes. PSNR: against {reference_samples:,} samples, on "
        f"{REFERENCE_SCENES} scenes that the target was not measured on. A new design costs its "
        "geometry and the loading of its scene. `render.py` takes the variant in bold.",
        "",
        "| size | samples | PSNR, dB | on the car, dB | variant | processes | images/s "
        "| a new design, s | 100,000 frames, hours |",
        "|-:|-:|-:|-:|:-|-:|-:|-:|-:|",
    ]
    for size in sizes:
        specification = specify(kind="probe", size=size, count=1000)
        scenes, _ = specification.scenes()
        usual = backend.choose_variant("auto", size)
        found = _quality(specification, scenes, usual, variants[0], reference_samples)
        for variant in variants:
            workers, rate, new_design = _rate(
                specification, scenes, variant, found.samples, seconds
            )
            name = f"**{variant}**" if variant == usual else variant
            lines.append(
                f"| {size} | {found.samples} | {found.picture:.1f} | {found.car:.1f} | {name} "
                f"| {workers} | {rate:.2f} | {new_design:.2f} | {100_000 / rate / 3600:.1f} |"
            )
    return "\n".join(lines) + "\n"


def _quality(
    specification: SetSpecification,
    scenes: Scenes,
    usual: str,
    fastest: str,
    reference_samples: int,
) -> Quality:
    """Samples that the noise target takes, and their PSNR against a reference by `fastest`."""
    pilot = [scenes[frame] for frame in range(PILOT_SCENES)]
    # Other scenes than the pilot's, so that the target is tested and not met by construction.
    others = [scenes[PILOT_SCENES + frame] for frame in range(REFERENCE_SCENES)]
    run = partial(_run, specification)
    (samples,) = run("samples", usual, 1, run_pilot, [(pilot, DEFAULT_NOISE_DB)])
    frames = dict(run("pictures", usual, 1, _picture, [(each, samples, None) for each in others]))
    passes = [
        (scene, PASS_SAMPLES, seed)
        for scene in others
        for seed in range(reference_samples // PASS_SAMPLES)
    ]
    workers, _ = workers_for(fastest, None, len(passes))
    truth = {frame: np.zeros((specification.size, specification.size, 3)) for frame in frames}
    for frame, reference in run("reference", fastest, workers, _picture, passes):
        truth[frame] += reference.image * (len(others) / len(passes))
    errors = {frame: shown.image - truth[frame] for frame, shown in frames.items()}
    on_car = [errors[frame][shown.mask == 1] for frame, shown in frames.items()]
    return Quality(samples, _psnr(errors.values()), _psnr(on_car))


def _run(
    specification: SetSpecification,
    title: str,
    variant: str,
    workers: int,
    handle: Callable[[Studio, Any], Iterable[Any]],
    tasks: list[Any],
) -> Iterator[Any]:
    """Results of all tasks, with a bar of the progress."""
    studio = partial(
        Studio,
        MitsubaBackend().renderer(variant, None if workers == 1 else 1),
        specification.designs,
        specification.size,
        keep=PILOT_SCENES,
    )
    waiting = iter(tasks)
    results = spread(lambda _: next(waiting, None), workers=workers, start=studio, handle=handle)
    title = f"{specification.size} px: {title}"
    with closing(results):
        yield from track_frames(results, total=len(tasks), title=title, shown=True)


def _psnr(errors: Iterable[np.ndarray]) -> float:
    """PSNR in dB of 8-bit pictures with these errors."""
    return float(10 * np.log10(255**2 / np.mean([np.mean(error**2) for error in errors])))


def _picture(
    studio: Studio, task: tuple[Scene, int, int | None]
) -> Iterator[tuple[int, RenderedFrame]]:
    scene, samples, seed = task
    yield scene.frame, studio.shoot(scene, samples=samples, seed=seed)


def _rate(
    specification: SetSpecification, scenes: Scenes, variant: str, samples: int, seconds: float
) -> tuple[int, float, float]:
    """Processes, images per second of them all, seconds that a new design costs one of them."""
    workers, threads = workers_for(variant, None, len(scenes))
    studio = partial(
        Studio,
        MitsubaBackend().renderer(variant, threads),
        specification.designs,
        specification.size,
    )
    by_design = [np.flatnonzero(scenes.design == design) for design in (0, 1)]
    order = [int(by_design[0][0]), *by_design[1].tolist()]
    chunks = [[scenes[frame] for frame in order]] * workers

    def next_chunk(_: object) -> list[Scene] | None:
        return chunks.pop() if chunks else None

    durations: dict[int, list[float]] = {}
    start = end = time.perf_counter()
    counted = 0
    with closing(
        spread(next_chunk, workers=workers, start=studio, handle=partial(_timed, samples))
    ) as results:
        for process, duration in results:
            durations.setdefault(process, []).append(duration)
            is_steady = len(durations) == workers and min(map(len, durations.values())) > 2
            counted, start = (counted + 1, start) if is_steady else (0, time.perf_counter())
            end = time.perf_counter()
            if is_steady and end - start > seconds:
                break
    rate = counted / (end - start)
    new_design = np.mean([each[1] - np.median(each[2:]) for each in durations.values()])
    return workers, rate, float(new_design)


def _timed(samples: int, studio: Studio, scenes: list[Scene]) -> Iterator[tuple[int, float]]:
    for scene in scenes:
        start = time.perf_counter()
        studio.shoot(scene, samples=samples)
        yield os.getpid(), time.perf_counter() - start


def _works(backend: MitsubaBackend, variant: str) -> bool:
    try:
        backend.choose_variant(variant, SIZES[0])
    except ValueError:
        return False
    return True


def _processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in text.splitlines() if "model name" in line]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    main()
