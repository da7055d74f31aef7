"""What to type next: the command whose result decides whether losses differ."""

import shlex
from collections.abc import Sequence

from lossprint.metrics.between_losses import seeds_needed
from lossprint.runs.record import RunRecord

COMPANIONS = ("triplet", "contrastive", "arcface", "normalized_softmax")
"""Losses that one alone is compared with."""

QUESTIONS, LEVEL = 2, 0.05
"""Maps and embeddings are asked after, at this level together."""

LOSSES_COMPARED = 4


def next_command(
    overrides: Sequence[str], runs: Sequence[RunRecord], names: Sequence[str]
) -> str | None:
    """The command that trains what a comparison of these finished runs lacks.

    Args:
        overrides: what the user typed after `train.py`; all of it but the losses and seeds is kept.
        runs: of one call.
        names: of each, what it is compared as: see `lossprint.studies.variants.variant_names`.

    Returns:
        A command for a shell; None where nothing is lacking, or all that was trained is collapsed:
        more of it would be, too.
    """
    trained = [pair for pair in zip(runs, names, strict=True) if pair[0].family != "control"]
    kept = [(run.loss, name) for run, name in trained if not run.collapsed]
    if trained and not kept:
        return None
    losses = list(dict.fromkeys(loss for loss, _ in kept))
    compared = len(set(kept))
    alone = compared < 2
    if alone:
        losses += [loss for loss in COMPANIONS if loss not in losses]
        losses = losses[:LOSSES_COMPARED]
        compared = len(losses)
    seeds = sorted({run.seed for run in runs})
    needed = seeds_needed(compared, LEVEL / QUESTIONS)
    if not alone and len(seeds) >= needed:
        return None
    first = seeds[0] if seeds else 0
    more = [seed for seed in range(first, first + 2 * needed) if seed not in seeds]
    seeds = sorted(seeds + more[: max(0, needed - len(seeds))])
    words = [word for word in overrides if _entry(word) not in ("loss", "seed")]
    words += [f"loss={','.join(losses)}", f"seed={','.join(map(str, seeds))}"]
    return f"python train.py -m {' '.join(map(shlex.quote, words))}"


def _entry(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")
