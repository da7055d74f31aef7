"""What is on the page, recomputed from the stored maps and embeddings by other means."""

from itertools import combinations, permutations, product

import numpy as np
import pytest
from safetensors.torch import load_file
from scipy.spatial.distance import cdist, jensenshannon, pdist

from lossprint.probing import embeddings_key, maps_key
from lossprint.studies.study import Study
from tests.studies.oracles import cka
from tests.studies.planted import IMAGES, PIECES, SETTINGS, networks, probe_set

LOSSES, SEEDS = ("arcface", "cosface", "margin", "triplet"), (0, 1)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    made = networks(tmp_path_factory.mktemp("stored"), LOSSES, seeds=SEEDS, loss_effect=0.7)
    return Study(made, probe_set(), SETTINGS, PIECES)


def stored(study, kind):
    """Maps [N, P] or embeddings [N, D] by loss and seed, read from their files."""
    found = {}
    for network in study.networks:
        if kind == "maps":
            key = maps_key(network, probe_set(), SETTINGS.maps)
        else:
            key = embeddings_key(network, probe_set())
        tensors = load_file(network.cache / f"{kind}-{key}.safetensors")[kind]
        values = tensors.double().numpy().reshape(len(tensors), -1)
        if kind == "embeddings":
            values /= np.linalg.norm(values, axis=1, keepdims=True)
        found[network.loss, network.seed] = values
    return found


@pytest.fixture(scope="module")
def z(study):
    """Fisher's z of every two runs [IMAGES], in both orders."""
    found = {}
    for (a, x), (b, y) in combinations(stored(study, "maps").items(), 2):
        r = [np.corrcoef(one, other)[0, 1] for one, other in zip(x, y, strict=True)]
        found[a, b] = found[b, a] = np.arctanh(r)
    return found


@pytest.fixture(scope="module")
def likeness(study, z):
    """Of every two runs, by the leading measures."""
    points = stored(study, "embeddings")
    return {
        "correlation": {pair: np.tanh(values.mean()) for pair, values in z.items()},
        "cka": {(a, b): cka(points[a], points[b]) for a, b in product(points, repeat=2) if a != b},
    }


def pairs(a, b):
    """Runs of two losses, or of one, that differ in the seed."""
    return [((a, s), (b, t)) for s in SEEDS for t in SEEDS if s != t]


def test_geometry(study):
    table = study.table("geometry").set_index(["loss", "seed"])
    model = probe_set().properties["model"].to_numpy()
    for run, points in stored(study, "embeddings").items():
        eigenvalues = np.linalg.svd(points - points.mean(0), compute_uv=False) ** 2
        share = eigenvalues / eigenvalues.sum()
        squared = cdist(points, points, "sqeuclidean")
        same = model[:, None] == model
        classes = [points[model == name] for name in np.unique(model)]
        within = [cdist(members, members, "cosine").mean() for members in classes]
        row = table.loc[run]
        assert row["effective_rank"] == pytest.approx(np.exp(-(share * np.log(share)).sum()))
        assert row["mean_length"] == pytest.approx(np.linalg.norm(points.mean(0)))
        assert row["uniformity"] == pytest.approx(
            np.log(np.exp(-2 * pdist(points, "sqeuclidean")).mean())
        )
        others = same & ~np.eye(len(points), dtype=bool)
        assert row["alignment"] == pytest.approx(squared[others].mean())
        overall = cdist(points, points, "cosine").mean()
        assert row["class_separation"] == pytest.approx(1 - np.mean(within) / overall)
        assert not row["collapsed"]


def test_agreement_and_likeness_of_losses(study, z, likeness):
    maps = stored(study, "maps")
    points = stored(study, "embeddings")
    agreement = study.table("agreement_by_loss").set_index(["loss_a", "loss_b"])
    similarity = study.table("similarity_by_loss").set_index(["loss_a", "loss_b"])
    near = {run: np.argsort(cdist(x, x) + 9 * np.eye(len(x)))[:, :10] for run, x in points.items()}
    for a, b in [("arcface", "margin"), ("cosface", "triplet"), ("margin", "margin")]:
        every = np.concatenate([z[pair] for pair in pairs(a, b)])
        row = agreement.loc[(a, b)]
        assert row["correlation"] == pytest.approx(np.tanh(every.mean()), abs=1e-5)
        assert row["spread"] == pytest.approx(np.tanh(every.std()), abs=1e-5)
        apart = [
            jensenshannon(one, other) ** 2
            for x, y in pairs(a, b)
            for one, other in zip(maps[x], maps[y], strict=True)
        ]
        assert row["divergence"] == pytest.approx(np.mean(apart), abs=1e-5)
        shared = [
            len({*one} & {*other}) / 10
            for x, y in pairs(a, b)
            for one, other in zip(near[x], near[y], strict=True)
        ]
        assert similarity.loc[(a, b), "neighbor_overlap"] == pytest.approx(np.mean(shared))
        expected = np.mean([likeness["cka"][pair] for pair in pairs(a, b)])
        assert similarity.loc[(a, b), "cka"] == pytest.approx(expected)
    assert similarity["chance"].unique() == [10 / 59]


def test_disagreement_about_images(study, z):
    table = study.table("disagreement").set_index("frame")["correlation"]
    between = [z[p] for a, b in combinations(LOSSES, 2) for p in pairs(a, b)]
    expected = np.tanh(np.mean(between, axis=0))
    np.testing.assert_allclose(table.loc[range(IMAGES)], expected, atol=1e-5)


@pytest.mark.parametrize("measure", ["correlation", "cka"])
def test_contrasts_of_losses(study, likeness, measure):
    known = likeness[measure]

    def mean(a, b, change=lambda x: x):
        return np.mean([change(max(known[pair], 0.01)) for pair in pairs(a, b)])

    logs = {pair: mean(*pair, np.log) for pair in product(LOSSES, repeat=2)}
    rho = {
        (a, b): np.exp(logs[a, b] - (logs[a, a] + logs[b, b]) / 2)
        for a, b in product(LOSSES, repeat=2)
    }
    statistic = -np.mean([np.log(rho[pair]) for pair in combinations(LOSSES, 2)])
    row = study.table("contrasts").query(f"measure == '{measure}' and contrast == 'loss'").iloc[0]
    within = np.mean([mean(loss, loss) for loss in LOSSES])
    between = np.mean([mean(*pair) for pair in combinations(LOSSES, 2)])
    assert row["within"] == pytest.approx(within, abs=1e-5)
    assert row["between"] == pytest.approx(between, abs=1e-5)
    assert row["share"] == pytest.approx((within - between) / (1 - between), abs=1e-5)
    assert row["rho"] == pytest.approx(np.exp(-statistic), abs=1e-5)

    # The losses of the second seed in every order: within means one name, between two.
    found = []
    for order in permutations(range(4)):
        same = [np.log(known[(LOSSES[i], 0), (LOSSES[order[i]], 1)]) for i in range(4)]
        other = [
            np.log(known[(LOSSES[i], 0), (LOSSES[order[j]], 1)])
            for i, j in permutations(range(4), 2)
        ]
        found.append(np.mean(same) - np.mean(other))
    assert found[0] == pytest.approx(statistic)
    assert row["p"] == pytest.approx(np.mean(np.array(found) >= found[0] - 1e-9))

    corrected = study.table("corrected_by_loss").set_index(["loss_a", "loss_b"])[measure]
    odd = study.table("odd_losses").query(f"measure == '{measure}'").set_index("loss")
    for loss in LOSSES:
        others = [rho[loss, other] for other in LOSSES if other != loss]
        assert odd.loc[loss, "rho"] == pytest.approx(np.exp(np.log(others).mean()), abs=1e-5)
    for a, b in combinations(LOSSES, 2):
        assert corrected[b, a] == pytest.approx(rho[a, b], abs=1e-5)
