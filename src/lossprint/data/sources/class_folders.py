"""Classes as folders: `root/<class>/…`, perhaps below `train/`, `val/` and `test/`."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from lossprint.data.decoding import UNREAD_PICTURES
from lossprint.data.sources.listing import Listed, counted, files_below
from lossprint.data.sources.parts import PARTS, Found

_NAMED = 5


def read_class_folders(root: Path) -> Found:
    """Find the images below a folder, their classes and the split that folders tell.

    Raises:
        FileNotFoundError: no image lies in a folder of its class.
        ValueError: the folders may be meant otherwise; the message says what to do.
    """
    files = files_below(root)
    relative = [path.relative_to(root).parts for path in files.images]
    left_out = files.left_out
    direct = sum(len(parts) == 1 for parts in relative)
    relative = [parts for parts in relative if len(parts) > 1]
    if not relative:
        raise FileNotFoundError(_no_class_folder(root, direct, files.others, left_out))
    if direct:
        left_out["in no class folder"] = direct
    if _is_split(relative):
        return _split_folders(root, relative, left_out)
    _refuse_half_a_split(root, relative)
    _refuse_lost_classes(root, {parts[0] for parts in relative}, files.others)
    if len({parts[0] for parts in relative}) == 1:
        inner = {parts[1] for parts in relative if len(parts) > 2}
        if len(inner) > 1:
            wrapper = root / relative[0][0]
            raise ValueError(
                f"{root} has one folder, {relative[0][0]}, and that one has "
                f"{len(inner)}: if those are the classes, data.source.root={wrapper}"
            )
    images = [Listed("/".join(parts), parts[0]) for parts in relative]
    return Found(images, {}, left_out, _without_images(root, relative))


def _is_split(relative: Sequence[tuple[str, ...]]) -> bool:
    """Whether the folders below the root are parts of a split, with folders of classes in them."""
    tops = {parts[0].lower() for parts in relative}
    return tops <= set(PARTS) and len(tops) > 1 and all(len(parts) > 2 for parts in relative)


def _split_folders(
    root: Path, relative: Sequence[tuple[str, ...]], left_out: Counter[str]
) -> Found:
    level = 1
    # train/images/<class>: a folder that all images lie in is no class.
    while len({parts[level] for parts in relative}) == 1 and min(map(len, relative)) > level + 2:
        level += 1
    images = [Listed("/".join(parts), parts[level]) for parts in relative]
    parts: dict[str, set[str]] = {}
    for each in relative:
        parts.setdefault(each[0].lower(), set()).add(each[level])
    folders = ", ".join(f"{name}/" for name in sorted({each[0] for each in relative}))
    found = Found(images, parts, left_out, told_by=f"the folders {folders} of {root}")
    if not found.test_classes() & found.development_classes():
        note = f"{folders} tell the split"
        return Found(images, parts, left_out, [note], found.told_by)
    note = (
        f"{folders} hold the same classes, so a class's images are taken together and the split "
        "is by class: data.source.test_fraction=… or test_classes=…"
    )
    return Found(images, {}, left_out, [note])


def _refuse_half_a_split(root: Path, relative: Sequence[tuple[str, ...]]) -> None:
    """Folders `train` and `test` are no classes, though other things than classes lie there."""
    shallow = {parts[0] for parts in relative if len(parts) == 2}
    tops = {parts[0] for parts in relative}
    known = sorted(top for top in tops if top.lower() in PARTS)
    if len(known) < 2:
        return
    odd = sorted(tops - set(known))
    if odd:
        reason = f"{odd[0]}/ beside them is none: move it elsewhere"
    else:
        reason = f"images lie in {min(shallow)}/ itself: make one folder per class in it"
    raise ValueError(
        f"the folders {', '.join(f'{top}/' for top in known)} of {root} look like parts of a "
        f"split, but {reason}, or list the images in a table, data.source.csv=…"
    )


def _without_images(root: Path, relative: Sequence[tuple[str, ...]]) -> list[str]:
    classes = {parts[0] for parts in relative}
    empty = sorted(
        path.name
        for path in root.iterdir()
        if path.is_dir() and path.name not in classes and not path.name.startswith(".")
    )
    shown = ", ".join(f"{name}/" for name in empty[:_NAMED]) + (", …" if empty[_NAMED:] else "")
    return [f"folders without an image are no classes: {shown}"] if empty else []


def _no_class_folder(
    root: Path, direct: int, others: Sequence[Path], left_out: Counter[str]
) -> str:
    tables = [path.name for path in others if path.suffix.lower() in (".csv", ".tsv")]
    if direct:
        return (
            f"{direct} images lie directly under {root}, in no folder of a class: make one folder "
            "per class, or list them in a table with the columns file and label: "
            f"data.source.csv={tables[0] if tables else '…'}"
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
