"""Tidy tables to the shapes a paper prints, and to files."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from lossprint.files import whole_file
from lossprint.reports.evidence import Evidence
from lossprint.reports.style import by_family, family_rank

RELATIONS = ("same loss", "same family", "between families", "control")


def pair_relation(pairs: pd.DataFrame) -> pd.Series:
    """Say for each pair what it shares: one of `RELATIONS`.

    A pair with a control on either side is "control", also when both sides are controls.
    """
    control = (pairs["family_a"] == "control") | (pairs["family_b"] == "control")
    same_loss = pairs["loss_a"] == pairs["loss_b"]
    same_family = pairs["family_a"] == pairs["family_b"]
    names = np.select([control, same_loss, same_family], ["control", *RELATIONS[:2]], RELATIONS[2])
    return pd.Series(names, index=pairs.index, name="relation")


def loss_matrix(by_loss: pd.DataFrame, measure: str) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return losses × losses as a symmetric square frame, and each loss's family.

    A missing pair, also of a loss with itself, is NaN.

    Raises:
        ValueError: `measure` is not a column.
    """
    if measure not in by_loss.columns:
        raise ValueError(f"no measure {measure!r}; there are {', '.join(by_loss.columns)}")
    families: dict[str, str] = {}
    for side in "ab":
        families.update(zip(by_loss[f"loss_{side}"], by_loss[f"family_{side}"], strict=True))
    losses = by_family(families, families)
    matrix = pd.DataFrame(np.nan, index=losses, columns=losses)
    for a, b, value in zip(by_loss["loss_a"], by_loss["loss_b"], by_loss[measure], strict=True):
        matrix.loc[a, b] = matrix.loc[b, a] = float(value)
    return matrix, families


def property_matrix(by_loss: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return losses × properties (mean over runs) and each loss's family."""
    families = dict(zip(by_loss["loss"], by_loss["family"], strict=True))
    matrix = by_loss.pivot(index="loss", columns="property", values="mean").astype(float)
    columns = list(dict.fromkeys(by_loss["property"]))
    return matrix.loc[by_family(families, families), columns], families


def retrieval_table(evidence: Evidence) -> pd.DataFrame:
    """One row per loss: each retrieval metric as `mean [low, high]`, the best loss first."""
    table = evidence.retrieval_by_loss
    cells = table.assign(cell=[_with_interval(*row) for row in _interval_rows(table)])
    wide = cells.pivot(index=["loss", "family"], columns="metric", values="cell")
    wide = wide[list(dict.fromkeys(table["metric"]))].fillna("")  # not every loss has all of them
    runs = table.groupby(["loss", "family"])["runs"].max()
    first = table[table["metric"] == wide.columns[0]].set_index(["loss", "family"])["mean"]
    wide.insert(0, "runs", runs)
    order = first.astype(float).sort_values(ascending=False).index
    return wide.loc[order].reset_index().rename_axis(columns=None)


def pair_table(by_loss: pd.DataFrame, measure: str, *, spread: str | None = None) -> pd.DataFrame:
    """Losses × losses as text, `value ± spread` where a spread is named; families grouped."""
    matrix, _ = loss_matrix(by_loss, measure)
    text = matrix.map(_number)
    if spread is not None:
        spreads, _ = loss_matrix(by_loss, spread)
        text = text.where(spreads.isna(), text + " ± " + spreads.map(_number))
    return text.rename_axis(index="loss").reset_index()


def property_table(evidence: Evidence, *, significant: float | None = None) -> pd.DataFrame:
    """The study's form: losses × properties, families grouped, each family's mean, then its test.

    Args:
        evidence: needs `properties_by_loss`; `property_families` where both families are there.
        significant: values of at least this much carry a `*` (the study marks 2.576).
    """
    matrix, families = property_matrix(evidence.properties_by_loss)
    rows: list[dict[str, str]] = []
    groups = sorted(dict.fromkeys(families[loss] for loss in matrix.index), key=family_rank)
    for family in groups:
        members = [loss for loss in matrix.index if families[loss] == family]
        for loss in members:
            cells = {name: _marked(matrix.loc[loss, name], significant) for name in matrix}
            rows.append({"family": family, "loss": loss, **cells})
        if family != "control":
            means = matrix.loc[members].mean()
            cells = {name: _marked(means[name], significant) for name in matrix}
            rows.append({"family": family, "loss": f"mean of {family}", **cells})
    tests = evidence.property_families.set_index("property")
    if len(tests):
        for label, column, text in (
            ("superiority of ranking", "superiority", _number),
            ("p, Mann–Whitney over losses", "p", _probability),
            ("p, Holm", "p_holm", _probability),
            ("p, Mann–Whitney over runs (the study's)", "study_p", _probability),
        ):
            cells = {
                name: text(tests.loc[name, column]) if name in tests.index else ""
                for name in matrix
            }
            rows.append({"family": "", "loss": label, **cells})
    return pd.DataFrame(rows)


def contrast_table(evidence: Evidence) -> pd.DataFrame:
    """Within against between, one row per measure and contrast, as text."""
    rows = [
        {
            "measure": row["measure"],
            "groups": {"loss": "losses", "family": "families"}.get(row["contrast"], "?"),
            "within": f"{_number(row['near'], 3)} ({int(row['near_pairs'])} pairs)",
            "between": f"{_number(row['far'], 3)} ({int(row['far_pairs'])} pairs)",
            "difference": _with_interval(row["difference"], row["low"], row["high"], digits=3),
            "p": _probability(row["p"]),
            "p, Holm": _probability(row["p_adjusted"]) if row["tests"] > 1 else "",
            "least p possible": _probability(row["smallest_p"]),
        }
        for _, row in evidence.contrasts.iterrows()
    ]
    return pd.DataFrame(
        rows,
        columns=[
            *("measure", "groups", "within", "between", "difference", "p", "p, Holm"),
            "least p possible",
        ],
    )


def share_table(evidence: Evidence) -> pd.DataFrame:
    """Losses × regions, share of saliency with its interval; the last row is the area share."""
    table = evidence.shares_by_loss
    cells = table.assign(
        cell=[_with_interval(*row) for row in _interval_rows(table)],
        area=table["area"].astype(float),
    )
    wide = _losses_by(cells, "region")
    chance = {
        region: _number(area, 3) for region, area in cells.groupby("region")["area"].mean().items()
    }
    return pd.concat(
        [wide, pd.DataFrame([{"loss": "share of the area", "family": "", **chance}])],
        ignore_index=True,
    )


def intervention_table(evidence: Evidence, reference: str) -> pd.DataFrame:
    """Losses × properties, how far the embedding moves when only that property changes.

    Args:
        evidence: with interventions.
        reference: the distance that counts as 1, a value of the column `reference`.
    """
    table = evidence.interventions_by_loss
    table = table[table["reference"] == reference]
    cells = table.assign(cell=[_with_interval(*row) for row in _interval_rows(table)])
    return _losses_by(cells, "property")


def loss_overview(evidence: Evidence) -> pd.DataFrame:
    """One row per loss, numbers only, for the sortable list.

    Columns: loss, family, runs, then what there is of: each retrieval metric, `map agreement with
    other losses`, `map agreement between its runs`, `saliency on car`, `strongest property`.
    """
    families = evidence.families()
    losses = by_family(families, families)
    overview = pd.DataFrame({"loss": losses, "family": [families[loss] for loss in losses]})
    counts = evidence.runs.groupby("loss")["run"].nunique()
    overview["runs"] = [int(counts.get(loss, 0)) for loss in losses]
    retrieval = evidence.retrieval_by_loss
    for metric in dict.fromkeys(retrieval["metric"]):
        means = retrieval[retrieval["metric"] == metric].set_index("loss")["mean"].astype(float)
        overview[metric] = [means.get(loss, np.nan) for loss in losses]
    if len(evidence.agreement_by_loss):
        matrix, _ = loss_matrix(evidence.agreement_by_loss, "correlation")
        matrix = matrix.reindex(index=losses, columns=losses)
        trained = [loss for loss in losses if families[loss] != "control"]
        others = [matrix.loc[loss, [x for x in trained if x != loss]].mean() for loss in losses]
        overview["map agreement with other losses"] = others
        overview["map agreement between its runs"] = np.diag(matrix)
    shares = evidence.shares_by_loss
    if len(shares):
        car = shares[shares["region"] == "car"].set_index("loss")["mean"].astype(float)
        overview["saliency on car"] = [car.get(loss, np.nan) for loss in losses]
    if len(evidence.properties_by_loss):
        matrix, _ = property_matrix(evidence.properties_by_loss)
        strongest = matrix.idxmax(axis="columns")
        overview["strongest property"] = [strongest.get(loss, "") for loss in losses]
    return overview


def paper_tables(
    evidence: Evidence, *, significant: float | None = None
) -> dict[str, pd.DataFrame]:
    """Return every table that the evidence allows, as text, by file name."""
    tables: dict[str, pd.DataFrame] = {}
    if len(evidence.retrieval_by_loss):
        tables["retrieval"] = retrieval_table(evidence)
    if len(evidence.agreement_by_loss):
        by_loss = evidence.agreement_by_loss
        tables["map_correlation"] = pair_table(by_loss, "correlation", spread="spread")
        tables["map_divergence"] = pair_table(by_loss, "divergence")
    if len(evidence.similarity_by_loss):
        tables["embedding_cka"] = pair_table(evidence.similarity_by_loss, "cka")
        tables["neighbor_overlap"] = pair_table(evidence.similarity_by_loss, "neighbor_overlap")
    if len(evidence.contrasts):
        tables["within_and_between"] = contrast_table(evidence)
    if len(evidence.properties_by_loss):
        tables["normalized_r_precision"] = property_table(evidence, significant=significant)
    if len(evidence.shares_by_loss):
        tables["saliency_shares"] = share_table(evidence)
    for reference in dict.fromkeys(evidence.interventions_by_loss["reference"]):
        name = f"interventions_against_{reference.replace(' ', '_')}"
        tables[name] = intervention_table(evidence, reference)
    return tables


def write_tables(
    folder: Path, tidy: Mapping[str, pd.DataFrame], paper: Mapping[str, pd.DataFrame]
) -> list[Path]:
    """Write tidy tables as csv and parquet, paper tables as LaTeX; return the paths.

    Empty tables are left out. LaTeX is escaped and uses booktabs.
    """
    paths: list[Path] = []
    for name, table in tidy.items():
        if table.empty:
            continue
        table = table.convert_dtypes()
        for suffix, write in ((".csv", _to_csv), (".parquet", _to_parquet)):
            path = folder / f"{name}{suffix}"
            with whole_file(path) as temporary:
                write(table, temporary)
            paths.append(path)
    for name, table in paper.items():
        path = folder / f"{name}.tex"
        with whole_file(path) as temporary:
            temporary.write_text(to_latex(table), encoding="utf-8")
        paths.append(path)
    return paths


def to_latex(table: pd.DataFrame) -> str:
    """Return a booktabs tabular, every cell escaped, a rule wherever the family changes."""
    body = table.astype(object).where(table.notna(), "")
    text = body.to_latex(index=False, escape=True, column_format="l" * len(table.columns))
    text = text.replace("±", r"$\pm$").replace("–", "--")
    if "family" not in table.columns:
        return text
    lines = text.splitlines()
    first = lines.index(r"\midrule") + 1
    changes = np.flatnonzero(table["family"].to_numpy()[1:] != table["family"].to_numpy()[:-1])
    for change in reversed(changes):
        lines.insert(first + int(change) + 1, r"\midrule")
    return "\n".join(lines) + "\n"


def _to_csv(table: pd.DataFrame, path: Path) -> None:
    table.to_csv(path, index=False)


def _to_parquet(table: pd.DataFrame, path: Path) -> None:
    table.to_parquet(path, index=False)


def _losses_by(cells: pd.DataFrame, columns: str) -> pd.DataFrame:
    families = dict(zip(cells["loss"], cells["family"], strict=True))
    wide = cells.pivot(index="loss", columns=columns, values="cell")
    wide = wide.loc[by_family(families, families), list(dict.fromkeys(cells[columns]))]
    wide.insert(0, "family", [families[loss] for loss in wide.index])
    return wide.reset_index().rename_axis(columns=None)


def _interval_rows(table: pd.DataFrame) -> Iterator[tuple[float, float, float]]:
    return zip(*(table[name].astype(float) for name in ("mean", "low", "high")), strict=True)


def _with_interval(mean: float, low: float, high: float, digits: int = 3) -> str:
    if not np.isfinite([low, high]).all():
        return _number(mean, digits)
    return f"{_number(mean, digits)} [{_number(low, digits)}, {_number(high, digits)}]"


def _marked(value: float, significant: float | None) -> str:
    return _number(value, 2) + ("*" if significant is not None and value >= significant else "")


def _probability(value: float) -> str:
    return "< 0.0001" if value < 1e-4 else _number(value, 4)


def _number(value: float, digits: int = 2) -> str:
    return f"{value:.{digits}f}" if pd.notna(value) else ""
