"""What anybody's images are found to be: each with its class, and which part the classes are."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lossprint.data.sources.listing import Listed

DEVELOPMENT = ("train", "training", "development", "dev", "trainval")
VALIDATION = ("val", "valid", "validation")
TEST = ("test", "testing", "query", "gallery", "eval", "evaluation")
PARTS = (*DEVELOPMENT, *VALIDATION, *TEST)


@dataclass(frozen=True)
class Found:
    """Images and, where it is told, which classes are in which part."""

    images: list[Listed]
    parts: Mapping[str, set[str]]
    left_out: Counter[str]
    notes: Sequence[str] = ()
    told_by: str = ""

    def test_classes(self) -> set[str]:
        tests = [part for part in self.parts if part in TEST]
        tests = tests or [part for part in self.parts if part in VALIDATION]
        return {name for part in tests for name in self.parts[part]}

    def development_classes(self) -> set[str]:
        has_test = any(part in TEST for part in self.parts)
        development = (*DEVELOPMENT, *VALIDATION) if has_test else DEVELOPMENT
        return {name for part in self.parts if part in development for name in self.parts[part]}
