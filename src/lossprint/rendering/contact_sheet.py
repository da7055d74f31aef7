"""One picture to look at: every design from all sides, then a sweep of every property."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lossprint.files import whole_file
from lossprint.rendering.backend import Backend, MitsubaBackend
from lossprint.rendering.properties import PROPERTIES
from lossprint.rendering.sampling import Scene
from lossprint.rendering.specification import SetSpecification, check_whole_number
from lossprint.rendering.studio import Studio
from lossprint.rendering.workforce import render_scenes

T = TypeVar("T")

COLUMNS = 8
MOST_DESIGNS = 16
DEFAULT_SAMPLES = 64
# What the properties that are not being swept look like.
NEUTRAL = {
    "rotation_z": 30.0,
    "color_hue": 0.0,
    "color_sat": 0.85,
    "color_val": 0.6,
    "bg_color_hue": 0.6,
    "bg_color_sat": 0.15,
    "bg_color_val": 0.65,
    "camera_loc_z": 1.6,
    "sun_elevation": 40.0,
    "sun_rotation": 45.0,
}
_INK, _PAPER = (40, 40, 40), (255, 255, 255)


@dataclass(frozen=True)
class Row:
    """A row of tiles: what it is called, and its tiles' scenes and captions."""

    title: str
    scenes: tuple[Scene, ...]
    captions: tuple[str, ...]


def sheet_rows(specification: SetSpecification) -> list[Row]:
    """A row for each design, turning; then a row for each other property, sweeping its levels.

    Where a property has few levels, the row goes through them again with the next design. Frames
    number the tiles in reading order.
    """
    names = specification.design_names
    turns = _spaced(specification.levels["rotation_z"])
    rows: list[Row] = []

    def add(title: str, name: str, tiles: Sequence[tuple[int, float]]) -> None:
        first = sum(len(row.scenes) for row in rows)
        scenes = tuple(
            Scene(first + number, design, {**NEUTRAL, name: value}, noise_seed=0)
            for number, (design, value) in enumerate(tiles)
        )
        rows.append(Row(title, scenes, tuple(f"{value:g}" for _, value in tiles)))

    for design in _spaced(range(len(names)), MOST_DESIGNS):
        add(names[design], "rotation_z", [(design, value) for value in turns])
    for number, name in enumerate(PROPERTIES):
        if name == "rotation_z":
            continue
        values = _spaced(specification.levels[name])
        tiles = [
            ((number + place // len(values)) % len(names), values[place % len(values)])
            for place in range(COLUMNS)
        ]
        add(f"{name} ({PROPERTIES[name].unit})", name, tiles)
    return rows


def write_contact_sheet(
    path: Path,
    specification: SetSpecification,
    *,
    workers: int | None = None,
    variant: str = "auto",
    progress: bool = True,
    backend: Backend | None = None,
) -> Path:
    """Render the sheet of a set's designs and levels at its size into a PNG file.

    Raises:
        ValueError: the variant is unknown or does not work here.
        WorkerError: a process failed or died.
    """
    if workers is not None:
        check_whole_number("workers", workers, 0)
    backend = backend or MitsubaBackend()
    rows = sheet_rows(specification)
    scenes = [scene for row in rows for scene in row.scenes]
    tiles = dict(
        render_scenes(
            scenes,
            specification,
            partial(_render_tiles, specification.samples or DEFAULT_SAMPLES),
            title="Rendering the contact sheet",
            variant=backend.choose_variant(variant, specification.size),
            workers=workers,
            backend=backend,
            progress=progress,
        )
    )
    with whole_file(path) as temporary:
        _paste(rows, tiles, specification.size).save(temporary, format="PNG")
    return path


def _spaced(values: Sequence[T], most: int = COLUMNS) -> list[T]:
    """At most so many of the values, evenly spaced, the first among them."""
    number = min(most, len(values))
    return [values[place * len(values) // number] for place in range(number)]


def _render_tiles(
    samples: int, studio: Studio, chunk: Iterable[Scene]
) -> Iterator[tuple[int, np.ndarray]]:
    for scene in chunk:
        yield scene.frame, studio.shoot(scene, samples=samples).image


def _paste(rows: Sequence[Row], tiles: dict[int, np.ndarray], size: int) -> Image.Image:
    """Titles at the left, a caption above each tile."""
    text = max(10, size // 9)
    title_font, caption_font = ImageFont.load_default(text), ImageFont.load_default(0.8 * text)
    margin = round(max(title_font.getlength(row.title) for row in rows)) + text
    height = size + round(1.3 * text)
    sheet = Image.new("RGB", (margin + COLUMNS * size, len(rows) * height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for line, row in enumerate(rows):
        top = line * height
        draw.text((text // 2, top + height // 2), row.title, _INK, title_font, anchor="lm")
        for column, (scene, caption) in enumerate(zip(row.scenes, row.captions, strict=True)):
            left = margin + column * size
            draw.text((left + size // 2, top), caption, _INK, caption_font, anchor="ma")
            sheet.paste(Image.fromarray(tiles[scene.frame]), (left, top + height - size))
    return sheet
