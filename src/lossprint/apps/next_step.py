"""What to type next: the command whose result decides whether losses differ."""

import shlex
from collections.abc import Collection, Sequence
from math import factorial

from lossprint.runs.record import RunRecord

COMPANIONS = ("triplet", "contrastive", "arcface", "normalized_softmax")
"""Losses that one alone is compared with."""

QUESTIONS, LEVEL = 2, 0.05
"""Maps and embeddings are asked after, at this level together."""

SEEDS_FOR_INTERVALS = 3
LOSSES_COMPARED = 4


def seeds_needed(losses: int) -> int:
    """The fewest seeds with which so many losses can be shown to differ, and by how much.

    Permuting L losses within each of S seeds gives (L!)^(S − 1) relabelings that differ, so no p is
    less than one over that. Intervals take three seeds.

    Example:
        >>> [seeds_needed(losses) for losses in (2, 3, 4, 15)]
        [7, 4, 3, 3]
    """
    seeds = SEEDS_FOR_INTERVALS
    while factorial(losses) ** (seeds - 1) * LEVEL < QUESTIONS:
        seeds += 1
    return seeds


def next_command(overrides: Sequence[str], runs: Collection[RunRecord]) -> str | None:
    """The command that trains what a comparison of these finished runs lacks.

    Args:
        overrides: what the user typed after `train.py`; all of it but the losses and seeds is kept.
        runs: of one call.

    Returns:
        A command for a shell; None where nothing is lacking.
    """
    losses = list(dict.fromkeys(run.loss for run in runs if run.family != "control"))
    seeds = sorted({run.seed for run in runs})
    compared = losses + [loss for loss in COMPANIONS if loss not in losses]
    compared = losses if len(losses) > 1 else compared[:LOSSES_COMPARED]
    needed = seeds_needed(len(compared))
    if len(losses) > 1 and len(seeds) >= needed:
        return None
    first = seeds[0] if seeds else 0
    more = [seed for seed in range(first, first + 2 * needed) if seed not in seeds]
    seeds += more[: max(0, needed - len(seeds))]
    words = [word for word in overrides if _entry(word) not in ("loss", "seed")]
    words += [f"loss={','.join(compared)}", f"seed={','.join(map(str, seeds))}"]
    return f"python train.py -m {' '.join(map(shlex.quote, words))}"


def _entry(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")
