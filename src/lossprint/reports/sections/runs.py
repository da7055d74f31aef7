"""The runs that take part, which of them have no noise floor, and what was left out."""

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

import pandas as pd

from lossprint.reports.evidence import Evidence
from lossprint.reports.findings import Finding, Verdict
from lossprint.reports.section import Column, Link, Section
from lossprint.reports.style import readable
from lossprint.reports.wording import listing, sentence


def findings(evidence: Evidence) -> Iterable[Finding]:
    """Too few losses or runs, and what could not be computed."""
    yield from _missing_noise_floor(evidence)
    skipped = evidence["skipped"]
    if skipped.empty:
        return
    for (part, reason), rows in skipped.groupby(["part", "reason"], sort=False):
        runs = listing(sorted({str(run) for run in rows["run"] if run}))
        text = f"Not computed: {part}{f' for {runs}' if runs else ''}. {sentence(str(reason))}"
        text = text if text.endswith(".") else f"{text}."
        yield Finding("not computed", Verdict.UNDECIDABLE, text, 2.0)


def _missing_noise_floor(evidence: Evidence) -> Iterable[Finding]:
    losses = evidence.trained_losses()
    if not losses:
        return
    if len(losses) == 1:
        text = (
            f"Only one loss was analysed ({readable(losses[0])}); nothing can be said about "
            "differences between losses. That takes another one, trained on the same data."
        )
        yield Finding("comparison", Verdict.UNDECIDABLE, text, 20.0)
        return
    runs = evidence["runs"]
    if runs.empty:
        return
    numbers = runs[runs["family"] != "control"].groupby("loss")["run"].nunique()
    once = [readable(str(loss)) for loss in numbers.index[numbers == 1]]
    if once:
        text = (
            f"Trained only once, so without a noise floor of their own: {listing(once)}. Train "
            "with several seeds, for instance seed=0,1,2."
        )
        yield Finding("noise floor", Verdict.UNDECIDABLE, text, 5.0)


def columns(evidence: Evidence) -> Iterable[Column]:
    """How many runs a loss has."""
    runs = evidence["runs"]
    numbers = {} if runs.empty else runs.groupby("loss")["run"].nunique().to_dict()
    yield Column("runs", {loss: numbers.get(loss, 0) for loss in evidence.families}, "runs")
    if runs.empty:
        return
    links = {loss: list(_places(rows)) for loss, rows in runs.groupby("loss")}
    yield Column("folders", {loss: found for loss, found in links.items() if found}, on_card=True)


def _places(runs: pd.DataFrame) -> Iterable[Link]:
    """Each run's folder, and its page at W&B where it is online."""
    for _, run in runs.iterrows():
        if run["folder"]:
            yield Link(run["run"], Path(run["folder"]))
        if run["wandb"].count("/") == 2:
            entity, project, name = (quote(part, safe="") for part in run["wandb"].split("/"))
            yield Link(f"{run['run']} at W&B", f"https://wandb.ai/{entity}/{project}/runs/{name}")


SECTION = Section("runs", "Runs", findings=findings, columns=columns)
