"""Random streams: equal for equal keys, in no way alike for others."""

import numpy as np

from lossprint.streams import stream, stream_seed


def test_equal_keys_draw_alike_and_others_do_not():
    def draw(*key):
        return np.random.Generator(stream(*key)).random(2000)

    assert (draw(3, "crops", 7) == draw(3, "crops", 7)).all()
    keys = [(3, "crops", 7), (3, "batches", 7), (3, "crops", 8), (4, "crops", 7), (3, "crops")]
    alike = np.corrcoef([draw(*key) for key in keys])
    assert np.abs(alike - np.eye(len(keys))).max() < 0.1


def test_seeds_of_seeds_epochs_and_steps_are_all_different():
    seeds = {
        stream_seed(seed, kind, number)
        for seed in range(5)
        for kind in ("crops", "batches", "layers")
        for number in range(30)
    }
    assert len(seeds) == 5 * 3 * 30
    assert all(0 <= seed < 2**63 for seed in seeds)
