"""Which images of a set cannot be decoded: found out once, and remembered."""

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.progress import track

from lossprint.data.contents import file_digests
from lossprint.data.decoding import decode_image
from lossprint.data.index import ImageIndex
from lossprint.files import whole_file

_TRIED_SIDE = 64  # a JPEG is decoded at a fraction of its size to find out whether it is whole


def undecodable_files(
    root: Path,
    files: Sequence[str],
    cache: Path | None,
    digests: Sequence[str | None] | None = None,
) -> set[str]:
    """Try every file; those that are missing or no whole images.

    Args:
        root: folder that `files` are relative to.
        files: paths with forward slashes.
        cache: folder that remembers the answer for files of these names and bytes; None tries
            again every time.
        digests: hashes of the files' bytes; None has them read.
    """
    paths = [root / file for file in files]
    if digests is None:
        digests = file_digests(root, files, cache)
    content = json.dumps([list(files), list(digests)])
    key = hashlib.sha256(content.encode()).hexdigest()[:16]
    known = None if cache is None else cache / f"undecodable-{key}.json"
    if known is not None and known.is_file():
        try:
            return set(json.loads(known.read_text()))
        except (ValueError, TypeError):
            pass  # damaged, and written anew: it is only a memory
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
    bad = undecodable_files(index.root, index.files, cache, index.digests)
    if bad:
        raise ValueError(
            f"cannot decode {len(bad)} of {len(index)} images, the first is "
            f"{index.root / min(bad)}; on_bad_image=skip of a data set's source leaves them out"
        )


def _decodes(path: Path) -> bool:
    try:
        decode_image(path, draft=_TRIED_SIDE)
    except ValueError:
        return False
    return True
