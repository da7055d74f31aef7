"""States at several levels of validation: which are kept, and that they are found again."""

import numpy as np
import pytest
import torch

from lossprint.runs.levels import keep_level, kept_levels, spread_out
from lossprint.tensor_files import load_tensors


def keep(folder, values, at_most):
    for epoch, value in enumerate(values):
        keep_level(
            {"w": torch.full((2,), value)}, folder, epoch=epoch, value=value, at_most=at_most
        )
    return kept_levels(folder)


def test_states_that_lie_apart_are_kept_with_their_epoch_and_value(tmp_path):
    values = [0.1, 0.5, 0.3, 0.31, 0.52, 0.2]  # without 0.31 the gap is 0.2, then without 0.2
    levels = keep(tmp_path / "levels", values, at_most=4)
    assert [level.value for level in levels] == [0.1, 0.5, 0.3, 0.52]
    assert [level.epoch for level in levels] == [0, 1, 2, 4]
    for level in levels:
        assert load_tensors(level.weights_file)["w"].tolist() == pytest.approx([level.value] * 2)
    assert len(list((tmp_path / "levels").iterdir())) == 4


def test_an_epoch_that_is_trained_again_replaces_its_state(tmp_path):
    keep(tmp_path, [0.1, 0.2, 0.3], at_most=5)
    again = keep(tmp_path, [0.1, 0.2, 0.3], at_most=5)
    assert [level.epoch for level in again] == [0, 1, 2]


def test_a_damaged_file_and_a_missing_folder_are_no_states(tmp_path):
    (tmp_path / "epoch0000.safetensors").write_bytes(b"cut off")
    assert kept_levels(tmp_path) == []
    assert kept_levels(tmp_path / "nowhere") == []


@pytest.mark.parametrize("at_most", [2, 3, 6])
def test_whatever_comes_the_ends_stay_and_no_level_is_far_from_a_kept_one(at_most):
    rng = np.random.default_rng(at_most)
    kept = []
    seen = []
    for value in np.cumsum(rng.exponential(size=40)):  # a validation that rises
        seen.append(float(value))
        kept.append(float(value))
        kept = [kept[place] for place in sorted(spread_out(kept, at_most))]
        assert {min(seen), max(seen)} <= set(kept)
        assert len(kept) == min(at_most, len(seen))
    if at_most == 6:
        furthest = max(min(abs(value - other) for other in kept) for value in seen)
        assert furthest <= 0.5 * max(seen) / 2
