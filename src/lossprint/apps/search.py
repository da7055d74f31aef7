"""Searching a loss's hyperparameters: Hydra's Optuna sweeper, made resumable, and what it finds.

`conf/search/optuna.yaml` says how. Optuna chooses and keeps the trials; a trial is one run, or one
of each fold and seed, below `<output_root>/searches/<name>/`.
"""

import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lossprint.apps.hyperparameters import check_search, set_file, write_found
from lossprint.apps.settings import plain
from lossprint.runs.record import MONITOR, RunRecord
from lossprint.streams import stream_seed


def trial_value(config: DictConfig, train: Callable[[DictConfig], RunRecord]) -> float | None:
    """Validation MAP@R of a trial, averaged over the folds and seeds of the search.

    Args:
        config: of the trial.
        train: gives the finished run of a configuration.

    Returns:
        None if it is no number, which makes the trial a failed one.
    """
    place = f"{config.output_root}/searches/{config.search.name}"
    values = []
    for fold in config.search.folds:
        for seed in config.search.seeds:
            run = {"fold": fold, "seed": seed, "output_root": place}
            record = train(cast(DictConfig, OmegaConf.merge(config, run)))
            values.append(record.metrics.get(MONITOR, math.nan))
    mean = sum(values) / len(values)
    return mean if math.isfinite(mean) else None


class Search(Callback):
    """Begins a search where it was cut off, and ends it with a set of hyperparameters.

    The sweeper by itself makes `n_trials` more at each call and leaves those that were cut off.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        console = Console()
        try:
            _check_space(list(config.hydra.overrides.task))
            check_search(plain(config.search), config.folds)
            _check_sampler(config.hydra.sweeper.sampler)
            begun, done = _reopen(config)
        except (ValueError, ImportError) as error:
            console.print(f"[red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
            sys.exit(2)
        with open_dict(config.hydra.sweeper):
            config.hydra.sweeper.n_trials = max(0, config.search.trials - done)
            if "seed" in config.hydra.sweeper.sampler:
                # With the same one a continued search would draw its first trials once more.
                seed = stream_seed(config.search.seed, "search", begun) % 2**32
                config.hydra.sweeper.sampler.seed = seed
        # Where nothing is left to try no job makes the folder, in which the sweeper sums up.
        Path(config.hydra.sweep.dir).mkdir(parents=True, exist_ok=True)
        if done:
            console.print(f"{done} of {config.search.trials} trials are done already")

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        console = Console()
        study = _study(config)
        complete = [trial for trial in study.trials if trial.value is not None]
        table = Table(title=f"search {config.search.name}", title_justify="left")
        for column in ("trial", "hyperparameters", "validation MAP@R"):
            table.add_column(column)
        for trial in study.trials:
            values = ", ".join(f"{name} {value:.4g}" for name, value in trial.params.items())
            result = "failed" if trial.value is None else f"{trial.value:.4f}"
            table.add_row(str(trial.number), escape(values), result)
        console.print(table)
        if not complete:
            console.print("[red]error:[/] every trial failed; their runs say why: status=…")
            sys.exit(1)
        file = set_file(config.output_root, config.search.name)
        write_found(file, config.loss.name, study.best_trial.params)
        console.print(
            f"best: trial {study.best_trial.number}, in {file}\n"
            f"to train with it: python train.py loss={config.loss.name} "
            f"hyperparameters={config.search.name}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def _check_space(overrides: list[str]) -> None:
    parsed = OverridesParser.create().parse_overrides(overrides)
    searched = [o.get_key_element() for o in parsed if o.is_sweep_override()]
    others = [name for name in searched if not name.startswith("loss.")]
    if others:
        raise ValueError(
            f"{others[0]} has several values: a search is over the hyperparameters of one loss, "
            "e.g. loss=triplet 'loss.criterion.margin=interval(0.01,0.5)'; folds and seeds to "
            "average over are search.folds=[0,1] search.seeds=[0,1]"
        )
    if not searched:
        raise ValueError(
            "nothing is searched; give hyperparameters of the loss a range, "
            "e.g. 'loss.criterion.margin=interval(0.01,0.5)'"
        )


def _check_sampler(sampler: Mapping[str, Any]) -> None:
    valid = "valid are tpe and random"
    if sampler["_target_"].endswith("CmaEsSampler"):
        raise ValueError(
            "hydra/sweeper/sampler=cmaes keeps its state in trials.db as a pickle, which runs code "
            f"where the file is somebody else's; {valid}"
        )
    if sampler["_target_"].endswith("GridSampler"):
        # Optuna's gives a trial that was cut off another place of the grid, which is then missing,
        # and the plugin ends in a traceback where the last one fails.
        raise ValueError(
            f"hydra/sweeper/sampler=grid cannot go on where a search was cut off; {valid}, and "
            "without search=optuna several values are a sweep of them all"
        )


def _study(config: DictConfig) -> Any:
    try:
        import optuna
    except ImportError as error:
        raise ImportError(f"{error}; searches need pip install -e '.[search]'") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sweeper = config.hydra.sweeper
    Path(sweeper.storage.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    return optuna.create_study(
        study_name=sweeper.study_name,
        storage=sweeper.storage,
        direction=sweeper.direction.name if hasattr(sweeper.direction, "name") else "maximize",
        load_if_exists=True,
    )


def _reopen(config: DictConfig) -> tuple[int, int]:
    """Put trials that were cut off back to be made; give how many have begun, and ended."""
    study = _study(config)
    from optuna.storages import RDBStorage
    from optuna.trial import TrialState

    storage = RDBStorage(config.hydra.sweeper.storage)
    key = storage.get_study_id_from_name(study.study_name)
    for trial in study.trials:
        if trial.state == TrialState.RUNNING:
            number = storage.get_trial_id_from_study_id_trial_number(key, trial.number)
            storage.set_trial_state(number, TrialState.WAITING)
    ended = (TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED)
    return len(study.trials), sum(trial.state in ended for trial in study.trials)
