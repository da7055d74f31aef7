"""A search by Optuna that is killed and goes on: eight trials in all, one of them failed."""

import time
from contextlib import redirect_stderr, redirect_stdout

import pytest
import torch
from benchmarks.kills import FORKS, command
from hydra import compose, initialize_config_dir

from lossprint.apps.hyperparameters import found_hyperparameters
from lossprint.apps.search import Search
from tests.apps.test_train import ROOT
from tests.small_world import overrides

optuna = pytest.importorskip("optuna")
pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")

MARGINS = [0.1, 0.2, 0.3]
ENDLESS = 1e39  # more than float32 holds: the loss becomes infinite


def trials(root):
    storage = f"sqlite:///{root}/outputs/searches/mine/trials.db"
    try:
        return optuna.load_study(study_name="mine-triplet", storage=storage).trials
    except KeyError:
        return []


def begin(words, log):
    """A search in a fork of this process, whose imports it has already."""

    def search():
        torch.set_num_threads(1)  # threads of the process that was forked are not there
        with log.open("w") as file, redirect_stdout(file), redirect_stderr(file):
            command("train.py", *words)

    process = FORKS.Process(target=search)
    process.start()
    return process


def finish(words, log):
    process = begin(words, log)
    process.join(600)
    process.kill()
    assert process.exitcode == 0, log.read_text()
    return log.read_text()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Optuna 2 on a newer Python
def test_killed_and_continued_it_ends_with_all_trials(small_world, tmp_path):
    choices = ",".join(map(str, [*MARGINS, ENDLESS]))
    words = [
        "-m", "search=optuna", "search.name=mine", "search.trials=8", "search.seed=2",
        *(word for word in overrides(small_world) if not word.startswith("sweep=")),
        "loss=triplet", f"loss.criterion.margin=choice({choices})", "trainer.max_epochs=1",
        "callbacks=retrieval",
    ]  # fmt: skip
    folder, log = small_world / "outputs" / "searches" / "mine", tmp_path / "log"
    begun = begin(words, log)
    deadline = time.monotonic() + 600
    while len(list(folder.glob("*/triplet/fold0-seed0"))) < 3:  # this seed's first draws differ
        assert begun.is_alive(), f"it ended before it could be killed: {log.read_text()}"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    begun.kill()
    begun.join()
    before = trials(small_world)
    assert [trial.value is None for trial in before] == [False, False, True]
    finish(words, log)
    ended = trials(small_world)
    assert len(ended) == 8
    assert [trial.value for trial in ended[:2]] == [trial.value for trial in before[:2]]
    drawn = [trial.params["loss.criterion.margin"] for trial in ended]
    # What was cut off was made again with its own values, and the first draws were not repeated.
    assert drawn[:3] == [trial.params["loss.criterion.margin"] for trial in before] != drawn[3:6]
    failed = [trial.value is None for trial in ended]
    assert failed == [margin == ENDLESS for margin in drawn]
    assert sum(failed) == 1
    values = {trial.params["loss.criterion.margin"]: trial.value for trial in ended}
    found = found_hyperparameters(small_world / "outputs", "mine", "triplet")
    best = max(value for value in values.values() if value is not None)
    assert values[found["criterion"]["margin"]] == best
    assert "8 of 8 trials are done already" in finish(words, log)
    assert len(trials(small_world)) == 8


@pytest.mark.parametrize(
    ("sampler", "reason"), [("grid", "cannot go on"), ("cmaes", "keeps its state")]
)
def test_a_sampler_is_refused_with_what_is_valid(sampler, reason, small_world, capsys):
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        words = [*overrides(small_world), "search=optuna", f"hydra/sweeper/sampler={sampler}"]
        config = compose("train", words, return_hydra_config=True)
    config.hydra.overrides.task.append("loss.criterion.margin=0.1,0.2")
    with pytest.raises(SystemExit, match="2"):
        Search().on_multirun_start(config)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"error: hydra/sweeper/sampler={sampler} {reason}")
    assert "valid are tpe and random" in line
