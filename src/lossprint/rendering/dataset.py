"""Rendered sets on disk: drawn, rendered by several processes, continued, and found complete.

    <folder>/set.json            what the set is, without the number of its frames
             images/<frame>.png  8-bit RGB
             masks/<frame>.png   0 ground and backdrop, 1 car, 2 the car's shadow
             samples.csv         one row a frame: frame, model, the ten properties
             interventions.csv   of a set of interventions: base, property, from, to, frame

`samples.csv` appears when every frame that it lists is there, and never gets shorter: of a folder
that holds more than was asked for, a reader takes the first rows.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from lossprint.files import alone, remove_leftovers
from lossprint.rendering.backend import Backend, MitsubaBackend
from lossprint.rendering.frame_files import (
    IMAGES,
    MASKS,
    is_frame_whole,
    missing_frames,
    write_frame,
)
from lossprint.rendering.noise import PILOT_SCENES, run_pilot
from lossprint.rendering.processes import spread
from lossprint.rendering.sampling import Scene
from lossprint.rendering.shards import Shard
from lossprint.rendering.specification import (
    SetSpecification,
    check_whole_number,
    differences,
    specify,
    store,
    stored,
)
from lossprint.rendering.studio import MakeRenderer, Studio
from lossprint.rendering.tables import (
    SAMPLES,
    number_of_rows,
    write_interventions,
    write_samples,
)
from lossprint.rendering.workforce import render_scenes


@dataclass(frozen=True)
class RenderReport:
    """What a call of `render_set` did: the set has `total` frames, of which it rendered some."""

    folder: Path
    total: int
    rendered: int
    missing: int
    samples: int
    variant: str


def complete(folder: Path | str, **what: Any) -> bool:
    """Whether the folder holds all of a set, `what` being the arguments of `specify`.

    Reads `set.json`, counts the rows of `samples.csv` and looks at both ends of every image:
    some 50 µs a frame.

    Raises:
        ValueError: the folder holds a different set, with what differs; or an argument is invalid.
    """
    folder, specification = Path(folder), specify(**what)
    if _held(folder, specification) is None:
        return False
    total = specification.frames
    return number_of_rows(folder / SAMPLES) >= total and not missing_frames(
        folder, range(total), specification.size
    )


def ensure_set(
    folder: Path | str,
    *,
    workers: int | None = None,
    variant: str = "auto",
    progress: bool = True,
    **what: Any,
) -> Path:
    """The folder, after rendering what it lacks of the set. Arguments as in `render_set`."""
    if not complete(folder, **what):
        render_set(folder, workers=workers, variant=variant, progress=progress, **what)
    return Path(folder)


def render_set(
    folder: Path | str,
    *,
    shard: Shard | None = None,
    workers: int | None = None,
    variant: str = "auto",
    progress: bool = True,
    backend: Backend | None = None,
    **what: Any,
) -> RenderReport:
    """Render the frames of a set that the folder lacks.

    The pixels of a frame depend on `what` and the variant alone: not on the number of frames,
    workers or shards, nor on interruptions. Files that are cut off or corrupt are rendered again.
    Of two processes that render the same set, or the same part of it, the second waits.

    Args:
        folder: is made if need be.
        shard: render this part only. Whichever call finds all frames there writes the tables.
        workers: number of processes; None starts one a CPU core, or a single one for a GPU;
            0 renders in this one.
        variant: of Mitsuba; "auto" takes that of the frames already there, else the fastest that
            works here.
        progress: show a progress bar.
        backend: makes the renderers; Mitsuba by default.
        what: the arguments of `specify`.

    Raises:
        ValueError: an invalid argument; or the folder holds a different set, with what differs.
        OSError: the folder cannot be written.
        WorkerError: a process failed or died. What is rendered stays.
    """
    folder, specification = Path(folder), specify(**what)
    if workers is not None:
        check_whole_number("workers", workers, 0)
    backend, shard = backend or MitsubaBackend(), shard or Shard()
    # Another set, or a variant that does not work, is told before anything is written.
    if _held(folder, specification) is None and variant != "auto":
        backend.choose_variant(variant, specification.size)
    part = "" if shard == Shard() else f", part {shard},"
    with alone(folder, f"rendering {folder}{part}", name=f".{shard.number}of{shard.of}.lock"):
        return _render_lacking(folder, specification, shard, workers, variant, progress, backend)


def _render_lacking(
    folder: Path,
    specification: SetSpecification,
    shard: Shard,
    workers: int | None,
    variant: str,
    progress: bool,
    backend: Backend,
) -> RenderReport:
    held = _held(folder, specification)
    scenes, interventions = specification.scenes()
    share = shard.frames(len(scenes))
    missing = missing_frames(folder, share, specification.size, thorough=True)
    if missing or held is None:
        with alone(folder, f"beginning {folder}", name=".begin.lock"):
            held = _held(folder, specification)  # another part may have begun it meanwhile
            held = _begin(folder, specification, held, variant, workers, backend)
        for _ in render_scenes(
            [scenes[frame] for frame in missing],
            specification,
            partial(_render_chunk, folder, specification.size, held["samples"]),
            title=f"Rendering {folder.name}",
            variant=held["variant"],
            workers=workers,
            backend=backend,
            progress=progress,
        ):
            pass
    elsewhere = set(range(len(scenes))).difference(share)
    absent = len(missing_frames(folder, elsewhere, specification.size))
    if absent == 0:
        if number_of_rows(folder / SAMPLES) < len(scenes):
            if specification.interventions:
                write_interventions(folder, interventions, specification.design_names)
            write_samples(folder, scenes, specification.design_names)
        for place in (folder, folder / IMAGES, folder / MASKS):
            remove_leftovers(place)
    return RenderReport(folder, len(scenes), len(missing), absent, held["samples"], held["variant"])


def _held(folder: Path, specification: SetSpecification) -> dict[str, Any] | None:
    """The folder's description, if it holds this set; None if it holds none.

    Raises:
        ValueError: it holds another one.
    """
    description = stored(folder)
    if description is None:
        return None
    differing = differences(description, specification.identity())
    if differing:
        raise ValueError(
            f"{folder} holds a different set: {'; '.join(differing)}. "
            "Choose another folder, or remove this one"
        )
    return description


def _begin(
    folder: Path,
    specification: SetSpecification,
    held: dict[str, Any] | None,
    variant: str,
    workers: int | None,
    backend: Backend,
) -> dict[str, Any]:
    """Settle what all frames of the set share: the variant and the number of samples."""
    if held is not None:
        if variant not in ("auto", held["variant"]):
            raise ValueError(
                f"variant = {variant!r}: {folder} was begun with '{held['variant']}', whose noise "
                "is another; take that, or another folder"
            )
        backend.choose_variant(held["variant"], specification.size)
        return held
    variant = backend.choose_variant(variant, specification.size)
    samples = specification.samples
    if specification.noise_db is not None:
        maker = backend.renderer(variant, threads=None)
        samples = _find_samples(
            specification, specification.noise_db, maker, workers=0 if workers == 0 else 1
        )
    begun = {**specification.identity(), "samples": samples, "variant": variant}
    store(folder, begun)
    return begun


def _find_samples(
    specification: SetSpecification,
    noise_db: float,
    make_renderer: MakeRenderer,
    workers: int,
) -> int:
    """The number of samples for the wanted noise, from a pilot that no count changes."""
    drawn, _ = replace(specification, count=PILOT_SCENES, interventions=False).scenes()
    pilot = [drawn[frame] for frame in range(PILOT_SCENES)]
    studio = partial(
        Studio, make_renderer, specification.designs, specification.size, keep=PILOT_SCENES
    )
    tasks = [(pilot, noise_db)]

    def next_task(_: object) -> tuple[list[Scene], float] | None:
        return tasks.pop() if tasks else None

    with closing(spread(next_task, workers=workers, start=studio, handle=run_pilot)) as found:
        return next(found)


def _render_chunk(
    folder: Path, size: int, samples: int, studio: Studio, chunk: Iterable[Scene]
) -> Iterator[int]:
    for scene in chunk:
        # Another command may be rendering the same set: what is there by now need not be done.
        if not is_frame_whole(folder, scene.frame, size, thorough=True):
            frame = studio.shoot(scene, samples=samples)
            write_frame(folder, scene.frame, frame.image, frame.mask)
        yield scene.frame
