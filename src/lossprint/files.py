"""Files that are whole or absent, folders held by one process, and paths as they are typed."""

import logging
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar, cast

from filelock import FileLock, Timeout

log = logging.getLogger(__name__)

Entries = TypeVar("Entries")

LOCK = ".lock"
_HOST = re.sub(r"[^A-Za-z0-9-]", "_", socket.gethostname())
_TEMPORARY = re.compile(r"\..*\.(?P<pid>\d+)@(?P<host>[A-Za-z0-9_-]+)(\.[^.]*)?")
_ABANDONED_SECONDS = 86_400.0  # age at which a file of another machine's writer is left over


@contextmanager
def whole_file(path: Path | str) -> Iterator[Path]:
    """Give a temporary path in the target's folder; on success it replaces `path` in one step.

    The temporary name keeps the target's suffix, because libraries choose a format by it. If the
    block raises or is interrupted, the target stays as it was and the temporary file is removed.
    A process that is killed leaves at most a hidden file `.<name>.<pid>@<host><suffix>` behind,
    which `remove_leftovers` finds.

    Raises:
        OSError: as what failed, but never without the name of a file: of a full disk, too.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}@{_HOST}{path.suffix}")
    try:
        yield temporary
        with temporary.open("r+b") as file:  # Windows flushes no file that is open for reading
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path | str) -> None:
    """Remove what `whole_file` of killed processes left in a folder; nothing of those at work.

    A process of this machine is asked for; files of other machines have to be a day old.
    """
    for path in Path(folder).glob(".*@*"):
        found = _TEMPORARY.fullmatch(path.name)
        if found is None:
            continue
        try:
            age = time.time() - path.stat().st_mtime
            abandoned = age > _ABANDONED_SECONDS
            if abandoned or (found["host"] == _HOST and not _is_alive(int(found["pid"]))):
                path.unlink()
        except OSError:
            continue  # its writer was at work after all, or the folder is another's


def _is_alive(process: int) -> bool:
    if os.name == "nt":
        return True  # there, asking is ending it
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # of another user
    return True


@contextmanager
def alone(folder: Path | str, work: str, *, name: str = LOCK) -> Iterator[None]:
    """Do some work in a folder while no other process does it; wait for one that does, and say so.

    The lock is the operating system's on a file, which ends with the process that holds it however
    it ends, on NFS too. It may be taken again by the thread that holds it. Beside it
    `<name>.holder` says which process that is.

    Args:
        folder: made if it is not there.
        work: that is done, to be told to others, e.g. "training outputs/a/triplet/fold0-seed0".
        name: of the lock's file.

    Raises:
        OSError: the folder cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / name, is_singleton=True)
    holder = folder / f"{name}.holder"
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.warning("%s: waiting for %s, which does that now", work, _read_holder(holder))
        lock.acquire(poll_interval=0.25)
    try:
        with whole_file(holder) as temporary:
            temporary.write_text(_this_process())
        yield
    finally:
        if lock.lock_counter == 1:
            holder.unlink(missing_ok=True)
        lock.release()


def held_by(folder: Path | str) -> str | None:
    """Which process works `alone` in a folder now; None if none does."""
    file = Path(folder) / LOCK
    if not file.is_file():
        return None
    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return _read_holder(file.with_name(f"{LOCK}.holder"))
    lock.release()
    return None


def _this_process() -> str:
    place = f"process {os.getpid()} on {socket.gethostname()}"
    job = "_".join(
        os.environ[key]
        for key in ("SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID")
        if key in os.environ
    )
    job = job or os.environ.get("SLURM_JOB_ID", "")
    return f"{place}, SLURM job {job}" if job else place


def _read_holder(file: Path) -> str:
    try:
        return " ".join(file.read_text(encoding="utf-8").split())[:200] or "another process"
    except (OSError, ValueError):
        return "another process"


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


def placeholder(path: Path) -> str | None:
    """What lies in place of a file that did not come along, and what to do; None for a file."""
    with path.open("rb") as file:
        start = file.read(64).lstrip().lower()
    if not start:
        return "empty: copy it anew"
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer: git lfs pull fetches what it stands for"
    if start.startswith((b"<!doctype", b"<html")):
        return "a web page: download the file itself"
    return None
