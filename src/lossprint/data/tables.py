"""Tables of text: CSV files as people save them, in which every name stays the text it is."""

import csv
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pandas as pd

_SEPARATORS = ",;\t|"
_ENCODINGS = ("utf-8-sig", "cp1252")


def read_table(path: Path) -> pd.DataFrame:
    """Read a table whose first row names its columns, separated by commas, semicolons, tabs or |.

    Every cell is text without spaces around it: `007` keeps its zeros and `NA` is a name. An empty
    cell is "". Rows are indexed by their line in the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no text, has no rows, a column twice, or a row of another length; the
            message names the file and the line.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no table at {path}")
    text = _text(path)
    if text.lstrip()[:1] in ("{", "["):
        raise ValueError(f"{path} is JSON, not CSV: save the table as CSV, a line for each image")
    header = text.lstrip("\r\n").split("\n", 1)[0]
    separator = max(_SEPARATORS, key=header.count)
    reader = csv.reader(text.splitlines(keepends=True), delimiter=separator, strict=False)
    lines: list[int] = []
    rows: list[list[str]] = []
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                lines.append(reader.line_num)
                rows.append([cell.strip() for cell in row])
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: {error}; save it as CSV anew") from error
    if not rows:
        raise ValueError(f"{path} is empty: its first row names the columns")
    columns, rows, lines = rows[0], rows[1:], lines[1:]
    while columns and not columns[-1] and all(len(r) < len(columns) or not r[-1] for r in rows):
        # A separator at the end of every line is no column.
        rows = [row[: len(columns) - 1] for row in rows]
        columns = columns[:-1]
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"{path} has the column {twice!r} twice; give each a name of its own")
    for line, row in zip(lines, rows, strict=True):
        if len(row) != len(columns):
            raise ValueError(
                f"{path}, line {line}: {len(row)} values for the {len(columns)} columns "
                f"{', '.join(map(repr, columns))}; a value that holds {separator!r} stands in "
                "quotation marks"
            )
    return pd.DataFrame(rows, columns=columns, index=pd.Index(lines, name="line"), dtype=str)


def find_columns(
    table: pd.DataFrame,
    path: Path,
    known: Mapping[str, Collection[str]],
    given: Mapping[str, str | None],
    *,
    setting: str,
    needed: Sequence[str],
) -> dict[str, str]:
    """Which column of a table plays which part.

    Args:
        table: see `read_table`.
        path: its file, for messages.
        known: for each part, names under which columns play it, in small letters; the first that
            is there is taken.
        given: names that the user gave, which go first; None has the part played by no column.
        setting: under which `given` is given.
        needed: parts that have to be played.

    Returns:
        part → column.

    Raises:
        ValueError: a part has no column, or a column that is given is not there.
    """
    unknown = [part for part in given if part not in known]
    if unknown:
        raise ValueError(f"unknown {setting}.{unknown[0]}; valid are {', '.join(known)}")
    lowered: dict[str, str] = {}
    for name in table.columns:
        lowered.setdefault(name.lower().replace(" ", "_"), name)
    found = {}
    for part, names in known.items():
        if part in given:
            column = given[part]
            if column is not None and column not in table.columns:
                raise ValueError(
                    f"{setting}.{part}={column}: {path} has no such column; it has {_listed(table)}"
                )
        else:
            column = next((lowered[name] for name in names if name in lowered), None)
        if column is not None:
            found[part] = column
    for part in needed:
        if part not in found:
            raise ValueError(
                f"{path} has no column `{part}`; its columns are {_listed(table)}. Name the one "
                f"that is meant: {setting}={{{part}: …}}"
            )
    return found


def _text(path: Path) -> str:
    content = path.read_bytes()
    encodings = ("utf-16",) if content[:2] in (b"\xff\xfe", b"\xfe\xff") else _ENCODINGS
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise ValueError(f"{path} is no text; save the table as CSV in UTF-8")


def _listed(table: pd.DataFrame) -> str:
    return ", ".join(map(repr, table.columns)) or "none"
