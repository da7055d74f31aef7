"""What a data set lists: its images, each with its class, and which classes are the test."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from lossprint.data.decoding import HEIF, image_suffixes

HIDDEN, BROKEN_LINK, NO_FILE, NO_SUFFIX = "hidden", "broken links", "no plain files", "no suffix"


class Listed(NamedTuple):
    """One image as a data set lists it; `file` is relative to the root, with forward slashes."""

    file: str
    class_name: str


class Listing(NamedTuple):
    """A data set as it is listed.

    Attributes:
        images: in the order that the partition keeps.
        class_names: all classes in the data set's order, which labels follow in both parts.
        test_classes: those that are the test; the others develop.
        left_out: how many files were passed over, by the reason or by their suffix.
        notes: what else was taken how, a sentence each.
    """

    images: Sequence[Listed]
    class_names: Sequence[str]
    test_classes: frozenset[str]
    left_out: Mapping[str, int] = {}
    notes: Sequence[str] = ()


class Files(NamedTuple):
    """What lies below a folder.

    Attributes:
        images: files of a format that can be read, sorted.
        others: the remaining ones, sorted.
        left_out: how many those are, by suffix; also hidden files and links that lead nowhere.
    """

    images: list[Path]
    others: list[Path]
    left_out: Counter[str]


def in_halves(
    images: Sequence[Listed],
    class_names: Sequence[str] | None = None,
    left_out: Mapping[str, int] = {},
) -> Listing:
    """The field's zero-shot split: the first half of the classes develops, the second tests.

    With an odd number of classes the test has one more. Classes are sorted by name where the data
    set has no order of its own.
    """
    if class_names is None:
        class_names = sorted({image.class_name for image in images})
    return Listing(images, class_names, frozenset(class_names[len(class_names) // 2 :]), left_out)


def files_below(folder: Path) -> Files:
    """All files anywhere below `folder`, links to files and folders followed.

    A link to a folder that it lies in itself is not entered again.

    Raises:
        ValueError: a name is not in UTF-8, so that no table, record or report can hold it.
    """
    images, others = [], []
    left_out: Counter[str] = Counter()
    entered: dict[str, set[str]] = {str(folder): {os.path.realpath(folder)}}
    for place, subfolders, names in os.walk(folder, followlinks=True):
        above = entered.pop(place)
        visible = []
        for name in subfolders:
            subfolder = os.path.join(place, name)
            real = os.path.realpath(subfolder)
            if not name.startswith(".") and real not in above:
                visible.append(name)
                entered[subfolder] = above | {real}
        subfolders[:] = visible
        for name in names:
            path = Path(place, name)
            _check_utf8(folder, path)
            if name.startswith("."):
                left_out[HIDDEN] += 1
            elif not path.is_file():
                left_out[BROKEN_LINK if path.is_symlink() else NO_FILE] += 1
            elif path.suffix.lower() in image_suffixes():
                images.append(path)
            else:
                left_out[path.suffix.lower() or NO_SUFFIX] += 1
                others.append(path)
    return Files(sorted(images), sorted(others), left_out)


def _check_utf8(folder: Path, path: Path) -> None:
    inner = str(path.relative_to(folder))
    try:
        inner.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"the name of {inner!a} under {folder} is not in UTF-8: rename it; where such names "
            f"are Western European, convmv -f cp1252 -t utf8 -r --notest {folder} renames all"
        ) from error


def listed_by_folder(root: Path, folder: Path) -> tuple[list[Listed], Counter[str]]:
    """Images below `folder`, the folder that one lies in being its class; and what is left out."""
    files = files_below(folder)
    listed = [Listed(path.relative_to(root).as_posix(), path.parent.name) for path in files.images]
    return listed, files.left_out


def text_lines(path: Path) -> list[str]:
    """Lines of a list that a data set's authors wrote.

    Raises:
        ValueError: the file is no text.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if "\0" in text:
            raise ValueError(f"a zero byte in line {text[: text.index(chr(0))].count(chr(10)) + 1}")
    except ValueError as error:
        raise ValueError(
            f"{path} is no text ({error}): unpack or copy the data set anew"
        ) from error
    return text.splitlines()


def text_rows(path: Path, columns: str, *, header: int = 0) -> Iterator[tuple[int, list[str]]]:
    """Rows of such a list, each with its line's number; the last column may hold spaces.

    Args:
        path: of the list.
        columns: their names, e.g. "image_id class_id path".
        header: lines above the first row.

    Raises:
        ValueError: the file is no text, or a line has fewer columns; the message names it.
    """
    last = len(columns.split()) - 1
    for number, line in enumerate(text_lines(path)[header:], start=header + 1):
        fields = line.split(maxsplit=last)
        if not fields:
            continue
        if len(fields) <= last:
            raise ValueError(
                f"{path}, line {number}: {line!r} is not `{columns}`: unpack the archive anew"
            )
        yield number, [field.rstrip() for field in fields]


def counted(left_out: Mapping[str, int]) -> str:
    """`28 files (.heic 20, .txt 8)`, the most frequent first."""
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in Counter(left_out).most_common())
    if unread := [suffix for suffix in HEIF if suffix in left_out]:
        kinds += f"; pip install -e '.[heif]' reads {' and '.join(unread)}"
    total = sum(left_out.values())
    return f"{total:,} file{'s' if total != 1 else ''} ({kinds})"
