"""What the experiment tracker gets of a comparison."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from rich.console import Console

from lossprint.reports.evidence import Evidence
from lossprint.reports.page import SHOWN_FINDINGS
from lossprint.reports.report import Report
from lossprint.reports.section import Section
from lossprint.reports.sections.explorer import IMAGES
from lossprint.reports.style import loss_colors
from lossprint.runs.tracker import Points, Tracker
from lossprint.runs.workspace import Compared, send_workspace, write_workspace
from lossprint.studies.networks import Network


def track_report(
    tracker: Tracker,
    report: Report,
    evidence: Evidence,
    sections: Sequence[Section],
    networks: Sequence[Network],
) -> None:
    """Hand over every table and figure, the report, and what each training run is to be told."""
    untracked = {name for section in sections for name in section.untracked}
    for name, table in evidence.tables.items():
        if len(table) and name not in untracked:
            tracker.log_table(f"analysis/{name}", table)
    _track_embeddings(tracker, evidence)
    pictures = {}
    for name, path in report.figures.items():
        with Image.open(path) as image:
            pictures[f"figures/{name}"] = image.convert("RGB")
    tracker.log_images(pictures)
    files = [report.page, *report.tables, *report.figures.values()]
    tracker.log_files(
        # W&B takes letters, digits, dots, dashes and underscores, 128 in all.
        re.sub(r"[^\w.-]+", "-", f"report-{report.page.parent.name}")[:128],
        "report",
        {str(path.relative_to(report.page.parent)): path for path in files},
    )
    metrics = {key: x for section in sections for key, x in section.metrics(evidence).items()}
    tracker.summarize({"answer": report.answer} | metrics)
    if is_online(tracker.path):
        complete_training_runs(evidence, sections, networks)


def _track_embeddings(tracker: Tracker, evidence: Evidence) -> None:
    """The probe images as each loss embeds them, with thumbnails and properties."""
    found, images = evidence["embeddings"], evidence["probe_images"]
    if found.empty or images.empty or IMAGES not in evidence.arrays:
        return
    thumbnails = dict(
        zip(images["frame"], map(Image.fromarray, evidence.arrays[IMAGES]), strict=True)
    )
    known = ["loss", "family", "frame"]
    points = Points(
        found.drop(columns=known),
        found[known].merge(images, on="frame", how="left"),
        [thumbnails[frame] for frame in found["frame"]],
    )
    tracker.log_embeddings("analysis/embeddings", points)


def compared(
    tracker: Tracker,
    report: Report,
    evidence: Evidence,
    logger: Mapping[str, Any],
    sweeps: Sequence[str],
) -> Compared:
    """What a workspace of W&B shows of a comparison."""
    path = (tracker.path or "").split("/")
    properties, shares = evidence["properties_by_loss"], evidence["shares_by_loss"]
    return Compared(
        name=report.page.parent.name,
        project=logger["project"],
        entity=path[0] if len(path) == 3 else logger["entity"] or "",
        sweeps=list(dict.fromkeys(sweeps)),
        colors=loss_colors(evidence.families),
        properties=[] if properties.empty else list(dict.fromkeys(properties["property"])),
        regions=[] if shares.empty else list(dict.fromkeys(shares["region"])),
        answer=report.answer,
        findings=[finding.text for finding in report.findings[:SHOWN_FINDINGS]],
    )


def make_workspace(shown: Compared, folder: Path, console: Console, *, online: bool) -> None:
    """Write a workspace as JSON, send it where W&B is online, and say where it is."""
    path = write_workspace(shown, folder)
    if not online:
        console.print(
            f"workspace {path}: what W&B would be sent. Once the runs are uploaded and "
            "`wandb login` is done, the same command sends it",
            soft_wrap=True,
            highlight=False,
            markup=False,
        )
        return
    try:
        lines = send_workspace(shown)
    except Exception as error:  # of the network, of the server, of rights
        reason = " ".join(str(error).split()) or type(error).__name__
        lines = {"workspace": f"not made: W&B says {reason}; what it was sent is in {path}"}
    for name, text in lines.items():
        console.print(f"{name:9} {text}", soft_wrap=True, highlight=False, markup=False)


def complete_training_runs(
    evidence: Evidence, sections: Sequence[Section], networks: Sequence[Network]
) -> None:
    """Give each online training run its own results, for panels over a sweep."""
    from lossprint.runs.wandb_tracker import add_to_summary  # importing W&B takes a second

    for network in networks:
        path = None if network.run is None else network.run.wandb
        if path is None or not is_online(path):
            continue
        metrics = {
            f"analysis/{key}": value
            for section in sections
            for key, value in section.run_metrics(evidence, network.name).items()
        }
        add_to_summary(path, metrics)


def is_online(path: str | None) -> bool:
    """Whether a tracked run has a place entity/project/id."""
    return path is not None and path.count("/") == 2
