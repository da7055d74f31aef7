"""Faithfulness by loss: tables of the pure function's curves, kept, and what is said of them."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from lossprint.probing import read_maps
from lossprint.reports.evidence import Evidence
from lossprint.reports.sections import faithfulness as section
from lossprint.saliency.faithfulness import faithfulness_curves
from lossprint.studies import faithfulness
from lossprint.studies.study import Study
from tests.reports import planted
from tests.studies.planted import SETTINGS, SIZE, networks, probe_set

SOME = dataclasses.replace(SETTINGS, faithfulness_images=3)


def scaled(pixels):
    return pixels / 255


def studied(folder, settings=SOME):
    torch.manual_seed(0)
    models, made = {}, []
    for network in networks(folder, ("triplet", "arcface")):
        model = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE**2, 5)).eval()
        models[network.name] = model
        made.append(dataclasses.replace(network, load=lambda model=model: (model, scaled)))
    return models, Study(made, probe_set(), settings, [faithfulness])


def test_areas_and_curves_are_means_over_runs_and_images(tmp_path):
    models, study = studied(tmp_path)
    table = study.table("faithfulness").set_index(["loss", "curve"])
    curves = study.table("faithfulness_curves").set_index(["loss", "curve"])
    pixels = probe_set().pixels(range(3))
    for loss in ("triplet", "arcface"):
        found = np.stack(
            [
                faithfulness_curves(
                    models[network.name], pixels, read_maps(file, range(3)), preprocessing=scaled
                ).numpy()
                for network, file in zip(study.networks, study.maps, strict=True)
                if network.loss == loss
            ]
        )
        deletion, insertion, random = found.transpose(1, 0, 2, 3)
        share = np.linspace(0, 1, 9)
        for curve, gap in (
            ("deletion", deletion - random),
            ("insertion", random[..., ::-1] - insertion),
        ):
            expected = np.trapezoid(gap, share, axis=-1).mean()
            assert table.loc[(loss, curve), "mean"] == pytest.approx(expected)
        for curve, values in zip(
            ("deletion", "insertion", "random"), (deletion, insertion, random), strict=True
        ):
            assert curves.loc[(loss, curve), "distance"].tolist() == pytest.approx(
                values.mean((0, 1)).tolist()
            )
            assert curves.loc[(loss, curve), "share"].tolist() == share.tolist()


def test_none_are_made_unless_asked_for_and_none_twice(tmp_path):
    _, study = studied(tmp_path, SETTINGS)
    assert study.table("faithfulness").empty
    studied(tmp_path)[1].table("faithfulness")
    again = Study(networks(tmp_path, ("triplet", "arcface")), probe_set(), SOME, [faithfulness])
    assert len(again.table("faithfulness")) == 4  # these networks refuse to be loaded


def test_a_network_that_fails_is_named(tmp_path):
    _, study = studied(tmp_path)
    broken = nn.Linear(7, 5)
    study.networks[0] = dataclasses.replace(study.networks[0], load=lambda: (broken, scaled))
    assert study.table("faithfulness")["runs"].tolist() == [1, 1, 2, 2]
    (gaps,) = study.skipped
    assert gaps["run"].tolist() == [study.networks[0].name]


def test_the_least_faithful_and_those_no_better_than_chance_are_named():
    evidence = planted.evidence()
    (found,) = section.findings(evidence)
    assert "from 0.10 (contrastive) to 0.20 (arcface)" in found.text
    assert "no better" not in found.text
    table = evidence["faithfulness"]
    wrong = table.assign(mean=table["mean"].where(table["loss"] != "triplet", -0.01))
    (found,) = section.findings(Evidence({"faithfulness": wrong}))
    assert found.text.endswith("The maps of triplet are no better than a random order.")
