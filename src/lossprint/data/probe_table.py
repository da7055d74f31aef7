"""The table of a probe set: which images there are, and the categories of their properties."""

import logging
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from lossprint.data.sources.listing import files_below
from lossprint.data.sources.names import lookalikes
from lossprint.data.tables import find_columns, read_table

log = logging.getLogger(__name__)

SAMPLES = "samples.csv"
_TABLES = (".csv", ".tsv")
_KEYS = {
    "frame": ("frame",),
    "file": ("file", "path", "filename", "file_name", "filepath", "image", "image_path", "img"),
}
_INDEX_NAMES = ("", "index", "unnamed:_0", "row")
# A column of numbers is continuous where more than half of them are different ones; fewer images
# than this say nothing about it unless the numbers are fractions.
_ENOUGH = 10
_ODD = 4  # a column of as many numbers for each word is one of numbers


class Samples(NamedTuple):
    """What a probe set's table says.

    Attributes:
        files: N image paths relative to the folder, with forward slashes.
        properties: [N rows, one column per property], text, indexed by the frame's or file's name.
        path: of the table.
        by_frame: whether its images are named by frame.
    """

    files: tuple[str, ...]
    properties: pd.DataFrame
    path: Path
    by_frame: bool


def read_samples(
    folder: Path,
    *,
    columns: Mapping[str, str | None],
    bins: Mapping[str, int | Sequence[float]],
    leave_out: Collection[str],
) -> Samples:
    """Read the table of a folder, find its images, and say what was taken how.

    The column `file` holds paths below the folder (or below its `images/`); or the column `frame`
    holds names of images in `images/`, with or without their suffix and leading zeros. Every other
    column is a property, except one without a name that counts the rows.

    Args:
        folder: with `samples.csv`, or one other table.
        columns: names of the columns `file` and `frame` where they have others.
        bins: for columns of numbers, into how many bins of equally many images they are put, or
            the bins' edges.
        leave_out: columns that are no properties.

    Raises:
        FileNotFoundError: no table, or no image for a row.
        ValueError: the table cannot be understood, an image is listed twice, or a property is
            empty or continuous; the message names the setting that helps.
    """
    path = _find_table(folder)
    table = read_table(path)
    _check_names(path, table, bins, "bins")
    _check_names(path, table, leave_out, "leave_out")
    keys = find_columns(table, path, _KEYS, columns, setting="probe.columns", needed=())
    if not keys:
        raise ValueError(
            f"{path} has no column `frame` or `file`; its columns are "
            f"{', '.join(map(repr, table.columns))}. Name the one with the images' paths: "
            "probe.columns={file: …}"
        )
    if not len(table):
        raise ValueError(f"{path} lists no image: below its header there is no row")
    key = keys.get("file", keys.get("frame"))
    files = _find_images(folder, path, table[key], by_frame="file" not in keys)
    names = table[keys.get("frame", key)]
    for what, values in (
        (keys.get("frame", key), names),
        ("image", pd.Series(files, index=table.index)),
    ):
        if values.duplicated().any():
            again = values[values.duplicated()]
            first = values.index[values == again.iloc[0]][0]
            raise ValueError(
                f"{path}, line {again.index[0]}: {what} {again.iloc[0]} stands in line {first} "
                "already; each has one row"
            )
    rest = table.drop(columns=list(keys.values()))
    left = {
        name: "it counts the rows" for name in rest.columns if _counts_rows(name, rest[name])
    } | dict.fromkeys(leave_out, "probe.properties.leave_out")
    properties = rest.drop(columns=list(left))
    for name in properties.columns:
        properties[name], reason = _property(path, name, properties[name], bins.get(name))
        if reason is not None:
            left[name] = reason
    properties = properties.drop(columns=[name for name in left if name in properties.columns])
    if properties.columns.empty:
        raise ValueError(
            f"{path} has no column that is a property"
            + "".join(f"; {name!r} is left out: {reason}" for name, reason in left.items())
            + ": every property is a column"
        )
    _say(path, files, properties, left)
    properties = properties.set_axis(pd.Index(names, name="frame"))
    return Samples(files, properties, path, by_frame="file" not in keys)


def image_names(folder: Path, kind: str) -> "_Names":
    """Images below a folder, to be found by what a table calls them."""
    base = folder / kind if (folder / kind).is_dir() else folder
    return _Names(folder, files_below(base).images)


class _Names:
    """Files by path, by name, by stem and by number."""

    def __init__(self, folder: Path, paths: Sequence[Path]) -> None:
        self.files = [path.relative_to(folder).as_posix() for path in paths]
        self._by_name: dict[str, list[str]] = {}
        for file, path in zip(self.files, paths, strict=True):
            inner = file.split("/", 1)[-1]
            names = {file, inner, path.name, path.stem, inner.removesuffix(path.suffix)}
            if path.stem.isdecimal():
                names.add(f"#{int(path.stem)}")
            for name in names:
                self._by_name.setdefault(name, []).append(file)

    def find(self, name: str) -> list[str]:
        """Files that a name may mean; one, if all is well."""
        for key in (name, f"#{int(name)}" if name.isdecimal() else name):
            if key in self._by_name:
                return self._by_name[key]
        return []


def _find_table(folder: Path) -> Path:
    if (folder / SAMPLES).is_file():
        return folder / SAMPLES
    tables = sorted(
        path
        for path in (folder.iterdir() if folder.is_dir() else ())
        if path.suffix.lower() in _TABLES and path.stem != "interventions"
    )
    if len(tables) == 1:
        return tables[0]
    found = ", ".join(path.name for path in tables) or "none"
    raise FileNotFoundError(
        f"{folder / SAMPLES} is missing (tables there: {found}): a probe set is a folder with a "
        f"table {SAMPLES}, in which the column `file` holds the images' paths below the folder "
        "and every other column is a property of them; probe.folder=… names the folder"
    )


def _check_names(path: Path, table: pd.DataFrame, names: Collection[str], setting: str) -> None:
    for name in names:
        if name not in table.columns:
            raise ValueError(
                f"probe.properties.{setting} names {name!r}, which is no column of {path}; it has "
                f"{', '.join(map(repr, table.columns))}"
            )


def _find_images(folder: Path, path: Path, names: pd.Series, *, by_frame: bool) -> tuple[str, ...]:
    """Each row's image; what there is no image for, or several, is named."""
    images = image_names(folder, "images")
    found, absent = [], []
    for line, name in names.items():
        if not name:
            raise ValueError(
                f"{path}, line {line}: no name of an image in {names.name!r}; fill it, or delete "
                "the row"
            )
        inner = _below(folder, path, line, name)
        if (folder / inner).is_file() and not by_frame:
            found.append(inner)
            continue
        alike = images.find(inner)
        if len(alike) > 1:
            raise ValueError(
                f"{path}, line {line}: {name!r} may be {alike[0]} or {alike[1]}; write its path "
                "below the folder into a column `file`"
            )
        if alike:
            found += alike
        else:
            absent.append((line, name))
    if absent:
        line, name = absent[0]
        raise FileNotFoundError(
            f"{path} lists {len(absent)} images that are not below {folder}, the first is "
            f"{name!r} in line {line}. Paths in it are relative to the folder; or, by a column "
            "`frame`, names of images in images/"
        )
    return tuple(found)


def _below(folder: Path, path: Path, line: object, name: str) -> str:
    file = Path(name if (folder / name).exists() else name.replace("\\", "/"))
    if file.is_absolute():
        home = folder.resolve()
        file = file.resolve()
        file = file.relative_to(home) if file.is_relative_to(home) else file
    if ".." in file.parts or file.is_absolute():
        raise ValueError(
            f"{path}, line {line}: {name!r} lies outside of {folder}; put the image below it, or "
            "the table above both and name that folder: probe.folder=…"
        )
    return file.as_posix()


def _counts_rows(name: str, values: pd.Series) -> bool:
    """Whether a column is the index that a table was saved with."""
    if name.lower().replace(" ", "_") not in _INDEX_NAMES or not values.str.isdecimal().all():
        return False
    numbers = values.astype(int).to_numpy()
    return bool((np.diff(numbers) == 1).all())


def _property(
    path: Path, name: str, values: pd.Series, bins: int | Sequence[float] | None
) -> tuple[pd.Series, str | None]:
    """A property's categories, and why it is none if it is none."""
    present = values[values != ""]
    if present.empty:
        raise ValueError(
            f"{path} has no value in its column {name}: fill it, or "
            f"probe.properties.leave_out=[{name}]"
        )
    numbers = _as_numbers(present)
    if bins is not None:
        if numbers is None:
            line, odd = next(
                (line, value)
                for line, value in present.items()
                if _as_numbers(pd.Series([value])) is None
            )
            raise ValueError(
                f"{path}, line {line}: {odd!r} in the column {name} is no number; correct it, "
                f"empty the cell, or do without probe.properties.bins.{name}"
            )
        binned = _binned(path, name, numbers, bins)
        return values.where(values == "", binned.reindex(values.index)), None
    distinct = present.nunique()
    if numbers is not None and distinct > len(present) / 2:
        fractions = bool((numbers % 1 != 0).any())
        if distinct > _ENOUGH or (fractions and distinct > 2):
            raise ValueError(
                f"{path}: the column {name} has {distinct} different numbers for {len(present)} "
                f"images ({present.iloc[0]}, {present.iloc[1]}, …); a property is a category that "
                f"several images share. Put it into bins: probe.properties.bins={{{name}: 8}}, or "
                f"leave it out: probe.properties.leave_out=[{name}]"
            )
    if distinct == len(present) > 1:
        _refuse_odd_number(path, name, present)
        return values, "no two images share a value of it"
    if distinct == 1:
        return values, f"all images have the same value of it, {present.iloc[0]!r}"
    return values, None


def _refuse_odd_number(path: Path, name: str, present: pd.Series) -> None:
    """A column of numbers with a word for a missing one would be taken for a column of names."""
    odd = [line for line, value in present.items() if _as_numbers(pd.Series([value])) is None]
    if 0 < len(odd) <= len(present) / _ODD:
        raise ValueError(
            f"{path}, line {odd[0]}: {present[odd[0]]!r} in the column {name} is no number, as "
            f"{len(present) - len(odd)} others are. Empty the cell and put the numbers into bins, "
            f"probe.properties.bins={{{name}: 8}}, or probe.properties.leave_out=[{name}]"
        )


def _as_numbers(values: pd.Series) -> pd.Series | None:
    """Text as numbers, with a decimal point or comma; None if some are not."""
    for text in (values, values.str.replace(",", ".", regex=False)):
        numbers = pd.to_numeric(text, errors="coerce")
        if np.isfinite(numbers).all():
            return numbers
    return None


def _binned(path: Path, name: str, numbers: pd.Series, bins: int | Sequence[float]) -> pd.Series:
    """Names of the bins, `0 – 45`."""
    setting = f"{path}: probe.properties.bins.{name}"
    if isinstance(bins, int) and not isinstance(bins, bool):
        if not 2 <= bins <= len(numbers):
            raise ValueError(
                f"{setting}={bins} must be from 2 to the number of images with a value of it, "
                f"{len(numbers)}"
            )
        edges = np.unique(np.quantile(numbers, np.linspace(0, 1, bins + 1)))
        if len(edges) < 2:
            raise ValueError(f"{setting}: all values are {numbers.iloc[0]:g}, nothing to divide")
    else:
        try:
            edges = np.asarray(bins, dtype=float)
        except (TypeError, ValueError):
            edges = np.empty(0)
        if edges.ndim != 1 or len(edges) < 3 or not (np.diff(edges) > 0).all():
            raise ValueError(
                f"{setting}={bins!r} must be a number of bins, or three or more rising edges"
            )
        outside = numbers[(numbers < edges[0]) | (numbers > edges[-1])]
        if len(outside):
            raise ValueError(
                f"{setting}: {outside.iloc[0]:g} lies outside of the edges {edges[0]:g} … "
                f"{edges[-1]:g}"
            )
    places = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, len(edges) - 2)
    names = [f"{low:.4g} – {high:.4g}" for low, high in pairwise(edges)]
    return pd.Series([names[place] for place in places], index=numbers.index)


def _say(
    path: Path, files: Sequence[str], properties: pd.DataFrame, left: Mapping[str, str]
) -> None:
    levels = ", ".join(f"{name} ({properties[name].nunique()})" for name in properties.columns)
    said = [f"{path}: {len(files):,} images, properties (and their values): {levels}"]
    said += [f"{name!r} is left out: {reason}" for name, reason in left.items()]
    for name in properties.columns:
        for group in lookalikes(properties[name].unique()):
            said.append(f"{', '.join(map(repr, group))} are different values of {name!r}")
    log.info("; ".join(said))
