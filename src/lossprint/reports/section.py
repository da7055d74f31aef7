"""What a piece of evidence puts into a report: see CONTRIBUTING.md."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from lossprint.reports.evidence import Evidence
from lossprint.reports.findings import Finding


@dataclass(frozen=True)
class Grid:
    """A heatmap as numbers, which the page draws itself so that each can be pointed at.

    Attributes:
        values: rows × columns, named by identifiers; NaN where there is nothing.
        digits: behind the point.
        marked_from: values of at least this much get a star.
    """

    values: pd.DataFrame
    digits: int = 2
    marked_from: float | None = None


@dataclass(frozen=True)
class Drawing:
    """A figure with its caption.

    Attributes:
        name: of its files, unique in the report.
        caption: what is to be seen; also what a reader who cannot see it is told.
        figure: drawn.
        wide: takes the whole width of the page.
        photographs: holds pictures, which the page may carry compressed.
        grid: what the page shows in place of the picture.
    """

    name: str
    caption: str
    figure: Figure
    wide: bool = False
    photographs: bool = False
    grid: Grid | None = None


@dataclass(frozen=True)
class PrintedTable:
    """A table as a paper prints it, every cell a text; `name` is its file's."""

    name: str
    caption: str
    table: pd.DataFrame


@dataclass(frozen=True)
class Link:
    """A text that leads to a file or folder, wherever the report lies, or to a web address."""

    text: str
    target: Path | str


@dataclass(frozen=True)
class Widget:
    """Something to click through, drawn by a script of the page.

    Attributes:
        kind: of the script, `reports/<kind>.js`.
        data: what it is handed, in containers that JSON has.
        pictures: WebP files by name; the widgets of a page share them.
    """

    kind: str
    data: Mapping[str, object]
    pictures: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Column:
    """A column of the list of losses.

    Attributes:
        name: its heading on the page.
        values: by loss: a number, a text or a list of `Link`; without one a dash is shown.
        terminal: its heading in the terminal; None where there is no room for it.
        on_card: stands on the card of the loss only, not in the list.
    """

    name: str
    values: Mapping[str, object]
    terminal: str | None = None
    on_card: bool = False


def _nothing(evidence: Evidence) -> tuple[()]:
    return ()


@dataclass(frozen=True)
class Section:
    """A section of the page, and what it says elsewhere.

    Each function is handed the evidence and gives nothing where its tables are empty.

    Attributes:
        anchor: of the section in the page.
        title: its heading. A section without widgets, drawings and tables is left out.
        drawings: figures, in order.
        widgets: to click through, above the drawings.
        tables: for print, in order.
        findings: sentences for the top of the page and the terminal.
        columns: of the list of losses.
        metrics: what the tracker keeps of the analysis, by key.
        run_metrics: what the tracker adds to a training run, by key; handed the run's name.
        untracked: tables that the tracker does not get, because only the page reads them.
        methods: paragraphs for the end of the page, by heading.
    """

    anchor: str
    title: str
    drawings: Callable[[Evidence], Iterable[Drawing]] = _nothing
    widgets: Callable[[Evidence], Iterable[Widget]] = _nothing
    tables: Callable[[Evidence], Iterable[PrintedTable]] = _nothing
    findings: Callable[[Evidence], Iterable[Finding]] = _nothing
    columns: Callable[[Evidence], Iterable[Column]] = _nothing
    metrics: Callable[[Evidence], Mapping[str, float]] = lambda evidence: {}
    run_metrics: Callable[[Evidence, str], Mapping[str, float]] = lambda evidence, run: {}
    untracked: Sequence[str] = ()
    methods: Mapping[str, str] = field(default_factory=dict)
