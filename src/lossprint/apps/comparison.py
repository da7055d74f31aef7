"""One comparison of losses: runs found, checked, analysed, and written to a report."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import Console
from rich.markup import escape

from lossprint.apps.comparison_inputs import PROBE_KEYS, comparison_inputs
from lossprint.apps.errors import command
from lossprint.apps.evidence import EVIDENCE, PieceOfEvidence
from lossprint.apps.methods import parameters
from lossprint.apps.report_tracking import compared, is_online, make_workspace, track_report
from lossprint.apps.selection import FILTERS, comparison_name, select_runs
from lossprint.apps.settings import plain
from lossprint.apps.terminal import progress_bar, show_report
from lossprint.apps.trust import check_trusted
from lossprint.files import alone, remove_leftovers
from lossprint.reports.evidence import Evidence
from lossprint.reports.report import Report, write_report
from lossprint.runs.loggers import open_tracker
from lossprint.runs.record import RunRecord, check_plain_name, check_writable
from lossprint.runs.tracker import TrackedRun
from lossprint.runs.workspace import check_workspace
from lossprint.studies.analysis import analyse
from lossprint.studies.settings import StudySettings
from lossprint.training.checks import check_keys

KEYS = (
    *("runs", "only", "untrained", "allow_mixed", "name", "output_root", "study", "logger"),
    *("models", "trust", "probe", "match", "workspace"),
)


def run_comparison(config: DictConfig, *, shared: Path | None = None) -> None:
    """What analyze.py does; exits with 2 on bad input, 1 on another failure.

    Args:
        config: as composed.
        shared: see `compare`.
    """
    console = Console()
    with command(console, interrupted="the same command goes on from what is computed"):
        settings = plain(config)
        check_keys("", settings, KEYS)
        check_keys("only.", settings["only"], FILTERS)
        check_keys("probe.", settings["probe"], PROBE_KEYS)
        StudySettings.from_config(settings["study"])  # wrong ones are named before models are read
        if settings["workspace"]:
            check_workspace(settings["logger"]["name"])
        compare(select_runs(settings), settings, console, shared=shared)


def compare(
    records: Sequence[RunRecord],
    config: Mapping[str, Any],
    console: Console,
    evidence: Sequence[PieceOfEvidence] = EVIDENCE,
    *,
    shared: Path | None = None,
) -> Report:
    """Compare runs as configured and write the report.

    Args:
        records: finished or not; those that cannot be used are named in the report.
        config: `study`, `logger`, `untrained`, `probe`, `match`, `allow_mixed`, `trust`, `name`
            and `output_root`; `workspace` may be there.
        console: progress, the losses, the leading findings and the paths are printed to it.
        evidence: what is computed and shown.
        shared: folder of the tracker's files beside those of the runs, see `TrackedRun`.

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
    inputs = comparison_inputs(records, config, intervention_scenes=settings.intervention_scenes)
    for _, row in inputs.left_out.iterrows():
        text = f"{row['run']}: {row['reason']}"
        console.print(f"[yellow]left out:[/] {escape(text)}", soft_wrap=True)
    for warning in inputs.warnings:
        console.print(f"[yellow]note:[/] {escape(warning)}", soft_wrap=True)
    if config.get("workspace") and not any(run.wandb for run in inputs.runs):
        raise ValueError("workspace=true shows runs of W&B, but none of these was trained with it")
    runs, sections = inputs.runs, [piece.section for piece in evidence]
    name = config["name"] or comparison_name(runs, config["probe"]["folder"])
    check_plain_name("name", name)
    folder = Path(config["output_root"]) / "analysis" / name
    check_writable(folder)
    tracked = TrackedRun(
        folder=folder,
        name=name,
        group="analysis",  # of no sweep and no loss, so that tables of runs stay what they are
        job_type="analysis",
        tags=(),
        config={"study": settings.described(), "runs": [run.name for run in runs]},
        shared=shared,
    )
    with (
        alone(folder, f"analysing {name}"),
        open_tracker(config["logger"], tracked) as tracker,
    ):
        kept = {network.cache for network in inputs.networks}
        for place in (folder, folder / "figures", folder / "tables", *kept):
            remove_leftovers(place)
        tracker.use(runs)
        with progress_bar(console) as on_progress:
            analysis = analyse(
                inputs.networks,
                inputs.probe,
                settings,
                [piece.study for piece in evidence],
                intervention_scenes=inputs.intervention_scenes,
                matched=inputs.matched,
                left_out=inputs.left_out,
                on_progress=on_progress,
            )
        found = Evidence(analysis.tables, analysis.arrays, settings.described())
        trained = len({n.loss for n in analysis.networks if n.family != "control"})
        report = write_report(
            folder,
            found,
            sections,
            title="Losses compared",
            subtitle=f"{name}: {trained} losses, {len(runs)} runs, {len(inputs.probe)} probe "
            f"images, study “{settings.name}”",
            methods=parameters(analysis.networks, inputs.probe, settings, inputs.warnings),
        )
        track_report(tracker, report, found, sections, analysis.networks)
        if config.get("workspace"):
            shown = compared(tracker, report, found, config["logger"], [x.sweep for x in runs])
            make_workspace(shown, folder, console, online=is_online(tracker.path))
    show_report(report, found, console)
    console.print(f"took      {time.perf_counter() - started:.0f} s")
    return report
