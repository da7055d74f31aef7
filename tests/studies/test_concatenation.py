"""All folds together: there where all are, by a plain loop's figures, computed once."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from lossprint.runs.record import RunRecord
from lossprint.studies.concatenation import concatenated_folds
from lossprint.studies.networks import Network
from lossprint.studies.retrieval import retrieval_table
from tests.metrics.test_retrieval import by_hand

FOLDS = 3


def fold_run(folder: Path, loss: str, fold: int, seed: int, labels: np.ndarray) -> Network:
    """A run whose test embeddings tell classes apart in some dimensions of its own."""
    run = RunRecord(
        folder / loss / f"fold{fold}-seed{seed}", loss, "ranking", "lp", fold, seed, "same"
    ).begin({"folds": FOLDS})
    rng = np.random.default_rng([fold, seed])
    embeddings = rng.normal(size=(len(labels), 4)) + (labels[:, None] % (fold + 2))
    save_file(
        {"embeddings": torch.tensor(embeddings).float(), "labels": torch.tensor(labels)},
        run.test_embeddings_file,
    )
    return Network(
        name=f"{loss}/fold{fold}-seed{seed}",
        loss=loss,
        family="ranking",
        distance="lp",
        fold=fold,
        seed=seed,
        weights_key="unused",
        cache=run.analysis_folder,
        load=lambda: (_ for _ in ()).throw(AssertionError("not asked for")),
        metrics={"test/map_at_r": 0.5},
        run=run,
    )


@pytest.fixture
def labels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 6, 50)


def test_all_folds_together_are_what_a_plain_loop_finds(tmp_path, labels):
    folds = [fold_run(tmp_path, "triplet", k, s, labels) for k in range(FOLDS) for s in (0, 1)]
    table = retrieval_table(folds)
    found = table[table["metric"].str.startswith("concatenated/")]
    assert set(found["run"]) == {"triplet/folds-seed0", "triplet/folds-seed1"}
    assert set(found["fold"]) == {-1}
    for seed in (0, 1):
        parts = []
        for fold in range(FOLDS):  # what `fold_run` wrote
            rng = np.random.default_rng([fold, seed])
            part = rng.normal(size=(len(labels), 4)) + (labels[:, None] % (fold + 2))
            parts.append(part / np.linalg.norm(part, axis=1, keepdims=True))
        expected = by_hand(np.concatenate(parts, axis=1), labels, (1,))
        values = found[found["seed"] == seed].set_index("metric")["value"]
        assert len(values) == 3
        for name, value in values.items():
            assert value == pytest.approx(expected[name.removeprefix("concatenated/")], abs=1e-6)
    # A figure of its own run stays the first, which other parts compare.
    assert table["metric"].iloc[0] == "map_at_r"


def test_figures_are_computed_once(tmp_path, labels, monkeypatch):
    folds = [fold_run(tmp_path, "triplet", fold, 0, labels) for fold in range(FOLDS)]
    ((_, first),) = concatenated_folds(folds)
    monkeypatch.setattr("lossprint.studies.concatenation.retrieval_metrics", None)
    assert [metrics for _, metrics in concatenated_folds(folds)] == [first]


def test_there_is_none_without_all_folds_of_the_same_images(tmp_path, labels):
    complete = [fold_run(tmp_path / "a", "triplet", fold, 0, labels) for fold in range(FOLDS)]
    assert len(list(concatenated_folds(complete))) == 1
    assert not list(concatenated_folds(complete[:-1]))
    other_images = fold_run(tmp_path / "b", "triplet", FOLDS - 1, 0, labels[::-1].copy())
    last = complete[-1].run.test_embeddings_file
    last.write_bytes(other_images.run.test_embeddings_file.read_bytes())
    assert not list(concatenated_folds(complete))
    last.write_bytes(b"damaged")
    assert not list(concatenated_folds(complete))
    last.unlink()
    assert not list(concatenated_folds(complete))
    # Runs of two sweeps are not folds of one training.
    mixed = [fold_run(tmp_path / f"sweep{k}", "margin", k, 0, labels) for k in range(FOLDS)]
    assert not list(concatenated_folds(mixed))
