"""Everything a comparison leaves on disk: tables, figures and the page."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from lossprint.files import whole_file
from lossprint.reports import figures
from lossprint.reports.evidence import Evidence, Gallery
from lossprint.reports.findings import Finding, answer, findings
from lossprint.reports.page import NamedTable, Picture, render_page
from lossprint.reports.tables import loss_overview, paper_tables, write_tables

SECTIONS = {
    "noise": "Against the noise floor",
    "maps": "Saliency maps",
    "regions": "Where the maps lie",
    "galleries": "The same images under every loss",
    "properties": "What the embeddings cluster by",
    "embeddings": "Embeddings",
    "retrieval": "Retrieval",
    "training": "While it trains",
}

MANY_LOSSES = 8
"""With more of them a table of losses × losses needs the whole width to be read."""

_TABLES = {
    "retrieval": ("retrieval", "Retrieval: mean over runs [95 % interval], best loss first"),
    "map_correlation": (
        "maps",
        "Correlation of saliency maps: Fisher mean ± spread over images (tanh of the standard "
        "deviation of z); the diagonal compares runs of one loss",
    ),
    "map_divergence": ("maps", "Jensen–Shannon divergence of saliency maps (natural log)"),
    "within_and_between": (
        "noise",
        "Likeness of pairs within a group against between groups; permutation p",
    ),
    "normalized_r_precision": (
        "properties",
        "Normalized R-Precision, standard deviations above chance",
    ),
    "saliency_shares": ("regions", "Share of saliency by region [95 % interval]"),
    "interventions_against_unrelated_scenes": (
        "properties",
        "Interventions: distance the embedding moves when one property changes, relative to the "
        "distance of unrelated pictures",
    ),
    "interventions_against_two_designs": (
        "properties",
        "Interventions: the same, relative to the distance that another car in the same scene "
        "makes",
    ),
    "embedding_cka": ("embeddings", "Linear CKA of embeddings"),
    "neighbor_overlap": ("embeddings", "Overlap of nearest neighbours"),
}


@dataclass(frozen=True)
class Report:
    """Where a report lies and what it says."""

    page: Path
    answer: str
    findings: list[Finding]
    tables: list[Path]
    figures: dict[str, Path]


@dataclass(frozen=True)
class _Drawn:
    name: str
    section: str
    caption: str
    figure: Figure
    wide: bool = False


def write_report(
    folder: Path,
    evidence: Evidence,
    *,
    title: str,
    subtitle: str = "",
    galleries: Sequence[Gallery] = (),
    methods: Mapping[str, str],
    significant: float | None = None,
    alpha: float = 0.05,
) -> Report:
    """Write `tables/`, `figures/` and `report.html` into a folder.

    Args:
        folder: made if it is not there; files of the same name are replaced.
        evidence: the comparison; parts that are empty are left out.
        title: the page's heading.
        subtitle: one line below it.
        galleries: pictures to show.
        methods: parameters and versions to print, name to value.
        significant: mark normalized R-Precision of at least this much, as the study does.
        alpha: the level at which the text speaks of a difference.
    """
    paper = paper_tables(evidence, significant=significant)
    written = write_tables(folder / "tables", evidence.tables(), paper)
    pictures: list[Picture] = []
    paths: dict[str, Path] = {}
    for drawn in _draw(evidence, galleries, significant):
        png, _ = figures.save_figure(drawn.figure, folder / "figures" / drawn.name)
        paths[drawn.name] = png
        caption = drawn.caption[:1].upper() + drawn.caption[1:]
        webp = figures.web_picture(png, photographs=drawn.section == "galleries")
        pictures.append(Picture(drawn.section, caption, caption, webp, wide=drawn.wide))
    told = findings(evidence, alpha=alpha)
    verdict = answer(evidence, alpha=alpha)
    page = folder / "report.html"
    html = render_page(
        title=title,
        subtitle=subtitle,
        answer=verdict,
        findings=told,
        overview=loss_overview(evidence),
        pictures=pictures,
        tables=[NamedTable(*_TABLES[name], table) for name, table in paper.items()],
        sections=SECTIONS,
        methods=methods,
    )
    with whole_file(page) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return Report(page, verdict, told, written, paths)


def _draw(
    evidence: Evidence, galleries: Sequence[Gallery], significant: float | None
) -> Iterable[_Drawn]:
    yield from _draw_pairs(evidence)
    if len(evidence.shares_by_loss):
        yield _Drawn(
            "saliency_shares",
            "regions",
            "Share of saliency on each region with its 95 % interval over runs; dashed: the share "
            "of the area, which maps without preference would have.",
            figures.region_shares(evidence.shares_by_loss, title="Where the maps lie"),
            wide=True,
        )
    for position, gallery in enumerate(galleries, start=1):
        yield _Drawn(
            f"gallery_{position}",
            "galleries",
            f"{gallery.title}: images in columns, losses in rows; bright is salient.",
            figures.gallery_figure(gallery, evidence.families()),
            wide=True,
        )
    if len(evidence.properties_by_loss):
        yield _Drawn(
            "properties",
            "properties",
            "Normalized R-Precision of each property under each loss, in standard deviations above "
            "chance, mean over runs.",
            figures.property_heatmap(
                evidence.properties_by_loss,
                title="What the embeddings cluster by",
                significant=significant,
            ),
            wide=True,
        )
    if len(evidence.curves):
        yield _Drawn(
            "training_curves",
            "training",
            "What was logged while training: mean over runs, the band from least to most.",
            figures.training_curves(
                evidence.curves, list(dict.fromkeys(evidence.curves["metric"]))
            ),
            wide=True,
        )


def _draw_pairs(evidence: Evidence) -> Iterable[_Drawn]:
    for section, noun, pairs, by_loss, measure, called in (
        (
            "maps",
            "map",
            evidence.agreement,
            evidence.agreement_by_loss,
            "correlation",
            "correlation",
        ),
        ("embeddings", "embedding", evidence.similarity, evidence.similarity_by_loss, "cka", "CKA"),
    ):
        if by_loss.empty:
            continue
        losses = {*by_loss["loss_a"], *by_loss["loss_b"]}
        wide = len(losses) > MANY_LOSSES
        name = f"{noun} {called}"
        title = f"{noun.capitalize()} {called}"
        yield _Drawn(
            f"{noun}_{measure}_distributions",
            "noise",
            f"Each point is a pair of runs, by what the two share: {name}.",
            figures.pair_distributions(pairs, measure, title=f"Pairs of runs: {name}"),
        )
        yield _Drawn(
            f"{noun}_{measure}_by_family",
            section,
            f"{title}, losses grouped by family; the diagonal compares runs of one loss and is "
            "empty where there is one run.",
            figures.pairs_by_family(by_loss, measure, title=f"{title}, by family"),
            wide=wide,
        )
        matrix = by_loss[by_loss["loss_a"] != by_loss["loss_b"]]
        if len(losses) < 3 or matrix[measure].isna().any():
            continue
        yield _Drawn(
            f"{noun}_{measure}_clustered",
            section,
            f"{title}, losses in the order of average-linkage clustering on 1 − {called}.",
            figures.clustered_pairs(by_loss, measure, title=f"{title}, clustered"),
            wide=wide,
        )
        yield _Drawn(
            f"{noun}_{measure}_map",
            section,
            f"Map of losses: classical scaling of 1 − {called}, so that near means alike.",
            figures.loss_map(by_loss, measure, title=f"Map of losses: {name}"),
        )
