"""A search by Optuna that is killed and goes on: eight trials in all, one of them failed."""

import subprocess
import sys
import time

import pytest

from lossprint.apps.hyperparameters import found_hyperparameters
from tests.apps.test_train import ROOT
from tests.small_world import overrides

optuna = pytest.importorskip("optuna")
pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")

MARGINS = [0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5]
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
        "search.trials=8", "hydra/sweeper/sampler=grid", *words, "loss=triplet",
        f"loss.criterion.margin=choice({choices})", "trainer.max_epochs=1",
    ]  # fmt: skip
    folder = small_world / "outputs" / "searches" / "mine"
    begun = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 600
    while not list(folder.glob("*/triplet/fold0-seed0/weights.safetensors")):
        assert begun.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.1)
    begun.kill()
    begun.wait()
    before = trials(small_world)
    assert 0 < len(before) < 8
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert result.returncode == 0, result.stdout + result.stderr
    ended = trials(small_world)
    assert len(ended) == 8
    values = {trial.params["loss.criterion.margin"]: trial.value for trial in ended}
    assert sorted(values) == [*MARGINS, ENDLESS]
    assert [margin for margin, value in values.items() if value is None] == [ENDLESS]
    for trial in before:  # what was cut off was made again with its own values
        assert ended[trial.number].params == trial.params
    found = found_hyperparameters(small_world / "outputs", "mine", "triplet")
    best = max((v, m) for m, v in values.items() if v is not None)[0]
    assert values[found["criterion"]["margin"]] == best
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert again.returncode == 0, again.stdout + again.stderr
    assert len(trials(small_world)) == 8
