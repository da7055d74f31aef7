"""Intervals over images, each recomputed from what is stored by leaving designs out."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file
from scipy import stats

from lossprint.metrics import mean_over_runs_and_images
from lossprint.probing import embeddings_key, maps_key
from lossprint.reports.answer import answer
from lossprint.reports.evidence import Evidence
from lossprint.studies.intervals import by_loss
from lossprint.studies.study import Study
from tests.studies.oracles import cka, jackknife, nr_precision
from tests.studies.planted import IMAGES, PIECES, PROBE, SETTINGS, networks, probe_set

DESIGNS = probe_set().properties["model"].to_numpy()
RUNS = 3


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """Three losses trained once each, as imported networks are."""
    made = networks(tmp_path_factory.mktemp("once"), ("triplet", "margin", "arcface"), seeds=(0,))
    return made, Study(made, probe_set(), SETTINGS, PIECES)


@pytest.fixture(scope="module")
def thrice(tmp_path_factory):
    made = networks(tmp_path_factory.mktemp("thrice"), ("triplet", "arcface"), seeds=range(RUNS))
    return made, Study(made, probe_set(), SETTINGS, PIECES)


def unit(network):
    key = embeddings_key(network, probe_set())
    points = load_file(network.cache / f"embeddings-{key}.safetensors")["embeddings"].double()
    return (points / points.norm(dim=1, keepdim=True)).numpy()


def maps(network):
    key = maps_key(network, probe_set(), SETTINGS.maps)
    stored = load_file(network.cache / f"maps-{key}.safetensors")["maps"]
    return stored.double().numpy().reshape(IMAGES, -1)


def without_each_design(labels=DESIGNS):
    return [labels != design for design in np.unique(labels)]


def test_of_map_agreement(once):
    made, study = once
    z = np.array(
        [np.arctanh(np.corrcoef(x, y)[0, 1]) for x, y in zip(*map(maps, made[:2]), strict=True)]
    )
    sums = pd.Series(z - z.mean()).groupby(DESIGNS[:IMAGES]).sum()
    error = np.sqrt(len(sums) / (len(sums) - 1) * (sums**2).sum()) / len(z)
    reach = stats.t.ppf(0.975, len(sums) - 1) * error
    row = study.table("agreement_by_loss").set_index(["loss_a", "loss_b"]).loc["margin", "triplet"]
    expected = np.tanh([z.mean() - reach, z.mean() + reach])
    np.testing.assert_allclose(row[["image_low", "image_high"]].astype(float), expected, atol=1e-5)


def test_of_cka(once):
    made, study = once
    a, b = map(unit, made[:2])
    left_out = [cka(a[kept], b[kept]) for kept in without_each_design()]
    row = study.table("similarity_by_loss").set_index(["loss_a", "loss_b"]).loc["margin", "triplet"]
    found = row[["image_low", "image_high"]].astype(float).tolist()
    assert found == pytest.approx(jackknife(cka(a, b), left_out))


def test_of_nr_precision_runs_and_images_add(thrice):
    made, study = thrice
    hue = probe_set().properties["color_hue"].to_numpy()
    points = [unit(network) for network in made[:RUNS]]
    values, largest = zip(*(nr_precision(p, hue) for p in points), strict=True)
    left_out = []
    for kept in without_each_design():
        found = [nr_precision(p[kept], hue[kept]) for p in points]
        left_out.append(largest[0] * np.mean([value / most for value, most in found]))
    table = study.table("properties_by_loss").set_index(["loss", "property"])
    row = table.loc["triplet", "color_hue"].drop("family").astype(float)
    assert row["mean"] == pytest.approx(np.mean(values))
    images = row[["image_low", "image_high"]].tolist()
    assert images == pytest.approx(jackknife(np.mean(values), left_out))
    both = jackknife(np.mean(values), left_out, runs=list(values))
    assert row[["low", "high"]].tolist() == pytest.approx(both)


def test_of_shares_it_stays_within_them(thrice):
    made, study = thrice
    inside = (probe_set().masks[:IMAGES] == 1).reshape(IMAGES, -1).numpy()
    stacked = np.stack([maps(network) for network in made[:RUNS]])
    shares = (stacked * inside).sum(2) / stacked.sum(2)
    expected = mean_over_runs_and_images(shares, DESIGNS[:IMAGES], kind="share")
    table = study.table("shares_by_loss").set_index(["loss", "region"])
    found = table.loc[("triplet", "car"), ["mean", "low", "high"]].astype(float)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    runs = study.table("shares").query("loss == 'triplet' and region == 'car'")["value"]
    np.testing.assert_allclose(runs.astype(float), shares.mean(1), atol=1e-5)


def test_of_interventions_scenes_of_a_design_go_together(once):
    made, _ = once
    base = np.array([0, 1, 2, 3, 4, 5])
    changed = base + 10
    scenes = dataclasses.replace(
        probe_set(),
        interventions=pd.DataFrame(
            {"base": base, "property": "color_hue", "from": 0, "to": 1, "frame": changed}
        ),
    )
    study = Study(made, probe_set(), SETTINGS, PIECES, intervention_scenes=scenes)
    points = unit(made[0])

    def relative(kept):
        moved = np.linalg.norm(points[base[kept]] - points[changed[kept]], axis=1).mean()
        apart = [
            np.linalg.norm(points[i] - points[j]) for i in base[kept] for j in base[kept] if i < j
        ]
        return moved / np.mean(apart)

    left_out = [relative(kept) for kept in without_each_design(DESIGNS[base])]
    row = study.table("interventions_by_loss").query("loss == 'triplet'").iloc[0]
    whole = relative(np.ones(6, bool))
    low, high = jackknife(whole, left_out)
    factor = np.exp((high - low) / 2 / whole)  # a distance stays positive
    found = row[["image_low", "image_high"]].astype(float).tolist()
    assert found == pytest.approx([whole / factor, whole * factor])


def test_without_seeds_values_and_their_intervals_over_images_are_what_is_told(once):
    made, study = once
    row = study.table("contrasts").query("measure == 'cka' and contrast == 'loss'").iloc[0]
    pairs = [(0, 1), (0, 2), (1, 2)]
    points = [unit(network) for network in made]
    left_out = [
        np.mean([cka(points[a][kept], points[b][kept]) for a, b in pairs])
        for kept in without_each_design()
    ]
    whole = np.mean([cka(points[a], points[b]) for a, b in pairs])
    assert row["between"] == pytest.approx(whole)
    assert (row["between_low"], row["between_high"]) == pytest.approx(jackknife(whole, left_out))
    tables = {name: study.table(name) for piece in PIECES for name in piece.TABLES}
    imported = Evidence(tables | {"runs": tables["runs"].assign(source="import")})
    low, high = row["between_low"], row["between_high"]
    told = answer(imported)
    assert f"embeddings agree at CKA = {whole:.2f} ({low:.2f} to {high:.2f} over images)" in told
    assert "cannot be told from these networks" in told
    assert tables["shares_by_loss"][["low", "high"]].isna().all(axis=None)
    for name in ("shares_by_loss", "properties_by_loss"):
        assert tables[name][["image_low", "image_high"]].notna().all(axis=None), name


def test_trainings_that_are_repeated_need_no_interval_over_images_alone(thrice):
    _, study = thrice
    assert study.table("contrasts")[["between_low", "between_high"]].isna().all(axis=None)


def test_runs_below_three_are_points_and_images_are_a_sample_all_the_same():
    images = np.random.default_rng(0).uniform(size=(2, 30))
    table = pd.DataFrame(
        {"loss": "a", "family": "ranking", "value": images.mean(1), "images": list(images)}
    )
    (row,) = by_loss(table).to_dict("records")
    assert np.isnan([row["low"], row["high"]]).all()
    expected = stats.ttest_1samp(images.mean(0), 0).confidence_interval(0.95)
    assert (row["image_low"], row["image_high"]) == pytest.approx((expected.low, expected.high))


def test_large_sets_have_no_interval_that_takes_computing_all_again(once, monkeypatch):
    made, _ = once
    monkeypatch.setattr("lossprint.studies.intervals.LARGEST_SET", PROBE - 1)
    study = Study(made, probe_set(), SETTINGS, PIECES)
    for name in ("properties_by_loss", "similarity_by_loss"):
        assert study.table(name)[["image_low", "image_high"]].isna().all(axis=None)
    reasons = pd.concat(study.skipped)["reason"].tolist()
    assert reasons == ["the probe set has 60 images, and it is made up to 59"] * 2
