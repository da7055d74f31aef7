"""The whole comparison on planted maps and embeddings; its numbers by independent oracles."""

import dataclasses
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from scipy.spatial.distance import cdist, jensenshannon
from scipy.stats import pearsonr

from lossprint.probing import embeddings_key, maps_key
from lossprint.reports.answer import answer
from lossprint.reports.evidence import Evidence
from lossprint.reports.findings import Finding, Verdict
from lossprint.reports.report import findings
from lossprint.studies import analysis as analysis_of
from lossprint.studies import map_agreement as map_study
from lossprint.studies.analysis import Analysis
from lossprint.studies.interventions import displacement
from tests.studies.oracles import cka, nr_precision
from tests.studies.planted import IMAGES, PIECES, SECTIONS, SETTINGS, Loads, networks, probe_set


def analyse(made, probe=None, **options) -> Analysis:
    return analysis_of.analyse(made, probe or probe_set(), SETTINGS, PIECES, **options)


def told(analysis: Analysis) -> list[Finding]:
    return findings(Evidence(analysis.tables), SECTIONS)


@pytest.fixture(scope="module")
def families(tmp_path_factory):
    """Ten losses of two families that truly differ, two seeds each."""
    made = networks(tmp_path_factory.mktemp("families"), family_effect=1.5, loss_effect=1.0)
    return made, analyse(made)


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """Ten losses that differ by nothing but training noise."""
    made = networks(tmp_path_factory.mktemp("noise"))
    return made, analyse(made)


def test_families_that_differ_are_found(families):
    _, analysis = families
    by_topic = {finding.topic: finding for finding in told(analysis)}
    for topic in (
        *("maps: losses", "maps, by correlation: families"),
        *("embeddings: losses", "embeddings, by CKA: families", "properties: families"),
    ):
        assert by_topic[topic].verdict is Verdict.DIFFERENT, by_topic[topic].text
    assert "paint hue" in by_topic["properties: families"].text
    assert answer(Evidence(analysis.tables)).startswith(
        "Not all alike: the maps and embeddings of these 10 losses differ"
    )


def test_noise_alone_lets_nothing_be_concluded(noise):
    _, analysis = noise
    found = told(analysis)
    assert all(finding.verdict is not Verdict.DIFFERENT for finding in found)
    assert answer(Evidence(analysis.tables)).startswith("Not shown to differ: the maps and embed")
    assert "would have been shown with 80 % power" in found[0].text


def test_numbers_are_those_of_the_stored_maps(families):
    made, analysis = families
    files = [
        network.cache / f"maps-{maps_key(network, probe_set(), SETTINGS.maps)}.safetensors"
        for network in made
    ]
    maps = [load_file(file)["maps"].double().numpy().reshape(IMAGES, -1) for file in files]
    expected = {}
    for a, b in combinations(range(len(made)), 2):
        r = np.array([pearsonr(x, y).statistic for x, y in zip(maps[a], maps[b], strict=True)])
        js = np.mean([jensenshannon(x, y) ** 2 for x, y in zip(maps[a], maps[b], strict=True)])
        expected[made[a].name, made[b].name] = (r, js)
    for _, row in analysis.tables["agreement"].iterrows():
        r, js = expected[row["run_a"], row["run_b"]]
        assert row["correlation"] == pytest.approx(np.tanh(np.arctanh(r).mean()), abs=1e-5)
        assert row["spread"] == pytest.approx(np.tanh(np.arctanh(r).std()), abs=1e-5)
        assert row["divergence"] == pytest.approx(js, abs=1e-5)
    by_loss = analysis.tables["agreement_by_loss"].set_index(["loss_a", "loss_b"])
    # Matched pairs: seed 0 of one loss with seed 1 of the other.
    crossed = [
        expected["triplet/fold0-seed0", "arcface/fold0-seed1"][0],
        expected["triplet/fold0-seed1", "arcface/fold0-seed0"][0],
    ]
    assert by_loss.loc[("arcface", "triplet"), "pairs"] == 2
    assert by_loss.loc[("arcface", "triplet"), "correlation"] == pytest.approx(
        np.tanh(np.arctanh(np.concatenate(crossed)).mean()), abs=1e-5
    )
    within = expected["triplet/fold0-seed0", "triplet/fold0-seed1"][0]
    assert by_loss.loc[("triplet", "triplet"), "correlation"] == pytest.approx(
        np.tanh(np.arctanh(within).mean()), abs=1e-5
    )


def test_numbers_are_those_of_the_stored_embeddings(families):
    made, analysis = families
    stored = {}
    for network in made:
        key = embeddings_key(network, probe_set())
        found = load_file(network.cache / f"embeddings-{key}.safetensors")["embeddings"]
        found = found.double().numpy()
        stored[network.name] = found / np.linalg.norm(found, axis=1, keepdims=True)
    table = analysis.tables["similarity"].set_index(["run_a", "run_b"])
    for pair in list(table.index)[::17]:
        a, b = (stored[run] for run in pair)
        assert table.loc[pair, "cka"] == pytest.approx(cka(a, b), abs=1e-9)
        near = [np.argsort(cdist(x, x) + 9 * np.eye(len(x)), axis=1)[:, :10] for x in (a, b)]
        shared = np.mean([len({*x} & {*y}) / 10 for x, y in zip(*near, strict=True)])
        assert table.loc[pair, "neighbor_overlap"] == pytest.approx(shared)
    values = analysis.tables["properties"].set_index(["run", "property"])["value"]
    run = "cosface/fold0-seed1"
    expected, largest = nr_precision(stored[run], probe_set().properties["model"].to_numpy())
    assert values[run, "model"] == pytest.approx(expected)
    by_loss = analysis.tables["properties_by_loss"].query("property == 'model'")
    np.testing.assert_allclose(by_loss["maximum"].astype(float), largest)


def test_shares_are_sums_inside_the_masks(families):
    made, analysis = families
    table = analysis.tables["shares_by_loss"].set_index(["loss", "region"])
    shares = []
    for network in made[:2]:
        key = maps_key(network, probe_set(), SETTINGS.maps)
        maps = load_file(network.cache / f"maps-{key}.safetensors")["maps"].double().numpy()
        shares.append((maps[:, 4:12, 4:12].sum((1, 2)) / maps.sum((1, 2))).mean())
    assert table.loc[("triplet", "car"), "mean"] == pytest.approx(np.mean(shares), abs=1e-5)
    assert table.loc[("triplet", "car"), "area"] == 64 / 256
    assert table.loc[("triplet", "shadow"), "area"] == 16 / 256


def test_galleries_show_the_first_images_and_those_the_losses_disagree_about(families):
    made, analysis = families
    disagreement = analysis.tables["disagreement"]
    assert disagreement["correlation"].is_monotonic_increasing
    assert sorted(disagreement["frame"]) == list(range(IMAGES))
    shown = analysis.tables["galleries"]
    assert shown["frame"].tolist() == [0, 1, 2, *disagreement["frame"][:3]]
    assert shown["gallery"].nunique() == 2
    pixels = probe_set().pixels(shown["frame"].tolist()).permute(0, 2, 3, 1)
    np.testing.assert_array_equal(analysis.arrays["galleries/images"], pixels)
    for loss in {network.loss for network in made}:
        first = next(network for network in made if (network.loss, network.seed) == (loss, 0))
        key = maps_key(first, probe_set(), SETTINGS.maps)
        maps = load_file(first.cache / f"maps-{key}.safetensors")["maps"][shown["frame"].tolist()]
        np.testing.assert_array_equal(analysis.arrays[f"galleries/maps/{loss}"], maps.float())


def test_a_new_loss_costs_one_loss(tmp_path, monkeypatch):
    ten = networks(tmp_path, ("triplet", "contrastive", "arcface"))
    analyse(ten)
    compared = []
    whole = map_study.map_agreement
    monkeypatch.setattr(
        map_study, "map_agreement", lambda maps: compared.append(len(maps)) or whole(maps)
    )
    analyse(ten)
    assert compared == []  # all is known
    loads = Loads()
    (new,) = networks(tmp_path, ("margin",), seeds=(0,), loads=loads)
    analysis = analyse([*ten, new])
    assert loads.names == []
    assert compared == [2] * len(ten)  # the new run with each known one, and no other pair
    assert len(analysis.tables["agreement"]) == 7 * 6 // 2


def test_only_the_network_without_results_is_loaded_and_left_out_if_it_cannot(tmp_path):
    loads = Loads()
    known = networks(tmp_path, ("triplet", "arcface"), loads=loads)

    def broken():
        loads.names.append("broken")
        raise ValueError("weights.safetensors is cut off")

    lost = dataclasses.replace(known[0], name="triplet/fold0-seed7", weights_key="x", load=broken)
    analysis = analyse([*known, lost])
    assert loads.names == ["broken"]
    assert len(analysis.networks) == 4
    assert analysis.tables["skipped"].to_dict("records") == [
        {
            "run": "triplet/fold0-seed7",
            "part": "the whole run",
            "reason": "ValueError: weights.safetensors is cut off",
        }
    ]
    with pytest.raises(ValueError, match="no run can be analysed: ValueError: weights"):
        analyse([lost])


def test_another_probe_set_is_computed_anew(tmp_path):
    loads = Loads()
    known = networks(tmp_path, ("triplet",), seeds=(0,), loads=loads)
    changed = dataclasses.replace(probe_set(), fingerprint="changed")
    with pytest.raises(AssertionError, match="triplet-0 was loaded"):
        analyse(known, changed)


def test_one_loss_is_analysed_as_far_as_it_goes(tmp_path):
    analysis = analyse(networks(tmp_path, ("triplet",), seeds=(0,)))
    assert analysis.tables["contrasts"].empty
    assert analysis.tables["agreement"].empty
    assert len(analysis.tables["properties"]) == 3
    assert told(analysis)[0].text.startswith("Only one loss was analysed")
    assert analysis.tables["galleries"]["gallery"].nunique() == 1


def test_one_seed_says_that_the_floor_is_missing(tmp_path):
    made = networks(tmp_path, seeds=(0,), loss_effect=2.0)
    found = told(analyse(made))
    losses = next(f for f in found if f.topic == "not decided")
    assert losses.verdict is Verdict.UNDECIDABLE
    assert "whether the maps of the losses and the embeddings of the losses differ" in losses.text
    assert any("Trained only once" in finding.text for finding in found)


def test_without_masks_the_rest_is_there(tmp_path):
    bare = dataclasses.replace(probe_set(), masks=None)
    analysis = analyse(networks(tmp_path, ("triplet", "arcface")), bare)
    assert analysis.tables["shares_by_loss"].empty
    assert "has no masks/" in analysis.tables["skipped"]["reason"][0]
    assert len(analysis.tables["agreement"]) == 6


def test_displacement_by_hand():
    """Points on a circle, where the distance of two is 2 sin(half the angle between them).

    The scenes 0° and 180° are 2 apart. Another design turns both by 60°, a distance of 1. The hue
    turns one by 90° (√2) and leaves the other, √2 / 2 on average; the sun turns one by 180° (2).
    """
    angles = np.deg2rad([0, 180, 60, 240, 90, 180, 180])
    lengths = torch.tensor([1, 2, 3, 4, 5, 6, 7.0])[:, None]  # normalized away
    points = torch.from_numpy(np.stack([np.cos(angles), np.sin(angles)], axis=1)) * lengths
    names = np.array(["model", "model", "hue", "hue", "sun"])
    base, changed = np.array([0, 1, 0, 1, 0]), np.array([2, 3, 4, 5, 6])
    found = {
        (name, reference): value
        for name, reference, value in displacement(points, base, changed, names)
    }
    assert found == {
        ("model", "unrelated scenes"): pytest.approx(0.5),
        ("hue", "unrelated scenes"): pytest.approx(np.sqrt(2) / 4),
        ("sun", "unrelated scenes"): pytest.approx(1),
        ("model", "two designs"): 1,
        ("hue", "two designs"): pytest.approx(np.sqrt(2) / 2),
        ("sun", "two designs"): pytest.approx(2),
    }


@pytest.mark.parametrize(
    ("names", "changed"), [(["sun"], [1]), (["model"], [0])], ids=["no design", "does not move"]
)
def test_without_a_distance_between_designs_nothing_is_relative_to_it(names, changed):
    points = torch.eye(2)
    rows = displacement(points, np.array([0]), np.array(changed), np.array(names))
    assert [reference for _, reference, _ in rows] == ["unrelated scenes"]
    assert np.isnan(rows[0][2])  # of a single scene nothing is unrelated


def test_interventions_are_relative_to_unrelated_scenes_and_to_another_design(tmp_path):
    made = networks(tmp_path, ("triplet",), seeds=(0,))
    scenes = dataclasses.replace(
        probe_set(),
        interventions=pd.DataFrame(
            {
                "base": [0, 0, 3],
                "property": ["color_hue", "model", "color_hue"],
                "from": 0,
                "to": 1,
                "frame": [1, 2, 4],
            }
        ),
    )
    analysis = analyse(made, intervention_scenes=scenes)
    key = embeddings_key(made[0], probe_set())
    points = load_file(made[0].cache / f"embeddings-{key}.safetensors")["embeddings"].double()
    points = torch.nn.functional.normalize(points).numpy()
    apart = np.linalg.norm(points[0] - points[3])
    hue = np.mean([np.linalg.norm(points[0] - points[1]), np.linalg.norm(points[3] - points[4])])
    design = np.linalg.norm(points[0] - points[2])
    table = analysis.tables["interventions_by_loss"]
    values = table.set_index(["property", "reference"])["mean"]
    assert values["color_hue", "unrelated scenes"] == pytest.approx(hue / apart)
    assert values["model", "unrelated scenes"] == pytest.approx(design / apart)
    assert values["color_hue", "two designs"] == pytest.approx(hue / design)
    assert values["model", "two designs"] == 1
    runs = analysis.tables["interventions"].set_index(["property", "reference"])["value"]
    assert runs.sort_index().tolist() == pytest.approx(values.sort_index().tolist())  # of one run
    texts = {finding.topic: finding.text for finding in told(analysis)}
    assert "of the distance between unrelated pictures" in texts["interventions"]
