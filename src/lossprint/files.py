"""Files that are whole or absent, and paths as they are typed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar, cast

Entries = TypeVar("Entries")


@contextmanager
def whole_file(path: Path | str) -> Iterator[Path]:
    """Give a temporary path in the target's folder; on success it replaces `path` in one step.

    The temporary name keeps the target's suffix, because libraries choose a format by it. If the
    block raises or is interrupted, the target stays as it was and the temporary file is removed.
    A process that is killed leaves at most a hidden file `.<name>.<pid><suffix>` behind.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        with temporary.open("r+b") as file:  # Windows flushes no file that is open for reading
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def from_home(entries: Entries) -> Entries:
    """A configuration's values with a leading `~/` or `~user/` of paths written out.

    A shell leaves it alone in `data_root=~/data`, and would make a folder of that name.
    """
    if isinstance(entries, str) and entries.startswith("~"):
        return cast(Entries, str(os.path.expanduser(entries)))
    if isinstance(entries, dict):
        return cast(Entries, {key: from_home(value) for key, value in entries.items()})
    if isinstance(entries, list):
        return cast(Entries, [from_home(value) for value in entries])
    return entries
