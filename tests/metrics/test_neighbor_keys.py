"""Sixteen-bit keys: the order of float64 distances, but for keys within reach of each other."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lossprint.metrics.neighbor_keys import ITSELF, key_pieces, write_keys
from lossprint.metrics.neighbor_space import neighbor_space


def keys_of(points: np.ndarray, most: int, sampled: int) -> tuple[np.ndarray, np.ndarray]:
    """Keys [N, N] of all points to all, and the reach [N] of each query."""
    space, count = neighbor_space(points), len(points)
    products = space.centred.T @ space.centred
    samples = np.sort((space.half_norms - products)[:, :sampled], axis=1)
    pieces, reach = np.empty((count, 5), np.float32), np.empty(count, np.int64)
    key_pieces(
        samples,
        space.half_norms,
        space.key_error,
        np.full(count, most),
        count,
        float(space.half_norms.max()),
        pieces,
        reach,
    )
    keys = np.zeros((count, count), np.uint16)
    write_keys(products, space.half_norms, pieces, keys, 0)
    return keys, reach


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_keys_beyond_reach_are_in_the_order_of_distances(data):
    count = data.draw(st.integers(3, 60))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    points = rng.normal(size=(count, data.draw(st.integers(1, 40))))
    points *= 10.0 ** rng.integers(-6, 3, (count, 1))  # near the centre and far from it
    points += data.draw(st.sampled_from([0.0, 1.0, 1e6]))
    twins = 1 + data.draw(st.sampled_from([0.0, 1e-7]))
    points[count // 2 :] = points[: count - count // 2] * twins
    most = data.draw(st.integers(1, count - 1))
    keys, reach = keys_of(points, most, data.draw(st.integers(1, count)))
    assert keys.max() < ITSELF
    for query in range(count):
        order = np.argsort(np.linalg.norm(points - points[query], axis=1))
        ascending = keys[query, order].astype(int)
        assert (np.maximum.accumulate(ascending) - ascending).max() <= reach[query]


def test_ranks_that_are_looked_for_have_most_of_the_numbers():
    """A fifth of 2,000 points: their keys are hardly ever the same."""
    points = np.random.default_rng(0).normal(size=(2000, 64))
    keys, _ = keys_of(points, 400, 256)
    nearest = np.sort(keys[1999])[:400].astype(int)  # a query that is not in the sample
    assert np.ptp(nearest) > 2**15
    assert len(np.unique(nearest)) > 390


def test_points_at_one_place_share_a_key():
    points = np.repeat(np.eye(3), 4, axis=0)
    keys, _ = keys_of(points, 3, 12)
    assert (keys[0, :4] == keys[0, 0]).all()
    assert (keys[0, 4:] == keys[0, 4]).all()
    assert keys[0, 0] < keys[0, 4]
