"""BN-Inception against the publication its weights come from."""

import pretrainedmodels
import pytest
import torch
from torch import nn

from lossprint.models.bn_inception import BNInception


@pytest.fixture(scope="module")
def original() -> nn.Module:
    """Cadene's network with random weights and random BatchNorm statistics."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = pretrainedmodels.bninception(pretrained=None)
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 2)
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, 0, 0.1)
    return network.eval()


def caffe_images(size: int, count: int = 1) -> torch.Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1)) * 60


def test_state_dict_is_the_publication_s(original: nn.Module) -> None:
    ours = BNInception().state_dict()
    theirs = original.state_dict()
    assert list(ours) == list(theirs)
    assert all(ours[key].shape == theirs[key].shape for key in ours)
    assert sum(p.numel() for p in BNInception().parameters()) == 11_295_240


@pytest.mark.parametrize("size", [224, 227])
def test_outputs_equal_the_original(original: nn.Module, size: int) -> None:
    ours = BNInception().eval()
    ours.load_state_dict(original.state_dict())
    with torch.no_grad():
        expected = original(caffe_images(size))
        torch.testing.assert_close(ours(caffe_images(size)), expected, rtol=1e-5, atol=1e-3)
    assert expected.abs().max() > 1  # the comparison is of something


def test_training_statistics_equal_the_original(original: nn.Module) -> None:
    state = {key: value.clone() for key, value in original.state_dict().items()}
    ours = BNInception()
    ours.load_state_dict(state)
    theirs = pretrainedmodels.bninception(pretrained=None)
    theirs.load_state_dict(state)
    with torch.no_grad():
        ours.train()(caffe_images(224))
        theirs.train()(caffe_images(224))
    key = "inception_5b_pool_proj_bn.running_var"
    torch.testing.assert_close(ours.state_dict()[key], theirs.state_dict()[key], rtol=1e-4, atol=0)


@pytest.mark.parametrize("size", [17, 64, 80, 100])
def test_any_size_gives_pooled_features(size: int) -> None:
    network = BNInception(num_classes=None).eval()
    images = caffe_images(size).requires_grad_()
    features = network(images)
    assert features.shape == (1, 1024)
    features.sum().backward()
    assert torch.isfinite(features).all()
    assert torch.isfinite(images.grad).all()
