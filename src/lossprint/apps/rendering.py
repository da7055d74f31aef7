"""Rendering a set of cars, or a preview of one, as configured."""

import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from lossprint.apps.errors import work_anywhere
from lossprint.files import from_home
from lossprint.rendering.contact_sheet import write_contact_sheet
from lossprint.rendering.dataset import render_set
from lossprint.rendering.processes import WorkerError
from lossprint.rendering.shards import Shard
from lossprint.rendering.specification import specify


def run_rendering(config: DictConfig) -> None:
    """What render.py does with a composed configuration; exits with 2 on bad input."""
    options = from_home(cast(dict[str, Any], OmegaConf.to_object(config)))
    known = {**inspect.signature(specify).parameters, **inspect.signature(render).parameters}
    with errors_in_a_line():
        for name in options:
            if name not in known:
                raise ValueError(f"unknown option '{name}'; see conf/render.yaml for the options")
        render(**options)


def render(
    *,
    preview: bool,
    folder: str | None,
    data_root: str,
    output_root: str,
    shard: str | None,
    workers: int | None,
    variant: str,
    **what: Any,
) -> None:
    """Render the set `what`, or a preview of it, and tell what was done and where it lies."""
    specification = specify(**what)
    if not isinstance(preview, bool):
        raise ValueError(f"preview = {preview!r} is neither true nor false")
    if preview:
        sheet = Path(folder or output_root) / f"contact_sheet-{specification.name}.png"
        print(write_contact_sheet(sheet, specification, workers=workers, variant=variant))
        return
    place = Path(folder) if folder else Path(data_root, "rendered", specification.name)
    part = None if shard is None else Shard.parse(shard)
    try:
        report = render_set(place, shard=part, workers=workers, variant=variant, **what)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"Interrupted. What is rendered stays in {place}; the same command continues"
        ) from None
    lacking = f", {report.missing} of them still missing" if report.missing else ""
    print(
        f"{place}: {report.total} frames{lacking}; {report.rendered} rendered now, "
        f"{report.samples} samples per pixel, {report.variant}"
    )


@contextmanager
def errors_in_a_line() -> Iterator[None]:
    """Say in a line what was wrong with the input (exit code 2), or where Ctrl-C stopped (130)."""
    work_anywhere()
    terminal = Console(stderr=True, soft_wrap=True, highlight=False)
    try:
        yield
    except KeyboardInterrupt as interrupt:
        terminal.print(str(interrupt) or "Interrupted", style="yellow", markup=False)
        sys.exit(130)
    except (ValueError, OSError, WorkerError, HydraException, OmegaConfBaseException) as error:
        message = str(error).splitlines()[0] if str(error) else repr(error)
        terminal.print(f"render.py: {message}", style="red", markup=False)
        sys.exit(2)
