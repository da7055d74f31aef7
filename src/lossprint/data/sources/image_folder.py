"""Anybody's images: class folders or a table, split by fraction, by class names or as they lie."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pandas as pd

from lossprint.data.decoding import UNREAD_PICTURES
from lossprint.data.sources.listing import Listed, Listing, counted, files_below
from lossprint.data.sources.names import named
from lossprint.data.sources.source import ListedSource
from lossprint.data.tables import find_columns, read_table

_DEVELOPMENT = ("train", "training", "development", "dev", "trainval")
_VALIDATION = ("val", "valid", "validation")
_TEST = ("test", "testing", "query", "gallery", "eval", "evaluation")
_PARTS = (*_DEVELOPMENT, *_VALIDATION, *_TEST)
_COLUMNS = {
    "file": ("file", "path", "filename", "file_name", "filepath", "file_path", "image",
             "image_path", "img", "img_path", "image_file"),
    "label": ("label", "class", "class_name", "category", "target", "labels", "class_id"),
    "split": ("split", "partition", "subset", "part"),
}  # fmt: skip
_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class ImageFolder(ListedSource):
    """Labelled images under a folder.

    Without a table, every folder directly below `root` is a class, with all images anywhere below
    it. Folders `train`, `val`, `test` (or the like) between `root` and the classes are no classes:
    they tell the split, unless they share classes.

    The split is by class, never by image, and is told in one of four ways: the names of the test's
    classes, the table's column `split`, folders of that meaning, or a fraction. Validation's
    classes develop where there is a test, and are the test where there is none.

    Attributes:
        test_fraction: share of the classes, sorted as text, from the end, that are the test. Used
            where nothing else tells the split.
        test_classes: names of the test's classes.
        csv: a table of the images, see `read_table`: `file` (relative to `root`, or absolute and
            below it), `label`, and optionally `split`. Its path is relative to `root`, or absolute.
        columns: names of these three columns where they have others; None for `split` has that
            column not looked at.
    """

    test_fraction: float = 0.5
    test_classes: Sequence[str] | None = None
    csv: Path | None = None
    columns: Mapping[str, str | None] = field(default_factory=dict)
    contradictions_are_bad = True

    def listing(self) -> Listing:
        if not self.root.is_dir():
            raise FileNotFoundError(
                f"no folder {self.root}: data.source.root names a folder with one folder of images "
                "per class, or with the images that data.source.csv lists"
            )
        found = self._folders() if self.csv is None else self._table(self.root / self.csv)
        notes = list(found.notes)
        class_names = sorted({image.class_name for image in found.images})
        test: Collection[str]
        if self.test_classes is not None:
            if found.parts:
                raise ValueError(
                    f"both data.source.test_classes and {found.told_by} tell the split: leave out "
                    "test_classes, or the other alone with "
                    "data.source.columns={split: null}"
                )
            test = named(self.test_classes, class_names, setting="data.source.test_classes")
        elif found.parts:
            test = found.test_classes()
        else:
            test = self._last(class_names)
        return Listing(found.images, class_names, frozenset(test), found.left_out, notes)

    def _last(self, class_names: list[str]) -> Sequence[str]:
        if not 0 < self.test_fraction < 1:
            raise ValueError(
                f"data.source.test_fraction={self.test_fraction} is not between 0 and 1"
            )
        count = round(len(class_names) * self.test_fraction)
        return class_names[len(class_names) - count :]

    def _folders(self) -> "_Found":
        files = files_below(self.root)
        relative = [path.relative_to(self.root).parts for path in files.images]
        left_out = files.left_out
        direct = sum(len(parts) == 1 for parts in relative)
        relative = [parts for parts in relative if len(parts) > 1]
        if not relative:
            raise FileNotFoundError(_no_class_folder(self.root, direct, left_out))
        if direct:
            left_out["in no class folder"] = direct
        if _is_split(relative):
            return _split_folders(self.root, relative, left_out)
        _refuse_lost_classes(self.root, {parts[0] for parts in relative}, files.others)
        if len({parts[0] for parts in relative}) == 1:
            inner = {parts[1] for parts in relative if len(parts) > 2}
            if len(inner) > 1:
                wrapper = self.root / relative[0][0]
                raise ValueError(
                    f"{self.root} has one folder, {relative[0][0]}, and that one has "
                    f"{len(inner)}: if those are the classes, data.source.root={wrapper}"
                )
        images = [Listed("/".join(parts), parts[0]) for parts in relative]
        return _Found(images, {}, left_out)

    def _table(self, path: Path) -> "_Found":
        if not path.is_file():
            raise FileNotFoundError(
                f"no CSV at {path}: data.source.csv is relative to data.source.root, or absolute"
            )
        table = read_table(path)
        columns = find_columns(
            table,
            path,
            _COLUMNS,
            self.columns,
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
        files = _below(self.root, path, table[columns["file"]])
        labels = table[columns["label"]].tolist()
        images, repeated = _once(path, table.index, files, labels)
        left_out = Counter({"rows that repeat another": repeated} if repeated else {})
        unused = [name for name in table.columns if name not in columns.values()]
        notes = [f"columns not looked at: {', '.join(map(repr, unused))}"] if unused else []
        if "split" not in columns:
            return _Found(images, {}, left_out, notes)
        parts: dict[str, set[str]] = {}
        for line, label, part in zip(
            table.index, labels, table[columns["split"]].str.lower(), strict=True
        ):
            if part not in _PARTS:
                raise ValueError(
                    f"{path}, line {line}: split {part!r} is not one of {', '.join(_PARTS)}; "
                    "data.source.columns={split: null} leaves that column alone"
                )
            parts.setdefault(part, set()).add(label)
        found = _Found(images, parts, left_out, notes, f"the column `split` of {path}")
        both = found.test_classes() & found.development_classes()
        if both:
            raise ValueError(
                f"{path} puts class {min(both)!r} into both parts; the test is of classes that "
                "were never trained on. data.source.columns={split: null} leaves that column alone "
                "and splits the classes by data.source.test_fraction"
            )
        return found


@dataclass(frozen=True)
class _Found:
    """Images and, where it is told, which classes are in which part."""

    images: list[Listed]
    parts: Mapping[str, set[str]]
    left_out: Counter[str]
    notes: Sequence[str] = ()
    told_by: str = ""

    def test_classes(self) -> set[str]:
        tests = [part for part in self.parts if part in _TEST]
        tests = tests or [part for part in self.parts if part in _VALIDATION]
        return {name for part in tests for name in self.parts[part]}

    def development_classes(self) -> set[str]:
        has_test = any(part in _TEST for part in self.parts)
        development = (*_DEVELOPMENT, *_VALIDATION) if has_test else _DEVELOPMENT
        return {name for part in self.parts if part in development for name in self.parts[part]}


def _is_split(relative: Sequence[tuple[str, ...]]) -> bool:
    """Whether the folders below the root are parts of a split, with folders of classes in them."""
    tops = {parts[0].lower() for parts in relative}
    return tops <= set(_PARTS) and len(tops) > 1 and all(len(parts) > 2 for parts in relative)


def _split_folders(
    root: Path, relative: Sequence[tuple[str, ...]], left_out: Counter[str]
) -> _Found:
    images = [Listed("/".join(parts), parts[1]) for parts in relative]
    parts: dict[str, set[str]] = {}
    for top, name, *_ in relative:
        parts.setdefault(top.lower(), set()).add(name)
    folders = ", ".join(f"{name}/" for name in sorted({each[0] for each in relative}))
    found = _Found(images, parts, left_out, told_by=f"the folders {folders} of {root}")
    if not found.test_classes() & found.development_classes():
        note = f"{folders} tell the split"
        return _Found(images, parts, left_out, [note], found.told_by)
    note = (
        f"{folders} hold the same classes, so a class's images are taken together and the split "
        "is by class: data.source.test_fraction=… or test_classes=…"
    )
    return _Found(images, {}, left_out, [note])


def _no_class_folder(root: Path, direct: int, left_out: Counter[str]) -> str:
    if direct:
        return (
            f"{direct} images lie directly under {root}, in no folder of a class: make one folder "
            "per class, or list them in a table with the columns file and label: "
            "data.source.csv=…"
        )
    message = f"no images in folders under {root}: expected {root}/<class>/*.jpg"
    if left_out:
        message += f"; what lies there is {counted(left_out)}"
    return message


def _refuse_lost_classes(root: Path, classes: set[str], others: Sequence[Path]) -> None:
    """A folder that holds pictures, but none that can be read, would vanish from the classes."""
    lost: dict[str, Counter[str]] = {}
    for path in others:
        parts = path.relative_to(root).parts
        if len(parts) > 1 and parts[0] not in classes and path.suffix.lower() in UNREAD_PICTURES:
            lost.setdefault(parts[0], Counter())[path.suffix.lower()] += 1
    if lost:
        raise ValueError(
            f"{len(lost)} class folders of {root} hold no image that can be read, the first is "
            f"{min(lost)!r} ({counted(lost[min(lost)])}). Convert them to JPEG or PNG, or move "
            "these folders elsewhere"
        )


def _below(root: Path, path: Path, files: pd.Series) -> list[str]:
    """Paths relative to the root, with forward slashes."""
    home = root.resolve()
    found = []
    for line, given in files.items():
        file = Path(given)
        if not file.is_absolute() and "\\" in given and not (root / file).exists():
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
    if found and not any((root / file).exists() for file in found[:_NAMED]):
        beside = path.parent
        if all((beside / file).exists() for file in found[:_NAMED]):
            raise FileNotFoundError(
                f"{path} lists {found[0]}, which is not under {root} but beside the table: "
                f"data.source.root={beside}"
            )
    return found


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
