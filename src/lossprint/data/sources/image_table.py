"""Classes as a table: a file, its label and perhaps its part of the split in each row."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import pandas as pd

from lossprint.data.sources.listing import Listed, files_below
from lossprint.data.sources.names import composed
from lossprint.data.sources.parts import PARTS, Found
from lossprint.data.tables import find_columns, read_table

_KNOWN = {
    "file": ("file", "path", "filename", "file_name", "filepath", "file_path", "image",
             "image_path", "img", "img_path", "image_file"),
    "label": ("label", "class", "class_name", "category", "target", "labels", "class_id"),
    "split": ("split", "partition", "subset", "part"),
}  # fmt: skip
_FIRST = 5


def read_image_table(root: Path, path: Path, given: Mapping[str, str | None]) -> Found:
    """Read a table of images below a folder.

    Args:
        root: that paths in the table are relative to, or below.
        path: of the table.
        given: names of its columns, see `ImageFolder`.

    Raises:
        FileNotFoundError: there is no such table, or its images lie beside it and not below `root`.
        ValueError: it cannot be understood; the message names the line or the setting.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"no CSV at {path}: data.source.csv is relative to data.source.root, or absolute"
        )
    table = read_table(path)
    _refuse_no_header(root, path, table)
    columns = find_columns(
        table,
        path,
        _KNOWN,
        given,
        setting="data.source.columns",
        needed=("file", "label"),
    )
    if not len(table):
        raise ValueError(f"{path} lists no image: below its header there is no row")
    for part in columns:
        empty = table.index[table[columns[part]] == ""]
        if len(empty):
            raise ValueError(
                f"{path}, line {empty[0]}: no {part} in the column {columns[part]!r}; fill it, "
                "or delete the row"
            )
    files, notes = _respelled(root, _below(root, path, table[columns["file"]]))
    labels = table[columns["label"]].tolist()
    images, repeated = _once(path, table.index, files, labels)
    left_out = Counter({"rows that repeat another": repeated} if repeated else {})
    unused = [name for name in table.columns if name not in columns.values()]
    notes += [f"columns not looked at: {', '.join(map(repr, unused))}"] if unused else []
    if "split" not in columns:
        return Found(images, {}, left_out, notes)
    parts: dict[str, set[str]] = {}
    for line, label, part in zip(
        table.index, labels, table[columns["split"]].str.lower(), strict=True
    ):
        if part not in PARTS:
            raise ValueError(
                f"{path}, line {line}: split {part!r} is not one of {', '.join(PARTS)}; "
                "data.source.columns={split: null} leaves that column alone"
            )
        parts.setdefault(part, set()).add(label)
    found = Found(images, parts, left_out, notes, f"the column `split` of {path}")
    both = found.test_classes() & found.development_classes()
    if both:
        raise ValueError(
            f"{path} puts class {min(both)!r} into both parts; the test is of classes that "
            "were never trained on. data.source.columns={split: null} leaves that column alone "
            "and splits the classes by data.source.test_fraction"
        )
    return found


def _refuse_no_header(root: Path, path: Path, table: pd.DataFrame) -> None:
    for cell in table.columns:
        if cell and os.path.isfile(root / cell):
            raise ValueError(
                f"{path}, line 1 holds the image {cell}, not the names of columns: put a line "
                "above it, file,label"
            )


def _below(root: Path, path: Path, files: pd.Series) -> list[str]:
    """Paths relative to the root, with forward slashes."""
    home = root.resolve()
    found = []
    for line, given in files.items():
        file = Path(given)
        if not file.is_absolute() and "\\" in given and not os.path.exists(root / file):
            file = Path(given.replace("\\", "/"))
        if file.is_absolute():
            for base, place in ((root, file), (root.absolute(), file), (home, file.resolve())):
                if place.is_relative_to(base):
                    file = place.relative_to(base)
                    break
        if file.is_absolute() or ".." in PurePosixPath(file.as_posix()).parts:
            raise ValueError(
                f"{path}, line {line}: {given!r} lies outside of {root}: "
                f"data.source.root={_common(root, file)} holds both, and the paths in the table "
                "are relative to it, or absolute"
            )
        found.append(file.as_posix())
    if found and not any(os.path.exists(root / file) for file in found[:_FIRST]):
        beside = path.parent
        if all(os.path.exists(beside / file) for file in found[:_FIRST]):
            raise FileNotFoundError(
                f"{path} lists {found[0]}, which is not under {root} but beside the table: "
                f"data.source.root={beside}"
            )
    return found


def _respelled(root: Path, files: list[str]) -> tuple[list[str], list[str]]:
    """Files as they are called on the disk, and a note where a table calls some otherwise.

    Letters may have another case or Unicode form there, and the suffix may be left out, where but
    one image can be meant; what is not found stays as it is.
    """
    absent = {file for file in files if not os.path.exists(root / file)}
    if not absent:
        return files, []
    there: dict[str, list[str]] = {}
    for path in files_below(root).images:
        name = path.relative_to(root).as_posix()
        for spelled in (name, name.removesuffix(path.suffix)):
            there.setdefault(composed(spelled).casefold(), []).append(name)
    found = []
    for file in files:
        meant = there.get(composed(file).casefold(), []) if file in absent else []
        found.append(meant[0] if len(meant) == 1 else file)
    other = [pair for pair in zip(files, found, strict=True) if pair[0] != pair[1]]
    if not other:
        return files, []
    return found, [f"{len(other)} files are called otherwise: {other[0][0]} is {other[0][1]}"]


def _common(root: Path, file: Path) -> Path:
    """The nearest folder above both."""
    absolute = (root / file).resolve()
    return next(folder for folder in absolute.parents if root.resolve().is_relative_to(folder))


def _once(
    path: Path, lines: pd.Index, files: Sequence[str], labels: Sequence[str]
) -> tuple[list[Listed], int]:
    """Each image once, and how many rows repeat another."""
    seen: dict[str, tuple[str, int]] = {}
    for line, file, label in zip(lines, files, labels, strict=True):
        before, first = seen.setdefault(file, (label, line))
        if before != label:
            raise ValueError(
                f"{path} gives {file} two labels: {before!r} in line {first}, {label!r} in line "
                f"{line}; an image has one class"
            )
    return [Listed(file, label) for file, (label, _) in seen.items()], len(files) - len(seen)
