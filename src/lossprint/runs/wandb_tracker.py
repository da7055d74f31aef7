"""Weights & Biases: online where one is logged in, else on disk until it is synced."""

import logging
import netrc
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pandas as pd
from PIL import Image
from rich import get_console

from lossprint.runs.offline import offline_hints
from lossprint.runs.record import RunRecord, load_record, run_folder
from lossprint.runs.registry import find_runs
from lossprint.runs.tracker import ARTIFACT_FILES, ARTIFACT_TYPE, Points, TrackedRun, Tracker

# Before W&B is imported: its crash reports are not asked for.
os.environ.setdefault("WANDB_ERROR_REPORTING", "false")

import wandb
from wandb.errors import CommError, UsageError
from wandb.errors import Error as WandbError

log = logging.getLogger(__name__)

SERVER_PATIENCE = 30.0  # seconds until a run is kept offline
UPLOAD_PATIENCE = 600.0  # seconds, at the end of a run, until what is not uploaded stays on disk


def logged_in(base_url: str) -> bool:
    """Whether credentials for a W&B server are at hand; asks nobody and opens no connection."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    host = urlparse(base_url).hostname or ""
    named = os.environ.get("NETRC")
    candidates = [Path(named)] if named else [Path("~/.netrc"), Path("~/_netrc")]
    for file in (candidate.expanduser() for candidate in candidates):
        try:
            if host in netrc.netrc(file).hosts:
                return True
        except (OSError, netrc.NetrcParseError):
            continue
    return False


def choose_mode(mode: str, base_url: str) -> str:
    """Decide between "online", "offline" and "disabled" without a prompt.

    Args:
        mode: "online", "offline", or "auto": as WANDB_MODE says, else online if logged in.
        base_url: of the W&B server.

    Raises:
        ValueError: if online is demanded but nobody is logged in.
    """
    if mode == "auto":
        wanted = os.environ.get("WANDB_MODE", "").lower()
        if wanted in ("online", "offline", "disabled"):
            mode = wanted
        else:
            return "online" if logged_in(base_url) else "offline"
    if mode == "online" and not logged_in(base_url):
        raise ValueError(
            f"logger.mode=online, but nobody is logged in at {base_url}: "
            "run `wandb login`, or set logger.mode=offline"
        )
    return mode


class WandbTracker(Tracker):
    """Hands what a run says to W&B. Opened and closed by `wandb_tracker`."""

    def __init__(self, run: wandb.Run, *, online: bool) -> None:
        self.run = run
        self.online = online
        parts = (run.entity, run.project, run.id) if online else (run.project, run.id)
        self.path = "/".join(part for part in parts if part)
        self._told = False

    def log(self, metrics: Mapping[str, float], epoch: int) -> None:
        # The step is given: a continued run repeats an epoch in its place instead of adding one.
        with self.going_on():
            self.run.log({**metrics, "epoch": epoch}, step=epoch)

    def log_images(self, images: Mapping[str, Image.Image], *, epoch: int | None = None) -> None:
        with self.going_on():
            pictures: dict[str, Any] = {key: wandb.Image(image) for key, image in images.items()}
            self.run.log(pictures, step=epoch)

    def log_table(self, key: str, table: pd.DataFrame) -> None:
        # With what is logged next: a step of its own would shut out the epoch that is to come.
        with self.going_on():
            columns = table.reset_index(drop=True)
            self.run.log({key: wandb.Table(dataframe=columns)}, commit=False)

    def log_embeddings(self, key: str, points: Points) -> None:
        vectors, about, pictures = points
        with self.going_on():
            shown = {id(x): wandb.Image(x, file_type="jpg") for x in pictures}  # each once
            rows = zip(about.to_numpy().tolist(), vectors.to_numpy(float).tolist(), strict=True)
            table = wandb.Table(
                columns=["picture", *about.columns, *vectors.columns],
                data=[
                    [shown[id(picture)], *known, *vector]
                    for picture, (known, vector) in zip(pictures, rows, strict=True)
                ],
            )
            self.run.log({key: table}, commit=False)

    def log_files(self, name: str, kind: str, files: Mapping[str, Path]) -> None:
        with self.going_on():
            artifact = wandb.Artifact(name, type=kind)
            for file_name, file in files.items():
                # "mutable" would keep a second copy of each file below the home folder
                artifact.add_file(str(file.resolve()), name=file_name, policy="immutable")
            self.run.log_artifact(artifact)

    def use(self, records: Sequence[RunRecord]) -> None:
        if not self.online:
            return
        with self.going_on():
            for record in records:
                if record.wandb is not None and record.wandb.count("/") == 2:
                    artifact = _run_artifact(wandb.Api(), record.wandb)
                    if artifact is not None:
                        self.run.use_artifact(artifact)

    def summarize(self, metrics: Mapping[str, Any]) -> None:
        with self.going_on():
            self.run.summary.update(dict(metrics))

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """What W&B fails at is told once, and stops nothing: the run's folder holds everything."""
        try:
            yield
        except Exception as error:
            if not self._told:
                reason = " ".join(str(error).split()) or type(error).__name__
                log.warning("W&B takes no more of %s (%s); going on without", self.path, reason)
            self._told = True


@contextmanager
def wandb_tracker(logger: Mapping[str, Any], tracked: TrackedRun) -> Iterator[Tracker]:
    """Open a W&B run and close it whatever happens, with exit code 1 after an exception.

    Offline no connection is opened, and the run is kept in the logger's `dir`, else in the folder
    that its group shares, else in its own; in the last case two lines tell how to look at it and to
    upload it. If the server cannot be reached the run is kept offline; if it vanishes later, W&B
    says how to upload the rest, `UPLOAD_PATIENCE` after the end at most. Source code, console
    output and the machine's description are not sent; a running online run sends the usage of the
    processors.

    Args, raises: as those of `lossprint.runs.loggers.open_tracker`.
    """
    settings = wandb.Settings(
        silent=True,
        console="off",
        save_code=False,
        disable_code=True,
        disable_git=True,
        x_disable_meta=True,
    )
    if "WANDB_INIT_TIMEOUT" not in os.environ:
        settings.init_timeout = SERVER_PATIENCE
    if "WANDB_FINISH_TIMEOUT" not in os.environ:
        settings.finish_timeout = UPLOAD_PATIENCE  # by itself W&B waits for ever
    mode = choose_mode(logger["mode"], settings.base_url)
    if mode == "disabled":
        yield Tracker()
        return
    folder = Path(logger.get("dir") or tracked.shared or tracked.folder)
    arguments: dict[str, Any] = {
        "entity": logger.get("entity"),
        "project": logger["project"],
        "dir": str(folder),
        "name": tracked.name,
        "group": tracked.group,
        "job_type": tracked.job_type,
        "tags": [tag[:64] for tag in tracked.tags],
        "config": dict(tracked.config),
        "id": tracked.path.rsplit("/", 1)[-1] if tracked.path else None,
        "resume": "allow" if tracked.path else None,
        "reinit": "finish_previous",
    }
    folder.mkdir(parents=True, exist_ok=True)
    _without_home(folder)
    run = _begin(arguments, settings, mode)
    online = not run.offline
    tracker = WandbTracker(run, online=online)
    if online:
        get_console().print(f"W&B: {run.url}", soft_wrap=True, highlight=False)
    exit_code = 1
    try:
        run.define_metric("step")  # of the optimizer, which epochs are only a number of
        run.define_metric("*", step_metric="step")
        yield tracker
        exit_code = 0
    finally:
        with tracker.going_on():
            run.finish(exit_code=exit_code)
        if not online and tracked.shared is None:
            for purpose, command in offline_hints([Path(run.dir).parent]).items():
                get_console().print(f"W&B, {purpose} {command}", soft_wrap=True, highlight=False)


def _without_home(folder: Path) -> None:
    """Have W&B stage files below `folder` where the user has no home that can be written.

    It would notice when the trained weights are handed over.
    """
    for variable, place in (
        ("WANDB_DATA_DIR", Path(wandb.env.get_data_dir())),
        ("WANDB_CACHE_DIR", Path(wandb.env.get_cache_dir())),
    ):
        there = next(path for path in (place, *place.absolute().parents) if path.exists())
        if not os.access(there, os.W_OK | os.X_OK):
            os.environ[variable] = str(folder.absolute() / "wandb")


def _begin(arguments: dict[str, Any], settings: wandb.Settings, mode: str) -> wandb.Run:
    if mode == "online":
        try:
            return wandb.init(**arguments, mode="online", settings=settings)
        except (CommError, UsageError) as error:
            reason = " ".join(str(error).split())
            get_console().print(
                f"W&B cannot be reached ({reason}); the run is kept offline.",
                markup=False,
                soft_wrap=True,
                highlight=False,
            )
    settings.x_disable_stats = True
    return wandb.init(**{**arguments, "resume": None}, mode="offline", settings=settings)


def fetch_run(path: str, output_root: Path | str, *, api: Any = None) -> RunRecord:
    """Download a training run that was logged with its files.

    Args:
        path: entity/project/id of the W&B run.
        output_root: the run is put below it, named as where it was trained. A run that is there
            already is not downloaded again.
        api: a `wandb.Api`; a new one by default.

    Raises:
        ValueError: if the path is none, the run was logged without its files, or they would lie
            elsewhere than below `output_root`.
        ConnectionError: W&B cannot be reached.
    """
    if len([part for part in path.split("/") if part]) != 3:
        raise ValueError(f"{path!r} is no W&B run; a path is entity/project/id")
    root = Path(output_root)
    root.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):  # there are no runs yet
        for known in find_runs(root, ".", status=None):
            if known.wandb == path:
                return known
    with _reaching(path):
        api = wandb.Api() if api is None else api
        artifact = _run_artifact(api, path)
        group = api.run(path).group
    if artifact is None:
        raise ValueError(
            f"the W&B run {path} holds no artifact of type {ARTIFACT_TYPE!r}: only runs that "
            "were finished with logger=wandb keep their weights there"
        )
    with tempfile.TemporaryDirectory(dir=root, prefix=".fetch-") as temporary:
        download, kept = Path(temporary) / "download", Path(temporary) / "run"
        with _reaching(path):
            artifact.download(root=str(download))
        kept.mkdir()
        for file in ARTIFACT_FILES:  # and nothing else that somebody put there
            if (download / file).is_file():
                os.replace(download / file, kept / file)
        found = load_record(kept)
        try:
            folder = run_folder(root, group or "fetched", found.loss, found.fold, found.seed)
            if folder.exists():  # another run of the same name
                sweep = f"{group or 'fetched'}-{path.rsplit('/', 1)[-1]}"
                folder = run_folder(root, sweep, found.loss, found.fold, found.seed)
        except ValueError as error:
            raise ValueError(f"the W&B run {path} cannot be kept: {error}") from error
        folder.parent.mkdir(parents=True, exist_ok=True)
        os.replace(kept, folder)
    return load_record(folder)


@contextmanager
def _reaching(path: str) -> Iterator[None]:
    """Say in a line that a W&B run cannot be had.

    Raises:
        ConnectionError: with W&B's reason.
    """
    try:
        yield
    except (WandbError, OSError) as error:
        reason = " ".join(str(error).split())
        raise ConnectionError(
            f"the W&B run {path} cannot be fetched ({reason}). It needs a network and `wandb login`"
        ) from error


def _run_artifact(api: Any, path: str) -> Any:
    """The newest artifact of type "run" that a W&B run logged, or None."""
    found = [a for a in api.run(path).logged_artifacts() if a.type == ARTIFACT_TYPE]
    return max(found, key=lambda artifact: artifact.created_at, default=None)


def add_to_summary(path: str, metrics: Mapping[str, Any], *, api: Any = None) -> None:
    """Add metrics to the summary of a W&B run that is finished, e.g. those of an analysis.

    Args:
        path: entity/project/id.
        metrics: by key.
        api: a `wandb.Api`; a new one by default.
    """
    run = (wandb.Api() if api is None else api).run(path)
    run.summary.update(dict(metrics))
