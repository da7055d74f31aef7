"""A W&B workspace and a W&B report of a comparison, made by the package wandb-workspaces."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lossprint.files import whole_file

if TYPE_CHECKING:
    import wandb_workspaces.reports.v2 as wr
    import wandb_workspaces.workspaces as ws

FILE = "wandb_workspace.json"
LOSS = "loss.name"
"""In a training run's configuration."""


@dataclass(frozen=True)
class Compared:
    """What a workspace shows.

    Attributes:
        name: of the comparison's own run.
        project, entity: where the runs are; without an entity that of whoever sends it.
        sweeps: groups that the training runs belong to.
        colors: "#rrggbb" by loss.
        properties, regions: of the probe set, whose metrics have bars.
        answer: the sentence that the report opens with.
        findings: sentences below it.
    """

    name: str
    project: str
    entity: str
    sweeps: Sequence[str]
    colors: Mapping[str, str]
    properties: Sequence[str]
    regions: Sequence[str]
    answer: str
    findings: Sequence[str]


def check_workspace(logger: str) -> None:
    """Raise unless a workspace can be made.

    Raises:
        ValueError: the package is missing, or the runs of another logger are compared.
    """
    if logger != "wandb":
        raise ValueError(f"workspace=true shows runs of W&B: it needs logger=wandb, not {logger}")
    if find_spec("wandb_workspaces") is None:
        raise ValueError(
            "workspace=true needs a package that is not installed: pip install wandb-workspaces"
        )


def write_workspace(compared: Compared, folder: Path) -> Path:
    """Write what `send_workspace` would send as JSON; asks nobody and opens no connection."""
    views: dict[str, Any] = {"workspace": workspace(compared), "report": report(compared)}
    # The package writes JSON only on its way to the server.
    content = {
        name: json.loads(view._to_model().model_dump_json(by_alias=True, exclude_none=True))
        for name, view in views.items()
    }
    path = folder / FILE
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1))
    return path


def send_workspace(compared: Compared) -> dict[str, str]:
    """Make a new workspace and a new report on the server; their addresses by what they are."""
    return {
        "workspace": workspace(compared).save().url,
        "W&B report": report(compared).save().url,
    }


def workspace(compared: Compared) -> "ws.Workspace":
    """Training runs grouped by loss in the losses' colours, with the comparison's figures."""
    import wandb_workspaces.workspaces as ws
    from wandb_workspaces import expr

    losses, colors = expr.Config(LOSS), dict[Any, Any](compared.colors)
    return ws.Workspace(
        entity=compared.entity,
        project=compared.project,
        name=f"lossprint: {compared.name}",
        sections=[
            ws.Section(name=title, panels=panels, is_open=True)
            for title, panels in _panels(compared).items()
        ],
        settings=ws.WorkspaceSettings(x_axis="step"),
        runset_settings=ws.RunsetSettings(
            filters=_runs(compared),
            groupby=[losses],
            group_colors=colors,
            pinned_columns=[
                *("config:loss.value.family", "config:seed.value", "summary:test/map_at_r"),
            ],
        ),
    )


def report(compared: Compared) -> "wr.Report":
    """The answer, its findings, and the panels of the workspace."""
    import wandb_workspaces.reports.v2 as wr

    name = "runs"
    colors: dict[Any, Any] = {
        wr.RunsetGroup(name, (wr.RunsetGroupKey(wr.Config(LOSS), loss),)): color
        for loss, color in compared.colors.items()
    }
    blocks: list[Any] = [
        wr.P(compared.answer),
        wr.UnorderedList([*compared.findings]),
    ]
    for title, panels in _panels(compared).items():
        # Without a project it shows the runs of the report's own.
        runs = wr.Runset(name=name, filters=_runs(compared), groupby=[f"config.{LOSS}"])
        grid = wr.PanelGrid(
            runsets=[runs], panels=panels, custom_run_colors=colors, hide_run_sets=True
        )
        blocks += [wr.H2(title), grid]
    return wr.Report(
        entity=compared.entity,
        project=compared.project,
        title=f"lossprint: {compared.name}"[:128],
        blocks=blocks,
        width="fluid",
    )


def _runs(compared: Compared) -> Any:
    """The training runs of the sweeps, and the comparison for its figures."""
    from wandb_workspaces import expr

    return expr.Or(
        expr.Metric("Group").isin([*compared.sweeps]),
        expr.And(
            expr.Metric("JobType") == "analysis",
            expr.Metric("Name") == compared.name,
        ),
    )


def _panels(compared: Compared) -> dict[str, list[Any]]:
    """Panels by the title of their section."""
    import wandb_workspaces.reports.v2 as wr

    by_loss: dict[str, Any] = {
        "groupby": wr.Config(LOSS),
        "groupby_aggfunc": "mean",
        "groupby_rangefunc": "minmax",
    }

    def bars(keys: Mapping[str, str]) -> list[Any]:
        return [wr.BarPlot(title=title, metrics=[key], **by_loss) for key, title in keys.items()]

    axes = ["test/map_at_r", *(f"nr/{x}" for x in compared.properties)]
    axes += [f"share/{x}" for x in compared.regions]
    found = {
        "Retrieval of unseen classes": [
            *bars({"test/map_at_r": "MAP@R", "test/precision_at_1": "P@1"}),
            wr.LinePlot(title="MAP@R in training", x="step", y=["val/map_at_r"], **by_loss),
        ],
        "What embeddings cluster by (NR-Prec)": bars({f"nr/{x}": x for x in compared.properties}),
        "Where maps lie": bars(
            {f"share/{x}": f"saliency on {x}" for x in compared.regions}
            | {"map_r/initial": "r with the maps before training"}
        ),
        "Every loss at a glance": [
            wr.ParallelCoordinatesPlot(
                columns=[
                    wr.ParallelCoordinatesPlotColumn(metric=wr.Config("loss.family")),
                    wr.ParallelCoordinatesPlotColumn(metric=wr.Config(LOSS)),
                    *(
                        wr.ParallelCoordinatesPlotColumn(metric=wr.SummaryMetric(key))
                        for key in axes
                    ),
                ],
                layout=wr.Layout(w=24, h=10),
            )
        ],
        "The ladder: how alike maps are": [
            wr.MediaBrowser(media_keys=["figures/ladder"], layout=wr.Layout(w=24, h=10))
        ],
        "Galleries": [
            wr.MediaBrowser(title="Maps", media_keys=["probe/saliency"]),
            wr.MediaBrowser(title="Neighbours", media_keys=["test/gallery"]),
            wr.MediaBrowser(title="Maps of all losses", media_keys=["figures/gallery_1"]),
        ],
    }
    return {title: panels for title, panels in found.items() if panels}
