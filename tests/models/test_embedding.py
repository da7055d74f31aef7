"""The embedding loop: same numbers as the model alone, and no image twice after an interruption."""

import pytest
import torch
from torch import nn

from lossprint.models.embedding import embed, embed_in_parts


def small_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, 5)
    )


def test_embeddings_are_those_of_the_model_in_evaluation_mode():
    model = small_model()
    model[1].eval()  # frozen, as some protocols have it
    images = torch.randn(10, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    running = model[1].running_mean.clone()
    embeddings = embed(model, images.split(4))
    assert [module.training for module in model] == [True, False, True, True, True]
    torch.testing.assert_close(model[1].running_mean, running)
    assert not embeddings.requires_grad
    model.eval()
    torch.testing.assert_close(embeddings, model(images).detach())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_images_take_the_precision_of_the_model(dtype):
    model, images = small_model(), torch.randn(4, 3, 8, 8)
    expected = embed(model, [images])
    found = embed(model.to(dtype), [images])
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0.1, atol=0.05)


def test_a_failure_to_read_is_passed_on_and_the_mode_restored():
    def broken():
        yield torch.zeros(1, 3, 8, 8)
        raise OSError("image 7 is damaged")

    model = small_model()
    with pytest.raises(OSError, match="image 7"):
        embed(model, broken())
    assert model.training
    with pytest.raises(ValueError, match="no images"):
        embed(model, [])


def test_an_interrupted_set_is_continued(tmp_path):
    model = small_model().eval()
    images = torch.randn(25, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    seen: list[int] = []

    def batch(rows: range, until: int = 25) -> torch.Tensor:
        if rows.stop > until:
            raise KeyboardInterrupt
        seen.extend(rows)
        return images[list(rows)]

    sizes = {"batch_size": 4, "part_size": 10}
    with pytest.raises(KeyboardInterrupt):
        embed_in_parts(model, lambda rows: batch(rows, until=15), 25, tmp_path / "parts", **sizes)
    assert sorted(path.name for path in (tmp_path / "parts").iterdir()) == ["0-10.safetensors"]
    seen.clear()
    told: list[int] = []
    embeddings = embed_in_parts(model, batch, 25, tmp_path / "parts", **sizes, progress=told.append)
    assert seen == list(range(10, 25))
    assert told == [10, 14, 18, 20, 24, 25]  # what was there, then each batch
    torch.testing.assert_close(embeddings, model(images).detach())

    (tmp_path / "parts" / "10-20.safetensors").write_bytes(b"damaged")
    again = embed_in_parts(model, batch, 25, tmp_path / "parts", **sizes)
    torch.testing.assert_close(again, embeddings)
