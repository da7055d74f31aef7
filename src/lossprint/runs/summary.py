"""The table that ends a sweep: every run with how it went."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from lossprint.runs.record import RunRecord

_COLUMNS = {
    "MAP@R": "test/map_at_r",
    "P@1": "test/precision_at_1",
    "untrained MAP@R": "untrained/map_at_r",
}
_STYLES = {"finished": "green", "failed": "bold red"}  # others: yellow
_MISSING = "–"


def runs_summary(
    records: Iterable[RunRecord],
    *,
    names: Sequence[str] | None = None,
    title: str | None = None,
    running: Mapping[Path, str] | None = None,
) -> Group:
    """Make a table of runs with their metrics on unseen classes, and below it the runs at work.

    What failed comes last, and why.

    Args:
        records: in the order of the rows. One that says "running" was cut off unless it is at work.
        names: what each is called in place of its loss, which several may share.
        title: above the table.
        running: where runs are at work, by their folders.
    """
    records, running = list(records), running or {}
    table = Table(title=title, title_justify="left")
    table.add_column("loss", no_wrap=True)
    table.add_column("fold", justify="right")
    table.add_column("seed", justify="right")
    table.add_column("status", no_wrap=True)
    for name in _COLUMNS:
        table.add_column(name, justify="right")
    table.add_column("time", justify="right")
    for name, record in zip(names or [record.loss for record in records], records, strict=True):
        status = record.status
        if status == "running" and record.folder not in running:
            status = "interrupted"
        if record.collapsed:
            status = "collapsed"
        metrics = [_metric(record, key) for key in _COLUMNS.values()]
        table.add_row(
            escape(name),
            str(record.fold),
            str(record.seed),
            f"[{_STYLES.get(status, 'yellow')}]{status}[/]",
            *metrics,
            duration_text(sum(record.durations.values())) if record.durations else _MISSING,
        )
    places = [
        Text.assemble((record.name, "yellow"), f": {running[record.folder]}")
        for record in records
        if record.folder in running
    ]
    errors = [
        Text.assemble((record.name, "bold red"), f": {record.error}")
        for record in records
        if record.status == "failed"
    ]
    return Group(table, *places, *errors)


def duration_text(seconds: float) -> str:
    """Write a duration as 41 s, 3 min 05 s or 2 h 07 min.

    Example:
        >>> duration_text(185.4)
        '3 min 05 s'
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _metric(record: RunRecord, key: str) -> str:
    value = record.metrics.get(key)
    return _MISSING if value is None else f"{value:.3f}"
