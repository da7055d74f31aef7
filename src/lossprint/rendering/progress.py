"""Progress on standard error, with the rate and the time left."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class RateColumn(ProgressColumn):
    """Images a second, over the last half minute."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f} images/s")


Result = TypeVar("Result")


def track_frames(
    results: Iterable[Result], *, total: int, title: str, shown: bool
) -> Iterator[Result]:
    """Yield what becomes of frames, under a progress bar; a log file is told when it begins."""
    console = Console(stderr=True)
    if shown and not console.is_terminal:
        console.print(f"{title}: {total} images", highlight=False)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not shown,
    )
    with bar:
        yield from bar.track(results, total=total, description=title)
