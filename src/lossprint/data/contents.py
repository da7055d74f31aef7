"""What files hold, as hashes: computed once for a file, and again when it was touched."""

import hashlib
import json
import os
import stat
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.progress import track

from lossprint.files import whole_file

DIGITS = 32  # hexadecimal, 128 bits
# A file written within this time of being read could be written again without its time changing.
_SETTLED_SECONDS = 2.0

Stamp = tuple[int, int, int]
"""Bytes, and the times in nanoseconds of the last change to the content and to the entry."""


def file_digests(
    root: Path, files: Sequence[str], cache: Path | None = None
) -> tuple[str | None, ...]:
    """The hash of each file's bytes; None for one that is not there.

    A file whose size and times are those it was hashed with is not read again: of its times one
    (on Linux and macOS) is the system's own, which copying a file's date does not set.

    Args:
        root: folder that `files` are relative to.
        files: paths with forward slashes.
        cache: folder that remembers hashes; None remembers nothing.

    Returns:
        For each file `DIGITS` hexadecimal digits; None for what is no file, such as a folder.
    """
    memory = None if cache is None else cache / f"contents-{_name_of(root)}.json"
    known = _read(memory)
    now = time.time_ns()
    stamps = [_stamp(root / file) for file in files]
    stale = [
        file
        for file, stamp in zip(files, stamps, strict=True)
        if stamp is not None and known.get(file, (None,))[0] != stamp
    ]
    with ThreadPoolExecutor() as pool:
        hashes = pool.map(lambda file: _digest(root / file), stale)
        fresh = dict(
            zip(
                stale,
                track(hashes, "reading files", total=len(stale), transient=True),
                strict=True,
            )
        )
    found = {
        file: (stamp, fresh[file] if file in fresh else known[file][1])
        for file, stamp in zip(files, stamps, strict=True)
        if stamp is not None
    }
    if memory is not None and fresh:
        settled = {
            file: entry
            for file, entry in (known | found).items()
            if now - max(entry[0][1:]) > _SETTLED_SECONDS * 1e9
        }
        with whole_file(memory) as temporary:
            temporary.write_text(json.dumps(settled))
    return tuple(found[file][1] if file in found else None for file in files)


def _name_of(root: Path) -> str:
    return hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:16]


def _read(memory: Path | None) -> dict[str, tuple[Stamp, str]]:
    """What is remembered; nothing where the file is damaged, for it is only a memory."""
    if memory is None or not memory.is_file():
        return {}
    try:
        return {
            str(file): ((int(size), int(content), int(entry)), str(digest))
            for file, ((size, content, entry), digest) in json.loads(memory.read_text()).items()
        }
    except (ValueError, TypeError, AttributeError):
        return {}


def _stamp(path: Path) -> Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    # Windows keeps the time of creation there, which never changes.
    entry = 0 if os.name == "nt" else status.st_ctime_ns
    return status.st_size, status.st_mtime_ns, entry


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:DIGITS]
