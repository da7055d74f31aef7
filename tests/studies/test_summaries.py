"""Intervals, family tests, retrieval and curves: each number by another way."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lossprint.runs.record import RunRecord
from lossprint.studies.family_tests import property_families
from lossprint.studies.intervals import by_loss
from lossprint.studies.retrieval import retrieval_table
from lossprint.studies.settings import StudySettings
from lossprint.studies.training_curves import curves_table
from tests.studies.planted import networks


def summary(runs: dict[str, list[float]]) -> pd.DataFrame:
    rows = [[loss, "ranking", "map_at_r", value] for loss in runs for value in runs[loss]]
    table = pd.DataFrame(rows, columns=["loss", "family", "metric", "value"])
    return by_loss(table, "metric").set_index("loss")


def test_interval_is_student_s():
    values = [0.31, 0.35, 0.30]
    found = summary({"a": values}).loc["a"]
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert found["mean"] == pytest.approx(np.mean(values))
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high))


def test_fewer_than_three_runs_are_points():
    found = summary({"b": [0.2, 0.4], "a": [0.1], "c": [0.2, np.nan, 0.4], "d": [np.nan]})
    assert found.index.tolist() == ["b", "a", "c", "d"]
    np.testing.assert_allclose(found["mean"], [0.3, 0.1, 0.3, np.nan])
    assert found["runs"].tolist() == [2, 1, 2, 0]
    assert found[["low", "high"]].isna().all(axis=None)


def properties(rng: np.random.Generator, shift: float = 0.0) -> pd.DataFrame:
    rows = []
    for family, losses in (("ranking", "abcd"), ("classification", "xyz"), ("control", "u")):
        for loss in losses:
            for seed in range(2):
                for name in ("model", "color_hue"):
                    value = rng.normal() + (shift if family == "ranking" else 0.0)
                    rows.append((f"{loss}{seed}", loss, family, name, value))
    return pd.DataFrame(rows, columns=["run", "loss", "family", "property", "value"])


def test_families_are_compared_by_the_means_of_losses():
    table = properties(np.random.default_rng(0), shift=1.0)
    found = property_families(table).set_index("property").loc["model"]
    model = table[table["property"] == "model"]
    means = model.groupby(["family", "loss"])["value"].mean()
    a, b = means["ranking"].to_numpy(), means["classification"].to_numpy()
    assert found["ranking_mean"] == pytest.approx(a.mean())
    assert found["difference"] == pytest.approx(a.mean() - b.mean())
    assert found["superiority"] == pytest.approx((a[:, None] > b[None, :]).mean())
    assert found["p"] == pytest.approx(stats.mannwhitneyu(a, b, method="exact").pvalue)
    assert found["smallest_p"] == pytest.approx(2 / 35)
    every = [model.loc[model["family"] == f, "value"] for f in ("ranking", "classification")]
    assert found["study_p"] == pytest.approx(stats.mannwhitneyu(*every).pvalue)
    assert found["low"] <= found["difference"] <= found["high"]


def test_variants_of_a_loss_are_one_unit():
    table = properties(np.random.default_rng(3), shift=1.0)
    found = property_families(table, {"a": "kin", "b": "kin", "x": "own"})
    found = found.set_index("property").loc["color_hue"]
    hue = table[table["property"] == "color_hue"].groupby("loss")["value"].mean()
    a = [(hue["a"] + hue["b"]) / 2, hue["c"], hue["d"]]
    b = [hue["x"], hue["y"], hue["z"]]
    assert (found["ranking_lineages"], found["classification_lineages"]) == (3, 3)
    assert found["ranking_mean"] == pytest.approx(np.mean(a))
    assert found["p"] == pytest.approx(stats.mannwhitneyu(a, b, method="exact").pvalue)
    assert found["smallest_p"] == pytest.approx(2 / 20)


def test_copies_of_a_loss_find_no_family_effect():
    """Planted nothing: one loss of ten copies is a single observation, however often counted."""
    table = properties(np.random.default_rng(4), shift=0.5)
    copies = [table.assign(loss=table["loss"] + str(copy)) for copy in range(10)]
    lineages = {f"{loss}{copy}": loss for loss in "abcdxyz" for copy in range(10)}
    many = property_families(pd.concat(copies), lineages).set_index("property")
    one = property_families(table).set_index("property")
    pd.testing.assert_series_equal(many["p"], one["p"])
    assert (property_families(pd.concat(copies))["p"] < many["p"].to_numpy()).any()


def test_holm_by_hand():
    found = property_families(properties(np.random.default_rng(1), shift=0.7))
    small, large = sorted(found["p"])
    expected = {small: min(1.0, 2 * small), large: min(1.0, max(2 * small, large))}
    assert found["p_holm"].tolist() == pytest.approx([expected[p] for p in found["p"]])


def test_the_least_p_is_reached_where_families_are_apart():
    found = property_families(properties(np.random.default_rng(2), shift=50.0))
    assert found["p"].tolist() == pytest.approx(found["smallest_p"].tolist())
    assert found["superiority"].tolist() == [1.0, 1.0]


def test_one_family_has_no_test():
    table = properties(np.random.default_rng(0))
    assert property_families(table[table["family"] != "classification"]).empty


def test_retrieval_and_curves_are_read_from_the_runs(tmp_path):
    (network,) = networks(tmp_path, ("triplet",), seeds=(0,), keep=False)
    assert retrieval_table([network])[["metric", "value"]].to_numpy().tolist() == [
        ["map_at_r", network.metrics["test/map_at_r"]]
    ]
    assert curves_table([network]).empty
    run = RunRecord(tmp_path, "triplet", "ranking", "lp", 0, 0, "same")
    run.metrics_file.write_text(
        "epoch,step,lr/embedder,map_r/initial,val/map_at_r\n0,3,0.1,,0.2\n1,6,0.1,0.9,0.25\n"
    )
    curves = curves_table([dataclasses.replace(network, run=run)])
    assert curves.query("metric == 'val/map_at_r'")["value"].tolist() == [0.2, 0.25]
    assert curves.query("metric == 'map_r/initial'")["epoch"].tolist() == [1]
    assert set(curves["metric"]) == {"val/map_at_r", "map_r/initial"}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "x", "draw": 3}, "unknown study.draw; valid are name, maps"),
        ({"maps": {"image": 3}}, "unknown study.maps.image; valid are images"),
        ({"maps": {"samples": 0}}, "study.maps.samples=0 must be at least 1"),
        ({"maps": {"precision": "half"}}, "study.maps.precision='half' is unknown"),
        ({"properties": {"max_neighbors": 0}}, "max_neighbors=0 must be at least 1"),
        ({"properties": {"variance": "normal"}}, "valid are binomial, hypergeometric"),
        ({"alpha": 1.5}, "study.alpha=1.5 must lie between 0 and 1"),
    ],
)
def test_study_settings_are_checked(config, message):
    with pytest.raises(ValueError, match=message):
        StudySettings.from_config(config)
