"""Which frames a rendering process takes next: those of one design together."""

from collections import deque
from collections.abc import Iterable

from lossprint.rendering.sampling import Scene

LARGEST_CHUNK = 64
# Per process, so that none waits long for the last chunk of another.
_CHUNKS_PER_WORKER = 4


class ChunksByDesign:
    """Chunks of scenes of one design each; a process keeps its design while it has scenes left.

    A process whose design is used up takes a design that nobody has begun, if there is one, else
    helps with the one that has the most scenes left.
    """

    def __init__(self, scenes: Iterable[Scene], workers: int) -> None:
        self._left: dict[int, deque[Scene]] = {}
        total = 0
        for scene in scenes:
            self._left.setdefault(scene.design, deque()).append(scene)
            total += 1
        self._begun: set[int] = set()
        self._length = max(1, min(LARGEST_CHUNK, total // (max(1, workers) * _CHUNKS_PER_WORKER)))

    def next_chunk(self, previous: list[Scene] | None) -> list[Scene] | None:
        """The chunk to follow `previous` in the process that did it; None when all are taken."""
        if not self._left:
            return None
        design = previous[0].design if previous else None
        if design not in self._left:
            design = max(
                self._left, key=lambda each: (each not in self._begun, len(self._left[each]))
            )
        self._begun.add(design)
        scenes = self._left[design]
        chunk = [scenes.popleft() for _ in range(min(self._length, len(scenes)))]
        if not scenes:
            del self._left[design]
        return chunk
