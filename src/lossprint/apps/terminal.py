"""What a comparison shows in the terminal."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from lossprint.reports.evidence import Evidence
from lossprint.reports.overview import loss_overview
from lossprint.reports.report import Report
from lossprint.reports.style import readable
from lossprint.studies.analysis import OnProgress


@contextmanager
def progress_bar(console: Console) -> Iterator[OnProgress]:
    """A bar that goes when the block ends."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("analysis", total=None)
        yield lambda text, done, total: bar.update(
            task, description=text, completed=done, total=total
        )


def show_report(report: Report, evidence: Evidence, console: Console) -> None:
    """The losses, the three leading findings, and where everything lies."""
    shown = [column for column in report.columns if column.terminal is not None]
    overview = loss_overview(evidence, shown)
    table = Table(title="Losses", title_justify="left")
    table.add_column("loss")
    table.add_column("family")
    for column in shown:
        table.add_column(column.terminal or column.name, justify="right")
    for row in overview.itertuples(index=False):
        table.add_row(*map(_cell, row))
    console.print(table)
    console.print(f"[bold]{escape(report.answer)}[/]", highlight=False)
    for finding in report.findings[:3]:
        console.print(f"  • {escape(finding.text)}", highlight=False)
    for name, path in (
        ("report", report.page),
        ("tables", report.page.parent / "tables"),
        ("figures", report.page.parent / "figures"),
    ):
        console.print(f"{name:9} {path}", soft_wrap=True, markup=False)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}" if value == value else "–"
    return escape(readable(str(value)))
