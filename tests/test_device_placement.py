"""Without a GPU: tensors that claim to lie on one, and refuse to be mixed with the processor's.

Fake tensors have shapes and devices but no values, so that they go as far as nothing asks for a
value. What computes with values is compared on a real GPU by test_gpu.py.
"""

import hydra
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import (  # PyTorch has no public name for it
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
)

from lossprint.data.transforms import Preprocessing
from lossprint.models.embedder import build_embedder
from lossprint.training.losses import STUDY_LOSSES, build_loss, loss_value
from tests.training.test_distributed import loss

ASK_FOR_VALUES = (DataDependentOutputException, DynamicOutputShapeException)


def move_to_gpu(module: nn.Module) -> None:
    """As `module.to("cuda")`, which exchanges a fake tensor's inside for another's.

    It refuses to where something refers to the tensor weakly, as PyTorch itself may do.
    """
    for part in module.modules():
        for name, weight in list(part.named_parameters(recurse=False)):
            setattr(part, name, nn.Parameter(weight.detach().to("cuda")))
        for name, buffer in list(part.named_buffers(recurse=False)):
            setattr(part, name, buffer.to("cuda"))


def test_mixed_devices_are_refused():
    with FakeTensorMode(), pytest.raises(RuntimeError, match="device"):
        torch.ones(2, device="cuda") + torch.ones(2)


def test_pixels_become_embeddings_on_the_device():
    with FakeTensorMode():
        network = build_embedder("resnet18", pretrained=False, seed=0)
        move_to_gpu(network)
        pixels = torch.zeros(4, 3, 32, 32, dtype=torch.uint8, device="cuda")
        embeddings = network(Preprocessing()(pixels))
    assert embeddings.device.type == "cuda"


def test_losses_stay_on_the_device_as_far_as_they_ask_for_no_value():
    went_through = set()
    for name in STUDY_LOSSES:
        with FakeTensorMode():
            spec = build_loss(loss(name), hydra.utils.instantiate, num_classes=6, seed=0)
            assert isinstance(spec.criterion, nn.Module)
            move_to_gpu(spec.criterion)
            embeddings = torch.randn(8, 16, device="cuda")
            labels = torch.zeros(8, dtype=torch.int64, device="cuda")
            try:
                value = loss_value(spec.criterion, spec.miner, embeddings, labels)
            except ASK_FOR_VALUES:
                continue
            assert value.device.type == "cuda"
            went_through.add(name)
    # The others select by a mask, how much of which is a value.
    assert {"normalized_softmax", "soft_triple"} <= went_through
