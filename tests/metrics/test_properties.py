"""NR-Prec against the published code's numbers, a float64 brute force, and its definition."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom
from threadpoolctl import threadpool_info

from lossprint.metrics import (
    normalized_r_precision,
    normalized_r_precision_maximum,
    property_precision,
)
from lossprint.metrics.neighbor_matches import count_matches
from lossprint.metrics.neighbor_matches_cpu import count_matches_cpu
from lossprint.metrics.neighbor_matches_torch import count_matches_torch
from lossprint.metrics.neighbor_space import neighbor_space

GOLDEN = Path(__file__).parent / "golden" / "nr_precision.npz"


def brute_force(points, codes, neighbors):
    """Matches by sorting float64 distances; tied points share the places that are left."""
    count, properties = codes.shape
    matches = np.zeros((count, properties))
    tolerance = 1e-13 * np.linalg.norm(points, axis=1).max()
    for i in range(count):
        others = np.delete(np.arange(count), i)
        distance = np.linalg.norm(points[others] - points[i], axis=1)
        for a in range(properties):
            wanted = neighbors[i, a]
            if wanted == 0:
                continue
            last = np.sort(distance)[wanted - 1]
            same = codes[others, a] == codes[i, a]
            nearer = distance < last - tolerance
            tied = np.abs(distance - last) <= tolerance
            places = wanted - nearer.sum()
            matches[i, a] = same[nearer].sum() + places * same[tied].mean()
    return matches


def both_paths(points, codes, neighbors):
    space = neighbor_space(points)
    yield count_matches_cpu(space, codes, neighbors)
    yield count_matches_torch(space, codes, neighbors, device="cpu", memory=1 << 20)


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("max_neighbors", [None, 1023])
def test_agrees_with_the_published_code(size, normalize, max_neighbors):
    golden = np.load(GOLDEN, allow_pickle=False)
    labels = golden[f"{size}.labels"]
    values = normalized_r_precision(
        golden[f"{size}.embeddings"],
        {str(a): labels[:, a] for a in range(labels.shape[1])},
        normalize=normalize,
        max_neighbors=max_neighbors,
    )
    key = f"{size}.value" + ("_normalized" if normalize else "")
    key += "" if max_neighbors is None else "_at_most_1023"
    np.testing.assert_allclose(list(values.values()), golden[key], rtol=1e-4)


@pytest.mark.parametrize("dimensions", [1, 3, 64])
def test_counts_equal_a_float64_search(dimensions):
    rng = np.random.default_rng(dimensions)
    points = rng.normal(size=(600, dimensions)) + 5  # not centred
    # 300 levels take more than a byte
    codes = np.stack([rng.integers(0, levels, 600) for levels in (2, 6, 40, 300)], axis=1)
    neighbors = np.stack([np.bincount(column)[column] - 1 for column in codes.T], axis=1)
    expected = brute_force(points, codes, neighbors)
    for matches in both_paths(points, codes, neighbors):
        np.testing.assert_array_equal(matches, expected)


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("spread", [1.0, 1e-3, 1e-6])
def test_counts_of_clusters_equal_a_float64_search(normalize, spread):
    """Float32 embeddings in clusters so tight that float32 cannot order their members."""
    rng = np.random.default_rng(0)
    cluster = rng.integers(0, 4, 700)
    points = 3 * rng.normal(size=(4, 16))[cluster] + spread * rng.normal(size=(700, 16))
    points = points.astype(np.float32)
    points[0] = 0  # stays at the origin
    codes = np.stack([cluster, rng.integers(0, 3, 700), rng.integers(0, 9, 700)], axis=1)
    neighbors = np.stack([np.bincount(column)[column] - 1 for column in codes.T], axis=1)
    norms = np.linalg.norm(points.astype(float), axis=1, keepdims=True)
    norms[0] = 1
    expected = brute_force(points / norms if normalize else points.astype(float), codes, neighbors)
    found = count_matches(points, codes, neighbors, normalize=normalize)
    np.testing.assert_allclose(found, expected)


def test_threads_share_the_queries_and_leave_the_settings_alone():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(1100, 6))  # more than four blocks of queries
    codes = rng.integers(0, 5, (1100, 2))
    neighbors = np.stack([np.bincount(column)[column] - 1 for column in codes.T], axis=1)
    before = threadpool_info()
    alone = count_matches_cpu(neighbor_space(points), codes, neighbors, threads=1)
    shared = count_matches_cpu(neighbor_space(points), codes, neighbors, threads=3)
    np.testing.assert_array_equal(alone, shared)
    assert threadpool_info() == before


def test_arrays_are_measured_without_torch():
    """PyTorch takes more memory than 100,000 embeddings and all that is done with them."""
    code = (
        "import sys, numpy as np; from lossprint.metrics import normalized_r_precision as measure; "
        "measure(np.eye(6, 3), {'l': [0, 1] * 3}); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_more_properties_than_are_compared_at_once():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(150, 4))
    codes = np.stack([rng.permutation(150) % (2 + a) for a in range(35)], axis=1)
    neighbors = np.stack([np.bincount(column)[column] - 1 for column in codes.T], axis=1)
    expected = brute_force(points, codes, neighbors)
    for matches in both_paths(points, codes, neighbors):
        np.testing.assert_array_equal(matches, expected)


def test_near_ties_are_settled_in_float64():
    """Points on a sphere about the query but for differences that float32 cannot hold."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(300, 8))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    points[0] = 0
    points[1:] *= 1 + 1e-10 * rng.permutation(299)[:, None]
    codes = rng.integers(0, 3, (300, 2))
    neighbors = np.stack([np.bincount(column)[column] - 1 for column in codes.T], axis=1)
    expected = brute_force(points, codes, neighbors)
    assert (expected[0] == np.round(expected[0])).all()  # no genuine tie about the query
    for matches in both_paths(points, codes, neighbors):
        np.testing.assert_array_equal(matches, expected)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_size_labels_and_ties(data):
    count = data.draw(st.integers(3, 40))
    grid = data.draw(st.integers(1, 4))  # few distinct places: many ties
    seed = data.draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    points = rng.integers(0, grid, (count, data.draw(st.integers(1, 3)))).astype(float)
    codes = np.stack(
        [np.unique(rng.integers(0, k, count), return_inverse=True)[1] for k in (1, 2, 5, count)],
        axis=1,
    )
    cap = data.draw(st.integers(1, count))
    neighbors = np.stack([np.bincount(column)[column] - 1 for column in codes.T], axis=1)
    neighbors = np.minimum(neighbors, cap)
    expected = brute_force(points, codes, neighbors)
    np.testing.assert_allclose(count_matches(points, codes, neighbors), expected)
    if len(np.unique(points, axis=0)) > 1:
        for matches in both_paths(points, codes, neighbors):
            np.testing.assert_allclose(matches, expected)


def test_mixed_precision_around_it_changes_no_count():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(500, 16))
    codes = rng.integers(0, 4, (500, 1))
    neighbors = np.stack([np.bincount(column)[column] - 1 for column in codes.T], axis=1)
    with torch.autocast("cpu", torch.bfloat16):
        found = count_matches_torch(neighbor_space(points), codes, neighbors, device="cpu")
    np.testing.assert_array_equal(found, brute_force(points, codes, neighbors))


@pytest.mark.parametrize("normalize", [False, True])
def test_the_formula_by_hand(normalize):
    """Six points on a line, or on an arc: each label's members side by side but for one."""
    angle = np.deg2rad([0, 1, 2, 20, 23, 27])
    embeddings = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    score = property_precision(embeddings, {"side": list("aababb")}, normalize=normalize)["side"]
    # R = 2 for all, p = 1/2, so z = (X − 1) / sqrt(1/2)
    np.testing.assert_array_equal(score.neighbors, 2)
    np.testing.assert_array_equal(score.matches, [1, 1, 0, 0, 1, 1])
    np.testing.assert_allclose(score.z, (score.matches - 1) / np.sqrt(0.5))
    assert score.value == pytest.approx(-np.sqrt(2) / 3)
    assert score.r_precision == pytest.approx(1 / 3)


def test_hypergeometric_variance_is_that_of_scipy():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 50)
    sizes = np.bincount(labels)[labels]
    for cap in (None, 4):
        score = property_precision(
            rng.normal(size=(50, 4)), {"l": labels}, variance="hypergeometric", max_neighbors=cap
        )["l"]
        drawn = np.minimum(sizes - 1, cap or 50)
        chance = hypergeom(49, sizes - 1, drawn)
        np.testing.assert_array_equal(score.neighbors, drawn)
        np.testing.assert_allclose(score.z, (score.matches - chance.mean()) / chance.std())


def test_chance_labels_have_mean_0_and_standard_deviation_1():
    """Labels that are independent of the embedding, over 40 properties of 400 queries.

    Bounds: z of one property's queries are dependent, so only the 40 property means count as
    independent. Their standard deviation is itself measured; the mean of all must lie within 4
    standard errors of 0. For the spread over all 16,000 z, 5 % is over 8 times the standard error
    1 / sqrt(2 · 16,000) that independent queries would have.
    """
    rng = np.random.default_rng(0)
    labels = {str(a): rng.integers(0, 4, 400) for a in range(40)}
    embeddings = rng.normal(size=(400, 16))
    scores = property_precision(embeddings, labels, variance="hypergeometric")
    means = np.array([score.value for score in scores.values()])
    assert abs(means.mean()) < 4 * means.std(ddof=1) / np.sqrt(40)
    assert means.std() < 0.2
    spread = np.concatenate([score.z for score in scores.values()]).std()
    assert spread == pytest.approx(1, abs=0.05)


MISSING = {
    "nan": lambda labels: np.where(labels == 3, np.nan, labels),
    "none": lambda labels: [None if label == 3 else f"level {label}" for label in labels],
    "empty text": lambda labels: ["" if label == 3 else f"level {label}" for label in labels],
    "pandas": lambda labels: pd.Series(labels).astype("Int64").mask(labels == 3),
    "category": lambda labels: pd.Series(labels).astype("category").mask(labels == 3),
    "tensor": lambda labels: torch.tensor(np.where(labels == 3, np.nan, labels)),
}


@pytest.mark.parametrize("kind", MISSING)
def test_missing_values_are_no_query_no_neighbour_and_not_in_n(kind):
    rng = np.random.default_rng(1)
    embeddings = rng.normal(size=(80, 5))
    labels = rng.integers(0, 4, 80)
    whole = rng.integers(0, 3, 80)
    known = labels != 3
    scores = property_precision(embeddings, {"gaps": MISSING[kind](labels), "whole": whole})
    alone = property_precision(embeddings[known], {"gaps": labels[known]})["gaps"]
    assert scores["gaps"].missing == (~known).sum()
    np.testing.assert_array_equal(scores["gaps"].z[known], alone.z)
    assert np.isnan(scores["gaps"].z[~known]).all()
    assert scores["gaps"].value == alone.value
    assert list(scores) == ["gaps", "whole"]
    assert scores["whole"].value == property_precision(embeddings, {"whole": whole})["whole"].value


def test_a_value_carried_alone_is_a_neighbour_but_no_query():
    embeddings = np.array([[0.0], [1.0], [2.0], [4.0], [5.5]])
    score = property_precision(embeddings, {"l": [0, 7, 0, 1, 1]}, normalize=False)["l"]
    np.testing.assert_array_equal(score.neighbors, [1, 0, 1, 1, 1])
    np.testing.assert_array_equal(score.matches, [0, 0, 0, 1, 1])  # 0 and 2 both have 1 nearest
    assert np.isnan(score.z[1])
    assert (score.single, score.missing, score.levels) == (1, 0, 3)
    assert score.value == pytest.approx(np.mean([-0.4, -0.4, 0.6, 0.6]) / np.sqrt(0.24))


@pytest.mark.parametrize("variance", ["binomial", "hypergeometric"])
def test_properties_without_a_contrast_are_nan(variance):
    embeddings = np.random.default_rng(0).normal(size=(10, 3))
    labels = {"one": ["same"] * 10, "each its own": range(10), "two": [0, 1] * 5}
    values = normalized_r_precision(embeddings, labels, variance=variance)
    assert np.isnan(values["one"])
    assert np.isnan(values["each its own"])
    assert np.isfinite(values["two"])


def test_a_collapsed_embedding_is_at_chance():
    labels = np.repeat([0, 1, 2], 20)
    for embeddings in (np.ones((60, 4)), np.zeros((60, 4)), np.full((60, 4), 0.1)):
        values = normalized_r_precision(embeddings, {"l": labels}, variance="hypergeometric")
        assert values["l"] == pytest.approx(0, abs=1e-9)


def test_order_and_kind_of_input_do_not_matter():
    rng = np.random.default_rng(2)
    embeddings = rng.integers(0, 3, (120, 3)).astype(np.float32) + 1  # with ties
    labels = rng.integers(0, 5, 120)
    value = normalized_r_precision(embeddings, {"l": labels})["l"]
    order = rng.permutation(120)
    shuffled = normalized_r_precision(embeddings[order], {"l": labels[order]})["l"]
    tensor = torch.tensor(embeddings, requires_grad=True)
    text = [f"level {label}" for label in labels]
    assert shuffled == pytest.approx(value, rel=1e-12)
    assert normalized_r_precision(tensor, {"l": text})["l"] == value
    assert normalized_r_precision(embeddings.tolist(), {"l": labels.tolist()})["l"] == value


def test_embeddings_stay_untouched():
    embeddings = np.random.default_rng(0).normal(size=(30, 4))
    before = embeddings.copy()
    for normalize in (False, True):
        normalized_r_precision(embeddings, {"l": np.arange(30) % 3}, normalize=normalize)
        np.testing.assert_array_equal(embeddings, before)


GOOD = np.random.default_rng(0).normal(size=(6, 2))
ERRORS = [
    (np.where(np.eye(6, 2) > 0, np.nan, GOOD), {"l": [0, 1] * 3}, {}, "NaN or infinite.*row 0"),
    (np.where(np.eye(6, 2, -3) > 0, np.inf, GOOD), {"l": [0, 1] * 3}, {}, "infinite.*row 3"),
    (GOOD[:2], {"l": [0, 1]}, {}, "2 embeddings: at least 3"),
    (GOOD[:, 0], {"l": [0, 1] * 3}, {}, r"shape \[6\]"),
    (GOOD, {"paint": [0, 1]}, {}, r"'paint' has shape \[2\].*6 embeddings"),
    (GOOD, {"paint": [np.nan] * 6}, {}, "'paint' is empty"),
    (GOOD, {"paint": [""] * 6}, {}, "'paint' is empty"),
    (GOOD, {"l": [0, 1] * 3}, {"max_neighbors": 0}, "max_neighbors is 0"),
    (GOOD, {"l": [0, 1] * 3}, {"variance": "normal"}, "variance is 'normal'.*hypergeometric"),
]


@pytest.mark.parametrize(("embeddings", "properties", "options", "message"), ERRORS)
def test_bad_input_is_named(embeddings, properties, options, message):
    with pytest.raises(ValueError, match=message):
        normalized_r_precision(embeddings, properties, **options)


@pytest.mark.parametrize("variance", ["binomial", "hypergeometric"])
@pytest.mark.parametrize("max_neighbors", [None, 3])
def test_the_maximum_is_what_a_perfect_embedding_scores(variance, max_neighbors):
    options = {"variance": variance, "max_neighbors": max_neighbors}
    labels = ["a"] * 7 + ["b"] * 4 + ["c"] + [None] * 2
    perfect = np.eye(4)[[0] * 7 + [1] * 4 + [2] + [3] * 2]
    largest = normalized_r_precision_maximum({"x": labels, "y": pd.Series(labels)}, **options)
    scored = normalized_r_precision(perfect, {"x": labels}, **options)["x"]
    assert largest == {"x": pytest.approx(scored), "y": pytest.approx(scored)}


def test_the_maximum_grows_with_the_root_of_the_set():
    """C levels of n items each: z = √(R (1 − p) / p) with p = 1 / C; drawn without replacement
    it is √(N − 2), however many items a level has."""
    for items in (5, 500):
        found = normalized_r_precision_maximum({"x": np.arange(4 * items) % 4})["x"]
        assert found == pytest.approx(np.sqrt((items - 1) * 3))
    for labels in ([*"aaabb"], [*"aaaaaaabbbcc"]):
        found = normalized_r_precision_maximum({"x": labels}, variance="hypergeometric")["x"]
        assert found == pytest.approx(np.sqrt(len(labels) - 2))
    assert np.isnan(normalized_r_precision_maximum({"x": ["one"] * 5})["x"])
    with pytest.raises(ValueError, match="'x' is empty"):
        normalized_r_precision_maximum({"x": [None, None]})
    with pytest.raises(ValueError, match="max_neighbors is 0"):
        normalized_r_precision_maximum({"x": [1, 1]}, max_neighbors=0)


def test_labels_come_as_people_have_them():
    generator = np.random.default_rng(0)
    embeddings, labels = generator.normal(size=(40, 3)), generator.integers(0, 3, 40)
    value = normalized_r_precision(embeddings, {"x": labels})["x"]
    assert normalized_r_precision(torch.tensor(embeddings), torch.tensor(labels)) == value
    assert normalized_r_precision(embeddings.tolist(), labels.tolist()) == value
    assert normalized_r_precision(embeddings, pd.Series(labels, index=range(40, 80))) == value
    table = pd.DataFrame({"x": labels, "y": labels > 1})
    found = normalized_r_precision(embeddings, table)
    assert list(found) == ["x", "y"]
    assert found["x"] == value


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor, list, pd.Series])
def test_continuous_labels_are_refused_by_name(kind):
    generator = np.random.default_rng(0)
    embeddings = generator.normal(size=(30, 3))
    angle = generator.uniform(0, 360, 30)
    with pytest.raises(ValueError, match=r"property 'angle' has 30 different numbers for 30 items"):
        normalized_r_precision(embeddings, {"angle": kind(angle)})
    with pytest.raises(ValueError, match=r"property 'labels' has 30 .* pandas\.qcut"):
        normalized_r_precision(embeddings, kind(np.arange(30)))
    names = [str(number) for number in range(30)]  # categories, if one says so
    assert np.isnan(normalized_r_precision(embeddings, {"name": names})["name"])
    binned = pd.qcut(angle, 4, labels=False)
    assert np.isfinite(normalized_r_precision(embeddings, kind(binned)))
    halves = np.repeat([0.5, 1.5], 15)  # few fractions are levels
    assert np.isfinite(normalized_r_precision(embeddings, kind(halves)))


@pytest.mark.parametrize("embeddings", [["a", "b", "c"], [[1.0], [1.0, 2.0], [3.0]]])
def test_embeddings_that_are_no_numbers_are_named(embeddings):
    with pytest.raises(ValueError, match=r"embeddings must be numbers \[N, D\]"):
        normalized_r_precision(embeddings, [0, 0, 1])
