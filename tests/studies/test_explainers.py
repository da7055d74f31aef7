"""Losses contrasted by other methods, on networks whose attributions are known."""

import dataclasses
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import pearsonr
from torch import nn

from lossprint.metrics import loss_contrast
from lossprint.probing import attributions_key
from lossprint.reports.evidence import Evidence
from lossprint.reports.findings import Verdict
from lossprint.reports.sections import explainers as section
from lossprint.runs.cache import load_or_compute
from lossprint.saliency import attribution_maps
from lossprint.studies import embedding_geometry, explainers, map_agreement
from lossprint.studies.settings import StudySettings
from lossprint.studies.study import Study
from tests.reports.planted import explainers as table_of
from tests.studies.planted import IMAGES, SETTINGS, SIZE, maps_of, networks, probe_set

LOSSES = ("triplet", "margin", "ntxent", "arcface", "cosface")
BY = dataclasses.replace(SETTINGS, explainers=("occlusion",), explained_images=IMAGES, draws=499)
PIECES = [embedding_geometry, map_agreement, explainers]


def kept(folder, effect: float, losses=LOSSES):
    """Networks whose maps by occlusion differ between losses by `effect`, by SmoothGrad not."""
    made = networks(folder, losses)
    for network in made:
        parts = ((1.0, "common"), (effect, network.loss), (0.7, f"occlusion {network.name}"))
        key = attributions_key(network, probe_set(), "occlusion", IMAGES, BY.maps.percentile)
        load_or_compute(
            network.cache, "attributions", key, lambda parts=parts: {"maps": maps_of(parts)}
        )
    return made


@pytest.fixture(scope="module")
def differing(tmp_path_factory):
    """Networks whose losses differ by occlusion alone, and the table of them."""
    made = kept(tmp_path_factory.mktemp("differing"), 1.0)
    return made, Study(made, probe_set(), BY, PIECES).table("explainers")


def test_each_method_has_the_contrast_of_its_own_maps(differing):
    made, table = differing
    table = table.set_index("explainer")
    assert table.index.tolist() == ["smoothgrad", "occlusion"]
    maps = [
        maps_of(((1.0, "common"), (1.0, n.loss), (0.7, f"occlusion {n.name}"))).double().numpy()
        for n in made
    ]
    likeness = np.eye(len(made))
    for a, b in combinations(range(len(made)), 2):
        r = [pearsonr(x.ravel(), y.ravel())[0] for x, y in zip(maps[a], maps[b], strict=True)]
        likeness[a, b] = likeness[b, a] = np.tanh(np.mean(np.arctanh(r)))
    expected = loss_contrast(likeness, [n.loss for n in made], [n.seed for n in made], draws=499)
    found = table.loc["occlusion"]
    assert found["rho"] == pytest.approx(expected.mean_rho, abs=1e-5)
    assert found["within"] == pytest.approx(expected.within, abs=1e-5)
    assert found["p"] == expected.p
    assert (found["losses"], found["seeds"]) == (5, 2)


def test_a_difference_by_one_method_alone_is_told_of_that_method(differing):
    _, table = differing
    own, other = table["p_adjusted"]
    assert other <= 0.05 < own
    (found,) = section.findings(Evidence({"explainers": table}))
    assert found.verdict is Verdict.DIFFERENT
    assert found.text.startswith("By occlusion (ρ = 0.")


def test_without_a_difference_none_is_told(tmp_path):
    table = Study(kept(tmp_path, 0.0), probe_set(), BY, PIECES).table("explainers")
    assert table["p_adjusted"].min() > 0.05
    (found,) = section.findings(Evidence({"explainers": table}))
    assert found.verdict is Verdict.NOT_SHOWN


def test_fewer_images_are_the_first_and_smoothgrad_is_of_the_same(tmp_path):
    settings = dataclasses.replace(BY, explainers=("saliency",), explained_images=2)
    torch.manual_seed(0)
    models, loads = {}, []
    made = networks(tmp_path, LOSSES[:2])
    for place, network in enumerate(made):
        models[network.name] = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.LazyLinear(5))
        models[network.name](torch.zeros(1, 3, SIZE, SIZE))

        def load(name=network.name):
            loads.append(name)
            return models[name].eval(), lambda pixels: pixels / 255

        made[place] = dataclasses.replace(network, load=load)
    # Grad-CAM, too, is asked of the network that was loaded for the other.
    both = dataclasses.replace(settings, explainers=("saliency", "grad_cam"))
    study = Study(made, probe_set(), both, PIECES)
    table = study.table("explainers").set_index("explainer")
    assert len(loads) == len(made)
    assert (table["images"] == 2).all()
    pixels = probe_set().pixels(range(2))
    plain = [
        attribution_maps(
            models[n.name], pixels, method="saliency", distance="cosine",
            preprocessing=lambda pixels: pixels / 255,
        ).half().numpy()
        for n in made
    ]  # fmt: skip
    own = [
        maps_of(((1.0, "common"), (0.0, ""), (0.0, ""), (1.0, f"{n.loss}-{n.seed}"))) for n in made
    ]
    for name, maps in (("saliency", plain), ("smoothgrad", own)):
        r = {
            (a, b): np.mean(
                [
                    np.arctanh(pearsonr(np.ravel(x), np.ravel(y))[0])
                    for x, y in zip(maps[a][:2], maps[b][:2], strict=True)
                ]
            )
            for a, b in ((0, 1), (2, 3))
        }
        assert table.loc[name, "within"] == pytest.approx(
            np.mean(np.tanh(list(r.values()))), abs=1e-3
        )


def test_a_network_that_a_method_cannot_explain_is_named(tmp_path):
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE**2, 4)).eval()
    made = [
        dataclasses.replace(n, load=lambda: (flat, lambda pixels: pixels / 255))
        for n in networks(tmp_path, LOSSES[:2])
    ]
    settings = dataclasses.replace(BY, explainers=("grad_cam",), explained_images=2)
    study = Study(made, probe_set(), settings, PIECES)
    assert study.table("explainers")["explainer"].tolist() == ["smoothgrad"]
    (gaps,) = study.skipped
    assert gaps["part"].tolist() == ["maps by grad_cam"] * 4
    assert gaps["reason"].str.startswith("Grad-CAM needs a feature map").all()


def test_constant_maps_of_a_method_are_named(tmp_path):
    made = kept(tmp_path, 1.0, LOSSES[:2])
    key = attributions_key(made[0], probe_set(), "occlusion", IMAGES, BY.maps.percentile)
    (made[0].cache / f"attributions-{key}.safetensors").unlink()
    load_or_compute(
        made[0].cache, "attributions", key, lambda: {"maps": torch.zeros(IMAGES, SIZE, SIZE)}
    )
    study = Study(made, probe_set(), BY, PIECES)
    assert study.table("explainers").set_index("explainer").loc["occlusion", "seeds"] == 1
    (gaps,) = study.skipped
    assert gaps["run"].tolist() == [made[0].name]
    assert gaps["reason"].tolist() == ["its maps by occlusion are constant or zero: like no other"]


def test_what_was_not_asked_is_said_with_how_to_ask_it():
    (printed,) = section.tables(Evidence({"explainers": table_of(smoothgrad=0.2, grad_cam=0.3)}))
    assert "Not asked of integrated gradients and occlusion, which take long" in printed.caption
    assert "study.explainers=[grad_cam,integrated_gradients,occlusion]" in printed.caption
    every = dict.fromkeys(("smoothgrad", "grad_cam", "integrated_gradients", "occlusion"), 0.5)
    (printed,) = section.tables(Evidence({"explainers": table_of(**every)}))
    assert "Not asked" not in printed.caption


def test_where_no_outcome_could_show_a_difference_nothing_is_said():
    table = table_of(smoothgrad=0.2, grad_cam=0.3).assign(smallest_p=0.04)
    assert list(section.findings(Evidence({"explainers": table}))) == []
    assert list(section.findings(Evidence({"explainers": table.assign(p=np.nan)}))) == []
    assert list(section.findings(Evidence({"explainers": pd.DataFrame()}))) == []


@pytest.mark.parametrize(
    ("explainers", "message"),
    [
        (["lime"], r"study.explainers='lime' is unknown; valid are saliency, integrated"),
        ("grad_cam", r"study.explainers=grad_cam must be a list: \[grad_cam\]"),
    ],
)
def test_an_unknown_method_is_named_with_the_valid_ones(explainers, message):
    with pytest.raises(ValueError, match=message):
        StudySettings.from_config({"explainers": explainers})
