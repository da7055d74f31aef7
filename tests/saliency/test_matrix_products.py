"""Batches of small matrix products against double precision, and weights laid out by shape."""

import pytest
import torch
from torch import Tensor

from lossprint.saliency import matrix_products
from lossprint.saliency.laid_out import LaidOut
from lossprint.saliency.matrix_products import RightFactors


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("columns", [32, 64, 96, 128, 7])
@pytest.mark.parametrize("rows", [6, 7, 11, 12, 31])
@pytest.mark.parametrize("depth", [1, 3, 64])
def test_products_are_those_of_matrices(rows: int, depth: int, columns: int) -> None:
    left, right = draw(3, rows, depth, seed=0), draw(3, depth, columns, seed=1)
    out = torch.full((3, rows, columns), torch.nan)
    RightFactors(right).multiply(left, out)
    expected = left.double() @ right.double()
    torch.testing.assert_close(out, expected.float(), atol=5e-5, rtol=0)


def test_other_processors_and_widths_take_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    left = draw(2, 8, 4, seed=1)
    monkeypatch.setattr(matrix_products, "_multiply", None)  # it does not come so far
    for wide, columns in ((False, 64), (True, 40)):
        monkeypatch.setattr(matrix_products, "has_wide_registers", lambda wide=wide: wide)
        right, out = draw(2, 4, columns, seed=0), torch.empty(2, 8, columns)
        RightFactors(right).multiply(left, out)
        torch.testing.assert_close(out, left @ right)


def test_weights_are_laid_out_once_for_each_shape_and_number_of_threads() -> None:
    asked: list[list[int]] = []

    def lay_out(shape: list[int]) -> Tensor:
        asked.append(shape)
        return torch.tensor(shape)

    weights = LaidOut(lay_out)
    maps = torch.empty(2, 3, 4, 5)
    assert weights.of(maps) is weights.of(maps.clone())
    weights.of(maps[:1])
    assert asked == [[2, 3, 4, 5], [1, 3, 4, 5]]
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(threads + 1)
        weights.of(maps)
    finally:
        torch.set_num_threads(threads)
    assert len(asked) == 3
