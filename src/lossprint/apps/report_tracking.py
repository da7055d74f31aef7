"""What the experiment tracker gets of a comparison."""

import re
from collections.abc import Sequence

from PIL import Image

from lossprint.reports.evidence import Evidence
from lossprint.reports.report import Report
from lossprint.reports.section import Section
from lossprint.runs.tracker import Tracker
from lossprint.studies.networks import Network


def track_report(
    tracker: Tracker,
    report: Report,
    evidence: Evidence,
    sections: Sequence[Section],
    networks: Sequence[Network],
) -> None:
    """Hand over every table and figure, the report, and what each training run is to be told."""
    if tracker.path is None:
        return
    for name, table in evidence.tables.items():
        if len(table):
            tracker.log_table(f"analysis/{name}", table)
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
    if _is_online(tracker.path):
        complete_training_runs(evidence, sections, networks)


def complete_training_runs(
    evidence: Evidence, sections: Sequence[Section], networks: Sequence[Network]
) -> None:
    """Give each online training run its own results, for panels over a sweep."""
    from lossprint.runs.wandb_tracker import add_to_summary  # importing W&B takes a second

    for network in networks:
        if network.run is None or network.run.wandb is None or not _is_online(network.run.wandb):
            continue
        metrics = {
            f"analysis/{key}": value
            for section in sections
            for key, value in section.run_metrics(evidence, network.name).items()
        }
        add_to_summary(network.run.wandb, metrics)


def _is_online(path: str) -> bool:
    """Whether a tracked run has a place entity/project/id."""
    return path.count("/") == 2
