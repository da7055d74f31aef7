"""All folds together: there where all are, by a plain loop's figures, computed once."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from lossprint.studies.concatenation import concatenated_folds
from lossprint.studies.retrieval import retrieval_table
from lossprint.studies.subjects import Subject
from tests.metrics.test_retrieval import by_hand

FOLDS = 3


def fold_run(folder: Path, loss: str, fold: int, seed: int, labels: np.ndarray) -> Subject:
    """A run whose test embeddings tell classes apart in some dimensions of its own."""
    run = folder / loss / f"fold{fold}-seed{seed}"
    run.mkdir(parents=True)
    rng = np.random.default_rng([fold, seed])
    embeddings = rng.normal(size=(len(labels), 4)) + (labels[:, None] % (fold + 2))
    save_file(
        {"embeddings": torch.tensor(embeddings).float(), "labels": torch.tensor(labels)},
        run / "test_embeddings.safetensors",
    )
    return Subject(
        run=f"{loss}/fold{fold}-seed{seed}",
        loss=loss,
        family="ranking",
        distance="lp",
        fold=fold,
        seed=seed,
        weights_key="unused",
        cache=run / "analysis",
        load=lambda: (_ for _ in ()).throw(AssertionError("not asked for")),
        metrics={"test/map_at_r": 0.5},
        test_embeddings=run / "test_embeddings.safetensors",
        folds=FOLDS,
    )


@pytest.fixture
def labels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 6, 50)


def test_all_folds_together_are_what_a_plain_loop_finds(tmp_path, labels):
    subjects = [fold_run(tmp_path, "triplet", k, s, labels) for k in range(FOLDS) for s in (0, 1)]
    table = retrieval_table(subjects)
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
    subjects = [fold_run(tmp_path, "triplet", fold, 0, labels) for fold in range(FOLDS)]
    ((_, first),) = concatenated_folds(subjects)
    monkeypatch.setattr("lossprint.studies.concatenation.retrieval_metrics", None)
    assert [metrics for _, metrics in concatenated_folds(subjects)] == [first]


def test_there_is_none_without_all_folds_of_the_same_images(tmp_path, labels):
    complete = [fold_run(tmp_path / "a", "triplet", fold, 0, labels) for fold in range(FOLDS)]
    assert len(list(concatenated_folds(complete))) == 1
    assert not list(concatenated_folds(complete[:-1]))
    other_images = fold_run(tmp_path / "b", "triplet", FOLDS - 1, 0, labels[::-1].copy())
    moved = complete[-1].test_embeddings
    assert other_images.test_embeddings is not None
    assert moved is not None
    moved.write_bytes(other_images.test_embeddings.read_bytes())
    assert not list(concatenated_folds(complete))
    moved.write_bytes(b"damaged")
    assert not list(concatenated_folds(complete))
    moved.unlink()
    assert not list(concatenated_folds(complete))
    # Runs of two sweeps are not folds of one training.
    mixed = [fold_run(tmp_path / f"sweep{k}", "margin", k, 0, labels) for k in range(FOLDS)]
    assert not list(concatenated_folds(mixed))
