"""Concatenated embeddings: every network has the same say."""

import pytest
import torch

from lossprint.metrics.concatenation import concatenated


def test_inner_products_are_sums_of_cosines() -> None:
    generator = torch.Generator().manual_seed(0)
    parts = [torch.randn(7, d, generator=generator) * scale for d, scale in ((4, 1.0), (3, 100.0))]
    joined = concatenated(parts)
    assert joined.shape == (7, 7)
    cosines = sum(
        torch.nn.functional.cosine_similarity(part[:, None], part[None], dim=2) for part in parts
    )
    torch.testing.assert_close(joined @ joined.T, cosines)


def test_embeddings_of_other_images_are_refused() -> None:
    with pytest.raises(ValueError, match="of the same images are needed; got 3, 4"):
        concatenated([torch.ones(3, 2), torch.ones(4, 2)])
    with pytest.raises(ValueError, match="got none"):
        concatenated([])
