"""What a search found is kept for each loss, and one word selects it."""

import pytest
from hydra import compose, initialize_config_dir

from lossprint.apps import build
from lossprint.apps.hyperparameters import (
    check_search,
    found_hyperparameters,
    set_file,
    write_found,
)
from lossprint.apps.search import trial_value
from lossprint.runs.record import RunRecord
from tests.apps.test_train import ROOT
from tests.small_world import overrides

SEARCH = {"name": "mine", "trials": 8, "folds": [0], "seeds": [0, 1], "seed": 0}


def composed(root, *more):
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose("train", [*overrides(root), *more])


def test_one_word_selects_what_was_found_for_a_loss(tmp_path):
    file = set_file(tmp_path / "outputs", "mine")
    write_found(file, "triplet", {"loss.criterion.margin": 0.125})
    write_found(file, "arcface", {"loss.criterion.scale": 9.0, "loss.optimizer.lr": 0.5})
    triplet = build.checked(composed(tmp_path, "hyperparameters=mine"))
    assert triplet["loss"]["criterion"]["margin"] == 0.125
    arcface = build.checked(composed(tmp_path, "hyperparameters=mine", "loss=arcface"))
    assert arcface["loss"]["criterion"]["scale"] == 9.0
    assert arcface["loss"]["optimizer"]["lr"] == 0.5
    plain = build.checked(composed(tmp_path, "loss=arcface"))
    assert plain["loss"]["criterion"]["margin"] == arcface["loss"]["criterion"]["margin"]
    assert plain["loss"]["published"] == arcface["loss"]["published"]


def test_a_loss_that_was_not_searched_and_an_unknown_set_are_named(tmp_path):
    write_found(set_file(tmp_path, "mine"), "triplet", {"loss.criterion.margin": 0.125})
    with pytest.raises(ValueError, match="none for loss 'circle'; it has them for triplet"):
        found_hyperparameters(tmp_path, "mine", "circle")
    with pytest.raises(ValueError, match="'other' is unknown; valid are default, published, mine"):
        found_hyperparameters(tmp_path, "other", "triplet")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"name": "published"}, r"search\.name='published'"),
        ({"name": "a/b"}, r"search\.name='a/b'"),
        ({"trials": 0}, r"search\.trials=0"),
        ({"folds": [4]}, r"search\.folds=4 must be a whole number from 0 to 3"),
        ({"seeds": []}, r"search\.seeds=\[\] must be a list"),
        ({"typo": 1}, r"unknown search\.typo"),
    ],
)
def test_what_a_search_cannot_be_is_named(entry, message):
    check_search(SEARCH, 4)
    with pytest.raises(ValueError, match=message):
        check_search({**SEARCH, **entry}, 4)


def test_a_trial_is_the_mean_over_folds_and_seeds_and_fails_by_nan(tmp_path):
    config = composed(tmp_path, "search=optuna", "search.folds=[0,1]", "search.seeds=[0,3]")

    def train(config, value=0.0):
        metrics = {"val/map_at_r": config.fold * 10.0 + config.seed + value, "test/map_at_r": 99.0}
        return RunRecord(tmp_path, "x", "ranking", "lp", 0, 0, "", metrics=metrics)

    assert trial_value(config, train) == (0 + 3 + 10 + 13) / 4
    assert trial_value(config, lambda run: train(run, float("nan"))) is None
