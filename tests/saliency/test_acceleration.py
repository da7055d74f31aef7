"""Networks rewritten for speed: what is rewritten, and that maps stay those of the network."""

import copy
import gc
import warnings
import weakref
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.nn.utils.parametrizations import weight_norm
from torchvision import models

from lossprint.models.bn_inception import BNInception
from lossprint.saliency import acceleration, input_gradient, saliency_maps
from lossprint.saliency.acceleration import accelerated
from lossprint.saliency.first_convolution import FirstConvolution
from tests.saliency.networks import Patches, Untraceable, residual, seeded

IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
BLACK = torch.full((3, 32, 32), -1.5)


def plain_maps(model: nn.Module, images: Tensor, black: Tensor, noise: Tensor) -> Tensor:
    """One image at a time in plain autograd, on the caller's own network."""
    model = copy.deepcopy(model).eval().requires_grad_(False)
    target = F.normalize(model(black[None].clone()).double())
    maps = []
    for image, draws in zip(images, noise, strict=True):
        copies = (image + 0.15 * (image.max() - image.min()) * draws).requires_grad_()
        (F.normalize(model(copies.clone()).double()) - target).norm(dim=1).sum().backward()
        assert copies.grad is not None
        total = copies.grad.mean(1).abs().sum(0)
        low, high = total.min(), total.quantile(0.99)
        # Of a network of strided 1x1 convolutions alone, most pixels have no gradient.
        scaled = (total - low) / (high - low) if high > low else (total > low).float()
        maps.append(scaled.clamp(0, 1))
    return torch.stack(maps)


def lowest_correlation(found: Tensor, expected: Tensor) -> float:
    pairs = zip(found.double().flatten(1), expected.double().flatten(1), strict=True)
    return min(float(torch.corrcoef(torch.stack(pair))[0, 1]) for pair in pairs)


def agreement_with_a_plain_loop(model: nn.Module, size: int) -> float:
    images, black = (
        F.interpolate(IMAGES, size=size, mode="bicubic"),
        torch.full((3, size, size), -1.5),
    )
    noise = torch.randn(2, 4, 3, size, size, generator=torch.Generator().manual_seed(1))
    expected = plain_maps(model, images, black, noise)
    found = saliency_maps(model, images, distance="lp", baseline=black, noise=noise)
    return lowest_correlation(found, expected)


def trained(make: Callable[[], nn.Module], size: int) -> nn.Module:
    """A random network whose batch normalizations have statistics, as after training.

    Without them some give one embedding for every image, and of that no gradient in float32.
    """
    torch.manual_seed(0)
    model = make()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model.train()(torch.randn(4, 3, size, size))
    return model


def kinds(network: nn.Module) -> Counter[type]:
    return Counter(type(module) for module in network.modules())


def prepared(model: nn.Module) -> nn.Module:
    return seeded(model, std=0.1).eval().requires_grad_(False)


@pytest.mark.parametrize(
    ("make", "size"),
    [
        (lambda: models.resnet18(num_classes=9), 64),
        (lambda: models.mobilenet_v2(num_classes=9), 64),
        (lambda: timm.create_model("resnet10t", num_classes=0), 32),
        (lambda: timm.create_model("tinynet_e", num_classes=0), 32),
        (lambda: timm.create_model("convnext_atto", num_classes=0), 32),
        (lambda: timm.create_model("nf_regnet_b0", num_classes=0), 32),
        (lambda: timm.create_model("mobilevit_xxs", num_classes=0), 64),
        (lambda: timm.create_model("vit_tiny_patch16_224", num_classes=0, img_size=32), 32),
    ],
)
@pytest.mark.filterwarnings("ignore:maps of")
def test_networks_of_every_kind_agree_with_a_plain_loop(
    make: Callable[[], nn.Module], size: int
) -> None:
    assert agreement_with_a_plain_loop(trained(make, size), size) >= 0.9999


@pytest.mark.parametrize(
    "make",
    [
        lambda: BNInception(num_classes=None),
        lambda: models.resnet18(num_classes=9),
        lambda: timm.create_model("efficientnet_b0", num_classes=0),  # BatchNormAct2d
    ],
)
def test_normalizations_fold_and_the_first_convolution_is_replaced(
    make: Callable[[], nn.Module],
) -> None:
    network = make().eval().requires_grad_(False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        faster = accelerated(network, F.interpolate(IMAGES, size=64))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in faster.modules())
    assert kinds(faster)[FirstConvolution] == 1
    assert any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    assert next(faster.parameters()).dtype == torch.float32


class _Network(nn.Module):
    """A convolution, its normalization and a head, used as `middle` says."""

    def __init__(self, middle: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.convolution, self.other = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(3, 6, 1)
        self.normalization = nn.BatchNorm2d(6)
        self.head = nn.Linear(6, 5)
        self.middle = middle

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.middle(self, images).mean((2, 3)))


def used_twice(net: Any, x: Tensor) -> Tensor:
    y = net.convolution(x)
    return (net.normalization(y) + y).relu()


def called_twice(net: Any, x: Tensor) -> Tensor:
    return (net.normalization(net.convolution(x)) + net.convolution(x.flip(3))).relu()


def functional(net: Any, x: Tensor) -> Tensor:
    norm = net.normalization
    return F.batch_norm(net.convolution(x), norm.running_mean, norm.running_var).relu()


def weights_read(net: Any, x: Tensor) -> Tensor:
    y = net.normalization(net.convolution(x)).relu()
    return y + F.conv2d(x, net.convolution.weight, padding=1)


def input_in_place(net: Any, x: Tensor) -> Tensor:
    return net.normalization(net.convolution(x.mul_(torch.tensor([1.0, 2.0, 3.0])[:, None, None])))


def activation_in_place(net: Any, x: Tensor) -> Tensor:
    return F.relu(net.normalization(net.convolution(x)), inplace=True)


def functional_dropout(net: Any, x: Tensor) -> Tensor:
    return F.dropout(net.normalization(net.convolution(x)), training=net.training).relu()


@pytest.mark.parametrize(
    "middle",
    [
        used_twice,
        called_twice,
        functional,
        weights_read,
        input_in_place,
        activation_in_place,
        functional_dropout,
    ],
)
@pytest.mark.filterwarnings("ignore:maps of")
def test_modules_used_in_any_way_give_the_networks_maps(
    middle: Callable[[Any, Tensor], Tensor],
) -> None:
    model = seeded(_Network(middle)).train()
    images = IMAGES.clone()
    assert agreement_with_a_plain_loop(model, 32) >= 0.9999
    assert torch.equal(IMAGES, images)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_branch_on_values_is_not_mistaken_for_the_one_that_was_seen(sign: int) -> None:
    def branch(net: Any, x: Tensor) -> Tensor:
        path = net.convolution if sign * float(x.mean()) > 0 else net.other
        return net.normalization(path(x)).relu()

    model = seeded(_Network(branch))
    with pytest.warns(RuntimeWarning, match="maps of _Network are right but slow"):
        assert agreement_with_a_plain_loop(model, 32) >= 0.9999


class _Standardized(nn.Conv2d):
    def forward(self, images: Tensor) -> Tensor:
        weight = F.layer_norm(self.weight, self.weight.shape[1:])
        return F.conv2d(images, weight, self.bias, self.stride, self.padding)


class _Doubling(nn.BatchNorm2d):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) * 2


@pytest.mark.parametrize(
    "make",
    [
        lambda: [_Standardized(3, 6, 3), nn.BatchNorm2d(6)],
        lambda: [weight_norm(nn.Conv2d(3, 6, 3)), nn.BatchNorm2d(6)],
        lambda: [nn.Conv2d(3, 6, 3, padding_mode="reflect", padding=1), nn.BatchNorm2d(6)],
        lambda: [nn.Conv2d(3, 6, 3, groups=3), nn.BatchNorm2d(6, affine=False)],
        lambda: [nn.Conv2d(3, 6, 3, dilation=2), nn.BatchNorm2d(6)],
        lambda: [nn.ConvTranspose2d(3, 6, 3), nn.BatchNorm2d(6)],
        lambda: [nn.Conv2d(3, 6, 3), _Doubling(6)],
    ],
)
@pytest.mark.filterwarnings("ignore:maps of")
def test_layers_of_every_kind_give_the_networks_maps(make: Callable[[], list[nn.Module]]) -> None:
    tail = [nn.ReLU(inplace=True), nn.Dropout(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    model = seeded(nn.Sequential(*make(), *tail, nn.Linear(6, 5)))
    assert agreement_with_a_plain_loop(model, 32) >= 0.9999


def test_a_rewriting_that_changes_gradients_is_dropped_and_that_is_told() -> None:
    network = prepared(nn.Sequential(nn.Conv2d(3, 6, 3), _Doubling(6), nn.Flatten()))
    with pytest.warns(
        RuntimeWarning, match="Sequential are right but slow.*gradients would change"
    ):
        assert accelerated(network, IMAGES) is network


def test_gradients_are_compared_and_not_only_embeddings() -> None:
    def changes_sign(net: Any, x: Tensor) -> Tensor:
        y = net.normalization(net.convolution(x))
        return y if isinstance(net.normalization, nn.BatchNorm2d) else 2 * y.detach() - y

    network = prepared(_Network(changes_sign))
    with pytest.warns(RuntimeWarning, match="gradients would change by 2"):
        assert accelerated(network, IMAGES) is network


def differences_of(offset: float) -> nn.Module:
    """Its second normalization takes differences of 1 between numbers around `offset`."""

    def make() -> nn.Module:
        model = nn.Sequential(
            *(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Conv2d(6, 6, 1), nn.BatchNorm2d(6)),
            *(nn.Tanh(), nn.Conv2d(6, 6, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        )
        nn.init.constant_(model[1].bias, offset)
        return model

    return trained(make, 32)


def test_where_rounding_decides_gradients_the_network_itself_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = differences_of(1e7)
    with pytest.warns(RuntimeWarning, match="model.double.*rounding in torch.float32 alone"):
        assert agreement_with_a_plain_loop(model, 32) >= 0.9999
    monkeypatch.setattr(acceleration, "ROUNDING", float("inf"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # In double precision the rewriting is right.
        assert agreement_with_a_plain_loop(model, 32) < 0.99


@pytest.mark.parametrize(("offset", "dtype"), [(10, torch.float32), (1e7, torch.float64)])
@pytest.mark.filterwarnings("error")
def test_where_rounding_is_little_the_network_is_rewritten(
    offset: float, dtype: torch.dtype
) -> None:
    network = differences_of(offset).to(dtype).eval().requires_grad_(False)
    faster = accelerated(network, IMAGES.to(dtype))
    assert kinds(network)[nn.BatchNorm2d] == 2
    assert kinds(faster)[nn.BatchNorm2d] == 0


@pytest.mark.parametrize("images", [(True, False), (True, True)], ids=["of one", "of all"])
def test_a_kink_that_rounding_crosses_says_nothing_of_the_network(images: tuple[bool, ...]) -> None:
    class Crossed(nn.Conv2d):  # rewritten, and in single precision: sees the other side
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = super().forward(x)
            if y.dtype != torch.float32 or self.weight.is_contiguous():
                return y
            return torch.where(torch.tensor(images)[:, None, None, None], 2 * y, y)

    model = nn.Sequential(
        *(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), Crossed(6, 4, 3)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    )
    network = prepared(model)
    if all(images):
        with pytest.warns(RuntimeWarning, match="rounding in torch.float32 alone"):
            assert accelerated(network, IMAGES) is network
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert accelerated(network, IMAGES) is not network


def test_statistics_of_the_batch_are_not_folded() -> None:
    model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6, track_running_stats=False))
    faster = accelerated(prepared(model), IMAGES)
    assert isinstance(faster[1], nn.BatchNorm2d)


def test_the_global_generator_is_untouched_by_networks_that_draw() -> None:
    network = prepared(_Network(lambda net, x: F.dropout(net.convolution(x))))
    before = torch.get_rng_state()
    accelerated(network, IMAGES)
    assert torch.equal(before, torch.get_rng_state())


class _Keeps(nn.Module):
    """Keeps a tensor of its first run, of that run's precision, as some attentions do."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.kept = nn.Conv2d(3, 6, 3), None

    def forward(self, images: Tensor) -> Tensor:
        features = self.convolution(images).mean((2, 3))
        if self.kept is None:
            self.kept = torch.eye(6, dtype=features.dtype)
        return features @ self.kept


@pytest.mark.parametrize("runs", [False, True])
@pytest.mark.filterwarnings("ignore:maps of")
def test_tensors_that_a_network_keeps_stay_of_its_precision(runs: bool) -> None:
    model = seeded(_Keeps()).eval()
    if runs:
        model(IMAGES)
    assert agreement_with_a_plain_loop(model, 32) >= 0.9999


@pytest.mark.parametrize("make", [residual, Untraceable, Patches])
@pytest.mark.filterwarnings("ignore:maps of")
def test_hooks_stay_and_see_tensors(make: Callable[[], nn.Module]) -> None:
    model, seen = seeded(make()), []
    for module in model.modules():
        module.register_forward_hook(lambda module, given, output: seen.append(output))
    saliency_maps(model, IMAGES, distance="lp", baseline=BLACK, samples=2)
    assert seen
    assert not any(isinstance(output, fx.Proxy) for output in seen)
    seen.clear()
    model(IMAGES)
    assert len(seen) >= len(list(model.children()))


def test_hooks_that_change_what_passes_count() -> None:
    model = residual()
    model.stem_bn.register_forward_hook(lambda module, given, output: output * 3 - 1)
    with pytest.warns(RuntimeWarning, match="right but slow"):
        assert agreement_with_a_plain_loop(model, 32) >= 0.9999


def test_a_rewritten_network_is_freed_with_its_last_user() -> None:
    gc.collect()
    gc.disable()
    try:
        network = prepared(models.resnet18(num_classes=9))
        faster = accelerated(network, F.interpolate(IMAGES, size=64))
        del network
        parts = [weakref.ref(module) for module in faster.modules()]
        del faster
        assert not any(part() for part in parts)
    finally:
        gc.enable()


def test_fast_under_float16_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processors emulate it: slow, but the numbers are those of a GPU's format.

    Those that have instructions for it may add up in it, too, which rounds more than a GPU does.
    """
    least = 0.98 if input_gradient.computes_float16(torch.device("cpu")) else 0.99
    monkeypatch.setattr(input_gradient, "computes_float16", lambda device: True)
    model = trained(lambda: models.resnet18(num_classes=9), 32)
    settings = {"distance": "lp", "baseline": BLACK, "samples": 4}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fast = saliency_maps(model, IMAGES, precision="fast", **settings)
    exact = saliency_maps(model, IMAGES, **settings)
    assert least < lowest_correlation(fast, exact) < 0.999999


@pytest.mark.parametrize(
    ("scale", "reason"),
    [
        (1e30, "overflow in float16"),
        (1e-20, "float16 alone changes its gradients by 1"),
        (1, "no instructions for float16"),
    ],
)
def test_fast_is_exact_where_float16_does_not_do_and_says_so(
    monkeypatch: pytest.MonkeyPatch, scale: float, reason: str
) -> None:
    monkeypatch.setattr(input_gradient, "computes_float16", lambda device: scale != 1)
    model = residual()
    with torch.no_grad():
        if scale > 1:
            model.stem_bn.weight *= scale
        else:
            model.head.weight *= scale
            model.head.bias *= scale
    settings = {"distance": "lp", "baseline": BLACK, "samples": 2}
    with pytest.warns(RuntimeWarning, match=f"the same as 'exact' here .*{reason}"):
        fast = saliency_maps(model, IMAGES, precision="fast", **settings)
    assert torch.equal(fast, saliency_maps(model, IMAGES, **settings))
