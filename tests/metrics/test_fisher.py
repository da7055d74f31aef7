"""Fisher averages against the study's numbers."""

from pathlib import Path

import numpy as np
import pytest
import torch

from lossprint.metrics.fisher import fisher_mean, fisher_std

GOLDEN = np.load(
    Path(__file__).parents[1] / "saliency" / "golden" / "map_similarity.npz", allow_pickle=False
)
OFF_DIAGONAL = ~np.eye(5, dtype=bool)


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_agrees_with_the_published_analysis(kind) -> None:
    correlation = kind(GOLDEN["correlation"])
    for statistic, name in ((fisher_mean, "fisher_mean"), (fisher_std, "fisher_std")):
        np.testing.assert_allclose(
            np.asarray(statistic(correlation))[OFF_DIAGONAL], GOLDEN[name][OFF_DIAGONAL], rtol=1e-12
        )


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor])
def test_perfect_correlations_stay_finite(kind) -> None:
    assert float(fisher_mean(kind([1.0, 1.0]))) == pytest.approx(1, abs=2e-7)
    assert float(fisher_std(kind([-1.0, -1.0]))) == 0
    assert float(fisher_mean(kind([1.0, -1.0]))) == 0
    assert np.isfinite(float(fisher_mean(kind([1.0, 0.2]))))


def test_beyond_one_by_rounding_is_one() -> None:
    assert fisher_mean(np.array([1 + 1e-12, 0.5])) == fisher_mean(np.array([1.0, 0.5]))


def test_nan_is_not_hidden() -> None:
    assert np.isnan(fisher_mean(np.array([np.nan, 0.5])))
