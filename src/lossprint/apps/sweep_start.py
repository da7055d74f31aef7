"""Before a multirun's first job: what its jobs, or their comparison, are known to fail of."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, flag_override
from rich.console import Console

from lossprint.apps import build
from lossprint.apps.errors import command
from lossprint.runs.provenance import differences, immaterial
from lossprint.studies.comparability import incompatible_settings
from lossprint.studies.variants import training_settings

Jobs = Sequence[list[str]]
Settings = Sequence[Mapping[str, Any]]


class SweepStart(Callback):
    """Refuses a multirun of which a job, or the comparison at its end, is known to fail."""

    def on_multirun_start(
        self, config: DictConfig, config_name: str | None = None, **kwargs: Any
    ) -> None:
        sweeper = config.hydra.sweeper
        if config.status is not None or not sweeper["_target_"].endswith("BasicSweeper"):
            return  # an optimiser chooses values as it goes
        params = [f"{key}={value}" for key, value in (sweeper.params or {}).items()]
        of_hydra = config.hydra.overrides.hydra
        with command(Console(), interrupted="nothing is trained"):
            check_sweep([*params, *config.hydra.overrides.task], config_name, of_hydra)


def check_sweep(
    words: Sequence[str], config_name: str | None = "train", of_hydra: Sequence[str] = ()
) -> None:
    """Check the jobs of a multirun, and that what they train may be compared.

    Args:
        words: overrides, some of them with several values.
        config_name: what they override.
        of_hydra: overrides of Hydra itself, e.g. `hydra.searchpath=[…]`, where a loss may lie.

    Raises:
        ValueError: a job's configuration is not valid; two jobs would train into one folder; or
            `analyze=true` and the sweep is over the backbone, the images or the probe set. The
            message names the words of the job.
    """
    jobs = list(_jobs_in_turn(words))
    settings = [_settings(job, jobs[0], config_name, of_hydra) for job in jobs]
    _check_comparable(jobs, settings)
    _check_folders(jobs, settings)


def _check_comparable(jobs: Jobs, settings: Settings) -> None:
    first = settings[0]
    trained = [each for each in settings if each["loss"]["family"] != "control"]
    compared = {str((each["loss"]["name"], training_settings(each))) for each in trained}
    if not first["analyze"] or len(compared) < 2:
        return
    for job, own in zip(jobs, settings, strict=True):
        if changed := incompatible_settings(first, own):
            raise ValueError(
                f"these runs would not be comparable: {_varied(job, jobs[0])} differs in "
                f"{'; '.join(changed[:3])}. A call for each value compares losses under it; "
                "analyze=false trains all in one, and analyze.py compares them with "
                "allow_mixed=true"
            )


def _check_folders(jobs: Jobs, settings: Settings) -> None:
    first = settings[0]
    for job, own in zip(jobs, settings, strict=True):
        folder = build.folder(own)
        if folder == build.folder(first) and differences(first, own, ignore=immaterial(own)):
            raise ValueError(
                f"{_varied(job, jobs[0])} would be trained into {folder}, as the first job is. "
                "Folders are told apart by sweep, loss, fold and seed; sweep is named by what is "
                "overridden unless it is given"
            )


def _jobs_in_turn(words: Sequence[str]) -> Iterator[list[str]]:
    """The first job, and those that differ from it in one word: each value is in one of them."""
    loader = GlobalHydra.instance().config_loader()
    axes = [
        [f"{word.get_key_element()}={value}" for value in word.sweep_string_iterator()]
        if word.is_sweep_override() and word.is_discrete_sweep()
        else [word.input_line or ""]
        for word in OverridesParser.create(config_loader=loader).parse_overrides(list(words))
    ]
    first = [axis[0] for axis in axes]
    yield first
    for place, axis in enumerate(axes):
        for word in axis[1:]:
            yield [*first[:place], word, *first[place + 1 :]]


def _settings(
    job: list[str], first: list[str], config_name: str | None, of_hydra: Sequence[str]
) -> Mapping[str, Any]:
    """A job's configuration, checked as the job itself will."""
    config = compose(config_name, [*of_hydra, *job], return_hydra_config=True)
    outer = HydraConfig.instance().cfg
    HydraConfig.instance().set_config(config)  # it tells which hyperparameters were set by hand
    with flag_override(config, ["struct", "readonly"], [False, False]):
        del config["hydra"]
    try:
        return build.checked(config, multirun=True)
    except ValueError as error:
        where = _varied(job, first)
        raise ValueError(f"{where}: {error}" if where else str(error)) from error
    finally:
        HydraConfig.instance().cfg = outer


def _varied(job: Sequence[str], first: Sequence[str]) -> str:
    return " ".join(word for word, other in zip(job, first, strict=True) if word != other)
