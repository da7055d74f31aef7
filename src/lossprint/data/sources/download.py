"""Archives from the network: continued when cut off, checked, and unpacked only below a folder."""

import hashlib
import os
import tarfile
import tempfile
import urllib.request
import zipfile
from pathlib import Path
from urllib.error import HTTPError

from rich.progress import Progress

_BLOCK = 1 << 20
_TIMEOUT = 60  # seconds without an answer


def download_archive(url: str, folder: Path, *, name: str, md5: str) -> None:
    """Fetch an archive and unpack it into `folder`; the archive itself is not kept.

    A download that was cut off continues where it stopped. Unpacked files appear in `folder` all
    at once or not at all; what already lies there under the same names stays.

    Args:
        url: where it is.
        folder: created if needed.
        name: the archive's file name; its suffix tells the format (tar, tgz, zip).
        md5: checksum of the archive, in hexadecimal.

    Raises:
        OSError: the network or the disk fails.
        ValueError: the checksum is wrong, or a member would leave the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / name
    if not archive.is_file():
        _fetch(url, archive)
    found = _md5(archive)
    if found != md5:
        archive.unlink()
        raise ValueError(
            f"{url} arrived with checksum {found} instead of {md5}; it was deleted, try again"
        )
    extract(archive, folder)
    archive.unlink()


def extract(archive: Path, folder: Path) -> None:
    """Unpack a tar or zip archive; members that point outside of `folder` are refused.

    Raises:
        ValueError: a member would leave the folder, or the file is no archive.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix=".unpacking-") as temporary:
        target = Path(temporary)
        try:
            if zipfile.is_zipfile(archive):
                _extract_zip(archive, target)
            else:
                with tarfile.open(archive) as file:
                    file.extractall(target, filter="data")
        except tarfile.FilterError as error:
            raise ValueError(f"{archive} is refused: {error}") from error
        except (tarfile.TarError, zipfile.BadZipFile) as error:
            raise ValueError(f"{archive} is no readable archive: {error}") from error
        for member in sorted(target.iterdir()):
            if not (folder / member.name).exists():
                os.replace(member, folder / member.name)


def _extract_zip(archive: Path, target: Path) -> None:
    with zipfile.ZipFile(archive) as file:
        for member in file.namelist():
            if not (target / member).resolve().is_relative_to(target.resolve()):
                raise ValueError(f"{archive} is refused: {member!r} would leave the folder")
        file.extractall(target)


def _fetch(url: str, path: Path) -> None:
    part = path.with_name(path.name + ".part")
    start = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except HTTPError as error:
        if error.code != 416:  # the part is already as long as the file
            raise
        part.rename(path)
        return
    with response, Progress(transient=True) as progress:
        continued = getattr(response, "status", None) == 206
        length = response.headers.get("Content-Length")
        total = None if length is None else int(length) + (start if continued else 0)
        task = progress.add_task(f"downloading {path.name}", total=total)
        progress.update(task, completed=start if continued else 0)
        with part.open("ab" if continued else "wb") as file:
            while block := response.read(_BLOCK):
                file.write(block)
                progress.update(task, advance=len(block))
            written = file.tell()
    if total is not None and written != total:
        raise OSError(f"{url} stopped after {written} of {total} bytes; run again to continue")
    part.rename(path)


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()
