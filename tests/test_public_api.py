"""The public API: every name is there, and networks at hand are compared."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

import lossprint
from lossprint import ProbeSet, compare, map_agreement, normalized_r_precision, saliency_maps
from lossprint.metrics import fisher_mean
from lossprint.probing import MapSettings
from lossprint.studies.settings import StudySettings

STUDY = StudySettings(maps=MapSettings(images=3, samples=2), gallery=2, draws=99)


def network(seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers = [nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()]
        return nn.Sequential(*layers, nn.Linear(16, 5)).train()


def preprocessing(pixels: torch.Tensor) -> torch.Tensor:
    return pixels.float() / 127.5 - 1


@pytest.fixture
def probe() -> ProbeSet:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (24, 12, 12, 3), dtype=np.uint8)
    return ProbeSet.from_arrays(pixels, {"kind": rng.integers(0, 3, 24)})


def test_every_name_is_there_and_the_package_alone_imports_no_torch():
    for name in lossprint.__all__:
        assert callable(getattr(lossprint, name))
    assert set(lossprint.__all__) <= set(dir(lossprint))
    with pytest.raises(AttributeError, match="has no attribute 'saliency_map'"):
        lossprint.saliency_map  # noqa: B018
    script = "import sys, lossprint; print('torch' in sys.modules, len(lossprint.__all__))"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert told.stdout.split() == ["False", str(len(lossprint.__all__))]


def test_networks_at_hand_are_compared_as_the_functions_of_the_api_do(probe):
    one, other = network(0), network(1)
    found = compare({"one": one, "other": other}, probe, preprocessing, study=STUDY)
    assert found.report is None
    assert "the whole run" not in set(found.tables["skipped"]["part"])

    values = found.tables["properties"].set_index("loss")["value"]
    images = preprocessing(probe.pixels(range(24)))
    kinds = {"kind": probe.properties["kind"]}
    expected = normalized_r_precision(other(images), kinds, variance="hypergeometric")["kind"]
    assert values["other"] == pytest.approx(expected, rel=1e-5)

    black = preprocessing(torch.zeros(3, 12, 12, dtype=torch.uint8))
    maps = [
        saliency_maps(
            model, images[:3], distance="cosine", baseline=black, samples=2,
            image_ids=probe.files[:3],
        )
        for model in (one, other)
    ]  # fmt: skip
    correlation = map_agreement(torch.stack(maps)).correlation[0, 1]
    (row,) = found.tables["agreement"].to_dict("records")
    assert (row["loss_a"], row["loss_b"]) == ("one", "other")
    assert row["correlation"] == pytest.approx(float(fisher_mean(correlation)), abs=2e-3)
    assert one.training


@pytest.mark.filterwarnings("ignore")
def test_a_folder_gets_the_report_and_keeps_what_was_computed(probe, tmp_path):
    found = compare({"one": network(0)}, probe, preprocessing, study=STUDY, folder=tmp_path)
    assert found.report.page.is_file()
    files = [path for path in (tmp_path / "kept").iterdir() if not path.name.startswith(".")]
    kept = {path.name: path.stat().st_mtime_ns for path in files}
    again = {"one": [network(0), network(1)]}
    compare(again, probe, preprocessing, study=STUDY, folder=tmp_path)
    for name, time in kept.items():
        assert (tmp_path / "kept" / name).stat().st_mtime_ns == time


@pytest.mark.parametrize(
    ("networks", "options", "message"),
    [
        ({}, {}, "networks must map names to networks"),
        ([network(0)], {}, "networks must map names to networks"),
        ({"one": ["weights.pth"]}, {}, r"networks\['one'\] is a str, not a torch\.nn\.Module"),
        ({"one": network(0)}, {"distance": "euclid"}, "distance='euclid' is unknown; valid are"),
        ({"one": network(0)}, {"families": {"one": "proxy"}}, "family='proxy' is unknown"),
    ],
)
def test_what_cannot_be_compared_is_named(probe, networks, options, message):
    with pytest.raises(ValueError, match=message):
        compare(networks, probe, preprocessing, **options)
