"""One call of train.py: a training, alone or as a job of a multirun; or a look at a sweep."""

import gc
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from lossprint.apps.errors import command, exit_code, show_error, work_anywhere
from lossprint.apps.search import trial_value
from lossprint.apps.slurm import follow_with_analysis
from lossprint.apps.status import retry, show_status
from lossprint.apps.sweep import show_what_next
from lossprint.apps.training import train
from lossprint.apps.trust import check_trained_again
from lossprint.files import whole_file
from lossprint.runs.record import MONITOR
from lossprint.training.fit import Interrupted
from lossprint.training.processes import is_first_process


@dataclass(frozen=True)
class Job:
    """One call of train.py.

    Attributes:
        multirun: whether it is one of several.
        note: file in which a job of a multirun says how it ended. Jobs may run in other processes
            or on other machines, so the end of a sweep reads files.
    """

    multirun: bool
    note: Path | None

    def note_run(self, folder: Path) -> None:
        self._write({"run": str(folder)})

    def note_failure(self, error: BaseException) -> None:
        self._write({"error": f"{type(error).__name__}: {error}"})

    def is_last_of_failed_trials(self) -> bool:
        """Whether this job ends an optimiser's trials, of which every one failed.

        Optimisers count a trial without a value as failed, and ask for the best one at the end:
        where there is none that ends in a traceback of theirs.
        """
        sweeper = HydraConfig.get().sweeper
        trials = OmegaConf.select(sweeper, "n_trials") or OmegaConf.select(sweeper, "optim.budget")
        if self.note is None or trials is None:
            return False
        notes = [json.loads(path.read_text()) for path in self.note.parent.glob("??????.json")]
        return len(notes) >= int(trials) and all("error" in note for note in notes)

    def schedule_analysis(self, config: DictConfig) -> None:
        """See `follow_with_analysis`."""
        if self.note is not None and config.analyze:
            runs = Path(config.output_root) / config.sweep
            follow_with_analysis(self.note.parent, runs, config.output_root, config.logger.name)

    def _write(self, content: dict[str, Any]) -> None:
        if self.note is None:
            return
        content["overrides"] = list(HydraConfig.get().overrides.task)
        with whole_file(self.note) as temporary:
            temporary.write_text(json.dumps(content))


def current_job() -> Job:
    """The job that Hydra is running now."""
    hydra = HydraConfig.get()
    if hydra.mode != RunMode.MULTIRUN:
        return Job(False, None)
    return Job(True, Path(hydra.sweep.dir) / f"{hydra.job.num:06d}.json")


def run_job(config: DictConfig) -> float | None:
    """What train.py does with a composed configuration, alone or as one job of a multirun.

    Alone, it exits with 2 on bad input, 1 on another failure and 130 after Ctrl-C. In a multirun
    a failed job leaves the rest to go on; its error is in its record and in the table at the end.

    Returns:
        MAP@R on the validation classes, which Hydra's sweepers may optimise; None if it failed,
        which they count as a failed trial.
    """
    work_anywhere()
    console = Console(quiet=not is_first_process())  # of several processes of a run one speaks
    if config.status is not None:
        with command(console, interrupted="the same command goes on"):
            _look_at_sweep(config, console)
        return None
    job = current_job()
    job.schedule_analysis(config)
    try:
        if config.get("search") is not None:
            return trial_value(config, lambda run: train(run, console, multirun=True))
        return _train_one(config, job, console)
    except (Interrupted, KeyboardInterrupt):
        console.print("[yellow]interrupted[/]; the same command continues from the last epoch")
        sys.exit(130)
    except Exception as error:
        _fail(job, error, console)
        return None
    finally:
        gc.collect()  # trainers and what they hold refer to each other: the next job wants the room


def _train_one(config: DictConfig, job: Job, console: Console) -> float | None:
    """Train one run; alone, say what to type next."""
    record = train(config, console, multirun=job.multirun)
    job.note_run(record.folder)
    if not job.multirun:
        show_what_next([record], HydraConfig.get(), console)
    return record.metrics.get(MONITOR)


def _fail(job: Job, error: Exception, console: Console) -> None:
    """Say what a job failed of, and end unless others are to go on."""
    job.note_failure(error)
    show_error(error, console)
    last = job.is_last_of_failed_trials()
    if last:
        console.print("[red]error:[/] every trial failed, so none is the best", soft_wrap=True)
    if last or not job.multirun:
        sys.exit(exit_code(error))


def _look_at_sweep(config: DictConfig, console: Console) -> None:
    """Show how a sweep is doing; with `retry_failed` train once more what failed or was cut off."""
    left = show_status(config.status, config.output_root, console)
    if not config.retry_failed:
        return
    check_trained_again(left, trust=config.trust, output_root=config.output_root)
    failed = retry(
        left,
        lambda run: train(run, console, multirun=True, chosen=True),
        console,
        config.data_root,
    )
    show_status(config.status, config.output_root, console)
    if failed:
        sys.exit(1)
