"""A part of a set, for machines that render it together."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Shard:
    """Part `number` of `of`, counted from 1: every `of`-th frame."""

    number: int = 1
    of: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise ValueError(
                f"shard = {self.number}/{self.of} is not valid; it is k/n with 1 ≤ k ≤ n"
            )

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Read `k/n`.

        Raises:
            ValueError: the text is not of this form, or k is not in 1 … n.
        """
        number, _, of = str(text).partition("/")
        if not (number.isdecimal() and of.isdecimal()):
            raise ValueError(f"shard = {text!r} is not valid; it is k/n with 1 ≤ k ≤ n, as in 1/4")
        return cls(int(number), int(of))

    def frames(self, total: int) -> range:
        """The part's frames of 0 … total − 1."""
        return range(self.number - 1, total, self.of)
