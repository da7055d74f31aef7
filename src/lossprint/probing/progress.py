"""Being told of the images that are done."""

from collections.abc import Callable

ImagesDone = Callable[[str, int, int], None]
"""Told what is made ("maps", "embeddings" or "stages"), and of how many of how many images."""


def untold(what: str, done: int, total: int) -> None:
    """Tell nobody."""
