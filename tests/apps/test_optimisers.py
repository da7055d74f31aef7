"""What an optimiser's sweep of trials does when they fail."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

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
