"""A GPU computes what the processor does. `benchmarks/gpu.sh` runs this where there is one.

Without one the tests skip; LOSSPRINT_TEST_DEVICE=cpu runs them on the processor against itself,
which shows that they run.
"""

import copy
import os

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.multiprocessing import start_processes

from lossprint.data.augment import RandomResizedCrop, crop_and_resize
from lossprint.metrics import property_precision
from lossprint.saliency import map_agreement, saliency_maps
from tests.training.test_distributed import loss
from tests.training.two_processes import free_port, process, train_all

CHOSEN = os.environ.get("LOSSPRINT_TEST_DEVICE") or ("cuda" if torch.cuda.is_available() else None)
DEVICE = torch.device(CHOSEN or "cpu")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(CHOSEN is None, reason="there is no GPU"),
]


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(),
        nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(128, 16),
    ).eval()  # fmt: skip


def maps(network: nn.Module, device: torch.device, precision: str) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(4, 3, 32, 32, generator=generator)
    noise = torch.randn(4, 12, 3, 32, 32, generator=generator)
    made = saliency_maps(
        copy.deepcopy(network).to(device),
        images.to(device),
        distance="lp",
        baseline=torch.zeros(3, 32, 32, device=device),
        noise=noise.to(device),
        precision=precision,
    )
    assert made.device.type == device.type
    return made.cpu()


@pytest.mark.filterwarnings("ignore::UserWarning")  # a processor without float16 says so
@pytest.mark.parametrize(("precision", "least"), [("exact", 0.9999), ("fast", 0.99)])
def test_maps(precision, least, network):
    expected = maps(network, torch.device("cpu"), "exact")
    pair = torch.stack([expected, maps(network, DEVICE, precision)])
    assert (map_agreement(pair).correlation[0, 1] > least).all()


def test_nr_precision_counts():
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(3000, 32, generator=generator)
    embeddings[100:120] = embeddings[:20]  # ties, which are settled alike
    labels = {
        name: torch.randint(0, levels, (3000,), generator=generator)
        for name, levels in {"model": 6, "hue": 12}.items()
    }
    expected = property_precision(embeddings, labels, device="cpu")
    actual = property_precision(embeddings.to(DEVICE), labels, device=DEVICE)
    for name in labels:
        assert (actual[name].matches == expected[name].matches).all()


def test_agreement_of_maps_on_the_device():
    stack = torch.rand(3, 5, 16, 16, generator=torch.Generator().manual_seed(0))
    expected, actual = map_agreement(stack), map_agreement(stack.to(DEVICE))
    assert (actual.correlation == expected.correlation).all()
    assert (actual.divergence == expected.divergence).all()


def test_augmentation():
    generator = torch.Generator().manual_seed(0)
    images = [
        torch.randint(0, 256, (40 + row, 50, 3), generator=generator, dtype=torch.uint8)
        for row in range(6)
    ]
    view = RandomResizedCrop(24)
    crops = view.draw(torch.tensor([image.shape[:2] for image in images]), generator)
    expected = crop_and_resize(images, crops, view.size)
    actual = crop_and_resize([image.to(DEVICE) for image in images], crops, view.size)
    assert actual.device.type == DEVICE.type
    assert (actual.cpu().int() - expected.int()).abs().max() <= 1  # rounded twice on a processor


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_ddp_of_one_trains_as_one_process(tmp_path):
    losses = {name: loss(name) for name in ("triplet", "arcface")}
    accelerator = "cpu" if DEVICE.type == "cpu" else "gpu"
    arguments = (free_port(), losses, tmp_path, 1, accelerator)
    start_processes(process, arguments, nprocs=1, start_method="spawn")
    expected, actual = train_all(losses, 1, "cpu"), load_file(tmp_path / "0.safetensors")
    assert expected.keys() == actual.keys()
    for key, value in expected.items():
        torch.testing.assert_close(actual[key], value, rtol=1e-5, atol=1e-7)
