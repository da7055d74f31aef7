"""A sweep at a glance: what is done, what runs where, what failed and why; and the rest anew."""

import shlex
from collections.abc import Callable
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from lossprint.apps.errors import show_error
from lossprint.files import held_by
from lossprint.runs.record import RunRecord
from lossprint.runs.registry import find_runs
from lossprint.runs.summary import runs_summary


def show_status(sweep: str, output_root: Path | str, console: Console) -> list[RunRecord]:
    """Print every run of a sweep with how it is doing.

    A run whose process ended without a word, because it was killed or its machine went down, is
    told from one that goes on by the lock that a process at work holds.

    Returns:
        The runs that failed or were cut off.

    Raises:
        FileNotFoundError: there are no such runs.
    """
    records = find_runs(output_root, sweep, status=None)
    running = {
        record.folder: where
        for record in records
        if record.status == "running" and (where := held_by(record.folder)) is not None
    }
    finished = sum(record.status == "finished" for record in records)
    title = f"{finished} of {len(records)} runs finished"
    console.print(runs_summary(records, title=title, running=running))
    left = [r for r in records if r.status != "finished" and r.folder not in running]
    if left:
        console.print(
            f"{len(left)} failed or were cut off; to go on with them: "
            f"python train.py {shlex.quote(f'status={sweep}')} retry_failed=true",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    return left


def retry(
    records: list[RunRecord],
    train: Callable[[DictConfig], RunRecord],
    console: Console,
    data_root: str,
) -> int:
    """Train runs once more, each as its own configuration says; one that fails stops no other.

    Args:
        records: of the runs.
        train: gives the finished run of a configuration.
        console: errors are printed to it.
        data_root: of this machine, in place of the configuration's.

    Returns:
        How many failed again.
    """
    failed = 0
    for record in records:
        sweep = record.folder.resolve().parent.parent
        place = {"output_root": str(sweep.parent), "sweep": sweep.name, "data_root": data_root}
        try:
            train(OmegaConf.create({**record.config(), **place, "force": False}))
        except Exception as error:
            failed += 1
            show_error(error, console)
    return failed
