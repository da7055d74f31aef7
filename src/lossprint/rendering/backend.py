"""Where renderers come from: Mitsuba's variants, tried before they are trusted."""

import os
from functools import cache, partial
from multiprocessing import get_context
from typing import Protocol

from lossprint.rendering.designs import probe_designs
from lossprint.rendering.geometry import build_car
from lossprint.rendering.properties import PROPERTIES
from lossprint.rendering.studio import MakeRenderer, SceneRenderer
from lossprint.rendering.variants import VARIANTS

# The noise of smaller pictures, and with it what a study finds, is the same on every machine; and a
# compiler takes seconds when the car changes, which they hardly earn back.
_SMALLEST_COMPILED = 160
_SECONDS_TO_START = 120.0


class Backend(Protocol):
    """What makes renderers."""

    def choose_variant(self, wanted: str, size: int) -> str:
        """The variant to use for `wanted`, which may be "auto", at a size in pixels."""

    def renderer(self, variant: str, threads: int | None) -> MakeRenderer:
        """A picklable maker of a renderer that uses so many threads; None for all cores."""


class MitsubaBackend:
    """Mitsuba, loaded in child processes alone."""

    def choose_variant(self, wanted: str, size: int) -> str:
        """For "auto" the first variant of use that works here, else the wanted one if it works.

        Each is tried in a child process, because some versions of LLVM abort the interpreter. The
        choice looks at nothing but the size, so that a set's pixels do not depend on its count.

        Raises:
            ValueError: the variant is unknown, or does not work here.
        """
        if wanted not in ("auto", *VARIANTS):
            raise ValueError(
                f"variant = {wanted!r} is unknown; it is auto or one of {', '.join(VARIANTS)}"
            )
        if wanted == "auto":
            useful = VARIANTS if size >= _SMALLEST_COMPILED else VARIANTS[-1:]
        else:
            useful = (wanted,)
        for variant in useful:
            if variant == VARIANTS[-1] or _works(variant):
                return variant
        raise ValueError(f"variant = {wanted!r} does not work on this machine; 'auto' finds one")

    def renderer(self, variant: str, threads: int | None) -> MakeRenderer:
        return partial(_make_renderer, variant, threads)


def workers_for(variant: str, wanted: int | None, scenes: int) -> tuple[int, int | None]:
    """How many processes render so many scenes, and the threads of each (None: all cores).

    A GPU is served by one process; the CPU's cores by one each, which wastes nothing on waiting.
    0 workers render in the calling process.
    """
    if wanted is None:
        wanted = 1 if variant.startswith("cuda") else _cores()
    workers = min(wanted, scenes)
    return workers, None if workers < 2 else max(1, _cores() // workers)


def _cores() -> int:
    """CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _make_renderer(variant: str, threads: int | None) -> SceneRenderer:
    from lossprint.rendering.render import Renderer

    return Renderer(variant, threads=threads)


@cache  # it takes seconds, and this machine does not change meanwhile
def _works(variant: str) -> bool:
    child = get_context("spawn").Process(target=_try, args=(variant,), daemon=True)
    child.start()
    child.join(_SECONDS_TO_START)
    if child.is_alive():
        child.kill()
        child.join()
    return child.exitcode == 0


def _try(variant: str) -> None:
    """Render a small car: compilers that do simple sums may still abort over a whole picture."""
    with open(os.devnull, "w") as nowhere:  # its complaints are the answer, not news
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    car = build_car(probe_designs()["sedan"], cell=0.1)
    scene = {name: known.levels[0] for name, known in PROPERTIES.items()}
    _make_renderer(variant, None).render(car, scene, size=16, samples=4, seed=0)
