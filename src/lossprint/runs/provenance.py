"""What produced a run: package versions, the source's commit, and how two configurations differ."""

import platform
import subprocess
from collections.abc import Collection, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from lossprint.runs.cache import content_key

PACKAGES = (
    "lossprint",
    "torch",
    "torchvision",
    "numpy",
    "scipy",
    "pillow",
    "pytorch-lightning",
    "pytorch-metric-learning",
    "hydra-core",
    "mitsuba",
    "timm",
    "wandb",
)

IMMATERIAL = frozenset(
    {
        "analyze",
        "callbacks.progress",
        "data.source.root",
        "data.store",
        "data.workers",
        "data_root",
        "force",
        "hydra",
        "loss.lineage",
        "keep_checkpoints",
        "keep_levels",
        "logger",
        "num_classes",  # the data tells, whose fingerprint is kept
        "output_root",
        "retry_failed",
        "search",
        "status",
        "sweep",
        "trust",
    }
)
"""Settings that change where, how loudly or how often, but not what is trained.

Dotted names, or names that do not count wherever they stand.
"""


def immaterial(config: Mapping[str, Any]) -> frozenset[str]:
    """`IMMATERIAL` for a configuration: settings of a rendered set say what its folder holds."""
    rendered = (config.get("probe") or {}).get("render") is not None
    return IMMATERIAL | {"probe.folder"} if rendered else IMMATERIAL


def run_key(config: Mapping[str, Any], data_fingerprint: str) -> str:
    """Name what is trained by its content: equal for runs of which one may continue the other.

    Args:
        config: resolved, in plain containers.
        data_fingerprint: of the images it is trained on.
    """
    return content_key(flattened(config, immaterial(config)), data_fingerprint)


def package_versions(packages: Collection[str] = PACKAGES) -> dict[str, str]:
    """Give the versions of Python and of those packages that are installed."""
    versions = {"python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def git_commit(file: Path | str = __file__) -> str | None:
    """Give the commit of the repository that tracks a file, "-dirty" appended if it was changed.

    Returns:
        None if the file is not tracked by a repository, or git cannot be asked.
    """
    file = Path(file).resolve()
    try:
        _git(file.parent, "ls-files", "--error-unmatch", file.name)
        commit = _git(file.parent, "rev-parse", "HEAD")
        changed = _git(file.parent, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{commit}-dirty" if changed else commit


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    return result.stdout.strip()


def differences(
    old: Mapping[str, Any], new: Mapping[str, Any], *, ignore: Collection[str] = IMMATERIAL
) -> list[str]:
    """Say in which settings two resolved configurations differ.

    Args:
        old: nested plain containers.
        new: likewise.
        ignore: see `IMMATERIAL`; all below such a name does not count either.

    Returns:
        One line per setting, e.g. "loss.criterion.margin: 0.2 → 0.1", sorted; empty if none. A
        setting that is null or empty is one that is not set, as in runs of before there was one.

    Example:
        >>> differences({"seed": 0, "model": {"name": "a"}}, {"seed": 0, "model": {"name": "b"}})
        ['model.name: a → b']
    """
    before, after = flattened(old, ignore), flattened(new, ignore)
    lines = []
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            lines.append(f"{name}: (not set) → {after[name]}")
        elif name not in after:
            lines.append(f"{name}: {before[name]} → (not set)")
        elif before[name] != after[name]:
            lines.append(f"{name}: {before[name]} → {after[name]}")
    return lines


def flattened(config: Mapping[str, Any], ignore: Collection[str], path: str = "") -> dict[str, Any]:
    """Settings by dotted names; null and empty are not set, and what is ignored is left out."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        name = f"{path}{key}"
        if name in ignore or key in ignore:
            continue
        if value is None or value in ({}, [], ()):
            continue
        if isinstance(value, Mapping):
            flat.update(flattened(value, ignore, f"{name}."))
        else:
            # a tuple and a list are the same setting
            flat[name] = list(value) if isinstance(value, tuple) else value
    return flat
