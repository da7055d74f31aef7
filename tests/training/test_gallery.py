import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from lossprint.training.gallery import (
    QUERY,
    RIGHT,
    WRONG,
    nearest_neighbors,
    neighbor_gallery,
    pick_queries,
)


def test_queries_are_spread_over_classes() -> None:
    labels = torch.tensor([3, 3, 0, 1, 0, 2, 4])
    assert pick_queries(labels, 3).tolist() == [2, 5, 6]
    assert pick_queries(labels, 99).tolist() == [2, 3, 5, 0, 6]


@pytest.mark.parametrize("block", [7, 4096])
def test_neighbors_are_those_by_cosine(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lossprint.training.gallery.BLOCK", block)
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(40, 6, generator=generator)
    queries = torch.tensor([5, 0, 39])
    oracle = NearestNeighbors(n_neighbors=5, metric="cosine").fit(embeddings.numpy())
    expected = oracle.kneighbors(embeddings[queries].numpy(), return_distance=False)[:, 1:]
    assert nearest_neighbors(embeddings, queries, 4).tolist() == expected.tolist()


def test_a_query_is_never_its_own_neighbor() -> None:
    neighbors = nearest_neighbors(torch.ones(4, 2), torch.tensor([0, 2]), 99)
    assert neighbors.tolist() == [[1, 2, 3], [0, 1, 3]]


def test_frames_tell_right_from_wrong() -> None:
    images = torch.arange(4, dtype=torch.uint8).mul(60)[:, None, None, None].expand(4, 3, 8, 8)
    labels = torch.tensor([0, 0, 1, 1])
    picture = neighbor_gallery(
        images, labels, torch.tensor([0, 3]), torch.tensor([[1, 2], [0, 2]]), tile=48
    )
    pixels = np.asarray(picture)
    assert pixels.shape == (96, 3 * 48 + 12, 3)
    frame = {(line, column): pixels[48 * line + 47 - 2, left + 24] for line in range(2)
             for column, left in enumerate((0, 60, 108))}  # fmt: skip
    assert {key: tuple(value.tolist()) for key, value in frame.items()} == {
        (0, 0): QUERY, (0, 1): RIGHT, (0, 2): WRONG,
        (1, 0): QUERY, (1, 1): WRONG, (1, 2): RIGHT,
    }  # fmt: skip
    # the pictures themselves, away from frames and crosses
    centers = [[int(pixels[48 * line + 30, left + 16, 0]) for left in (0, 60, 108)]
               for line in range(2)]  # fmt: skip
    assert centers == [[0, 60, 120], [180, 0, 120]]


def test_wrong_shapes_are_refused() -> None:
    labels, queries, neighbors = torch.zeros(4), torch.tensor([0]), torch.tensor([[1]])
    with pytest.raises(ValueError, match=r"uint8 \[N, 3, H, W\], not torch.float32 \[4, 3, 8, 8\]"):
        neighbor_gallery(torch.zeros(4, 3, 8, 8), labels, queries, neighbors)
    images = torch.zeros(5, 3, 8, 8, dtype=torch.uint8)
    with pytest.raises(ValueError, match="5 images, 4 labels"):
        neighbor_gallery(images, labels, queries, neighbors)
