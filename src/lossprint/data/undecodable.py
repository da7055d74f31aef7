"""Which images of a set cannot be decoded: found out once, and remembered."""

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image
from rich.progress import track

from lossprint.data.index import ImageIndex
from lossprint.files import whole_file

_TRIED_SIDE = 64  # a JPEG is decoded at a fraction of its size to find out whether it is whole


def undecodable_files(root: Path, files: Sequence[str], cache: Path | None) -> set[str]:
    """Try every file; those that are missing or no whole images.

    Args:
        root: folder that `files` are relative to.
        files: paths with forward slashes.
        cache: folder that remembers the answer for files of these names and sizes; None tries
            again every time.
    """
    paths = [root / file for file in files]
    content = json.dumps([str(root.resolve()), list(files), [_size(path) for path in paths]])
    key = hashlib.sha256(content.encode()).hexdigest()[:16]
    known = None if cache is None else cache / f"undecodable-{key}.json"
    if known is not None and known.is_file():
        return set(json.loads(known.read_text()))
    with ThreadPoolExecutor() as pool:
        decoded = track(
            pool.map(_decodes, paths), "trying images", total=len(paths), transient=True
        )
        found = {file for file, good in zip(files, decoded, strict=True) if not good}
    if known is not None:
        with whole_file(known) as temporary:
            temporary.write_text(json.dumps(sorted(found)))
    return found


def check_decodable(index: ImageIndex, cache: Path) -> None:
    """Find images that cannot be decoded before a training meets them.

    Args:
        index: images that are going to be read from their files.
        cache: see `undecodable_files`.

    Raises:
        ValueError: there are some; the first is named.
    """
    bad = undecodable_files(index.root, index.files, cache)
    if bad:
        raise ValueError(
            f"cannot decode {len(bad)} of {len(index)} images, the first is "
            f"{index.root / min(bad)}; on_bad_image=skip of a data set's source leaves them out"
        )


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _decodes(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            image.draft("RGB", (_TRIED_SIDE, _TRIED_SIDE))
            image.load()
    except (OSError, SyntaxError, Image.DecompressionBombError):
        return False
    return True
