"""Maps against interventions, with tables that are known."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from lossprint.reports.evidence import Evidence
from lossprint.reports.findings import Verdict
from lossprint.reports.sections import region_effects as section
from lossprint.studies import region_effects
from lossprint.studies.study import Study
from tests.reports.planted import region_correlations
from tests.studies.planted import SETTINGS, networks, probe_set

LOSSES = ("triplet", "margin", "ntxent", "fastap", "arcface", "cosface", "soft_triple")
PROPERTIES = {"color_hue": "car", "bg_color_val": "background", "sun_rotation": "shadow"}


class Known:
    """Shares of regions at random, and displacements that go with them by `slope`."""

    TABLES: Mapping = {"shares_by_loss": (), "interventions_by_loss": ()}

    def __init__(self, slope: float) -> None:
        rng = np.random.default_rng(2)
        losses = [*((loss, "ranking") for loss in LOSSES), ("untrained", "control")]
        shares, moved = [], []
        for loss, family in losses:
            for name, region in PROPERTIES.items():
                share, noise = rng.uniform(0.1, 0.4, 2)
                shares.append([loss, family, region, 0.2, share])
                moved += [
                    [loss, family, name, "unrelated scenes", slope * share + noise],
                    [loss, family, name, "two designs", noise],
                ]
            moved.append([loss, family, "rotation_z", "unrelated scenes", 0.5])
        columns = ["loss", "family", "region", "area", "mean"]
        self.shares = pd.DataFrame(shares, columns=columns)
        columns = ["loss", "family", "property", "reference", "mean"]
        self.moved = pd.DataFrame(moved, columns=columns)

    def compute(self, study):
        return {"shares_by_loss": self.shares, "interventions_by_loss": self.moved}


def study_of(known: Known, folder, **lineages: str) -> Study:
    made = [
        dataclasses.replace(network, lineage=lineages.get(network.loss))
        for network in networks(folder, LOSSES, seeds=(0,), keep=False)
    ]
    return Study(made, probe_set(), SETTINGS, [known, region_effects])


def told(study: Study):
    evidence = {name: study.table(name) for name in region_effects.TABLES}
    return list(section.findings(Evidence(evidence)))


def test_points_are_shares_beside_displacements_and_their_mean_correlation(tmp_path):
    known = Known(slope=1.0)
    study = study_of(known, tmp_path)
    points = study.table("region_effects").set_index(["loss", "property"])
    assert len(points) == len(LOSSES) * 3 + 3
    share = known.shares.set_index(["loss", "region"])["mean"]
    against = known.moved[known.moved["reference"] == "unrelated scenes"]
    moved = against.set_index(["loss", "property"])["mean"]
    for (loss, name), row in points.iterrows():
        assert row["share"] == share[loss, PROPERTIES[name]]
        assert row["displacement"] == moved[loss, name]
    found = study.table("region_correlations").set_index("property")
    expected = {
        name: spearmanr(
            [share[loss, region] for loss in LOSSES], [moved[loss, name] for loss in LOSSES]
        ).statistic
        for name, region in PROPERTIES.items()
    }
    for name, value in expected.items():
        assert found.loc[name, "correlation"] == pytest.approx(value)
    assert found.loc["all", "correlation"] == pytest.approx(np.mean([*expected.values()]))
    assert (found["units"] == len(LOSSES)).all()


def test_maps_that_are_right_are_found_right(tmp_path):
    study = study_of(Known(slope=4.0), tmp_path)
    assert study.table("region_correlations")["p"].iloc[-1] < 0.01
    (found,) = told(study)
    assert found.verdict is Verdict.OBSERVED
    assert "are moved further when that region alone changes" in found.text


def test_maps_that_tell_nothing_are_not(tmp_path):
    (found,) = told(study_of(Known(slope=0.0), tmp_path))
    assert found.verdict is Verdict.NOT_SHOWN


def test_losses_of_one_lineage_are_one(tmp_path):
    kin = dict.fromkeys(("arcface", "cosface", "soft_triple"), "softmax")
    study = study_of(Known(slope=4.0), tmp_path, **kin)
    assert (study.table("region_correlations")["units"] == len(LOSSES) - 2).all()
    few = study_of(Known(slope=4.0), tmp_path, **dict.fromkeys(LOSSES[1:], "one"))
    assert told(few) == []  # of two nothing can be shown


def test_without_either_table_there_is_nothing(tmp_path):
    known = Known(slope=1.0)
    known.moved = known.moved.iloc[:0]
    study = study_of(known, tmp_path)
    assert study.table("region_effects").empty
    assert study.table("region_correlations").empty


def test_losses_that_are_moved_less_are_said_to_be():
    table = region_correlations(p=0.01).assign(correlation=-0.8)
    (found,) = section.findings(Evidence({"region_correlations": table}))
    assert "are moved less far" in found.text
