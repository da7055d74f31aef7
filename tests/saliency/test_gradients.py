"""Saliency maps against the study's numbers, a closed form and a plain loop."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_metric_learning import distances as pml
from torch import Tensor, nn

from lossprint.saliency import input_gradient, saliency_maps
from lossprint.saliency.distances import DISTANCES
from tests.saliency.networks import Patches, Untraceable, residual, seeded

# Some networks here cannot be rewritten for speed, and processors without float16 are told of it.
pytestmark = pytest.mark.filterwarnings("ignore:maps of", "ignore:precision='fast'")

GOLDEN = np.load(Path(__file__).parent / "golden" / "saliency.npz", allow_pickle=False)


def golden(name: str) -> Tensor:
    return torch.from_numpy(GOLDEN[name])


def golden_network(number: int) -> nn.Sequential:
    layers = nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=2, padding=2),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 12),
    )
    prefix = f"net{number}."
    layers.load_state_dict(
        {name.removeprefix(prefix): golden(name) for name in GOLDEN.files if prefix in name}
    )
    return layers.eval()


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


IMAGES = draw(3, 3, 20, 20)
BLACK = torch.full((3, 20, 20), -0.5)


def maps_of(model: nn.Module, images: Tensor = IMAGES, **settings: Any) -> Tensor:
    return saliency_maps(
        model, images, **{"distance": "lp", "baseline": BLACK, "samples": 4, **settings}
    )


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("distance", ["lp", "lp_squared", "cosine", "dot", "snr"])
def test_agrees_with_the_published_analysis(distance: str, number: int) -> None:
    maps = saliency_maps(
        golden_network(number),
        golden("images"),
        distance=distance,
        baseline=golden("baseline_image"),
        noise=golden("noise"),
    )
    torch.testing.assert_close(maps, golden(f"map.{distance}.{number}"), atol=1e-5, rtol=0)


def plain_loop(model: nn.Module, noise: Tensor, score: Any) -> Tensor:
    """The method written down as it is described, one copy at a time, in double precision."""
    model, images, black = copy.deepcopy(model).double(), IMAGES.double(), BLACK.double()
    target = model(black[None])[0].detach()
    maps = []
    for image, draws in zip(images, noise.double(), strict=True):
        total = torch.zeros(20, 20, dtype=torch.float64)
        for one in draws:
            noisy = (image + 0.15 * (image.max() - image.min()) * one).requires_grad_()
            score(model(noisy[None])[0], target).backward()
            total += noisy.grad.mean(0).abs()
        low, high = total.min(), np.percentile(total.numpy(), 99)
        maps.append(((total - low) / (high - low)).clamp(0, 1))
    return torch.stack(maps)


def unit(vector: Tensor) -> Tensor:
    return vector / vector.norm()


@pytest.mark.parametrize("make", [residual, lambda: seeded(Patches()).eval()])
def test_double_precision_agrees_with_a_plain_loop(make: Any) -> None:
    model, noise = make(), draw(3, 4, 3, 20, 20, seed=1)
    expected = plain_loop(model, noise, lambda e, t: (unit(e) - unit(t)).norm())
    maps = maps_of(copy.deepcopy(model).double(), IMAGES.double(), noise=noise)
    assert maps.dtype == torch.float64
    torch.testing.assert_close(maps, expected, atol=1e-10, rtol=0)
    torch.testing.assert_close(maps_of(model, noise=noise), expected.float(), atol=1e-4, rtol=0)


def test_a_model_that_cannot_be_traced_agrees_too() -> None:
    model, noise = seeded(Untraceable()), draw(3, 2, 3, 20, 20)
    expected = plain_loop(model, noise, lambda e, t: (unit(e) - unit(t)).norm())
    # One copy a batch, because this model's output depends on the whole batch.
    maps = maps_of(model, noise=noise, batch_size=1)
    torch.testing.assert_close(maps, expected.float(), atol=1e-4, rtol=0)


def test_a_linear_model_has_a_closed_form() -> None:
    """Of e = W x and s = e · r with r fixed, |mean over channels of Wᵀ r| whatever the noise."""
    model = seeded(nn.Sequential(nn.Flatten(), nn.Linear(3 * 20 * 20, 4)))
    inner = maps_of(model, distance=lambda e, r: e @ r.T, samples=3)
    with torch.no_grad():
        target = model(BLACK[None])[0]
        gradient = (target @ model[1].weight).view(3, 20, 20).mean(0).abs()
    high = np.percentile(gradient.numpy(), 99)
    expected = ((gradient - gradient.min()) / (high - gradient.min())).clamp(0, 1)
    torch.testing.assert_close(inner, expected.expand(3, -1, -1), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("name", "distance"),
    [
        ("lp", pml.LpDistance()),
        ("lp_squared", pml.LpDistance(power=2)),
        ("cosine", pml.CosineSimilarity()),
        ("dot", pml.DotProductSimilarity()),
        ("snr", pml.SNRDistance()),
    ],
)
def test_distances_are_those_of_pytorch_metric_learning(name: str, distance: nn.Module) -> None:
    embeddings, reference = draw(5, 8), draw(8, seed=1)
    torch.testing.assert_close(
        DISTANCES[name](embeddings, reference), distance(embeddings, reference[None])[:, 0]
    )
    model = residual()
    torch.testing.assert_close(
        maps_of(model, distance=distance), maps_of(model, distance=name), atol=1e-4, rtol=0
    )


def test_the_distance_to_itself_has_no_gradient() -> None:
    embedding = draw(1, 8).requires_grad_()
    DISTANCES["lp"](embedding, embedding.detach()[0]).sum().backward()
    assert (embedding.grad == 0).all()


def test_noise_is_shared_by_models_orders_and_batches() -> None:
    model = residual()
    maps = maps_of(model)
    torch.testing.assert_close(maps_of(model, IMAGES.flip(0)).flip(0), maps, atol=1e-5, rtol=0)
    for size in (1, 3, 100):
        torch.testing.assert_close(maps_of(model, batch_size=size), maps, atol=1e-5, rtol=0)
    assert not torch.allclose(maps_of(model, seed=1), maps, atol=1e-2)


def test_identities_give_differently_preprocessed_images_one_noise() -> None:
    names = ["a", "b", "c"]
    swapped = nn.Sequential(_SwapChannels(), residual())
    torch.testing.assert_close(
        maps_of(residual(), noise=(noise := draw(3, 4, 3, 20, 20))),
        maps_of(swapped, IMAGES.flip(1), noise=noise.flip(2), baseline=BLACK.flip(0)),
        atol=1e-4,
        rtol=0,
    )
    first, again = (maps_of(residual(), image_ids=names) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.allclose(first, maps_of(residual(), image_ids=names[::-1]), atol=1e-2)


class _SwapChannels(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.flip(1)


def test_a_generator_gives_private_noise() -> None:
    model = residual()
    one, two, other = (
        maps_of(model, generator=torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    )
    assert torch.equal(one, two)
    assert not torch.allclose(one, other, atol=1e-2)


def test_the_global_generator_is_untouched() -> None:
    model = residual()
    before = torch.get_rng_state()
    maps_of(model)
    assert torch.equal(before, torch.get_rng_state())


def test_a_reference_takes_the_baselines_place() -> None:
    model, noise = residual(), draw(3, 4, 3, 20, 20)
    torch.testing.assert_close(
        maps_of(model, noise=noise, reference=IMAGES[0]),
        maps_of(model, noise=noise, baseline=IMAGES[0]),
    )


def test_each_image_has_a_reference_of_its_own() -> None:
    model, others = residual(), IMAGES.flip(0)
    together = maps_of(model, reference=others)
    for row, other in enumerate(others):
        torch.testing.assert_close(together[row], maps_of(model, reference=other)[row])


def test_a_map_without_gradient_is_zero() -> None:
    model = residual()
    nn.init.zeros_(model.stem.weight)
    assert (maps_of(model) == 0).all()


@pytest.mark.parametrize("fails", [False, True])
def test_the_callers_model_comes_back_as_it_was(fails: bool) -> None:
    model = residual().half().train()
    model.inner.eval()
    model.stem.weight.requires_grad_(False)
    model.head.bias.grad = torch.ones(5, dtype=torch.float16)
    state = copy.deepcopy(model.state_dict())
    modes = [module.training for module in model.modules()]
    if fails:
        with pytest.raises(ZeroDivisionError):
            maps_of(model, distance=lambda e, r: 1 / 0)
    else:
        maps_of(model)
    assert [module.training for module in model.modules()] == modes
    assert [p.requires_grad for p in model.parameters()].count(False) == 1
    assert (model.head.bias.grad == 1).all()
    assert model.head.weight.grad is None
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert model.head.weight.dtype == torch.float16


@pytest.mark.parametrize("fails", [False, True])
def test_a_model_that_cannot_be_copied_is_given_back(fails: bool) -> None:
    model = residual().train()
    model.kept = model.head.weight * 2  # a graph, which deepcopy refuses
    score: Any = (lambda e, r: 1 / 0) if fails else "lp"
    if fails:
        with pytest.raises(ZeroDivisionError):
            maps_of(model, distance=score)
    else:
        reference = maps_of(residual())
        torch.testing.assert_close(maps_of(model, distance=score), reference, atol=1e-4, rtol=0)
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_images_made_under_inference_mode_work() -> None:
    with torch.inference_mode():
        maps = maps_of(residual(), IMAGES.clone())
    torch.testing.assert_close(maps, maps_of(residual()))


class _RunsOut(nn.Module):
    """Has room for two images at once."""

    def __init__(self) -> None:
        super().__init__()
        self.network = residual()

    def forward(self, images: Tensor) -> Tensor:
        LARGEST.append(len(images))
        if len(images) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return self.network(images)


LARGEST: list[int] = []


def test_out_of_memory_halves_the_batch_and_is_told_once() -> None:
    LARGEST.clear()
    with pytest.warns(RuntimeWarning, match="going on with") as told:
        maps = maps_of(_RunsOut(), batch_size=12)
    assert sum("out of memory" in str(one.message) for one in told) == 1
    assert max(LARGEST[-3:]) <= 2
    torch.testing.assert_close(maps, maps_of(residual()), atol=1e-4, rtol=0)


def test_progress_is_told_up_to_the_last_image() -> None:
    told: list[int] = []
    maps_of(residual(), samples=2, batch_size=2, progress=told.append)
    assert told == [1, 2, 3]


class _Deep(nn.Module):
    """Every kind of fused convolution, wide enough for each to be taken, and ReLUs after each."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 48, 7, stride=2, padding=3)
        self.three = nn.Conv2d(48, 64, 3, padding=1)
        self.down = nn.Conv2d(64, 64, 3, stride=2, padding=1)
        self.left, self.right = nn.Conv2d(64, 32, 1), nn.Conv2d(64, 32, 1)
        self.head = nn.Linear(64, 16)

    def forward(self, images: Tensor) -> Tensor:
        x = self.down(self.three(self.stem(images).relu()).relu()).relu()
        x = torch.cat([self.left(x).relu(), self.right(x).relu()], 1)
        return self.head(x.mean((2, 3)))


@pytest.mark.parametrize(("precision", "agreement"), [("exact", 0.9999), ("fast", 0.99)])
@pytest.mark.parametrize("seed", range(3))
def test_precisions_agree_with_double_precision_as_far_as_they_say(
    precision: str, agreement: float, seed: int
) -> None:
    torch.manual_seed(seed)
    model, images, black = _Deep(), draw(2, 3, 64, 64, seed=seed), torch.full((3, 64, 64), -0.5)
    expected = maps_of(model.double(), images.double(), baseline=black, samples=10)
    found = maps_of(model.float(), images, baseline=black, samples=10, precision=precision)
    for one, other in zip(found, expected, strict=True):
        r = np.corrcoef(one.flatten().numpy(), other.flatten().numpy())[0, 1]
        assert agreement < r < 1


@pytest.mark.parametrize("float16", [False, True])
@pytest.mark.parametrize("precision", ["exact", "fast"])
def test_small_gradients_do_not_vanish(
    precision: str, float16: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In float16 the weights would be zeros, so it is not used."""
    monkeypatch.setattr(input_gradient, "computes_float16", lambda device: float16)
    model, faint = residual(), residual()
    with torch.no_grad():
        faint.head.weight *= 1e-20
        faint.head.bias *= 1e-20
    torch.testing.assert_close(
        maps_of(faint, precision=precision, distance=lambda e, r: e @ r.T * 1e20),
        maps_of(model, distance=lambda e, r: e @ r.T),
        atol=1e-2,
        rtol=0,
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"images": IMAGES[0]}, r"images must be a non-empty \[N, C, H, W\], not \[3, 20, 20\]"),
        ({"images": IMAGES.byte()}, "preprocessed to floating point, not torch.uint8"),
        ({"baseline": BLACK[None]}, r"baseline must be one image .* not \[1, 3, 20, 20\]"),
        ({"reference": BLACK[:, 1:]}, r"reference must be one image .* not \[3, 19, 20\]"),
        ({"reference": IMAGES[:2]}, r"or one for each, \[3, 3, 20, 20\], not \[2, 3, 20, 20\]"),
        ({"distance": "euclid"}, "unknown distance 'euclid': use one of lp, lp_squared, cosine"),
        ({"distance": 3}, "distance 3 is neither a name"),
        ({"distance": lambda e, r: e}, r"gave shape \(\d+, 5\)"),
        (
            {"noise": draw(2, 4, 3, 20, 20)},
            r"noise must be \[N, S, C, H, W\] = \[3, S, 3, 20, 20\]",
        ),
        ({"samples": 0}, "samples must be at least 1, not 0"),
        ({"percentile": 0}, r"percentile must lie in \(0, 100\], not 0"),
        ({"batch_size": 0}, "batch_size must be at least 1, not 0"),
        ({"image_ids": ["a"]}, "image_ids names 1 images, but there are 3"),
        ({"precision": "half"}, "unknown precision 'half': use exact or fast"),
        ({"images": IMAGES / 0}, "image 0 has values that are not finite"),
        ({"distance": lambda e, r: e.sum(1) * torch.inf}, "gradient of image 0 is not finite"),
        (
            {"distance": lambda e, r: e.sum(1) * torch.inf, "precision": "fast"},
            "gradient of image 0 is not finite",
        ),
        ({"model": nn.Conv2d(3, 2, 3)}, r"embeddings \[N, D\], one row for each image: 1 images"),
    ],
)
def test_bad_input_is_named(settings: dict[str, Any], message: str) -> None:
    model = settings.get("model", residual())
    settings = {name: value for name, value in settings.items() if name != "model"}
    with pytest.raises(ValueError, match=message):
        maps_of(model, **settings)


def test_noise_and_a_generator_are_too_much() -> None:
    with pytest.raises(ValueError, match="either noise or a generator"):
        maps_of(residual(), noise=draw(3, 2, 3, 20, 20), generator=torch.Generator())
