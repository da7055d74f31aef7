"""One self-contained HTML page from findings, figures and tables."""

import base64
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

import matplotlib
import numpy as np
import pandas as pd
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from matplotlib.colors import Normalize, to_hex

from lossprint.reports.findings import Finding
from lossprint.reports.section import Grid, Link, PrintedTable, Widget
from lossprint.reports.style import FAMILY_GLYPHS, SEQUENTIAL, family_rank, ink, readable

SHOWN_FINDINGS = 6
"""Findings that are open; the others unfold."""


@dataclass(frozen=True)
class Picture:
    """A WebP and its caption, which is also what a reader who cannot see it is told.

    `file` leads from the page to the drawing on disk; a `grid` is shown in place of the picture.
    """

    caption: str
    webp: bytes
    wide: bool = False
    file: str = ""
    grid: Grid | None = None


@dataclass(frozen=True)
class Part:
    """A section of the page: widgets, figures, then tables that unfold."""

    anchor: str
    title: str
    pictures: Sequence[Picture]
    tables: Sequence[PrintedTable]
    widgets: Sequence[Widget] = ()


@dataclass(frozen=True)
class Card:
    """What is known of one loss: texts, numbers and lists of `Link` by heading."""

    loss: str
    family: str
    color: str
    facts: Mapping[str, object]


def render_page(
    *,
    title: str,
    subtitle: str,
    answer: str,
    findings: Sequence[Finding],
    overview: pd.DataFrame,
    cards: Sequence[Card] = (),
    parts: Sequence[Part],
    files: Sequence[Link] = (),
    folder: Path = Path(),
    methods: Mapping[str, str],
) -> str:
    """Return the page: the answer, findings, the list of losses, sections, methods.

    Args:
        title: the page's heading.
        subtitle: one line below it.
        answer: the sentence the page opens with.
        findings: in the order to show.
        overview: one row per loss with the columns `loss` and `family`; numbers are sorted as
            numbers.
        cards: one per loss.
        parts: in order; one without widgets, pictures and tables is left out.
        files: that lie beside the page, to link to.
        folder: of the page, which links to files start from.
        methods: parameters and versions, name to value.

    Everything handed in is escaped; style, script and images are inside the page, and its
    content-security policy forbids the network.
    """
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["readable"] = readable
    environment.filters["data_uri"] = _data_uri
    environment.filters["headline"] = _headline
    environment.filters["text"] = _text
    environment.filters["address"] = lambda link: _address(link, folder)
    environment.filters["shades"] = _shades
    environment.tests["links"] = lambda value: isinstance(value, list)
    template = environment.from_string(_resource("report.html"))
    shown = [part for part in parts if part.pictures or part.tables or part.widgets]
    widgets = [widget for part in shown for widget in part.widgets]
    pictures = {name: webp for widget in widgets for name, webp in widget.pictures.items()}
    kinds = dict.fromkeys(widget.kind for widget in widgets)
    families = sorted(set(overview["family"]), key=family_rank)
    return template.render(
        title=title,
        subtitle=subtitle,
        answer=answer,
        findings=findings[:SHOWN_FINDINGS],
        further=findings[SHOWN_FINDINGS:],
        columns=list(overview.columns),
        rows=[_cells(row) for _, row in overview.iterrows()],
        families=families,
        glyphs={family: FAMILY_GLYPHS.get(family, "✖") for family in families},
        cards=cards,
        parts=shown,
        files=files,
        pictures={name: _data_uri(webp) for name, webp in pictures.items()},
        methods=methods,
        # Our own files, not a reader's: they must not be escaped.
        style=Markup(_resource("report.css")),
        scripts=[Markup(_resource(f"{name}.js")) for name in ("report", *kinds)],
    )


def _cells(row: pd.Series) -> list[dict[str, str]]:
    return [{"text": _text(value), "sort": _sort_key(value)} for value in row]


def _text(value: object) -> str:
    if isinstance(value, int | np.integer):
        return str(value)
    if isinstance(value, float | np.floating):
        return f"{value:.3f}" if np.isfinite(value) else "–"
    return str(value)


def _headline(caption: str) -> tuple[str, str]:
    """What a table is, and what there is to know of it: all from its first . : or ; on."""
    found = re.match(r"(.*?)([.:;] .*)?$", caption, re.DOTALL)
    assert found is not None  # everything matches
    return found[1], found[2] or ""


def _sort_key(value: object) -> str:
    if isinstance(value, float | np.floating) and not np.isfinite(value):
        return ""
    return str(value)


def _address(link: Link, folder: Path) -> str:
    """Where a link leads from the page: relative to it where it is a file or folder."""
    if isinstance(link.target, str):
        if not link.target.startswith("https://"):
            raise ValueError(f"{link.target!r} is no address that a report may link to")
        return link.target
    return quote(Path(os.path.relpath(link.target, folder)).as_posix())


@dataclass(frozen=True)
class _Cell:
    text: str
    title: str
    background: str
    ink: str


def _shades(grid: Grid) -> list[tuple[str, list[_Cell]]]:
    """Rows of a grid by name: what each cell shows, what it says when pointed at, its colours."""
    values = grid.values.to_numpy(dtype=float)
    known = values[np.isfinite(values)]
    scale = Normalize(known.min(), known.max()) if known.size else Normalize(0, 1)
    colors = matplotlib.colormaps[SEQUENTIAL]
    rows = []
    for name, row in zip(grid.values.index, values, strict=True):
        cells = []
        for column, value in zip(grid.values.columns, row, strict=True):
            where = f"{readable(name)} · {readable(column)}"
            if not np.isfinite(value):
                cells.append(_Cell("–", f"{where}: not known", "#eeeeee", "#555555"))
                continue
            color = colors(float(scale(value)))
            star = "*" if grid.marked_from is not None and value >= grid.marked_from else ""
            text = f"{value:.{grid.digits}f}{star}"
            title = f"{where}: {value:.{grid.digits + 2}f}"
            cells.append(_Cell(text, title, to_hex(color), ink(color)))
        rows.append((name, cells))
    return rows


def _data_uri(webp: bytes) -> str:
    return "data:image/webp;base64," + base64.b64encode(webp).decode("ascii")


def _resource(name: str) -> str:
    return (files("lossprint.reports") / name).read_text(encoding="utf-8")
