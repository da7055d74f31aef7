"""The search of hyperparameters is even-handed, and the table of losses says what runs say."""

import importlib
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from lossprint.runs.record import RunRecord
from lossprint.training.losses import STUDY_LOSSES

ROOT = Path(__file__).parents[2]


@pytest.fixture
def benchmark_of(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


def loss_file(loss):
    return OmegaConf.load(ROOT / "conf" / "loss" / f"{loss}.yaml")


def test_every_loss_of_the_study_is_searched_with_the_same_budget(benchmark_of):
    tune = benchmark_of("tune")
    assert set(tune.GRIDS) == {*STUDY_LOSSES, "angular", "supcon", "proxy_anchor"}
    for loss, grid in tune.GRIDS.items():
        assert len({tune.sweep(point) for point in tune.points(grid)}) == tune.TRIALS, loss
        for name in grid:
            assert OmegaConf.select(loss_file(loss), name) is not None, (loss, name)


def test_what_stands_in_a_loss_file_is_what_the_search_chose(benchmark_of):
    tune = benchmark_of("tune")
    pandas = pytest.importorskip("pandas")
    table = pandas.read_csv(ROOT / "benchmarks" / "results" / "tuning.csv")
    for loss, rows in table.groupby("loss"):
        assert len(rows) == tune.TRIALS, loss
        best = rows.loc[rows["validation MAP@R"].idxmax(), "hyperparameters"]
        for part in best.split(", "):
            name, value = part.split(" ")
            assert OmegaConf.select(loss_file(loss), name) == float(value), (loss, name)


def planted(folder: Path, loss: str, seed: int, score: float, *, collapsed: bool = False) -> None:
    record = RunRecord(
        folder=folder / loss / f"fold0-seed{seed}",
        loss=loss,
        family="ranking",
        distance="lp",
        fold=0,
        seed=seed,
        data_fingerprint="",
    )
    metrics = {"map_at_r": score, "precision_at_1": 2 * score, "effective_rank": 5.0}
    metrics = {f"test/{name}": value for name, value in metrics.items()}
    metrics["untrained/map_at_r"] = 0.1
    record.finish(metrics, {"train": 120.0}, collapsed=collapsed)


def test_the_table_of_losses_has_mean_spread_and_gain(benchmark_of, tmp_path):
    losses = benchmark_of("losses")
    for seed, score in enumerate((0.3, 0.4, 0.5)):
        planted(tmp_path, "triplet", seed, score)
    planted(tmp_path, "circle", 0, 0.2, collapsed=True)
    lines = losses.report(losses.finished_runs(tmp_path))
    assert (
        "| triplet | ranking | 3 | 0.400 ± 0.100 | 0.800 ± 0.200 | 5.000 ± 0.000 | 4.0 | 2.0 |"
        in lines
    )
    assert "| circle (1 collapsed) | ranking | 1 | 0.200 | 0.400 | 5.000 | 2.0 | 2.0 |" in lines
