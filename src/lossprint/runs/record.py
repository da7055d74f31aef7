"""A run on disk: one folder that says what was trained, how it went and where its results lie."""

import dataclasses
import json
import math
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import yaml

from lossprint.files import whole_file
from lossprint.runs.configuration import WIDEST, read_configuration

SCHEMA_VERSION = 1
RECORD_FILE = "run.json"
STATUSES = ("running", "interrupted", "finished", "failed")
LONGEST_NAME = 240  # bytes that every file system takes, with room for a suffix
FAMILIES = ("ranking", "classification", "control")
MONITOR = "val/map_at_r"
"""The metric that epochs, trials and states are chosen by."""


def run_folder(output_root: Path | str, sweep: str, loss: str, fold: int, seed: int) -> Path:
    """Name a run's folder by what it is: `<output_root>/<sweep>/<loss>/fold<k>-seed<s>`.

    Raises:
        ValueError: sweep or loss is no plain name, so that the run would lie elsewhere.
    """
    check_plain_name("sweep", sweep)
    check_plain_name("loss", loss)
    return Path(output_root) / sweep / loss / f"fold{fold}-seed{seed}"


@dataclass(frozen=True)
class RunRecord:
    """What `run.json` holds, and the paths beside it.

    A record is never changed in place: `begin`, `finish`, `fail` and `interrupt` write the file
    and return the new record. Times are ISO 8601 in UTC, durations are seconds.

    Attributes:
        folder: the run's folder.
        loss: name of the loss's file.
        family: "ranking", "classification" or "control".
        distance: that the loss compares embeddings in.
        fold: which block of the development classes validated.
        seed: of the run.
        data_fingerprint: of the images it was trained and tested on.
        weights_fingerprint: of the file it began from, where its configuration names one.
        status: "running", "interrupted" (by Ctrl-C), "finished" or "failed". A run that was killed
            is left as "running".
        error: of a failed run, e.g. "ValueError: …".
        collapsed: whether the embedding of the unseen classes uses so few directions that comparing
            it says little (`lossprint.metrics.EmbeddingGeometry`); None until it is known.
        metrics: final metrics by key, e.g. test/map_at_r. NaN is kept as null in the file.
        versions: of Python and the packages that shape the result.
        git_commit: of the source tree, "-dirty" appended where it was changed; None without one.
        started: when the run was begun first.
        finished: when it ended; None while it has not.
        durations: seconds by part, e.g. train, test.
        wandb: path entity/project/id of the W&B run where there is one online.
    """

    folder: Path
    loss: str
    family: str
    distance: str
    fold: int
    seed: int
    data_fingerprint: str
    weights_fingerprint: str | None = None
    status: str = "running"
    error: str | None = None
    collapsed: bool | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    git_commit: str | None = None
    started: str | None = None
    finished: str | None = None
    durations: Mapping[str, float] = field(default_factory=dict)
    wandb: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))
        if self.status not in STATUSES:
            valid = ", ".join(STATUSES)
            raise ValueError(f"status must be one of {valid}, not {self.status!r}")

    @property
    def name(self) -> str:
        """`<loss>-fold<k>-seed<s>`, unique within a sweep."""
        return f"{self.loss}-fold{self.fold}-seed{self.seed}"

    @property
    def sweep_folder(self) -> Path:
        """That all runs of the sweep lie in."""
        return self.folder.parent.parent

    @property
    def sweep(self) -> str:
        return self.folder.resolve().parent.parent.name

    @property
    def config_file(self) -> Path:
        return self.folder / "config.yaml"

    @property
    def metrics_file(self) -> Path:
        return self.folder / "metrics.csv"

    @property
    def weights_file(self) -> Path:
        return self.folder / "weights.safetensors"

    @property
    def levels_folder(self) -> Path:
        """States at several levels of validation, see `lossprint.runs.levels`."""
        return self.folder / "levels"

    @property
    def test_embeddings_file(self) -> Path:
        """`embeddings` [N, D] and `labels` [N] of the test, for several folds together."""
        return self.folder / "test_embeddings.safetensors"

    @property
    def analysis_folder(self) -> Path:
        return self.folder / "analysis"

    @property
    def untrained_folder(self) -> Path:
        """Of what is kept of the network it began from, which runs of its sweep and seed share."""
        return self.folder.parent.parent / ".untrained" / f"seed{self.seed}"

    def config(self) -> dict[str, Any]:
        """Read the resolved configuration the run was started with.

        Raises:
            FileNotFoundError: if the run has none.
            ValueError: it is damaged; see `read_configuration`.
        """
        return read_configuration(self.config_file)

    def begin(self, config: Mapping[str, Any]) -> Self:
        """Write the configuration and a record that says "running".

        Args:
            config: resolved, in plain containers.
        """
        with whole_file(self.config_file) as temporary:
            text = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
            temporary.write_text(text, encoding="utf-8")
        return self._rewritten(
            status="running", error=None, started=self.started or _now(), finished=None
        )

    def finish(
        self,
        metrics: Mapping[str, float],
        durations: Mapping[str, float],
        *,
        collapsed: bool | None = None,
    ) -> Self:
        """Write that the run is complete, with its final metrics."""
        return self._rewritten(
            status="finished",
            error=None,
            collapsed=collapsed,
            metrics={key: float(value) for key, value in metrics.items()},
            durations={key: float(value) for key, value in durations.items()},
            finished=_now(),
        )

    def fail(self, error: BaseException) -> Self:
        """Write that the run ended with an error."""
        message = " ".join(str(error).split())
        name = type(error).__name__
        text = f"{name}: {message}" if message else name
        return self._rewritten(status="failed", error=text, finished=_now())

    def interrupt(self) -> Self:
        """Write that the user stopped the run; the same command continues it."""
        return self._rewritten(status="interrupted")

    def with_wandb(self, path: str | None) -> Self:
        """Write where the run is found in W&B."""
        return self._rewritten(wandb=path)

    def _rewritten(self, **changes: Any) -> Self:
        record = dataclasses.replace(self, **changes)
        content = {"schema_version": SCHEMA_VERSION, **dataclasses.asdict(record)}
        del content["folder"]
        content["metrics"] = {
            key: value if math.isfinite(value) else None for key, value in record.metrics.items()
        }
        with whole_file(self.folder / RECORD_FILE) as temporary:
            text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
            temporary.write_text(text + "\n", encoding="utf-8")
        return record


class UnwrittenRecord(RunRecord):
    """A run's record as the further processes that train it hold it: nothing is written."""

    def begin(self, config: Mapping[str, Any]) -> Self:
        return self._rewritten(status="running")

    def _rewritten(self, **changes: Any) -> Self:
        return dataclasses.replace(self, **changes)


def load_record(folder: Path | str) -> RunRecord:
    """Read the record of a run.

    Raises:
        FileNotFoundError: if the folder holds no run.
        ValueError: if its record is damaged or of another version; names the file.
    """
    path = Path(folder) / RECORD_FILE
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no run: there is no {RECORD_FILE} in it")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content.pop("schema_version")
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} is not a run's record: {error!r}") from error
    if version != SCHEMA_VERSION:
        raise ValueError(
            f"{path} has schema version {version!r}; this version of lossprint reads "
            f"{SCHEMA_VERSION}"
        )
    try:
        metrics = content.get("metrics", {})
        content["metrics"] = {k: math.nan if v is None else v for k, v in metrics.items()}
        record = RunRecord(folder=Path(folder), **content)
        _check_content(record)
    except (TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path} is not a run's record: {error}") from error
    return record


def _check_content(record: RunRecord) -> None:
    """Raise unless every entry is of the kind that a training writes."""
    check_plain_name("loss", record.loss)
    for name in ("family", "distance", "data_fingerprint"):
        if not isinstance(getattr(record, name), str):
            raise ValueError(f"{name} is {getattr(record, name)!r}, not text")
    for name in ("error", "git_commit", "started", "finished", "wandb"):
        if not isinstance(getattr(record, name), str | None):
            raise ValueError(f"{name} is {getattr(record, name)!r}, not text")
    for name in ("fold", "seed"):
        value = getattr(record, name)
        if type(value) is not int or value < 0 or value.bit_length() > WIDEST:
            raise ValueError(f"{name} is {value!r}, not a whole number from 0 to 2^{WIDEST} - 1")
    for name, kinds in (("metrics", int | float), ("durations", int | float), ("versions", str)):
        for key, value in getattr(record, name).items():
            wide = isinstance(value, int) and value.bit_length() > WIDEST
            endless = isinstance(value, float) and not math.isfinite(value)
            if not isinstance(key, str) or not isinstance(value, kinds) or type(value) is bool:
                raise ValueError(f"{name} hold {key!r}: {value!r}")
            if wide or (name == "durations" and endless):
                raise ValueError(f"{name} hold {key!r}: {value!r}, which is no finite number")


def check_plain_name(what: str, name: Any) -> None:
    """Raise unless a name can be a folder's: of one part, and not the folder above.

    Raises:
        ValueError: naming `what` and the name.
    """
    if (
        not isinstance(name, str)
        or name in ("", ".", "..")
        or any(sign in name for sign in "/\\\0\n")
        or len(name.encode(errors="replace")) > LONGEST_NAME
    ):
        shown = ascii(name)
        raise ValueError(
            f"{what}={shown if len(shown) < 100 else shown[:99] + '…'} must be a plain name: it "
            "names a folder, without / and no longer than "
            f"{LONGEST_NAME} bytes"
        )


def check_writable(folder: Path | str, *, required_bytes: int = 0) -> None:
    """Raise unless a folder can be made, written to and has room; so before any work.

    Args:
        folder: made if it is missing.
        required_bytes: that are going to be in it; what is there counts.

    Raises:
        OSError: naming the folder, what is wrong with it and how much room there is.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Of a name of its own: another process may ask for the same folder at this moment.
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0")
    except OSError as error:
        raise type(error)(
            error.errno, f"cannot write to the output folder {folder}: {error.strerror}"
        ) from error
    if not required_bytes:
        return
    there = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    free = shutil.disk_usage(folder).free + there
    if free < required_bytes:
        raise OSError(
            f"the output folder {folder} has {free / 1e6:.0f} MB free, "
            f"but {required_bytes / 1e6:.0f} MB are needed"
        )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
