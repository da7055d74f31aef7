"""Scenes rendered by as many processes as the machine has use for, with progress."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import TypeVar

from lossprint.rendering.backend import Backend, workers_for
from lossprint.rendering.chunks import ChunksByDesign
from lossprint.rendering.processes import spread
from lossprint.rendering.progress import track_frames
from lossprint.rendering.sampling import Scene
from lossprint.rendering.specification import SetSpecification
from lossprint.rendering.studio import Studio

Result = TypeVar("Result")


def render_scenes(
    scenes: Sequence[Scene],
    specification: SetSpecification,
    handle: Callable[[Studio, list[Scene]], Iterable[Result]],
    *,
    title: str,
    variant: str,
    workers: int | None,
    backend: Backend,
    progress: bool,
) -> Iterator[Result]:
    """What `handle`, which must be picklable, yields for each scene, as they are done.

    Raises:
        WorkerError: a process failed or died.
    """
    workers, threads = workers_for(variant, workers, len(scenes))
    results = spread(
        ChunksByDesign(scenes, workers).next_chunk,
        workers=workers,
        start=partial(
            Studio,
            backend.renderer(variant, threads),
            specification.designs,
            specification.size,
        ),
        handle=handle,
    )
    with closing(results):
        yield from track_frames(results, total=len(scenes), title=title, shown=progress)
