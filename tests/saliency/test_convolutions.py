"""Convolutions of the processor and their input gradients against autograd in double precision."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from lossprint.saliency.convolutions import convolution, input_gradient
from lossprint.saliency.fused_convolution import FusedConvolution
from lossprint.saliency.pixel_rows import gated, pixel_rows
from lossprint.saliency.quantized import quantized
from lossprint.saliency.winograd import WinogradConvolution, is_faster

needs_vnni = pytest.mark.skipif(
    not torch.cpu._is_vnni_supported(), reason="the processor has no 8-bit products"
)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def last(maps: Tensor) -> Tensor:
    return maps.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("size", [(3, 3), (4, 9), (13, 6)])
@pytest.mark.parametrize("width", [7, 32])
def test_winograd_is_a_convolution(width: int, size: tuple[int, int], padding: int) -> None:
    images, weight, bias = draw(2, 5, *size), draw(width, 5, 3, 3, seed=1), draw(width, seed=2)
    expected = conv2d(images.double(), weight.double(), bias.double(), padding=padding)
    for relu in (False, True):
        found = WinogradConvolution(weight, bias, padding, relu=relu)(last(images))
        right = expected.relu() if relu else expected
        torch.testing.assert_close(found, right.float(), atol=5e-5, rtol=0)


def test_winograd_takes_blocks_masks_and_channels_of_a_larger_map() -> None:
    larger, mask = last(draw(3, 150, 40, 40)), draw(3, 128, 40, 40, seed=1)
    weight = draw(64, 128, 3, 3, seed=2) / 30
    found = WinogradConvolution(weight, None, 1, relu=False)(larger[:, 7:135], mask)
    expected = conv2d(larger[:, 7:135].double() * (mask > 0), weight.double(), padding=1)
    torch.testing.assert_close(found, expected.float(), atol=2e-5, rtol=0)


def test_winograd_rounds_about_as_little_as_a_plain_convolution() -> None:
    images, weight = last(draw(1, 64, 16, 16)), draw(64, 64, 3, 3, seed=1) / 24
    expected = conv2d(images.double(), weight.double(), padding=1)
    found = WinogradConvolution(weight, None, 1, relu=False)(images)
    assert (found - expected).square().mean().sqrt() < 1e-6 * expected.std()


def test_winograd_is_for_3x3_kernels_and_many_channels() -> None:
    assert is_faster(draw(64, 64, 3, 3), (1, 1))
    assert not is_faster(draw(64, 8, 3, 3), (1, 1))
    assert not is_faster(draw(64, 64, 5, 5), (1, 1))
    assert not is_faster(draw(64, 64, 3, 3), (0, 1))


GEOMETRIES = [  # outputs, inputs, kernel, stride, padding, size
    (6, 5, (1, 1), 1, (0, 0), (7, 8)),
    (64, 48, (3, 3), 1, (1, 1), (9, 6)),
    (6, 5, (3, 3), 2, (1, 1), (9, 10)),
    (6, 5, (3, 2), 3, (2, 0), (11, 8)),
    (6, 1, (5, 7), 2, (2, 3), (12, 9)),
    (6, 5, (1, 1), 2, (0, 0), (7, 7)),
    (6, 5, (4, 4), 4, (0, 0), (10, 9)),
    (6, 5, (1, 3), 1, (0, 2), (5, 5)),
]


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("quantize", [False, pytest.param(True, marks=needs_vnni)])
def test_input_gradients_are_those_of_autograd(geometry: tuple, quantize: bool) -> None:
    outputs, inputs, kernel, stride, padding, size = geometry
    images = draw(3, inputs, *size).double().requires_grad_()
    weight = draw(outputs, inputs, *kernel, seed=1)
    result = conv2d(images, weight.double(), None, stride, padding).relu()
    gradient = draw(*result.shape, seed=2)
    (expected,) = torch.autograd.grad(result, images, gradient.double())
    found = input_gradient(weight, (stride, stride), padding, quantize=quantize)(
        [last(gradient)], [last(result.detach().float())], size
    )
    error = (found - expected).square().mean().sqrt() / expected.std()
    assert error < (0.03 if quantize else 1e-6)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_convolutions_are_those_of_torch(geometry: tuple) -> None:
    outputs, inputs, kernel, stride, padding, size = geometry
    images, weight, bias = draw(3, inputs, *size), draw(outputs, inputs, *kernel), draw(outputs)
    found = convolution(weight, bias, (stride, stride), padding, relu=True)(images)
    expected = conv2d(images.double(), weight.double(), bias.double(), stride, padding).relu()
    torch.testing.assert_close(found, expected.float(), atol=1e-4, rtol=0)


def test_parallel_convolutions_run_as_one() -> None:
    parts = [nn.Conv2d(6, width, 1) for width in (4, 3, 5)]
    fused = FusedConvolution(parts, [True, False, True], quantize=False, sees_image=False)
    images = last(draw(2, 6, 5, 5)).requires_grad_()
    expected = [part(images) for part in parts]
    expected = [expected[0].relu(), expected[1], expected[2].relu()]
    found = fused(images)
    cotangents = [draw(*part.shape, seed=number) for number, part in enumerate(expected)]
    torch.testing.assert_close(list(found), expected)
    torch.testing.assert_close(
        torch.autograd.grad(found, images, cotangents),
        torch.autograd.grad(expected, images, cotangents),
    )


def test_the_image_gets_the_mean_of_its_channels_gradients() -> None:
    plain = nn.Conv2d(3, 8, 5, stride=2, padding=2)
    fused = FusedConvolution([plain], [False], quantize=False, sees_image=True)
    images = last(draw(2, 3, 11, 12)).requires_grad_()
    cotangent = draw(2, 8, 6, 6)
    (expected,) = torch.autograd.grad(plain(images), images, cotangent)
    (found,) = torch.autograd.grad(fused(images), images, cotangent)
    torch.testing.assert_close(found, expected.mean(1, keepdim=True).expand_as(found))


def test_codes_are_within_half_a_step() -> None:
    gradients, opened = [last(draw(2, 4, 3, 5)), draw(2, 3, 3, 5, seed=1)], draw(2, 4, 3, 5, seed=2)
    codes, scale = quantized(gradients, [opened, None])
    values = torch.cat([gradients[0] * (opened > 0), gradients[1]], 1)
    assert scale == pytest.approx(float(values.abs().max()) / 127)
    assert ((codes.float() - 128) * scale - values).abs().max() <= 0.5001 * scale


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_gradients_that_are_not_finite_show_in_the_scale(value: float) -> None:
    gradient = draw(1, 20, 4, 4)
    gradient[0, 17, 2, 1] = value
    _, scale = quantized([last(gradient)], [None])
    assert not torch.tensor(scale).isfinite()


def test_gradients_of_zero_stay_zero() -> None:
    codes, scale = quantized([torch.zeros(1, 3, 2, 2)], [None])
    assert (codes == 128).all()
    assert scale == 1


def test_gates_are_open_where_outputs_are_positive() -> None:
    left, right = draw(2, 3, 4, 5), last(draw(2, 9, 4, 5, seed=1))[:, 2:6]
    mask = draw(2, 4, 4, 5, seed=2)
    found = gated([left, right], [None, mask])
    torch.testing.assert_close(found, torch.cat([left, right * (mask > 0)], 1))


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 3, 4, 1), (2, 1, 1, 1), (3, 4, 1, 2)])
def test_rows_are_pixels_however_maps_are_laid_out(shape: tuple[int, ...]) -> None:
    maps = draw(*shape)
    expected = maps.permute(0, 2, 3, 1).flatten(0, 2)
    wider = last(torch.cat([maps, maps, maps], 1))[:, shape[1] : 2 * shape[1]]
    for layout in (maps, last(maps), wider):
        rows = torch.from_numpy(pixel_rows(layout)[:, : shape[1]].copy())
        torch.testing.assert_close(rows, expected, atol=0, rtol=0)
