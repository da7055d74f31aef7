"""What ends a multirun: its runs in a table, their comparison, and what to type next."""

import json
import sys
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich.console import Console
from rich.markup import escape

from lossprint.apps.next_step import next_command
from lossprint.apps.slurm import analysis_job
from lossprint.runs.offline import offline_hints, offline_runs
from lossprint.runs.record import RunRecord, load_record
from lossprint.runs.summary import runs_summary
from lossprint.studies.variants import variant_names


class SweepEnd(Callback):
    """Ends a multirun: one table of all runs, the comparison, exit code 1 if any run failed."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        notes = [
            json.loads(path.read_text())
            for path in sorted(Path(config.hydra.sweep.dir).glob("??????.json"))
        ]
        failed = [note for note in notes if "error" in note]
        records = [load_record(note["run"]) for note in notes if "run" in note]
        console = Console()
        title = f"{len(records)} of {len(notes)} runs finished"
        console.print(runs_summary(records, names=variant_names(records), title=title))
        for note in failed:
            text = f"{' '.join(note['overrides'])}: {note['error']}"
            console.print(f"[bold red]failed[/] {escape(text)}", highlight=False, soft_wrap=True)
        scheduled = analysis_job(Path(config.hydra.sweep.dir))
        try:
            if scheduled is not None:
                console.print(f"the comparison is SLURM job {scheduled}", highlight=False)
            elif config.analyze and _can_be_compared(records):
                compare_losses(records, config)
        finally:
            show_what_next(records, config.hydra, console, failed=len(failed))
        if failed:
            sys.exit(1)


def show_what_next(
    records: list[RunRecord], hydra: Any, console: Console, *, failed: int = 0
) -> None:
    """Where W&B keeps the runs of a call of train.py, and what to type next; once per call.

    Args:
        records: that are finished.
        hydra: Hydra's own configuration, which has what the user typed.
        console: it is printed to.
        failed: how many jobs of the call failed.
    """
    lines = {
        f"W&B, {purpose}": command
        for purpose, command in offline_hints(
            run for record in records for run in offline_runs(record)
        ).items()
    }
    typed = [word for word in hydra.overrides.hydra if not word.startswith("hydra.mode=")]
    command = next_command([*typed, *hydra.overrides.task], records, variant_names(records))
    if failed:
        lines["next"] = "the same command again trains what is missing"
    elif records and command is not None:
        lines["next"] = command
    for name, text in lines.items():
        console.print(f"{name:9} {text}", soft_wrap=True, highlight=False, markup=False)


def _can_be_compared(records: list[RunRecord]) -> bool:
    """Whether there are two losses, or one that was trained in two ways."""
    return len(set(variant_names([r for r in records if r.family != "control"]))) > 1


def compare_losses(records: list[RunRecord], config: DictConfig) -> None:
    """What analyze.py does by itself, over the runs of a sweep and with the sweep's logger."""
    from lossprint.apps.comparison import run_comparison  # needed only here, and takes seconds

    analysis = compose("analyze")
    analysis.runs = [str(record.folder.resolve()) for record in records]
    analysis.output_root = config.output_root  # not as words: a folder may be called anything
    analysis.logger = config.logger
    run_comparison(analysis, shared=records[0].sweep_folder)
