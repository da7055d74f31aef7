"""The tables of a rendered set: samples.csv and interventions.csv."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from lossprint.files import whole_file
from lossprint.rendering.interventions import MODEL, Intervention
from lossprint.rendering.sampling import Scenes

SAMPLES, INTERVENTIONS = "samples.csv", "interventions.csv"


def write_samples(folder: Path, scenes: Scenes, design_names: Sequence[str]) -> None:
    """One row a frame: frame, model, then the properties."""
    columns = [column.tolist() for column in scenes.properties.values()]
    rows = (
        (frame, design_names[design], *(_number(column[frame]) for column in columns))
        for frame, design in enumerate(scenes.design.tolist())
    )
    _write(folder / SAMPLES, ("frame", MODEL, *scenes.properties), rows)


def write_interventions(
    folder: Path, interventions: Iterable[Intervention], design_names: Sequence[str]
) -> None:
    """One row an intervention: base (its frame), property, from, to, frame."""

    def row(each: Intervention) -> tuple[object, ...]:
        levels = (
            design_names[int(value)] if each.property == MODEL else _number(value)
            for value in (each.origin, each.target)
        )
        return (each.base, each.property, *levels, each.frame)

    _write(
        folder / INTERVENTIONS, ("base", "property", "from", "to", "frame"), map(row, interventions)
    )


def number_of_rows(path: Path) -> int:
    """Rows below the header; 0 without the file."""
    try:
        return max(0, path.read_bytes().count(b"\n") - 1)
    except FileNotFoundError:
        return 0


def _number(value: float) -> str:
    return f"{value:.10g}"


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with whole_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
