"""Find runs on disk: by folder or glob, by what they are, by how they ended."""

import logging
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from lossprint.runs.record import RECORD_FILE, RunRecord, load_record
from lossprint.tensor_files import load_tensors

log = logging.getLogger(__name__)


def find_runs(
    root: Path | str,
    pattern: str = "*",
    *,
    loss: str | Iterable[str] | None = None,
    family: str | Iterable[str] | None = None,
    fold: int | Iterable[int] | None = None,
    seed: int | Iterable[int] | None = None,
    status: str | Iterable[str] | None = "finished",
) -> list[RunRecord]:
    """Find runs.

    Args:
        root: the folder that the pattern is relative to, e.g. outputs.
        pattern: a folder or a glob, relative to `root`, to the working directory or absolute. All
            runs at or below a matching folder are found.
        loss: names or globs to keep, e.g. "multi_similarity*". None keeps all, here and below.
        family: families to keep.
        fold: folds to keep. 0 is a fold.
        seed: seeds to keep. 0 is a seed.
        status: statuses to keep.

    A run whose record is damaged is named in a warning and left out.

    Returns:
        Records sorted by loss, fold, seed and folder, each once. Empty if the filters keep none.

    Raises:
        FileNotFoundError: if the pattern matches no folder with runs.
    """
    folders = _run_folders(Path(root), pattern)
    if not folders:
        raise FileNotFoundError(
            f"no runs at {pattern!r}, neither below {root} nor below {Path.cwd()}"
        )
    losses, families, statuses = _choices(loss), _choices(family), _choices(status)
    folds, seeds = _choices(fold), _choices(seed)
    records = [
        record
        for record in readable_records(sorted(folders))
        if (losses is None or any(fnmatchcase(record.loss, str(glob)) for glob in losses))
        and (families is None or record.family in families)
        and (statuses is None or record.status in statuses)
        and (folds is None or record.fold in folds)
        and (seeds is None or record.seed in seeds)
    ]
    return sorted(records, key=lambda run: (run.loss, run.fold, run.seed, str(run.folder)))


def readable_records(folders: Iterable[Path]) -> Iterator[RunRecord]:
    """Load records; a damaged one is named in a warning and left out."""
    for folder in folders:
        try:
            yield load_record(folder)
        except ValueError as error:
            log.warning("left out: %s; train it again with force=true", error)


def damage(record: RunRecord) -> str | None:
    """What of a finished run is missing or damaged, so that it cannot be analysed; else None."""
    try:
        record.config()
        load_tensors(record.weights_file)
    except (ValueError, FileNotFoundError) as error:
        return f"{error}; train it again with force=true, or put the file back"
    return None


def _choices(wanted: str | int | Iterable[str] | Iterable[int] | None) -> set[str | int] | None:
    if wanted is None:
        return None
    return {wanted} if isinstance(wanted, str | int) else set(wanted)


def _run_folders(root: Path, pattern: str) -> set[Path]:
    path = Path(pattern)
    if path.is_absolute():
        bases, relative = [Path(path.anchor)], str(path.relative_to(path.anchor))
    else:
        bases, relative = [root, Path.cwd()], pattern
    for base in bases:
        # A folder that is there is meant as it is written, whatever its name would match.
        literal = base if relative in ("", ".") else base / relative
        matches = [literal] if literal.is_dir() else base.glob(relative)
        found = {
            record.parent.resolve()
            for match in matches
            if match.is_dir()
            for record in match.rglob(RECORD_FILE)
            if not any(part.startswith(".") for part in record.relative_to(match).parts)
        }
        if found:
            return found
    return set()


def newest_sweep(root: Path | str) -> Path:
    """Find the folder of the sweep below `root` in which a run was finished last.

    It may hold unfinished and failed runs too: what to do without them is the caller's choice.

    Raises:
        FileNotFoundError: if no run is finished.
    """
    known = any(Path(root).glob(f"*/**/{RECORD_FILE}"))
    runs = find_runs(root, status=None) if known else []
    finished = [run for run in runs if run.status == "finished"]
    if not finished:
        unfinished = ", ".join(run.name for run in runs)
        raise FileNotFoundError(
            f"no finished run below {root}" + (f"; unfinished: {unfinished}" if unfinished else "")
        )
    last = max(finished, key=lambda run: (run.finished or "", run.sweep))
    return last.sweep_folder
