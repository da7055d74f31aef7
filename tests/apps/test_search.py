"""A search by Optuna that is killed and goes on: three trials in all, one of them failed."""

import subprocess
import sys
import time

import pytest
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


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Optuna 2 on a newer Python
def test_killed_and_continued_it_ends_with_all_trials(small_world):
    choices = ",".join(map(str, [*MARGINS, ENDLESS]))
    words = [word for word in overrides(small_world) if not word.startswith("sweep=")]
    command = [
        sys.executable, str(ROOT / "train.py"), "-m", "search=optuna", "search.name=mine",
        "search.trials=3", "search.seed=1", *words, "loss=triplet",
        f"loss.criterion.margin=choice({choices})", "trainer.max_epochs=1",
    ]  # fmt: skip
    folder = small_world / "outputs" / "searches" / "mine"
    begun = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 600
    while not list(folder.glob("*/triplet/fold0-seed0")):
        assert begun.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.1)
    begun.kill()
    begun.wait()
    (before,) = trials(small_world)
    assert before.value is None
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert result.returncode == 0, result.stdout + result.stderr
    ended = trials(small_world)
    assert ended[0].params == before.params  # what was cut off was made again with its own values
    values = {trial.params["loss.criterion.margin"]: trial.value for trial in ended}
    assert len(values) == len(ended) == 3  # and its draw was not repeated
    assert [margin for margin, value in values.items() if value is None] == [ENDLESS]
    found = found_hyperparameters(small_world / "outputs", "mine", "triplet")
    best = max(value for value in values.values() if value is not None)
    assert values[found["criterion"]["margin"]] == best
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "3 of 3 trials are done already" in again.stdout
    assert len(trials(small_world)) == 3


def test_a_grid_is_refused_with_what_is_valid(small_world, capsys):
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        words = [*overrides(small_world), "search=optuna", "hydra/sweeper/sampler=grid"]
        config = compose("train", words, return_hydra_config=True)
    config.hydra.overrides.task.append("loss.criterion.margin=0.1,0.2")
    with pytest.raises(SystemExit, match="2"):
        Search().on_multirun_start(config)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("error: hydra/sweeper/sampler=grid cannot go on")
