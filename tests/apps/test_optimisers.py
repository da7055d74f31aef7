"""What an optimiser's sweep of trials does when they fail."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from lossprint.apps import job
from lossprint.apps.job import Job


@pytest.mark.parametrize(
    ("sweeper", "notes", "last"),
    [
        ({"n_trials": 2}, ["error", "error"], True),
        ({"n_trials": 3}, ["error", "error"], False),  # one is still to come
        ({"n_trials": 2}, ["run", "error"], False),  # there is a best one
        ({"optim": {"budget": 1}}, ["error"], True),
        ({"max_batch_size": None}, ["error"], False),  # Hydra's own sweeper asks for no best one
    ],
)
def test_the_end_of_trials_that_all_failed_is_noticed(
    sweeper: dict, notes: list[str], last: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hydra = SimpleNamespace(sweeper=OmegaConf.create(sweeper))
    monkeypatch.setattr(HydraConfig, "get", staticmethod(lambda: hydra))
    for number, kind in enumerate(notes):
        (tmp_path / f"{number:06d}.json").write_text(json.dumps({kind: "x", "overrides": []}))
    assert Job(True, tmp_path / "000000.json").is_last_of_failed_trials() is last


FAILURES = {
    "criterion.margin must be at least 0": ValueError(
        "criterion.margin must be at least 0, not -1"
    ),
    "photos/1.jpg": FileNotFoundError(2, "No such file or directory", "photos/1.jpg"),
    "out of memory": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    "not finite in epoch 3": FloatingPointError("the loss is not finite in epoch 3"),
    "outputs/last.ckpt": OSError(28, "No space left on device", "outputs/last.ckpt"),
    "worker (pid 7)": RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed"),
}


@pytest.mark.parametrize("says", FAILURES)
@pytest.mark.parametrize("searched", [True, False], ids=["a search", "a sweep"])
def test_a_trial_fails_of_whatever_its_training_fails_of(
    says: str,
    searched: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    error, note = FAILURES[says], tmp_path / "000000.json"
    hydra = {"sweeper": {"n_trials": 9}, "overrides": {"task": ["loss=triplet"]}}
    monkeypatch.setattr(HydraConfig, "get", staticmethod(lambda: OmegaConf.create(hydra)))
    monkeypatch.setattr(job, "current_job", lambda: Job(True, note))

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(job, "train", fail)
    config = {"status": None, "analyze": False, "output_root": str(tmp_path)}
    if searched:
        config["search"] = {"name": "margins", "folds": [0], "seeds": [0]}
    assert job.run_job(OmegaConf.create(config)) is None
    failed = {"error": f"{type(error).__name__}: {error}", "overrides": ["loss=triplet"]}
    assert json.loads(note.read_text()) == failed
    assert says in capsys.readouterr().out.replace("\n", " ")
