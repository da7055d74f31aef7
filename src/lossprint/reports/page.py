"""One self-contained HTML page from findings, figures and tables."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
import pandas as pd
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from lossprint.reports.findings import Finding
from lossprint.reports.section import PrintedTable
from lossprint.reports.style import FAMILY_MARKERS, family_rank, readable

SHOWN_FINDINGS = 6
"""Findings that are open; the others unfold."""

_GLYPHS = {"o": "●", "s": "■", "X": "✖"}


@dataclass(frozen=True)
class Picture:
    """A WebP and its caption, which is also what a reader who cannot see it is told."""

    caption: str
    webp: bytes
    wide: bool = False


@dataclass(frozen=True)
class Part:
    """A section of the page: figures, then tables that unfold."""

    anchor: str
    title: str
    pictures: Sequence[Picture]
    tables: Sequence[PrintedTable]


def render_page(
    *,
    title: str,
    subtitle: str,
    answer: str,
    findings: Sequence[Finding],
    overview: pd.DataFrame,
    parts: Sequence[Part],
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
        parts: in order; one without pictures and tables is left out.
        methods: parameters and versions, name to value.

    Everything handed in is escaped; style, script and images are inside the page, and its
    content-security policy forbids the network.
    """
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["readable"] = readable
    environment.filters["data_uri"] = _data_uri
    template = environment.from_string(_resource("report.html"))
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
        glyphs={family: _GLYPHS[FAMILY_MARKERS.get(family, "X")] for family in families},
        parts=[part for part in parts if part.pictures or part.tables],
        methods=methods,
        # Our own files, not a reader's: they must not be escaped.
        style=Markup(_resource("report.css")),
        script=Markup(_resource("report.js")),
    )


def _cells(row: pd.Series) -> list[dict[str, str]]:
    return [{"text": _text(value), "sort": _sort_key(value)} for value in row]


def _text(value: object) -> str:
    if isinstance(value, int | np.integer):
        return str(value)
    if isinstance(value, float | np.floating):
        return f"{value:.3f}" if np.isfinite(value) else "–"
    return str(value)


def _sort_key(value: object) -> str:
    if isinstance(value, float | np.floating) and not np.isfinite(value):
        return ""
    return str(value)


def _data_uri(webp: bytes) -> str:
    return "data:image/webp;base64," + base64.b64encode(webp).decode("ascii")


def _resource(name: str) -> str:
    return (files("lossprint.reports") / name).read_text(encoding="utf-8")
