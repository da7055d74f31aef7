"""Linear probe and cluster agreement on embeddings whose answer is known."""

import numpy as np
import pytest

from lossprint.metrics.readings import cluster_agreement, linear_probe_accuracy


@pytest.fixture
def scene():
    """Axis 0 carries `side` weakly beside a loud `group` on axes 2 and 3; `chance` is nowhere."""
    rng = np.random.default_rng(0)
    side, group, chance = (rng.integers(0, k, 240) for k in (2, 3, 2))
    embeddings = rng.normal(size=(240, 4)) * 0.05
    embeddings[:, 0] += 0.4 * side
    angle = 2 * np.pi * group / 3
    embeddings[:, 2] += 3 * np.cos(angle)
    embeddings[:, 3] += 3 * np.sin(angle)
    return embeddings, {"side": side, "group": group, "chance": chance}


def test_a_linear_probe_reads_what_is_linear(scene):
    found = linear_probe_accuracy(*scene, seed=0)
    assert found["side"] > 0.97
    assert found["group"] == 1
    # 240 labels: the standard error of chance accuracy is 0.03.
    assert found["chance"] == pytest.approx(0.5, abs=0.13)
    assert linear_probe_accuracy(*scene, seed=0) == found


def test_clusters_show_what_divides_the_space(scene):
    found = cluster_agreement(*scene, seed=0)
    assert found["group"] == pytest.approx(1)
    assert found["side"] < 0.2
    assert found["chance"] == pytest.approx(0, abs=0.05)
    assert cluster_agreement(*scene, seed=0) == found


def test_missing_rare_and_single_values(scene):
    embeddings, properties = scene
    gaps = properties["group"].astype(float)
    gaps[:20] = np.nan
    gaps[20] = 7  # carried once: in no five folds
    one = {"gaps": gaps, "one": np.ones(240)}
    probed, clustered = (
        reading(embeddings, one, seed=0) for reading in (linear_probe_accuracy, cluster_agreement)
    )
    assert probed["gaps"] == 1
    assert clustered["gaps"] > 0.8
    assert np.isnan([probed["one"], clustered["one"]]).all()


@pytest.mark.parametrize("reading", [linear_probe_accuracy, cluster_agreement])
def test_bad_input_is_named(reading):
    with pytest.raises(ValueError, match="'paint' has shape"):
        reading(np.eye(4), {"paint": [1, 2]}, seed=0)
    with pytest.raises(ValueError, match="NaN or infinite"):
        reading(np.full((4, 2), np.nan), {"l": [0, 1, 0, 1]}, seed=0)
