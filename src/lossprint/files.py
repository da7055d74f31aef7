"""Files that are whole or absent: write beside the target, then rename over it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
