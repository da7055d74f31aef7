"""What a comparison shows in the terminal."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from lossprint.reports.evidence import Evidence
from lossprint.reports.overview import loss_overview
from lossprint.reports.report import Report
from lossprint.reports.section import Column
from lossprint.reports.style import readable
from lossprint.studies.analysis import OnProgress


@contextmanager
def progress_bar(console: Console) -> Iterator[OnProgress]:
    """A bar that goes when the block ends; in a log file a line for each tenth of the steps."""
    columns = (
        TextColumn("{task.description}", markup=False),  # it names losses
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    in_log, told = not console.is_terminal, -1
    with Progress(*columns, console=console, transient=True, disable=in_log) as bar:
        task = bar.add_task("analysis", total=None)

        def on_progress(text: str, done: int, total: int) -> None:
            nonlocal told
            bar.update(task, description=text, completed=done, total=total)
            if in_log and 10 * done // total > told:
                told = 10 * done // total
                line = f"step {done + 1} of {total}: {text}" if done < total else text
                console.print(line, markup=False, highlight=False, soft_wrap=True)

        yield on_progress


def show_report(report: Report, evidence: Evidence, console: Console) -> None:
    """The losses, the three leading findings, and where everything lies."""
    shown = [column for column in report.columns if column.terminal is not None]
    console.print(losses_table(shown, loss_overview(evidence, shown)))
    console.print(f"[bold]{escape(report.answer)}[/]", highlight=False)
    for finding in report.findings[:3]:
        console.print(f"  • {escape(finding.text)}", highlight=False)
    for name, path in (
        ("report", report.page),
        ("tables", report.page.parent / "tables"),
        ("figures", report.page.parent / "figures"),
    ):
        console.print(f"{name:9} {path}", soft_wrap=True, markup=False)


def losses_table(shown: Sequence[Column], overview: pd.DataFrame) -> Table:
    """The list of losses, in a terminal of 80 columns too: a family is a block under its name.

    Args:
        shown: the columns after the name of the loss.
        overview: see `lossprint.reports.overview.loss_overview`.
    """
    table = Table(box=SIMPLE_HEAD, padding=0, title="Losses", title_justify="left")
    table.add_column("")
    for column in shown:
        heading = (column.terminal or column.name).replace(" ", "\n")  # no word is cut short
        table.add_column(heading, justify="right", vertical="bottom", no_wrap=True)
    for family, rows in overview.groupby("family", sort=False):
        table.add_row(f"[dim]{escape(str(family))}[/]")
        for row in rows.drop(columns="family").itertuples(index=False):
            table.add_row(*map(_cell, row))
    return table


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:#.3g}" if value == value else "–"
    return escape(readable(str(value)))
