"""Plain sentences from the statistics: what differs, by how much, against which noise floor.

Nothing here computes a statistic; every number in a sentence stands in a table. A sentence claims
a difference only where a test at the level `evidence.alpha` found one, and says that nothing can
be concluded where no outcome of the test could have found one.
"""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What a finding lets one say."""

    DIFFERENT = "different"
    NOT_SHOWN = "no difference shown"
    UNDECIDABLE = "cannot be concluded"
    OBSERVED = "observed"


@dataclass(frozen=True)
class Finding:
    """A sentence or two with its verdict; `weight` ranks findings, the heaviest first."""

    topic: str
    verdict: Verdict
    text: str
    weight: float
