"""One comparison of losses: runs found, checked, analysed, and written to a report."""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import DictConfig
from PIL import Image
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressBar
from rich.table import Table
from torch import nn

from lossprint.apps import build
from lossprint.apps.errors import command
from lossprint.apps.trust import check_trusted
from lossprint.data.probe import ProbeSet
from lossprint.data.transforms import Preprocessing
from lossprint.probing import kept_for_another_set, weights_key
from lossprint.probing.network import fastest_device
from lossprint.reports.evidence import Evidence, Gallery
from lossprint.reports.report import Report, write_report
from lossprint.reports.style import readable
from lossprint.reports.tables import loss_overview
from lossprint.runs.cache import content_key
from lossprint.runs.loggers import open_tracker
from lossprint.runs.provenance import git_commit, package_versions
from lossprint.runs.record import RunRecord
from lossprint.runs.registry import find_runs, newest_sweep
from lossprint.runs.tracker import TrackedRun, Tracker
from lossprint.studies.analysis import Analysis, Progress, analyse
from lossprint.studies.comparability import incompatibilities, training_differences
from lossprint.studies.settings import StudySettings
from lossprint.studies.subjects import Subject, subjects_of_runs
from lossprint.training.checks import check_keys

WANDB = "wandb:"
KEYS = (
    *("runs", "only", "untrained", "allow_mixed", "name", "output_root", "study", "logger"),
    *("models", "trust"),
)
FILTERS = ("loss", "family", "fold", "seed")
TERMINAL = {
    "loss": "loss",
    "family": "family",
    "runs": "runs",
    "map_at_r": "MAP@R",
    "precision_at_1": "P@1",
    "map agreement with other losses": "maps, others",
    "map agreement between its runs": "maps, itself",
    "saliency on car": "on car",
}
"""Columns of the overview that the terminal has room for, and their short names."""


def run_comparison(config: DictConfig) -> None:
    """What analyze.py does; exits with 2 on bad input, 1 on another failure."""
    console = Console()
    with command(console, interrupted="the same command goes on from what is computed"):
        settings = build.plain(config)
        check_keys("", settings, KEYS)
        check_keys("only.", settings["only"], FILTERS)
        StudySettings.from_config(settings["study"])  # wrong ones are told before models are read
        compare(select_runs(settings), settings, console)


def select_runs(config: Mapping[str, Any]) -> list[RunRecord]:
    """Find the runs that a configuration asks for, finished or not.

    Raises:
        FileNotFoundError: there are none.
        ValueError: the filters leave none.
    """
    wanted = config["only"]
    patterns = config["runs"]
    if config.get("models") is not None:
        imported = build.imported_models(config["models"], config["output_root"])
        patterns = [str(record.folder.resolve()) for record in imported]
    if patterns is None:
        patterns = str(newest_sweep(config["output_root"]).folder.resolve())
    patterns = [patterns] if isinstance(patterns, str) else list(patterns)
    records = [
        record
        for pattern in patterns
        for record in _found(str(pattern), config["output_root"], wanted)
    ]
    if not records:
        filters = ", ".join(
            f"only.{key}={value}" for key, value in wanted.items() if value is not None
        )
        raise ValueError(f"no run of {', '.join(map(str, patterns))} is left by {filters}")
    unique = {record.folder.resolve(): record for record in records}
    return list(unique.values())


def _found(pattern: str, output_root: str, wanted: Mapping[str, Any]) -> list[RunRecord]:
    if not pattern.startswith(WANDB):
        return find_runs(output_root, pattern, status=None, **wanted)
    from lossprint.runs.wandb_tracker import fetch_run  # importing W&B takes a second

    fetched = fetch_run(pattern.removeprefix(WANDB), output_root)
    return find_runs(output_root, str(fetched.folder.resolve()), status=None, **wanted)


def compare(records: Sequence[RunRecord], config: Mapping[str, Any], console: Console) -> Report:
    """Compare runs as configured and write the report.

    Args:
        records: finished or not; those that cannot be used are named in the report.
        config: `study`, `logger`, `untrained`, `allow_mixed`, `trust`, `name` and `output_root`.
        console: progress, the losses, the leading findings and the paths are printed to it.

    Raises:
        ValueError: no run can be used, runs are not comparable, or one asks for what it takes
            `trust` to allow.
    """
    started = time.perf_counter()
    settings = StudySettings.from_config(config["study"])
    check_trusted(
        records,
        trust=config["trust"],
        output_root=config["output_root"],
        typed=config.get("models"),
    )
    subjects, skipped = subjects_of_runs(records, build.trained)
    for _, row in skipped.iterrows():
        console.print(f"[yellow]left out:[/] {row['run']}: {escape(row['reason'])}", soft_wrap=True)
    used = [
        record for record in records if any(s.cache == record.analysis_folder for s in subjects)
    ]
    if not used:
        raise ValueError(
            "no run can be analysed: "
            + "; ".join(f"{run}: {reason}" for run, reason in skipped[["run", "reason"]].to_numpy())
        )
    mixed = incompatibilities(used)
    if mixed and not config["allow_mixed"]:
        raise ValueError(
            f"the runs are not comparable: {'. '.join(mixed[:3])}. Choose runs with runs=…, or "
            "compare them all the same with allow_mixed=true"
        )
    if config["untrained"] and not any(subject.family == "control" for subject in subjects):
        subjects = [*subjects, *untrained_subjects(used)]
    first = used[0].config()
    probe = build.probe_set(first)
    notes = mixed + training_differences(used) + probe_set_warnings(subjects, probe)
    for note in notes:
        console.print(f"[yellow]note:[/] {escape(note)}", soft_wrap=True)
    moved = intervention_set(first, probe, settings.intervention_scenes)
    name = config["name"] or report_name(used)
    folder = Path(config["output_root"]) / "analysis" / name
    tracked = TrackedRun(
        folder=folder,
        name=name,
        group=used[0].sweep,
        job_type="analysis",
        tags=sorted({record.loss for record in used}),
        config={"study": settings.described(), "runs": [record.name for record in used]},
    )
    with open_tracker(config["logger"], tracked) as tracker:
        tracker.use(used)
        with _shown(console) as progress:
            analysis = analyse(
                subjects, probe, settings, interventions=moved, skipped=skipped, progress=progress
            )
        evidence = Evidence(**analysis.tables)
        galleries = [Gallery(**fields) for fields in analysis.galleries]
        losses = len({record.loss for record in used if record.family != "control"})
        report = write_report(
            folder,
            evidence,
            title="Losses compared",
            subtitle=f"{name}: {losses} losses, {len(used)} runs, {len(probe)} probe images, "
            f"study “{settings.name}”",
            galleries=galleries,
            methods=methods(analysis, probe, settings, notes),
            significant=settings.properties.significant,
            alpha=settings.alpha,
        )
        _track(tracker, report, evidence, used)
    show(report, evidence, console)
    console.print(f"took      {time.perf_counter() - started:.0f} s")
    return report


def initial_network(config: Mapping[str, Any]) -> tuple[nn.Module, Preprocessing]:
    """The network that a run of this configuration begins from, and what it expects."""
    network = build.untrained(config).eval().to(fastest_device())
    return network, build.preprocessing(config)


def untrained_subjects(records: Sequence[RunRecord]) -> list[Subject]:
    """The networks that runs began from, one per seed: controls."""
    by_seed: dict[int, RunRecord] = {}
    for record in records:
        by_seed.setdefault(record.seed, record)
    made = []
    for seed, record in sorted(by_seed.items()):
        config = record.config()
        try:
            key = weights_key(build.untrained(config))
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{error} Or compare without it: untrained=false") from error
        metrics = {
            f"test/{key.removeprefix('untrained/')}": value
            for key, value in record.metrics.items()
            if key.startswith("untrained/")
        }
        made.append(
            Subject(
                run=f"untrained/seed{seed}",
                loss="untrained",
                family="control",
                distance="lp",
                fold=-1,
                seed=seed,
                weights_key=key,
                cache=record.folder.parent.parent / ".untrained" / f"seed{seed}",
                load=partial(initial_network, config),
                metrics=metrics,
            )
        )
    return made


def probe_set_warnings(subjects: Sequence[Subject], probe: ProbeSet) -> list[str]:
    """Say which runs were trained or compared on another state of the probe set."""
    changed = [subject.run for subject in subjects if kept_for_another_set(subject, probe)]
    if not changed:
        return []
    return [
        f"the probe set {probe.name} changed since results of {', '.join(changed)} were kept: they "
        "are computed anew; what was logged while training (probe/…) is of the old set. Put the "
        "old set back, or train again with force=true, to have both of one"
    ]


def intervention_set(config: Mapping[str, Any], probe: ProbeSet, scenes: int) -> ProbeSet | None:
    """Scenes re-rendered with one property changed: the probe set's own, or rendered beside it."""
    if probe.interventions is not None:
        return probe
    section = config["probe"]
    if not scenes or section.get("render") is None:
        return None
    beside = {
        **section,
        "folder": f"{section['folder']}-interventions-{scenes}",
        "limit": None,
        "render": {**section["render"], "count": scenes, "interventions": True},
    }
    return build.probe_set({**config, "probe": beside})


def report_name(records: Sequence[RunRecord]) -> str:
    """The sweep's name; of runs of several sweeps, a name of their own."""
    sweeps = sorted({record.sweep for record in records})
    if len(sweeps) == 1:
        return sweeps[0]
    return f"mixed-{content_key(sorted(str(record.folder) for record in records))[:8]}"


def methods(
    analysis: Analysis, probe: ProbeSet, settings: StudySettings, notes: Sequence[str]
) -> dict[str, str]:
    """Parameters and versions, for the end of the page."""
    described: dict[str, str] = {
        "Method": "Saliency by SmoothGrad of the distance to a black image; agreement by Pearson "
        "correlation, averaged through Fisher's z, and Jensen–Shannon divergence; clustering by "
        "normalized R-Precision (Kobs et al., ICCV 2021). The noise of the maps is shared by all "
        "networks.",
        "Noise floor": "Trainings of one loss that differ in the seed (or, with one seed, the "
        "fold) are compared with trainings of two losses that differ likewise; pairs of one seed "
        "share initial weights and do not count. p from permuting losses among the runs of each "
        "seed and fold, or families among losses; 95 % intervals of differences from resampling "
        "losses with all their runs. Map correlation and CKA are questions asked in advance, each "
        "tested as it is; the other measures are further readings, Holm-corrected.",
        "Intervals of a loss": "95 %, Student's t over its runs.",
        "Families by property": "Mann–Whitney U over the losses' means, Holm-corrected over the "
        "properties; the study's own test takes every run as independent.",
        "Networks": ", ".join(subject.run for subject in analysis.subjects),
        "Probe set": f"{probe.name}: {len(probe)} images of {probe.size} px, {probe.fingerprint}",
    }
    for name, value in settings.described().items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {entry}" for key, entry in value.items())
        described[f"study.{name}"] = str(value)
    for position, note in enumerate(notes, start=1):
        described[f"Caution {position}"] = note
    described["Versions"] = ", ".join(f"{k} {v}" for k, v in package_versions().items())
    described["Source"] = git_commit() or "unknown"
    return described


def show(report: Report, evidence: Evidence, console: Console) -> None:
    """The losses, the three leading findings, and where everything lies."""
    overview = loss_overview(evidence)
    table = Table(title="Losses", title_justify="left")
    shown = {column: name for column, name in TERMINAL.items() if column in overview.columns}
    for column, name in shown.items():
        table.add_column(name, justify="left" if column in ("loss", "family") else "right")
    for row in overview[list(shown)].itertuples(index=False):
        table.add_row(*(_cell(value) for value in row))
    console.print(table)
    console.print(f"[bold]{escape(report.answer)}[/]", highlight=False)
    for finding in report.findings[:3]:
        console.print(f"  • {escape(finding.text)}", highlight=False)
    console.print(f"report    {report.page}", soft_wrap=True)
    console.print(f"tables    {report.page.parent / 'tables'}", soft_wrap=True)
    console.print(f"figures   {report.page.parent / 'figures'}", soft_wrap=True)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}" if value == value else "–"
    return escape(readable(str(value)))


@contextmanager
def _shown(console: Console) -> Iterator[Progress]:
    """A progress bar that is told of steps."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with ProgressBar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("analysis", total=None)
        yield lambda text, done, total: bar.update(
            task, description=text, completed=done, total=total
        )


def _track(
    tracker: Tracker, report: Report, evidence: Evidence, records: Sequence[RunRecord]
) -> None:
    if tracker.path is None:
        return
    for name, table in evidence.tables().items():
        if len(table):
            tracker.log_table(f"analysis/{name}", table)
    pictures = {}
    for name, path in report.figures.items():
        with Image.open(path) as image:
            pictures[f"analysis/{name}"] = image.convert("RGB")
    tracker.log_images(pictures)
    files = [report.page, *report.tables, *report.figures.values()]
    tracker.log_files(
        # W&B takes letters, digits, dots, dashes and underscores, 128 in all.
        re.sub(r"[^\w.-]+", "-", f"report-{report.page.parent.name}")[:128],
        "report",
        {str(path.relative_to(report.page.parent)): path for path in files},
    )
    tracker.summarize(
        {"answer": report.answer}
        | {
            f"contrast/{row['contrast']}/{row['measure']}/{key}": float(row[key])
            for _, row in evidence.contrasts.iterrows()
            for key in ("difference", "p")
        }
    )
    if tracker.path.count("/") == 2:
        _complete_training_runs(evidence, records)


def _complete_training_runs(evidence: Evidence, records: Sequence[RunRecord]) -> None:
    """Give each online training run its own final metrics, for panels over a sweep."""
    from lossprint.runs.wandb_tracker import add_to_summary  # importing W&B takes a second

    overview = loss_overview(evidence).set_index("loss")
    for record in records:
        if record.wandb is None or record.wandb.count("/") != 2:
            continue
        run = f"{record.loss}/fold{record.fold}-seed{record.seed}"
        own = evidence.properties[evidence.properties["run"].str.endswith(run)]
        metrics = {
            f"analysis/nr_precision/{name}": float(value)
            for name, value in zip(own["property"], own["value"], strict=True)
        }
        for column in ("map agreement with other losses", "map agreement between its runs"):
            if column in overview.columns and pd.notna(overview.loc[record.loss, column]):
                key = "others" if "other" in column else "seeds"
                metrics[f"analysis/agreement/{key}"] = float(overview.loc[record.loss, column])
        add_to_summary(record.wandb, metrics)
