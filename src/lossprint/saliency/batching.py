"""How many noisy copies go through a network at once."""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

CPU_PIXELS = 2**20
"""Pixels of a batch on a processor: twenty images of 227 px. Five or ten take more time each."""

GPU_SHARE = 0.6
"""Of the free memory of a GPU, what a batch may take."""

LARGEST_BATCH = 1024


class Batches:
    """Maps functions over tensors in batches that fit into memory.

    Args:
        size: rows at once.
    """

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError(f"batch_size must be at least 1, not {size}")
        self.size = size
        self._warned = False

    def __call__(self, function: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
        """Where memory runs out, halve the batch for good, warn once and go on.

        Args:
            function: [M, …] to [M, …], row by row.
            rows: what it is mapped over.

        Raises:
            torch.OutOfMemoryError: not even one row fits.
        """
        results: list[Tensor] = []
        start = 0
        while start < len(rows):
            part = rows[start : start + self.size]
            try:
                results.append(function(part))
            except torch.OutOfMemoryError:
                if len(part) == 1:
                    raise
                self._halve(len(part))
                continue
            start += len(part)
        return torch.cat(results)

    def _halve(self, tried: int) -> None:
        self.size = tried // 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"out of memory with {tried} noisy copies at once: going on with {self.size} or "
                "fewer",
                RuntimeWarning,
                stacklevel=2,
            )


def fitting_size(function: Callable[[Tensor], Tensor], example: Tensor) -> int:
    """A batch size for `function` on rows like those of `example` [2, C, H, W].

    On a GPU it follows from the memory that two rows take; on a processor from their pixels,
    because larger batches only take memory.
    """
    if example.device.type != "cuda":
        return max(1, CPU_PIXELS // (example.shape[2] * example.shape[3]))
    torch.cuda.reset_peak_memory_stats(example.device)
    before = torch.cuda.memory_allocated(example.device)
    function(example)
    row = (torch.cuda.max_memory_allocated(example.device) - before) / len(example)
    free, _ = torch.cuda.mem_get_info(example.device)
    return int(min(max(GPU_SHARE * free / max(row, 1), 1), LARGEST_BATCH))
