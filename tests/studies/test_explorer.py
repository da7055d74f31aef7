"""What the explorer and the atlas show, against what is planted and computed otherwise."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist

from lossprint.probing import read_maps
from lossprint.studies import atlas, explorer, map_agreement
from lossprint.studies.loss_geometry import loss_embeddings, nearest
from lossprint.studies.study import Study
from tests.studies import planted


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    networks = planted.networks(
        tmp_path_factory.mktemp("runs"), ("triplet", "arcface"), loss_effect=1.0
    )
    return Study(networks, planted.probe_set(), planted.SETTINGS, [explorer, atlas, map_agreement])


def test_neighbours_are_those_of_the_mean_similarity_over_runs(study):
    table = study.table("neighbors")
    own = [
        e.double() / e.double().norm(dim=1, keepdim=True)
        for e, network in zip(study.embeddings, study.networks, strict=True)
        if network.loss == "triplet"
    ]
    similarity = sum(e @ e.T for e in own).numpy() / len(own)
    np.fill_diagonal(similarity, -np.inf)
    for frame, rows in table[table["loss"] == "triplet"].groupby("frame"):
        best = np.argsort(-similarity[frame])[: explorer.NEIGHBORS]
        assert rows["neighbor"].tolist() == best.tolist()
        np.testing.assert_allclose(rows["similarity"], similarity[frame][best])


def test_fewer_images_than_neighbours_all_are_neighbours():
    order, _ = nearest(torch.eye(3, dtype=torch.float64), 6)
    assert order.shape == (3, 2)


def test_maps_and_pictures_are_averaged_down_to_bytes(study):
    study.table("probe_images")
    network, file = study.networks[1], study.maps[1]
    expected = read_maps(file, study.map_rows).numpy() * 255
    shown = study.arrays[f"explorer/maps/{network.name}"]
    np.testing.assert_allclose(shown, expected, atol=0.5001)  # 16 pixels need no averaging
    halved = explorer.small(torch.tensor([[[0.0, 1.0], [1.0, 1.0]]]), 1)
    assert halved.tolist() == [[[191]]]
    pixels = study.probe.pixels([3])[0].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(study.arrays["explorer/images"][3], pixels)


class _Blue(torch.nn.Module):
    """Looks at the left half in its first number, at the right half in its second."""

    def forward(self, images):
        left, right = images.split(planted.SIZE // 2, dim=3)
        return torch.stack([left.square().mean((1, 2, 3)), right.square().mean((1, 2, 3))], 1)


def test_maps_of_neighbours_are_of_the_commonest_one_and_kept(study):
    loads = []

    def load():
        loads.append(1)
        return _Blue(), lambda pixels: pixels.float() / 255 + 0.01

    settings = dataclasses.replace(study.settings, neighbor_maps=2)
    networks = [dataclasses.replace(network, load=load) for network in study.networks]
    for _ in range(2):
        asked = Study(networks, study.probe, settings, [explorer, map_agreement])
        table = asked.table("neighbor_maps")
    assert len(loads) == 2  # the first run of each loss, once
    assert sorted(table["loss"].unique()) == ["arcface", "triplet"]
    frames = asked.table("disagreement")["frame"].head(2).tolist()
    near = asked.table("neighbors").query("rank == 0").set_index(["loss", "frame"])["neighbor"]
    for row in table.itertuples():
        assert row.frame in frames
        assert row.neighbor in [near[loss, row.frame] for loss in ("triplet", "arcface")]
    assert asked.arrays["explorer/neighbor_maps"].shape == (4, planted.SIZE, planted.SIZE)


def test_turned_mirrored_and_scaled_points_fall_onto_each_other():
    points = np.random.default_rng(0).normal(size=(20, 2))
    turn = np.array([[np.cos(2), -np.sin(2)], [np.sin(2), np.cos(2)]])
    other = 7 * points @ turn @ np.diag([1, -1]) + [3, 4]
    found = atlas.aligned({"a": points, "b": other, "c": np.zeros((20, 2))})
    np.testing.assert_allclose(found["a"], found["b"], atol=1e-12)
    np.testing.assert_allclose(
        pdist(found["a"]) / pdist(points), pdist(found["a"])[0] / pdist(points)[0]
    )
    assert not found["c"].any()


def test_every_image_has_a_place_under_every_loss(study):
    table = study.table("atlas")
    assert len(table) == 2 * len(atlas.METHODS) * planted.PROBE
    embedding = loss_embeddings(study.networks, study.embeddings)["triplet"].numpy()
    centred = embedding - embedding.mean(0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    places = table.query("loss == 'triplet' and method == 'PCA'")[["x", "y"]].to_numpy()
    expected = pdist(u[:, :2] * s[:2])
    np.testing.assert_allclose(pdist(places) / expected, pdist(places)[0] / expected[0])
    assert np.isfinite(table[["x", "y"]].to_numpy()).all()


def test_what_a_projector_gets_keeps_every_distance_where_no_direction_is_left_out(study):
    table = study.table("embeddings")
    assert list(table.columns[3:]) == [f"d{k}" for k in range(1, table.shape[1] - 2)]
    for loss, embedding in loss_embeddings(study.networks, study.embeddings).items():
        own = table[table["loss"] == loss]
        assert own["frame"].tolist() == study.probe.properties.index.tolist()
        ratio = pdist(own.iloc[:, 3:].to_numpy()) / pdist(embedding.numpy())
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-2)  # to four digits
