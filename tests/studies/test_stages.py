"""Stage by stage: planted features, their numbers by another formula, and what is left out."""

import dataclasses
from itertools import combinations

import numpy as np
import pytest
import torch
from torch import nn

from lossprint.reports.evidence import Evidence
from lossprint.reports.findings import Verdict
from lossprint.reports.sections import stages as section
from lossprint.studies import embedding_geometry, stages
from lossprint.studies.study import Study
from tests.studies.planted import SETTINGS as PLANTED
from tests.studies.planted import networks, probe_set

SETTINGS = dataclasses.replace(PLANTED, draws=499)
IMAGES, LOSSES = 50, ("triplet", "margin", "arcface", "cosface")
NAMES = ("trunk.0", "trunk.1", "embedding")


def draw(name: str, columns: int) -> torch.Tensor:
    rng = np.random.default_rng(list(name.encode()))
    return torch.from_numpy(rng.normal(size=(IMAGES, columns))).float()


def features(folder, late: float) -> dict:
    """Of twelve networks and a control: the first stage is common, the others the loss's by `late`.

    Each has noise of its own everywhere.
    """
    made = networks(folder, LOSSES, seeds=(0, 1, 2), keep=False)
    control = dataclasses.replace(made[0], name="c", loss="untrained", family="control", seed=7)
    return {
        network: {
            name: draw(name, 6 + place)
            + (late if place else 0.0) * draw(f"{name} {network.loss}", 6 + place)
            + 0.5 * draw(f"{name} {network.name}", 6 + place)
            for place, name in enumerate(NAMES)
        }
        for network in (*made, control)
    }


def cka(a: torch.Tensor, b: torch.Tensor) -> float:
    """Song et al.'s unbiased HSIC with explicit Gram matrices."""

    def hsic(k, m):
        n, one = len(k), np.ones(len(k))
        k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
        total = np.trace(k @ m) + (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2))
        return total - 2 / (n - 2) * (one @ k @ m @ one)

    a, b = (x.double().numpy() / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    k, m = a @ a.T, b @ b.T
    return hsic(k, m) / np.sqrt(hsic(k, k) * hsic(m, m))


def test_numbers_are_means_over_pairs_of_two_seeds(tmp_path):
    made = features(tmp_path, late=1.0)
    table = stages.stage_table(made, NAMES, set(), SETTINGS).set_index("stage")
    assert table.index.tolist() == list(NAMES)
    for stage in NAMES:
        values = {"within": [], "between": [], "untrained": []}
        log = {"within": [], "between": []}
        for a, b in combinations(made, 2):
            if a.seed == b.seed:
                continue
            relation = "within" if a.loss == b.loss else "between"
            if "control" in (a.family, b.family):
                relation = "untrained"
            value = cka(made[a][stage], made[b][stage])
            values[relation].append(value)
            if relation in log:
                log[relation].append(np.log(max(value, 0.01)))
        for relation, found in values.items():
            assert table.loc[stage, relation] == pytest.approx(np.mean(found), abs=1e-6)
        rho = np.exp(np.mean(log["between"]) - np.mean(log["within"]))
        assert table.loc[stage, "rho"] == pytest.approx(rho, abs=1e-6)


def test_losses_that_part_late_do_so_where_it_was_planted(tmp_path):
    table = stages.stage_table(features(tmp_path, late=1.0), NAMES, set(), SETTINGS)
    first, *later = table["p_adjusted"]
    assert first > 0.05
    assert max(later) <= 0.05
    assert table["rho"].iloc[0] == pytest.approx(1, abs=0.1)
    assert table["rho"].iloc[1:].max() < 0.7
    (found,) = section.findings(Evidence({"stages": table.assign(images=IMAGES)}))
    assert found.verdict is Verdict.DIFFERENT
    assert "at 2 of 3 stages (stage 1 and embedding;" in found.text


def test_of_losses_that_never_part_nothing_is_said(tmp_path):
    table = stages.stage_table(features(tmp_path, late=0.0), NAMES, set(), SETTINGS)
    assert table["p_adjusted"].min() > 0.05
    assert list(section.findings(Evidence({"stages": table.assign(images=IMAGES)}))) == []


def test_collapsed_networks_take_no_part(tmp_path):
    made = features(tmp_path, late=1.0)
    lost = next(iter(made))
    without = {network: found for network, found in made.items() if network is not lost}
    table = stages.stage_table(made, NAMES, {lost.name}, SETTINGS)
    expected = stages.stage_table(without, NAMES, set(), SETTINGS)
    assert table["rho"].tolist() == pytest.approx(expected["rho"].tolist())


def test_other_architectures_and_networks_without_stages_are_named(tmp_path):
    def network(*layers: nn.Module, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(8))

    builds = (
        lambda: network(nn.Conv2d(3, 4, 3), nn.ReLU(), seed=0),
        lambda: network(nn.Conv2d(3, 4, 3), nn.ReLU(), seed=1),
        lambda: network(nn.ReLU(), nn.Conv2d(3, 4, 3), seed=2),
        lambda: nn.Sequential(nn.Flatten(), nn.LazyLinear(8)),
    )
    made = [
        dataclasses.replace(
            planted,
            load=lambda build=build: (build().eval(), lambda pixels: pixels / 255),
        )
        for planted, build in zip(
            networks(tmp_path, ("triplet", "arcface"), keep=False), builds, strict=True
        )
    ]
    settings = dataclasses.replace(SETTINGS, stage_images=20)
    study = Study(made, probe_set(), settings, [embedding_geometry, stages])
    table = study.table("stages")
    assert table["stage"].tolist() == ["0", "embedding"]
    assert (table["networks"] == 2).all()
    assert (table["images"] == 20).all()
    (gaps,) = study.skipped
    assert gaps["run"].tolist() == [made[3].name, made[2].name]
    assert "Sequential has no stages" in gaps["reason"][0]
    assert gaps["reason"][1] == ("its stages are 1, embedding, those of most networks 0, embedding")
