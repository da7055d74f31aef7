"""The table of what a run logged in every epoch."""

import csv
from pathlib import Path

from lossprint.files import whole_file

FIRST_COLUMNS = ("epoch", "step")


def read_rows(path: Path | str) -> list[dict[str, float]]:
    """Read the rows of a metrics file; a metric that an epoch lacks is left out of its row.

    Returns:
        Rows in order of epochs; empty if there is no file.

    Raises:
        ValueError: naming the file and the line, if it holds anything but numbers.
    """
    path = Path(path)
    if not path.is_file():
        return []
    rows: list[dict[str, float]] = []
    line = 1
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if "epoch" not in (reader.fieldnames or ()):
                raise ValueError("there is no column `epoch`")
            for row in reader:
                line = reader.line_num
                rows.append({key: _number(value) for key, value in row.items() if value != ""})
                if "epoch" not in rows[-1]:
                    raise ValueError("there is no epoch")
    except (TypeError, ValueError, csv.Error) as error:
        raise ValueError(f"{path}, line {line}: {error}") from error
    return rows


def write_rows(path: Path | str, rows: list[dict[str, float]]) -> None:
    """Write a metrics file: epoch and step first, further metrics by name, missing ones empty."""
    further = sorted({key for row in rows for key in row} - set(FIRST_COLUMNS))
    with whole_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*FIRST_COLUMNS, *further], restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)
