"""The sentence that a report opens with."""

from lossprint.reports.evidence import Evidence
from lossprint.reports.findings import Verdict
from lossprint.reports.sections.contrasts import verdict
from lossprint.reports.wording import count


def answer(evidence: Evidence) -> str:
    """Answer "do these losses learn the same features?" in one sentence.

    Decided by two contrasts named in advance: map correlation and linear CKA between losses
    against between seeds (or folds) of one loss.
    """
    losses = evidence.trained_losses()
    if len(losses) < 2:
        return (
            f"There is nothing to compare: {count(len(losses), 'trained loss')} was analysed, "
            "and a comparison needs two."
        )
    verdicts = {
        row["measure"]: verdict(row, evidence.alpha)
        for _, row in evidence["contrasts"].iterrows()
        if row["contrast"] == "loss" and row["measure"] in ("correlation", "cka")
    }
    parts = {"correlation": "look at the same pixels", "cka": "arrange images alike"}
    differ = [parts[m] for m, found in verdicts.items() if found is Verdict.DIFFERENT]
    same = [parts[m] for m, found in verdicts.items() if found is Verdict.NOT_SHOWN]
    if differ:
        return (
            f"No: these {len(losses)} losses do not {' and do not '.join(differ)}; they differ by "
            "more than trainings of one loss differ among themselves."
            + (f" That they do not {' or '.join(same)} was not shown." if same else "")
        )
    if same:
        return (
            f"No difference was shown: whether these {len(losses)} losses {' and '.join(same)} "
            "could not be told apart from the noise between trainings of one loss."
        )
    return (
        f"It cannot be concluded whether these {len(losses)} losses learn the same features: "
        "there are too few trainings to tell the losses apart from training noise."
    )
