"""Tables as files: csv, parquet and LaTeX."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from lossprint.files import whole_file
from lossprint.reports.section import PrintedTable


def write_tables(
    folder: Path, tidy: Mapping[str, pd.DataFrame], printed: Iterable[PrintedTable]
) -> list[Path]:
    """Write tidy tables as csv and parquet, printed tables as LaTeX; return the paths.

    Empty tables are left out. LaTeX is escaped and uses booktabs.
    """
    paths: list[Path] = []
    for name, table in tidy.items():
        if table.empty:
            continue
        table = table.convert_dtypes()
        for suffix, write in ((".csv", table.to_csv), (".parquet", table.to_parquet)):
            path = folder / f"{name}{suffix}"
            with whole_file(path) as temporary:
                write(temporary, index=False)
            paths.append(path)
    for item in printed:
        path = folder / f"{item.name}.tex"
        with whole_file(path) as temporary:
            temporary.write_text(to_latex(item.table), encoding="utf-8")
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
