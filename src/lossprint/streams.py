"""Random streams of their own for whatever draws: keyed by a seed and by what is drawn.

Streams of different keys are independent, and each is the same however many others there are.
"""

import zlib

import numpy as np


def stream(seed: int, *key: str | int) -> np.random.PCG64:
    """The bits that belong to (seed, key).

    Args:
        seed: ≥ 0.
        key: words and numbers ≥ 0 that tell this stream from others of the seed, e.g. "crops" and
            the training step.
    """
    words = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in key]
    return np.random.PCG64(np.random.SeedSequence([seed, *words]))


def stream_seed(seed: int, *key: str | int) -> int:
    """A seed of 63 bits for generators that are no NumPy's, e.g. PyTorch's; see `stream`."""
    return int(stream(seed, *key).random_raw()) >> 1
