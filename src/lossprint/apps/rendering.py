"""Rendering a set of cars, or a preview of one, as configured."""

import inspect
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from lossprint.apps.errors import command
from lossprint.files import from_home
from lossprint.rendering.contact_sheet import write_contact_sheet
from lossprint.rendering.dataset import render_set
from lossprint.rendering.shards import Shard
from lossprint.rendering.specification import specify


def run_rendering(config: DictConfig) -> None:
    """What render.py does with a composed configuration; exits with 2 on bad input."""
    known = {**inspect.signature(specify).parameters, **inspect.signature(render).parameters}
    with command(Console(), interrupted="nothing is rendered"):
        options = from_home(cast(dict[str, Any], OmegaConf.to_object(config)))
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
            f"what is rendered stays in {place}, and the same command continues"
        ) from None
    lacking = f", {report.missing} of them still missing" if report.missing else ""
    print(
        f"{place}: {report.total} frames{lacking}; {report.rendered} rendered now, "
        f"{report.samples} samples per pixel, {report.variant}"
    )
