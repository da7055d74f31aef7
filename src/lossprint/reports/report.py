"""Everything a comparison leaves on disk: tables, figures and the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lossprint.files import whole_file
from lossprint.reports import figures
from lossprint.reports.answer import answer
from lossprint.reports.evidence import Evidence
from lossprint.reports.findings import Finding
from lossprint.reports.overview import loss_columns, loss_overview
from lossprint.reports.page import Card, Part, Picture, render_page
from lossprint.reports.section import Column, Link, PrintedTable, Section
from lossprint.reports.style import loss_colors
from lossprint.reports.table_files import write_tables
from lossprint.reports.wording import sentence


@dataclass(frozen=True)
class Report:
    """Where a report lies and what it says.

    Attributes:
        page: the HTML file.
        answer: the sentence it opens with.
        findings: the most telling first.
        columns: of the list of losses.
        tables: files.
        figures: the PNG of each by its name.
    """

    page: Path
    answer: str
    findings: list[Finding]
    columns: list[Column]
    tables: list[Path]
    figures: dict[str, Path]


def write_report(
    folder: Path,
    evidence: Evidence,
    sections: Sequence[Section],
    *,
    title: str,
    subtitle: str = "",
    methods: Mapping[str, str],
) -> Report:
    """Write `tables/`, `figures/` and `report.html` into a folder.

    Args:
        folder: made if it is not there; files of the same name are replaced.
        evidence: the comparison; parts that are empty are left out.
        sections: in the order of the page.
        title: the page's heading.
        subtitle: one line below it.
        methods: parameters and versions to print, name to value.
    """
    parts: list[Part] = []
    printed: list[PrintedTable] = []
    paths: dict[str, Path] = {}
    for section in sections:
        pictures = []
        for drawing in section.drawings(evidence):
            png, svg = figures.save_figure(drawing.figure, folder / "figures" / drawing.name)
            paths[drawing.name] = png
            pictures.append(
                Picture(
                    sentence(drawing.caption),
                    b""
                    if drawing.grid is not None
                    else figures.web_picture(png, photographs=drawing.photographs),
                    wide=drawing.wide,
                    file=svg.relative_to(folder).as_posix(),
                    grid=drawing.grid,
                )
            )
        tables = list(section.tables(evidence))
        printed += tables
        parts.append(
            Part(section.anchor, section.title, pictures, tables, list(section.widgets(evidence)))
        )
    told = findings(evidence, sections)
    verdict = answer(evidence)
    columns = loss_columns(evidence, sections)
    written = write_tables(folder / "tables", evidence.tables, printed)
    overview = loss_overview(evidence, columns)
    colors = loss_colors(evidence.families)
    page = folder / "report.html"
    html = render_page(
        title=title,
        subtitle=subtitle,
        answer=verdict,
        findings=told,
        overview=overview[
            ["loss", "family", *(column.name for column in columns if not column.on_card)]
        ],
        cards=[
            Card(row["loss"], row["family"], colors[row["loss"]], row.iloc[2:].to_dict())
            for _, row in overview.iterrows()
        ],
        parts=parts,
        files=[Link(path.name, path) for path in written if path.suffix == ".csv"],
        folder=folder,
        methods={name: text for section in sections for name, text in section.methods.items()}
        | dict(methods),
    )
    with whole_file(page) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return Report(page, verdict, told, columns, written, paths)


def findings(evidence: Evidence, sections: Sequence[Section]) -> list[Finding]:
    """Everything worth saying, the most telling first.

    The first three are meant for a reader who reads nothing else: they hold the answer about maps
    (and embeddings), or why there is none.
    """
    found = [finding for section in sections for finding in section.findings(evidence)]
    return sorted(found, key=lambda finding: -finding.weight)
