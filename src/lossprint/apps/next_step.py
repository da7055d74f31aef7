"""What to type next: the command whose result decides whether losses differ."""

import shlex
from collections.abc import Collection, Sequence

from lossprint.metrics.between_losses import seeds_needed
from lossprint.runs.record import RunRecord

COMPANIONS = ("triplet", "contrastive", "arcface", "normalized_softmax")
"""Losses that one alone is compared with."""

QUESTIONS, LEVEL = 2, 0.05
"""Maps and embeddings are asked after, at this level together."""

LOSSES_COMPARED = 4


def next_command(overrides: Sequence[str], runs: Collection[RunRecord]) -> str | None:
    """The command that trains what a comparison of these finished runs lacks.

    Args:
        overrides: what the user typed after `train.py`; all of it but the losses and seeds is kept.
        runs: of one call.

    Returns:
        A command for a shell; None where nothing is lacking, or all that was trained is collapsed:
        more of it would be, too.
    """
    trained = [run for run in runs if run.family != "control"]
    losses = list(dict.fromkeys(run.loss for run in trained if not run.collapsed))
    if trained and not losses:
        return None
    seeds = sorted({run.seed for run in runs})
    compared = losses + [loss for loss in COMPANIONS if loss not in losses]
    compared = losses if len(losses) > 1 else compared[:LOSSES_COMPARED]
    needed = seeds_needed(len(compared), LEVEL / QUESTIONS)
    if len(losses) > 1 and len(seeds) >= needed:
        return None
    first = seeds[0] if seeds else 0
    more = [seed for seed in range(first, first + 2 * needed) if seed not in seeds]
    seeds = sorted(seeds + more[: max(0, needed - len(seeds))])
    words = [word for word in overrides if _entry(word) not in ("loss", "seed")]
    words += [f"loss={','.join(compared)}", f"seed={','.join(map(str, seeds))}"]
    return f"python train.py -m {' '.join(map(shlex.quote, words))}"


def _entry(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")
