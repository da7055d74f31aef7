"""W&B runs that are kept on disk: where, how to look at them, how to upload them."""

import shlex
from collections.abc import Iterable
from pathlib import Path

from lossprint.runs.record import RunRecord


def offline_runs(record: RunRecord) -> list[Path]:
    """Folders of a training run that W&B keeps offline; several where it was continued."""
    if record.wandb is None or record.wandb.count("/") != 1:
        return []  # not tracked, or online: entity/project/id
    folder = record.config()["logger"].get("dir") or record.sweep_folder
    number = record.wandb.rpartition("/")[2]
    return sorted(Path(folder).glob(f"wandb/offline-run-*-{number}"))


def offline_hints(runs: Iterable[Path]) -> dict[str, str]:
    """Commands for W&B runs on disk, by what they are for; none without a run.

    Example:
        >>> offline_hints([Path("a/wandb/offline-run-1-x"), Path("a/wandb/offline-run-2-y")])
        {'look': 'wandb leet a/wandb', 'upload': 'wandb sync a/wandb/offline-run-*'}
    """
    together: dict[Path, list[Path]] = {}
    for run in runs:
        together.setdefault(run.parent, []).append(run)
    if not together:
        return {}
    shown = [
        shlex.quote(str(kept[0])) if len(kept) == 1 else f"{shlex.quote(str(parent))}/offline-run-*"
        for parent, kept in together.items()
    ]
    parents = [shlex.quote(str(parent)) for parent in together]
    return {"look": f"wandb leet {parents[0]}", "upload": f"wandb sync {' '.join(shown)}"}
