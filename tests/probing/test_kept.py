import dataclasses

import pytest
import torch
from safetensors.torch import load_file

from lossprint.data.transforms import Preprocessing
from lossprint.probing import (
    MapSettings,
    kept_for_another_set,
    map_rows,
    maps_key,
    probe_embeddings,
    probe_maps,
    read_maps,
)
from lossprint.saliency import saliency_maps
from tests.studies.planted import SIZE, networks, probe_set

SETTINGS = MapSettings(images=3, samples=2)


def network() -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return torch.nn.Sequential(
            torch.nn.Conv2d(3, 4, 3, stride=2),
            torch.nn.ReLU(),
            torch.nn.AdaptiveAvgPool2d(1),
            torch.nn.Flatten(),
            torch.nn.Linear(4, 5),
        ).eval()


def preprocessing() -> Preprocessing:
    return Preprocessing(mean=[0.5, 0.4, 0.3], std=[0.2, 0.3, 0.2])


@pytest.fixture
def a_network(tmp_path):
    (made,) = networks(tmp_path, ("arcface",), seeds=(0,), keep=False)
    return dataclasses.replace(made, load=lambda: (network(), preprocessing()))


def test_maps_are_those_of_the_method_on_the_first_images(a_network):
    probe = probe_set()
    file = probe_maps(a_network, probe, SETTINGS)
    stored = load_file(file)["maps"]
    assert (stored.dtype, tuple(stored.shape)) == (torch.float16, (3, SIZE, SIZE))
    black = torch.zeros(1, 3, SIZE, SIZE, dtype=torch.uint8)
    expected = saliency_maps(
        network(),
        preprocessing()(probe.pixels(range(3))),
        distance="cosine",
        baseline=preprocessing()(black)[0],
        samples=2,
        image_ids=probe.files[:3],
    )
    torch.testing.assert_close(stored.float(), expected, atol=6e-4, rtol=0)  # half precision
    torch.testing.assert_close(read_maps(file, [2, 0]), stored[[2, 0]].float())


def test_what_is_kept_is_not_computed_again(a_network):
    probe = probe_set()
    file = probe_maps(a_network, probe, SETTINGS)
    probe_embeddings(a_network, probe)
    never = dataclasses.replace(a_network, load=lambda: pytest.fail("loaded again"))
    assert probe_maps(never, probe, SETTINGS) == file
    probe_embeddings(never, probe)


def test_progress_counts_images(a_network):
    steps = []
    probe_maps(a_network, probe_set(), SETTINGS, lambda *step: steps.append(step))
    probe_embeddings(a_network, probe_set(), lambda *step: steps.append(step))
    assert steps == [("maps", 3, 3), ("embeddings", 60, 60)]
    assert not list(a_network.cache.glob("*.parts"))


def test_embeddings_are_those_of_all_images_as_they_come(a_network):
    probe = probe_set()
    with torch.no_grad():
        expected = network()(preprocessing()(probe.pixels(range(len(probe)))))
    torch.testing.assert_close(probe_embeddings(a_network, probe), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "changed", [{"samples": 3}, {"images": 2}, {"noise_level": 0.1}, {"seed": 1}]
)
def test_other_parameters_are_other_maps(a_network, changed):
    other = dataclasses.replace(SETTINGS, **changed)
    assert maps_key(a_network, probe_set(), other) != maps_key(a_network, probe_set(), SETTINGS)


def test_other_weights_distances_and_images_are_other_maps(a_network):
    key = maps_key(a_network, probe_set(), SETTINGS)
    for changed in ({"weights_key": "x"}, {"distance": "lp"}):
        other = dataclasses.replace(a_network, **changed)
        assert maps_key(other, probe_set(), SETTINGS) != key
    assert maps_key(a_network, probe_set("other"), SETTINGS) != key


def test_all_images_by_null_and_by_their_number_are_one(a_network):
    probe = probe_set()
    every = MapSettings(images=None)
    assert map_rows(probe, every) == range(len(probe))
    same = MapSettings(images=len(probe))
    assert maps_key(a_network, probe, every) == maps_key(a_network, probe, same)


def test_a_changed_probe_set_is_noticed(a_network):
    assert not kept_for_another_set(a_network, probe_set())  # nothing is kept yet
    probe_embeddings(a_network, probe_set())
    assert not kept_for_another_set(a_network, probe_set())
    assert kept_for_another_set(a_network, probe_set("changed"))
