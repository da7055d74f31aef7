"""The embedding loop: images to embeddings, reading ahead, continued where it was cut off."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from lossprint.tensor_files import load_tensors, save_tensors

ImagesDone = Callable[[int], None]
"""Told how many images are done."""


@torch.no_grad()
def embed(
    model: nn.Module, batches: Iterable[Tensor], *, progress: ImagesDone = lambda done: None
) -> Tensor:
    """Embed batches of images, preparing the next batch while the device works on this one.

    The model is put into evaluation mode for the time and left as it was.

    Args:
        model: images [B, 3, H, W] → embeddings [B, D].
        batches: of the model's input, on any device; they are taken by another thread.
        progress: told after each batch; an accelerator may still be at work on it.

    Returns:
        [N, D] float32 on the CPU, not normalized.

    Raises:
        ValueError: there is no batch.
    """
    weight = next(model.parameters(), torch.empty(0))
    found: list[Tensor] = []
    done = 0
    with evaluating(model):
        for batch in _one_ahead(batches):
            # Results stay on the device until the end: fetching one would wait for it.
            dtype = weight.dtype if batch.is_floating_point() else batch.dtype
            seen = batch.to(weight.device, dtype, non_blocking=True)
            found.append(model(seen).float())
            done += len(batch)
            progress(done)
    if not found:
        raise ValueError("there are no images to embed")
    return torch.cat(found).cpu()


def embed_in_parts(
    model: nn.Module,
    batch: Callable[[range], Tensor],
    count: int,
    parts: Path | str,
    *,
    batch_size: int = 256,
    part_size: int = 8192,
    progress: ImagesDone = lambda done: None,
) -> Tensor:
    """Embed a large set; every `part_size` images are kept, so that an interruption costs no more.

    Args:
        model: images [B, 3, H, W] → embeddings [B, D].
        batch: rows → the model's input for these rows.
        count: of images, N.
        parts: folder of what is done, which nothing else uses. Its name must stand for the model
            and the images, and whoever keeps the result removes it.
        batch_size: images at once.
        part_size: images to a file.
        progress: told of the images done, those of an earlier attempt among them.

    Returns:
        [N, D] float32 on the CPU, not normalized.
    """
    parts = Path(parts)
    found = []
    for start in range(0, count, part_size):
        rows = range(start, min(start + part_size, count))
        path = parts / f"{rows.start}-{rows.stop}.safetensors"
        part = _read_part(path)
        if part is None:
            part = embed(
                model,
                (
                    batch(rows[first : first + batch_size])
                    for first in range(0, len(rows), batch_size)
                ),
                progress=lambda done, before=start: progress(before + done),  # type: ignore[misc]
            )
            save_tensors({"embeddings": part}, path)
        else:
            progress(rows.stop)
        found.append(part)
    if not found:
        raise ValueError("there are no images to embed")
    return torch.cat(found)


def device_of(model: nn.Module) -> torch.device:
    """Of a network's first weight; the CPU for a network without any."""
    return next((weight.device for weight in model.parameters()), torch.device("cpu"))


def _read_part(path: Path) -> Tensor | None:
    try:
        return load_tensors(path)["embeddings"]
    except (FileNotFoundError, ValueError, KeyError):  # damaged, e.g. by a full disk
        return None


def _one_ahead(batches: Iterable[Tensor]) -> Iterator[Tensor]:
    """The same batches, each next one taken by another thread meanwhile."""
    source = iter(batches)
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, source, None)
        while (batch := coming.result()) is not None:
            coming = pool.submit(next, source, None)
            yield batch


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode; afterwards every part of the model is in the mode it was in."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
